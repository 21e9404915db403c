"""Requests turned away at their head: answered, and the connection kept where that is cheap."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway_guard.building import build_guard
from gateway_guard.core.coming_back import LATEST, SOONEST
from gateway_guard.core.sections import Overload
from gateway_guard.frontends.admission import Admission
from gateway_guard.frontends.door import LET_IN, Door
from gateway_guard.frontends.head import Head
from gateway_guard.frontends.inbound import GuardProtocol
from gateway_guard.frontends.patience import Limits
from gateway_guard.frontends.refusals import Answer
from gateway_guard.frontends.sockets import SocketProtocol
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.settings import Settings
from gateway_guard.types import Exchange
from tests import build
from tests.frontends.fakes import run

CHAT = b"POST /v1/chat/completions HTTP/1.1\r\nHost: api.test\r\n"


class Busy(Admission):
    """Turns everybody away while `busy`."""

    busy = True

    def turns_away(self, overload: Overload) -> bool:
        return self.busy


class Site:
    """A guard's door on a real listener; behind it an application that says yes.

    Attributes:
        settled: what the guard's learners heard of.
        scopes: what the application was asked.
    """

    def __init__(self, policy: str = "mode: enforce") -> None:
        self.settled: list[Exchange] = []
        self.scopes: list[dict[str, Any]] = []
        self.admission = Busy()
        self.guard = build_guard(
            build.policy(policy), settings=Settings(secret=b"a secret for tests only"),
            network=NoNetwork(), learners=[self.settled.append],
        )  # fmt: skip
        self.door = Door(self.guard, self.admission)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"yes"})

    @asynccontextmanager
    async def client(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection to it."""
        http = GuardProtocol.bound(Limits(), self.door)
        config = Config(self, http=http, ws=SocketProtocol, log_config=None)
        config.load()
        ours, theirs = socket.socketpair()
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: config.http_protocol_class(config, ServerState(), {}),  # type: ignore[call-arg]
            theirs,
        )
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            yield reader, writer
        finally:
            writer.close()


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    return int(first.split(" ")[1]), fields, await reader.readexactly(int(fields["content-length"]))


def test_it_is_told_when_to_come_back_and_the_connection_is_kept() -> None:
    async def main() -> None:
        site = Site()
        async with site.client() as (reader, writer):
            answers = []
            for _ in range(2):
                writer.write(CHAT + b"Content-Length: 2\r\n\r\n{}")
                answers.append(await answer(reader))
            site.admission.busy = False
            writer.write(b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n")
            third = await reader.readuntil(b"yes")

        for status, fields, body in answers:
            assert status == 503
            assert SOONEST <= int(fields["retry-after"]) <= LATEST
            assert "connection" not in fields
            assert json.loads(body)["error"]["code"] == "overloaded"
        assert third.startswith(b"HTTP/1.1 200")
        assert [scope["method"] for scope in site.scopes] == ["GET"]
        assert site.scopes[0][LET_IN]
        assert [one.decision.rule for one in site.settled] == ["guard:overload"] * 2
        assert all(one.settled and one.usage is not None for one in site.settled)

    run(main)


def test_a_body_that_comes_later_is_waited_for() -> None:
    async def main() -> None:
        site = Site()
        async with site.client() as (reader, writer):
            writer.write(CHAT + b"Content-Length: 2\r\n\r\n")
            await writer.drain()
            while not site.settled:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            writer.write(b"{}" + CHAT + b"Content-Length: 0\r\n\r\n")
            statuses = [(await answer(reader))[0] for _ in range(2)]

        assert statuses == [503, 503]
        assert site.scopes == []

    run(main)


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(b"Content-Length: 100000000\r\n\r\n{", id="long"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", id="of unknown length"),
        pytest.param(b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n", id="not yet sent"),
    ],
)
def test_a_body_that_may_be_long_is_not_waited_for(rest: bytes) -> None:
    async def main() -> None:
        site = Site()
        async with site.client() as (reader, writer):
            writer.write(CHAT + rest)
            status, fields, _ = await answer(reader)
            end = await reader.read()

        assert (status, fields["connection"], end) == (503, "close", b"")
        assert site.scopes == []

    run(main)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
    ],
)
def test_a_client_that_wants_it_closed_gets_it_closed(head: bytes) -> None:
    async def main() -> None:
        site = Site()
        async with site.client() as (reader, writer):
            writer.write(head)
            status, fields, _ = await answer(reader)
            end = await reader.read()

        assert (status, fields["connection"], end) == (503, "close", b"")

    run(main)


def test_a_head_request_gets_a_head() -> None:
    async def main() -> None:
        site = Site()
        async with site.client() as (reader, writer):
            writer.write(b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            whole = await reader.read()

        assert whole.startswith(b"HTTP/1.1 503 ")
        assert whole.endswith(b"\r\n\r\n")

    run(main)


def test_what_waits_behind_another_is_not_turned_away_here() -> None:
    async def main() -> None:
        site = Site()
        site.admission.busy = False
        async with site.client() as (reader, writer):
            # The second is read while the first is under way; the middleware asks about it.
            writer.write(2 * b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            for _ in range(2):
                await reader.readuntil(b"yes\r\n0\r\n\r\n")

        assert [LET_IN in scope for scope in site.scopes] == [True, False]

    run(main)


@pytest.mark.parametrize("policy", ["mode: shadow", "mode: enforce\nrollout: 50%"])
def test_where_the_policy_does_not_act_for_all_nobody_is_turned_away(policy: str) -> None:
    site = Site(policy)

    assert site.door.refuses("GET", Head(raw_path=b"/", query=b"", headers=[])) is None
    assert site.settled == []


def test_visitors_who_are_to_be_verified_are_let_in() -> None:
    site = Site(
        "mode: enforce\n"
        "verification: { url: https://guard.test/verify, form: { accept: [the-terms] } }\n"
        "rules:\n  - { name: all, when: { path: /x }, then: challenge }"
    )

    def refused(path: bytes) -> Answer | None:
        return site.door.refuses("GET", Head(raw_path=path, query=b"", headers=[]))

    assert refused(b"/verify/style.css") is None
    assert refused(b"/v1/models") is not None


SHAKE = (
    b"GET /v1/realtime HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.mark.parametrize("rest", [b"", b"\x81\x80\x00\x00\x00\x00"], ids=["alone", "and a frame"])
def test_a_handshake_is_turned_away_like_a_request_and_nothing_follows_it(rest: bytes) -> None:
    async def main() -> None:
        site = Site()
        async with site.client() as (reader, writer):
            writer.write(SHAKE + rest)
            status, fields, body = await answer(reader)
            end = await reader.read()

        assert (status, fields["connection"], end) == (503, "close", b"")
        assert SOONEST <= int(fields["retry-after"]) <= LATEST
        assert json.loads(body)["error"]["code"] == "overloaded"
        (one,) = site.settled
        assert (one.request.method, one.decision.rule) == ("WEBSOCKET", "guard:overload")
        assert site.scopes == []

    run(main)


def test_a_handshake_that_was_let_in_need_not_ask_again() -> None:
    async def main() -> None:
        site = Site()
        site.admission.busy = False
        async with site.client() as (reader, writer):
            writer.write(SHAKE)
            await reader.readuntil(b"\r\n\r\n")

        assert [(one["type"], LET_IN in one) for one in site.scopes] == [("websocket", True)]

    run(main)
