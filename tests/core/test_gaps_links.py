"""Which challenges get a link of their own."""

from __future__ import annotations

import msgspec

from gateway_guard.core.links import Claims, Purpose, linked, read
from gateway_guard.core.sections import Verification
from gateway_guard.types import Action, Decision
from tests import build

WHERE = Verification(url="https://api.test/verify", path="/verify", expires=600.0)
NONCE = bytes(range(12))
CHALLENGE = build.decision(action=Action.CHALLENGE, acted=True)


def given(decision: Decision, account: str | None = "acct_1") -> Decision:
    return linked(decision, build.request(account=account), WHERE, build.SECRET, NONCE)


def test_a_challenge_of_an_account_leads_to_a_link_that_ends_in_time() -> None:
    url = given(CHALLENGE).challenge_url

    assert url is not None
    assert url.startswith("https://api.test/verify?t=")
    said = read(build.SECRET, url.partition("?t=")[2], purpose=Purpose.VISIT, now=build.NOW)
    assert said == Claims(account="acct_1", expires=build.NOW + 600.0, nonce=NONCE)


def test_whom_nobody_knows_a_page_of_the_rules_own_and_what_is_only_rehearsed_get_none() -> None:
    own = msgspec.structs.replace(CHALLENGE, challenge_url="https://elsewhere.test")
    shadow = msgspec.structs.replace(CHALLENGE, acted=False)
    both = msgspec.structs.replace(own, acted=False)

    assert given(CHALLENGE, account=None) is CHALLENGE
    for decision in (own, shadow, both):
        assert given(decision) is decision
