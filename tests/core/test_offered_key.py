"""A key among the subprotocols of a WebSocket handshake, where browsers put it."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.accounts.jwks import JwtKeys
from gateway_guard.core.credentials import digest
from gateway_guard.core.identify import identify
from gateway_guard.core.offered_key import offered_key
from gateway_guard.core.sections import AccountSource, Identify, Inspect
from gateway_guard.types import CredentialFault, Request, Wire
from tests import build

REALTIME = "/v1/realtime"
OPENAI = "realtime, openai-insecure-api-key.sk-real, openai-beta.realtime-v1"
REAL = digest(build.SECRET, b"sk-real")
SHARED = "a shared secret of thirty-two bytes"


def handshake(
    *offers: str, path: str = REALTIME, method: str = "WEBSOCKET", query: bytes = b"",
    state: dict[str, Any] | None = None, **headers: str,
) -> Wire:  # fmt: skip
    fields = [(b"sec-websocket-protocol", offer.encode("latin-1")) for offer in offers]
    fields += [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return Wire(
        method=method, raw_path=path.encode(), headers=fields, peer="203.0.113.7", query=query,
        state=state or {},
    )  # fmt: skip


def seen(wire: Wire, *sources: AccountSource) -> Request:
    rules = Identify(accounts=sources) if sources else Identify()
    return identify(wire, rules, Inspect(), id="r_1", at=build.NOW, secret=build.SECRET, keys={})


@pytest.mark.parametrize(
    "offers",
    [
        (OPENAI,),
        ("realtime", "openai-insecure-api-key.sk-real"),
        ("OpenAI-Insecure-API-Key.sk-real,realtime",),
        ("xai-client-secret.sk-real",),
        ("token, sk-real",),
        ("bearer,\tsk-real",),
        (",bearer,, ,sk-real,",),
        ("realtime, openai-insecure-api-key.sk-real, openai-insecure-api-key.sk-real",),
    ],
)
def test_a_key_that_a_browser_offers_names_the_account_it_names_elsewhere(
    offers: tuple[str, ...],
) -> None:
    request = seen(handshake(*offers))

    assert (request.account, request.credential) == (REAL, "subprotocol")


@pytest.mark.parametrize(
    "wire",
    [
        handshake(OPENAI, authorization="Bearer sk-other"),
        handshake(OPENAI, x_api_key="sk-other"),
        handshake(OPENAI, "openai-insecure-api-key.sk-other"),
        handshake("token, sk-other, openai-insecure-api-key.sk-real"),
        handshake(OPENAI, query=b"api-key=sk-other"),
    ],
)
def test_another_key_beside_it_buys_no_other_account(wire: Wire) -> None:
    request = seen(wire)

    assert request.account is None
    assert request.credential_fault is CredentialFault.TWO_CREDENTIALS


def test_the_same_key_in_two_places_is_one() -> None:
    request = seen(handshake(OPENAI, authorization="Bearer sk-real", query=b"api-key=sk-real"))

    assert (request.account, request.credential) == (REAL, "bearer")


def test_a_key_that_readers_may_spell_differently_is_a_fault() -> None:
    request = seen(handshake("openai-insecure-api-key.sk real"))

    assert request.credential_fault is CredentialFault.AMBIGUOUS_SPELLING


@pytest.mark.parametrize(
    "offers", ["realtime", "token", "openai-insecure-api-key.", "graphql-ws, mqtt", ""]
)
def test_other_subprotocols_name_nobody(offers: str) -> None:
    assert seen(handshake(offers)).account is None


def test_a_request_that_is_no_handshake_offers_nothing() -> None:
    assert seen(handshake(OPENAI, method="GET")).account is None


def test_who_the_application_names_stays() -> None:
    named = seen(handshake(OPENAI, state={"account": "customer-7"}))

    assert named.credential == "state"


def test_where_the_policy_reads_another_header_only_it_counts_as_one_in_that() -> None:
    request = seen(handshake(OPENAI), AccountSource(kind="header", header="api-key"))

    assert request.account == REAL


def test_where_only_the_application_names_accounts_a_key_names_none() -> None:
    assert seen(handshake(OPENAI), AccountSource(kind="state")).account is None


def token(sub: str = "team-7") -> str:
    return jwt.encode({"sub": sub}, SHARED, algorithm="HS256")


TOKENS = AccountSource(kind="jwt", header="authorization", key=SHARED, algorithms=("HS256",))


def test_a_token_is_verified_there_as_in_authorization() -> None:
    offered = seen(handshake(f"realtime, openai-insecure-api-key.{token()}"), TOKENS)
    sent = seen(handshake(authorization=f"Bearer {token()}"), TOKENS)
    forged = seen(handshake(f"openai-insecure-api-key.{token()[:-4]}AAAA"), TOKENS)

    assert (offered.account, offered.credential) == (sent.account, "jwt")
    assert offered.account is not None
    assert (forged.account, forged.credential_fault) == (None, CredentialFault.BAD_SIGNATURE)


def test_the_keys_that_verify_a_token_there_are_fetched() -> None:
    rules = Identify(
        accounts=(AccountSource(kind="jwt", header="authorization", jwks="https://id.test/keys",
                                algorithms=("HS256",)),)
    )  # fmt: skip
    keys = JwtKeys()

    assert keys.needs(handshake(f"openai-insecure-api-key.{token()}"), rules)
    assert not keys.needs(handshake("realtime"), rules)


@pytest.mark.parametrize("path", [REALTIME, "/openai/realtime", "/openai/v1/realtime"])
@pytest.mark.parametrize("query", [b"deployment=g&api-key=sk-real", b"API-Key=sk-real"])
def test_azures_key_in_the_query_of_a_handshake_names_the_account(path: str, query: bytes) -> None:
    request = seen(handshake(path=path, query=query))

    assert (request.account, request.credential) == (REAL, "query")


def test_azures_parameter_is_not_read_where_no_model_is_reached() -> None:
    assert seen(handshake(path="/chat/rooms", query=b"api-key=sk-real")).account is None


def test_without_the_header_nothing_is_offered() -> None:
    assert offered_key([(b"sec-websocket-key", b"x")]) is None


@given(st.lists(st.binary(max_size=120), max_size=4))
def test_no_offer_makes_it_raise(offers: list[bytes]) -> None:
    found = offered_key([(b"sec-websocket-protocol", offer) for offer in offers])

    assert found is None or isinstance(found, bytes | CredentialFault)
