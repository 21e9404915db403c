"""Key sets over HTTP, from a real server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway_guard.accounts.jwks import FRESH, INTERVAL, LARGEST, OLDEST, JwtKeys, read_key_set
from gateway_guard.core.credentials import name_digest
from gateway_guard.core.identify import identify
from gateway_guard.core.sections import AccountSource, Identify, Inspect
from gateway_guard.core.tokens import RETRY
from gateway_guard.types import CredentialFault, Request, Wire
from tests.build import NOW, SECRET

ONE, TWO = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())


def jwk(key: ec.EllipticCurvePrivateKey, kid: str | None, **more: Any) -> dict[str, Any]:
    public: dict[str, Any] = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    return public | {"use": "sig", "alg": "ES256"} | ({"kid": kid} if kid else {}) | more


def key_set(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


def wire(key: ec.EllipticCurvePrivateKey, kid: str, **claims: str) -> Wire:
    said = {"sub": "alice", "exp": NOW + 60} | claims
    token = jwt.encode(said, key, "ES256", headers={"kid": kid})
    return Wire(
        method="GET",
        raw_path=b"/",
        headers=[(b"authorization", b"Bearer " + token.encode())],
        peer=None,
    )


class Issuer:
    """An identity provider that counts how often it is asked."""

    def __init__(self) -> None:
        self.answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + key_set(jwk(ONE, "one"))
        self.asked = 0
        self.arrived = asyncio.Event()
        self.url = ""
        self.hold: asyncio.Event | None = None

    def serves(self, body: bytes, status: str = "200 OK") -> None:
        self.answer = f"HTTP/1.1 {status}\r\nconnection: close\r\n\r\n".encode() + body

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        self.arrived.set()
        if self.hold is not None:
            await self.hold.wait()
        with contextlib.suppress(ConnectionError):
            writer.write(self.answer)
            await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def issuer() -> AsyncIterator[Issuer]:
    it = Issuer()
    server = await asyncio.start_server(it.handle, "127.0.0.1", 0)
    it.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
    async with server:
        yield it


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


Test = Callable[[Issuer, JwtKeys, Identify, Clock], Awaitable[None]]


def with_issuer(test: Test) -> None:
    async def main() -> None:
        async with issuer() as it:
            source = AccountSource(
                kind="jwt", header="authorization", jwks=it.url, algorithms=("ES256",)
            )
            clock = Clock()
            rules = Identify(accounts=(AccountSource(kind="state"), source))
            await test(it, JwtKeys(now=clock), rules, clock)

    asyncio.run(main())


def seen(keys: JwtKeys, rules: Identify, asked: Wire) -> Request:
    return identify(asked, rules, Inspect(), id="r", at=NOW, secret=SECRET, keys=keys.keys)


def account(keys: JwtKeys, rules: Identify, asked: Wire) -> str | None:
    return seen(keys, rules, asked).account


ALICE = name_digest(SECRET, b"alice")


def test_an_unknown_key_is_fetched_once() -> None:
    async def test(it: Issuer, keys: JwtKeys, rules: Identify, clock: Clock) -> None:
        asked = wire(ONE, "one")
        assert account(keys, rules, asked) is None
        assert keys.needs(asked, rules)

        await keys.refresh(asked, rules)

        assert account(keys, rules, asked) == ALICE
        assert not keys.needs(asked, rules)
        assert it.asked == 1

    with_issuer(test)


def test_random_key_ids_do_not_hammer_the_issuer() -> None:
    async def test(it: Issuer, keys: JwtKeys, rules: Identify, clock: Clock) -> None:
        await keys.refresh(wire(ONE, "one"), rules)
        for number in range(50):
            await keys.refresh(wire(TWO, f"random-{number}"), rules)
        assert it.asked == 1
        assert not keys.needs(wire(TWO, "random"), rules)

        clock.now += INTERVAL
        assert keys.needs(wire(TWO, "random"), rules)
        await keys.refresh(wire(TWO, "random"), rules)

        assert it.asked == 2

    with_issuer(test)


def test_an_issuer_is_not_asked_for_the_keys_of_another() -> None:
    async def test(it: Issuer, keys: JwtKeys, _: Identify, clock: Clock) -> None:
        one = AccountSource(
            kind="jwt", header="authorization", jwks=it.url, issuer="https://one.test",
            algorithms=("ES256",),
        )  # fmt: skip
        rules = Identify(accounts=(one,))

        assert not keys.needs(wire(TWO, "two", iss="https://two.test"), rules)
        assert not keys.needs(wire(TWO, "two"), rules)
        assert keys.needs(wire(ONE, "one", iss="https://one.test"), rules)

    with_issuer(test)


def test_many_requests_wait_for_one_fetch_and_none_can_cancel_it() -> None:
    async def test(it: Issuer, keys: JwtKeys, rules: Identify, clock: Clock) -> None:
        it.hold = asyncio.Event()
        asked = wire(ONE, "one")
        waiting = [asyncio.create_task(keys.refresh(asked, rules)) for _ in range(20)]
        await it.arrived.wait()
        waiting[0].cancel()

        it.hold.set()
        await asyncio.gather(*waiting, return_exceptions=True)

        assert it.asked == 1
        assert account(keys, rules, asked) == ALICE

    with_issuer(test)


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"not json", "200 OK", "JSON Web Key Set"),
        (b"{}", "200 OK", "JSON Web Key Set"),
        (b'{"keys":[]}', "200 OK", "JSON Web Key Set"),
        (b'{"keys":5}', "200 OK", "JSON Web Key Set"),
        (b"x" * (LARGEST + 1), "200 OK", "larger than"),
        (gzip.compress(bytes(8 * LARGEST), mtime=0), "200 OK\r\ncontent-encoding: gzip", "unpacks"),
        (key_set(jwk(TWO, "two")), "500 Internal Server Error", "answered 500"),
        (key_set(jwk(TWO, "two")), "302 Found\r\nlocation: /elsewhere", "answered 302"),
    ],
    ids=["text", "empty", "no keys", "no list", "too large", "bomb", "error", "redirect"],
)
def test_a_bad_answer_keeps_the_last_good_keys_and_is_told_in_words(
    body: bytes, status: str, told: str
) -> None:
    async def test(it: Issuer, keys: JwtKeys, rules: Identify, clock: Clock) -> None:
        await keys.refresh(wire(ONE, "one"), rules)
        it.serves(body, status)
        clock.now += INTERVAL

        await keys.refresh(wire(TWO, "two"), rules)

        assert account(keys, rules, wire(ONE, "one")) == ALICE
        assert account(keys, rules, wire(TWO, "two")) is None
        assert told in keys.errors[it.url]
        assert it.asked == 2

    with_issuer(test)


def test_a_withdrawn_key_stops_working_within_the_hour() -> None:
    async def test(it: Issuer, keys: JwtKeys, rules: Identify, clock: Clock) -> None:
        await keys.refresh(wire(ONE, "one"), rules)
        it.serves(key_set(jwk(TWO, "two")))
        clock.now += OLDEST + 1

        assert keys.needs(wire(ONE, "one"), rules)
        await keys.refresh(wire(ONE, "one"), rules)

        assert account(keys, rules, wire(ONE, "one")) is None
        assert account(keys, rules, wire(TWO, "two")) == ALICE

    with_issuer(test)


def test_an_issuer_that_is_gone_raises_nothing_and_is_told_of() -> None:
    async def main() -> None:
        source = AccountSource(
            kind="jwt", header="authorization", jwks="http://127.0.0.1:1/", algorithms=("ES256",)
        )
        keys, rules = JwtKeys(), Identify(accounts=(source,))
        told: list[None] = []
        keys.on_failure = lambda: told.append(None)

        await keys.refresh(wire(ONE, "one"), rules)

        (why,) = keys.errors.values()
        assert why.startswith("cannot be reached")
        assert len(told) == 1
        fault = seen(keys, rules, wire(ONE, "one")).credential_fault
        assert fault is CredentialFault.KEYS_UNREACHABLE

    asyncio.run(main())


def test_a_failure_is_remembered_for_seconds_and_then_the_issuer_is_asked_again() -> None:
    async def test(it: Issuer, keys: JwtKeys, rules: Identify, clock: Clock) -> None:
        asked = wire(ONE, "one")
        good, it.answer = it.answer, b"HTTP/1.1 503 Busy\r\nconnection: close\r\n\r\n"
        for _ in range(20):
            await keys.refresh(asked, rules)
        assert it.asked == 1
        assert not keys.needs(asked, rules)

        it.answer = good
        clock.now += RETRY
        assert keys.needs(asked, rules)
        await keys.refresh(asked, rules)

        assert it.asked == 2
        assert account(keys, rules, asked) == ALICE
        assert not keys.errors

    with_issuer(test)


def test_only_the_request_that_asks_again_waits_for_an_issuer_that_hangs() -> None:
    async def test(it: Issuer, keys: JwtKeys, rules: Identify, clock: Clock) -> None:
        asked = wire(ONE, "one")
        good, it.answer = it.answer, b"HTTP/1.1 503 Busy\r\nconnection: close\r\n\r\n"
        await keys.refresh(asked, rules)
        it.answer, it.hold = good, asyncio.Event()
        it.arrived.clear()
        clock.now += RETRY
        asking = asyncio.create_task(keys.refresh(asked, rules))
        await it.arrived.wait()

        for _ in range(5):
            await keys.refresh(asked, rules)

        assert not asking.done()
        assert seen(keys, rules, asked).credential_fault is CredentialFault.KEYS_UNREACHABLE
        it.hold.set()
        await asking
        assert account(keys, rules, asked) == ALICE
        assert it.asked == 2

    with_issuer(test)


def test_the_last_good_keys_serve_on_while_the_issuer_hangs_and_nobody_waits() -> None:
    async def test(it: Issuer, keys: JwtKeys, rules: Identify, clock: Clock) -> None:
        asked = wire(ONE, "one")
        await keys.refresh(asked, rules)
        it.serves(b"", "503 Busy")
        clock.now += OLDEST + 1
        await keys.refresh(asked, rules)
        it.hold = asyncio.Event()
        it.arrived.clear()
        clock.now += 100 * OLDEST

        await keys.refresh(asked, rules)

        await it.arrived.wait()
        assert account(keys, rules, asked) == ALICE
        it.hold.set()

    with_issuer(test)


def test_a_key_that_came_into_use_during_an_outage_is_no_fault_of_the_caller() -> None:
    async def test(it: Issuer, keys: JwtKeys, rules: Identify, clock: Clock) -> None:
        await keys.refresh(wire(ONE, "one"), rules)
        new = wire(TWO, "two")
        assert seen(keys, rules, new).credential_fault is CredentialFault.UNKNOWN_KEY
        it.serves(b"", "503 Busy")
        clock.now += INTERVAL

        await keys.refresh(new, rules)

        assert seen(keys, rules, new).credential_fault is CredentialFault.KEYS_UNREACHABLE
        assert account(keys, rules, wire(ONE, "one")) == ALICE
        it.serves(key_set(jwk(TWO, "two")))
        clock.now += RETRY
        await keys.refresh(new, rules)
        assert account(keys, rules, new) == ALICE

    with_issuer(test)


def test_ageing_keys_are_fetched_anew_while_nobody_waits() -> None:
    async def test(it: Issuer, keys: JwtKeys, rules: Identify, clock: Clock) -> None:
        asked = wire(ONE, "one")
        await keys.refresh(asked, rules)
        assert not keys.needs(asked, rules)
        it.hold = asyncio.Event()
        it.arrived.clear()
        clock.now += FRESH + 1

        assert keys.needs(asked, rules)
        await keys.refresh(asked, rules)

        await it.arrived.wait()
        assert account(keys, rules, asked) == ALICE
        it.hold.set()

    with_issuer(test)


@pytest.mark.parametrize(
    "value", [b"", b"Bearer sk-x", b"Bearer a.b.c", b"Bearer \xff", b"Basic eDp5"]
)
def test_what_is_no_token_needs_no_keys(value: bytes) -> None:
    source = AccountSource(kind="jwt", header="authorization", jwks="https://i.test/")
    asked = Wire(method="GET", raw_path=b"/", headers=[(b"authorization", value)], peer=None)

    assert not JwtKeys().needs(asked, Identify(accounts=(source,)))


def test_only_public_signature_keys_are_kept() -> None:
    symmetric = {"kty": "oct", "k": "c2VjcmV0", "kid": "s", "alg": "HS256"}
    keys = read_key_set(
        key_set(
            jwk(ONE, "one"), jwk(TWO, "enc", use="enc"), jwk(TWO, "odd", alg="none"), symmetric,
            {"kty": "EC"}, jwk(TWO, None), jwk(TWO, "list", alg=[]),
        )
    )  # fmt: skip

    assert list(keys) == ["one", "\0005"]
