"""Ways round the limits and rules that a hostile review found, each closed."""

from __future__ import annotations

from typing import Any

import jwt
import msgspec
import pytest

from gateway_guard.core.body import MOST_COMMAS, MOST_CONTAINERS, parse
from gateway_guard.core.dialects import model_by_path, route
from gateway_guard.core.identify import identify
from gateway_guard.core.limits import MOST_RESERVED_OUTPUT, Limit, charges_for
from gateway_guard.core.sections import AccountSource, Identify, Inspect
from gateway_guard.types import Assessment, CredentialFault, Inspection, Request, Wire
from tests import build

KEY = "a shared secret of tests, 32 bytes"
TOKEN = jwt.encode({"sub": "alice"}, KEY, "HS256")
PLAIN = AccountSource(kind="header", header="x-api-key")
BEARER = AccountSource(kind="header", header="authorization")
JWT = AccountSource(kind="jwt", header="authorization", key=KEY, algorithms=("HS256",))


def seen(wire: Wire, *accounts: AccountSource) -> Request:
    rules = Identify(accounts=accounts) if accounts else Identify()
    return identify(wire, rules, Inspect(), id="r", at=build.NOW, secret=build.SECRET, keys={})


def cost(request: Request, *per: str, unit: str = "tokens") -> tuple[str, float]:
    subject = Limit(
        name="some", per=per or ("account",), unit=unit, quota=1e6, window=60.0, burst=1e6
    )
    (charge,) = charges_for((subject,), request, build.facts(), Assessment())
    return charge.key, charge.cost


@pytest.mark.parametrize("accounts", [(PLAIN, JWT), (JWT, PLAIN)])
def test_a_junk_key_beside_a_token_is_a_conflict(accounts: tuple[AccountSource, ...]) -> None:
    request = seen(build.wire(key=TOKEN, headers={"x-api-key": "junk"}), *accounts)

    assert (request.account, request.credential) == (None, "ambiguous")
    assert request.credential_fault is CredentialFault.TWO_CREDENTIALS


@pytest.mark.parametrize("accounts", [(BEARER, JWT), (JWT, BEARER)])
def test_one_header_read_twice_is_no_conflict(accounts: tuple[AccountSource, ...]) -> None:
    request = seen(build.wire(key=TOKEN), *accounts)

    assert request.account is not None
    assert request.credential_fault is None


def test_a_second_token_in_another_header_is_the_same_one_or_a_conflict() -> None:
    other = msgspec.structs.replace(JWT, header="x-token")
    second = jwt.encode({"sub": "bob"}, KEY, "HS256")

    same = seen(build.wire(key=TOKEN, headers={"x-token": TOKEN}), JWT, other)
    different = seen(build.wire(key=TOKEN, headers={"x-token": second}), JWT, other)

    assert same.account == seen(build.wire(key=TOKEN), JWT).account
    assert different.credential_fault is CredentialFault.TWO_CREDENTIALS


def test_the_model_in_the_path_wins() -> None:
    request = seen(build.wire("/v1beta/models/ultra:generateContent"))

    assert request.model == "ultra"
    assert model_by_path("/models/team/v1/chat/completions") is None


def test_another_spelling_of_model_or_route_is_no_fresh_quota() -> None:
    odd = build.request(model=" Apex-4 ", path="/v1/Chat/completions/")

    assert cost(odd, "model", "route") == cost(build.request(), "model", "route")


@pytest.mark.parametrize(
    "path",
    ["/v1/fim/completions", "/v1/agents/completions", "/v1/models/a/b/predictions",
     "/v1/chat/completions/batch", "/api/extra/generate/stream"],
)  # fmt: skip
def test_whatever_ends_like_generating_is_a_model_route(path: str) -> None:
    assert route(path) is not None


def batch(*models: str, **more: Any) -> Request:
    members = [{"params": {"model": model, "messages": [], **more}} for model in models]
    return seen(build.wire("/v1/messages/batches", body=msgspec.json.encode({"requests": members})))


def test_a_batch_has_one_model_and_reserves_for_every_member() -> None:
    request = batch("m", "M", "m")

    assert request.model == "m"
    assert cost(request, unit="output-tokens")[1] == 3 * 1024
    assert cost(batch("m", max_tokens=100_000), unit="output-tokens")[1] == 100_000
    assert batch("m", "other").inspection is Inspection.SHAPE


def test_a_large_cap_is_reserved_in_part() -> None:
    request = build.request(prompt=build.prompt(max_output_tokens=128_000, n=2))

    assert cost(request, unit="output-tokens")[1] == 2 * MOST_RESERVED_OUTPUT


def test_a_body_of_too_many_values_is_not_read() -> None:
    assert parse(b'{"x":[' + b"{}," * MOST_CONTAINERS + b"{}]}") is Inspection.SHAPE
    assert parse(b'{"x":[' + b"1," * (MOST_COMMAS + 1) + b"1]}") is Inspection.SHAPE
    assert isinstance(parse(b'{"x":"' + b'{\\\\\\",' * MOST_COMMAS + b'"}'), dict)


def test_one_basic_credential_has_one_account() -> None:
    spellings = ("c2stYTo=", "c2stYTo", "c2stYTp=")

    found = {seen(build.wire(key=None, headers={"authorization": f"Basic {text}"})).account
             for text in spellings}  # fmt: skip

    assert len(found) == 1
    unreadable = seen(build.wire(key=None, headers={"authorization": "Basic _"}))
    assert unreadable.credential_fault is CredentialFault.AMBIGUOUS_SPELLING
