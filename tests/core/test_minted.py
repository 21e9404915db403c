"""Secrets that an account had made for its users."""

from __future__ import annotations

import pytest

from gateway_guard.core.credentials import digest
from gateway_guard.core.identify import identify
from gateway_guard.core.minted import MINTED, ClientSecret, Minted, mints, secret_in
from gateway_guard.core.sections import Identify, Inspect
from tests import build

EPHEMERAL = digest(build.SECRET, b"ek_1")
NEW = b'{"value": "ek_1", "expires_at": %d, "session": {"model": "m"}}' % (build.NOW + 600)
OLD = b'{"client_secret": {"value": "ek_1", "expires_at": %d}}' % (build.NOW + 60)


def made(body: bytes, **asked: object) -> ClientSecret | None:
    return secret_in(body, build.request(**asked), secret=build.SECRET, now=build.NOW)


def learnt(body: bytes, **asked: object) -> Minted:
    minted, found = Minted(), made(body, **asked)
    assert found is not None
    minted.note(found, build.NOW)
    return minted


@pytest.mark.parametrize(
    ("path", "may"),
    [
        ("/v1/realtime/client_secrets", True),
        ("/openai/v1/realtime/client_secrets/", True),
        ("/v1/realtime/translations/client_secrets", True),
        ("/v1/realtime/sessions", True),
        ("/v1/realtime/transcription_sessions", True),
        ("/openai/realtimeapi/sessions", True),
        ("/openai/v1/REALTIME/Client_Secrets", True),
        ("/v1/realtime/calls", False),
        ("/v1/realtime", False),
        ("/v1/chat/completions", False),
        (None, False),
    ],
)
def test_secrets_are_made_on_these_paths(path: str | None, may: bool) -> None:
    assert mints(build.request(path=path)) is may


@pytest.mark.parametrize("body", [NEW, OLD], ids=["client_secrets", "sessions"])
def test_who_shows_a_secret_is_the_account_that_had_it_made(body: bytes) -> None:
    minted = learnt(body, account="acct_owner")

    shown = minted.owned(build.request(account=EPHEMERAL))

    assert (shown.account, shown.credential) == ("acct_owner", MINTED)


@pytest.mark.parametrize(
    ("body", "lasts"),
    [
        (OLD, 120),
        (NEW, 660),
        (b'{"value": "ek_1"}', 660),
        (b'{"value": "ek_1", "expires_at": 99999999999}', 7260),
        (b'{"value": "ek_1", "expires_at": 1}', 60),
    ],
)
def test_for_as_long_as_it_makes_sessions_and_a_minute(body: bytes, lasts: int) -> None:
    minted = learnt(body, account="acct_owner")

    def shown(after: float) -> str | None:
        return minted.owned(build.request(account=EPHEMERAL, at=build.NOW + after)).account

    assert shown(lasts - 1) == "acct_owner"
    assert shown(lasts) == EPHEMERAL


def test_a_browsers_handshake_shows_one_among_its_subprotocols() -> None:
    offers = {"sec-websocket-protocol": "realtime, openai-insecure-api-key.ek_1"}
    wire = build.wire("/v1/realtime", method="WEBSOCKET", key=None, headers=offers)
    request = identify(
        wire, Identify(), Inspect(), id="r", at=build.NOW, secret=build.SECRET, keys={}
    )

    assert learnt(NEW, account="acct_owner").owned(request).account == "acct_owner"


def test_others_stay_who_they_are() -> None:
    minted = learnt(NEW, account="acct_owner")

    for account in ("acct_other", None):
        request = build.request(account=account)
        assert minted.owned(request) is request


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"not json", b'{"value": ""}', b'{"value": 5}', b'{"client_secret": "ek"}'],
)
def test_an_answer_may_hold_no_secret(body: bytes) -> None:
    assert made(body) is None


def test_nobody_becomes_what_nobody_or_oneself_had_made() -> None:
    assert made(NEW, account=None) is None
    assert made(NEW, account=EPHEMERAL) is None


def test_only_so_many_are_remembered_and_first_those_that_are_over_are_forgotten() -> None:
    minted = Minted(most=3)
    for number in range(10):
        minted.note(ClientSecret(f"acct_{number}", "acct_owner", build.NOW + 660), build.NOW)
    assert list(minted.accounts) == ["acct_7", "acct_8", "acct_9"]

    minted.note(ClientSecret("acct_x", "acct_owner", build.NOW + 9660), build.NOW + 9000)
    assert list(minted.accounts) == ["acct_9", "acct_x"]
