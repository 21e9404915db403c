"""Which account asks, where a policy reads several headers, some of which may hold tokens."""

from __future__ import annotations

import itertools

import jwt
import pytest

from gateway_guard.core.credentials import digest, name_digest
from gateway_guard.core.identify import identify
from gateway_guard.core.sections import AccountSource, Identify, Inspect
from gateway_guard.types import CredentialFault, Request
from tests import build

KEY = "a shared secret of tests, 32 bytes"
TOKEN = jwt.encode({"sub": "alice"}, KEY, "HS256")
BEARER = AccountSource(kind="header", header="authorization")
JWT = AccountSource(kind="jwt", header="authorization", key=KEY, algorithms=("HS256",))
PLAIN = AccountSource(kind="header", header="x-api-key")
OTHER = AccountSource(kind="header", header="api-key")
STATE = AccountSource(kind="state", state_key="account")
ALICE = name_digest(build.SECRET, b"alice")


def seen(
    *sources: AccountSource, bearer: str | None = None, state: object = None, **headers: str
) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    wire = build.wire(key=bearer, headers=named, state={} if state is None else {"account": state})
    return identify(
        wire, Identify(accounts=sources), Inspect(), id="r", at=build.NOW, secret=build.SECRET,
        keys={},
    )  # fmt: skip


def test_what_is_no_token_is_a_key_where_the_policy_reads_keys_there_too() -> None:
    for sources in itertools.permutations((JWT, BEARER, PLAIN)):
        request = seen(*sources, bearer="sk-1")

        assert request.account == digest(build.SECRET, b"sk-1"), sources
        assert (request.credential, request.credential_fault) == ("bearer", None)


def test_the_sources_behind_such_a_key_are_still_looked_at() -> None:
    for sources in itertools.permutations((JWT, BEARER, PLAIN, OTHER)):
        request = seen(*sources, bearer="sk-1", api_key="sk-2")

        assert request.account is None, sources
        assert request.credential_fault is CredentialFault.TWO_CREDENTIALS


@pytest.mark.parametrize("header", ["api_key", "x_goog_api_key"])
def test_a_policy_that_names_no_header_knows_azures_and_geminis_keys(header: str) -> None:
    default = Identify().accounts

    assert seen(*default, **{header: "sk-1"}).account == digest(build.SECRET, b"sk-1")
    # Else each key in a header that the upstream does not read would be a new account.
    several = seen(*default, x_api_key="made up", **{header: "sk-1"})
    assert several.credential_fault is CredentialFault.TWO_CREDENTIALS


def test_what_is_no_token_is_a_fault_where_only_tokens_are_read() -> None:
    request = seen(JWT, PLAIN, bearer="sk-1")

    assert (request.account, request.credential) == (None, "jwt")
    assert request.credential_fault is CredentialFault.NOT_A_JWT


def test_a_key_that_is_there_twice_in_two_headers_is_one() -> None:
    request = seen(PLAIN, OTHER, x_api_key="sk-1", api_key="sk-1")

    assert (request.account, request.credential_fault) == (digest(build.SECRET, b"sk-1"), None)


@pytest.mark.parametrize("sources", [(STATE, JWT), (STATE, JWT, PLAIN)])
def test_what_the_application_says_goes_before_what_the_client_says(
    sources: tuple[AccountSource, ...],
) -> None:
    request = seen(*sources, bearer=TOKEN, state="bob")

    assert (request.account, request.credential) == (name_digest(build.SECRET, b"bob"), "state")


@pytest.mark.parametrize("said", [None, "", 1.5, ["a"]])
def test_an_application_that_says_nothing_leaves_it_to_the_client(said: object) -> None:
    request = seen(STATE, JWT, bearer=TOKEN, state=said)

    assert (request.account, request.credential) == (ALICE, "jwt")


def test_an_empty_value_names_nobody() -> None:
    assert seen(PLAIN, BEARER, x_api_key="").account is None
    assert seen(BEARER).account is None
    assert seen(BEARER, bearer="").account is None
