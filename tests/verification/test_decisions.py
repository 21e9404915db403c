"""What a challenge met, or asked for by a person, changes of a decision."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.core.decide import decide
from gateway_guard.types import Action, Assessment, CampaignFacts, Facts
from tests import build
from tests.verification.visiting import challenged, guard_of, link

RULES = """
rules:
  - { name: embargo, when: { country: KP }, then: deny }
  - { name: members, when: { campaign: { min: 0.99 } }, then: deny }
  - { name: suspects, when: { campaign: { min: 0.9 } }, then: challenge }
  - { name: slowly, when: { campaign: known }, then: restrict, with: { n: 1 } }
"""
SUSPECT = CampaignFacts(id="c_0001", confidence=0.95)
MEMBER = CampaignFacts(id="c_0001", confidence=0.999)


def decided(**facts: object) -> tuple[Action, str | None]:
    """Action and rule for somebody with these facts."""
    policy = build.policy(RULES)
    plan = decide(policy, build.request(), build.facts(**facts), Assessment())
    return plan.action, plan.rule


def test_a_challenge_that_was_met_is_passed_over_and_what_stands_below_it_judges() -> None:
    assert decided(campaign=SUSPECT) == (Action.CHALLENGE, "suspects")
    assert decided(campaign=SUSPECT, vouched=True) == (Action.RESTRICT, "slowly")


def test_no_other_refusal_is_passed_over_for_who_met_a_challenge() -> None:
    assert decided(campaign=MEMBER, vouched=True) == (Action.DENY, "members")


def test_who_was_asked_by_a_person_is_challenged_whatever_forwards_or_accuses_their_company() -> (
    None
):
    asked = (Action.CHALLENGE, "guard:challenge")

    assert decided(challenged=True) == asked
    assert decided(challenged=True, campaign=MEMBER) == asked
    assert decided(challenged=True, network=build.network(country="KP")) == (
        Action.DENY,
        "embargo",
    )


Change = Callable[[Facts], Facts]


def test_a_person_may_challenge_an_account_and_vouch_for_it_while_the_guard_runs(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        guard = guard_of(tmp_path, rules="[{ name: nobody, when: { country: KP }, then: deny }]")
        before = await challenged(guard)
        account = before.request.account
        ask = Review(at=build.NOW, ruling=Ruling.CHALLENGE, account=account)
        vouch = Review(at=build.NOW + 1, ruling=Ruling.VERIFY, account=account)

        guard.standing.heed(ask)
        asked = (await challenged(guard)).decision
        other = (await challenged(guard, "sk-other")).decision
        guard.standing.heed(vouch)
        after = await challenged(guard)

        assert before.decision.action is other.action is Action.ALLOW
        assert (asked.action, asked.rule, asked.status) == (
            Action.CHALLENGE, "guard:challenge", 403,
        )  # fmt: skip
        assert (asked.challenge_url or "").startswith("https://api.test/verify?t=")
        assert after.decision.action is Action.ALLOW
        assert after.facts.account.verified

    asyncio.run(scenario())


def test_every_refusal_has_a_link_of_its_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        guard = guard_of(tmp_path)

        assert len({await link(guard) for _ in range(5)}) == 5

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("rules", "key", "url"),
    [
        ("[{ name: r, then: challenge, url: 'https://ours.test/' }]", "sk-one",
         "https://ours.test/"),
        ("[{ name: r, then: challenge, mode: shadow }]", "sk-one", None),
        ("[{ name: r, then: challenge }]", None, None),
    ],
)  # fmt: skip
def test_a_link_is_made_for_an_account_that_will_see_it_where_the_rule_names_no_page(
    tmp_path: Path, rules: str, key: str | None, url: str | None
) -> None:
    async def scenario() -> None:
        guard = guard_of(tmp_path, rules=rules)

        exchange = await guard.decide(build.wire(key=key))

        assert exchange.decision.challenge_url == url

    asyncio.run(scenario())
