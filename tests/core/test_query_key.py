"""A key in the query, where Google's APIs read it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.credentials import digest
from gateway_guard.core.identify import identify
from gateway_guard.core.query_key import query_key
from gateway_guard.core.sections import AccountSource, Identify, Inspect
from gateway_guard.types import CredentialFault, Request
from tests import build

GEMINI = "/v1beta/models/g-2:generateContent"
HEADERS = Identify(
    accounts=(
        AccountSource(kind="header", header="authorization"),
        AccountSource(kind="header", header="api-key"),
    )
)
REAL = digest(build.SECRET, b"AIza-real")
BODY = b'{"contents":[{"parts":[{"text":"hi"}]}]}'


def seen(
    path: str = GEMINI, *, query: bytes = b"", key: str | None = None, state: bool = False,
    api_key: str | None = None,
) -> Request:  # fmt: skip
    headers = {"api-key": api_key} if api_key is not None else {}
    wire = build.wire(path, body=BODY, key=key, headers=headers, query=query)
    rules = HEADERS
    if state:
        wire.state = {"account": "our-customer"}
        rules = Identify(accounts=(AccountSource(kind="state", state_key="account"),))
    return identify(wire, rules, Inspect(), id="r_1", at=build.NOW, secret=build.SECRET, keys={})


@pytest.mark.parametrize(
    "query",
    [b"key=AIza-real", b"alt=sse&key=AIza-real", b"%6bey=AIza%2Dreal", b"access_token=AIza-real",
     b"$key=AIza-real", b"%24key=AIza-real", b"oauth_token=AIza-real"],
)  # fmt: skip
@pytest.mark.parametrize(
    "path",
    [
        GEMINI,
        "/v1/models/g-2:streamGenerateContent",
        "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
        "/v1beta/openai/chat/completions",
        "/v1beta/openai/embeddings",
    ],
)
def test_a_key_in_the_query_names_the_account(path: str, query: bytes) -> None:
    request = seen(path, query=query)

    assert (request.account, request.credential) == (REAL, "query")


def test_another_key_beside_it_buys_no_other_account() -> None:
    for request in (
        seen(query=b"key=AIza-real", api_key="x1"),
        seen(query=b"key=AIza-real", key="x2"),
        seen(query=b"key=AIza-real&key=x3"),
        seen(query=b"key=AIza-real&access_token=x4"),
        seen(query=b"key=AIza-real&$key=x5"),
        seen(query=b"$key=AIza-real", api_key="x6"),
    ):
        assert request.account is None
        assert request.credential_fault is CredentialFault.TWO_CREDENTIALS


@pytest.mark.parametrize("scheme", ["state", "jwt", "query", "client-secret"])
def test_a_scheme_that_sounds_like_the_applications_word_is_a_key_like_any_other(
    scheme: str,
) -> None:
    wire = build.wire(GEMINI, body=BODY, key=None, query=b"key=AIza-real")
    wire.headers.append((b"authorization", scheme.encode() + b" made-up"))
    request = identify(
        wire, HEADERS, Inspect(), id="r_1", at=build.NOW, secret=build.SECRET, keys={}
    )

    assert request.credential_fault is CredentialFault.TWO_CREDENTIALS


def test_the_same_key_twice_is_one() -> None:
    assert seen(query=b"key=AIza-real", api_key="AIza-real").account == REAL


def test_a_key_that_readers_may_spell_differently_is_a_fault() -> None:
    request = seen(query=b"key=AIza%20real")

    assert request.credential_fault is CredentialFault.AMBIGUOUS_SPELLING


def test_who_the_application_names_stays_whatever_the_query_says() -> None:
    assert seen(query=b"key=x1", state=True).account == seen(query=b"key=x2", state=True).account


def test_where_only_tokens_name_accounts_a_key_names_none() -> None:
    rules = Identify(accounts=(AccountSource(kind="jwt", header="authorization", key="secret"),))
    wire = build.wire(GEMINI, body=BODY, key=None, query=b"key=x1")

    request = identify(
        wire, rules, Inspect(), id="r_1", at=build.NOW, secret=build.SECRET, keys={}
    )  # fmt: skip

    assert request.account is None


def test_a_credential_that_failed_stays_failed_whatever_the_query_says() -> None:
    request = seen(query=b"key=AIza-real", key="a b")

    assert request.credential_fault is CredentialFault.AMBIGUOUS_SPELLING


def test_elsewhere_a_parameter_of_that_name_is_the_applications_own() -> None:
    assert seen("/v1/chat/completions", query=b"key=x1", key="sk-1").credential_fault is None
    assert seen("/search", query=b"key=x1").account is None


@given(st.binary(max_size=300))
def test_no_query_makes_it_raise(query: bytes) -> None:
    found = query_key(query)

    assert found is None or isinstance(found, bytes | CredentialFault)


def test_parameters_without_number_are_not_read() -> None:
    assert query_key(b"a=1&" * 200 + b"key=x") is CredentialFault.AMBIGUOUS_SPELLING
