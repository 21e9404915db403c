"""What a person banned is refused, whatever the policy thinks of it."""

from __future__ import annotations

import pytest

from gateway_guard.campaigns.membership import MOST, PRIOR, confidence
from gateway_guard.core.decide import decide
from gateway_guard.types import Action, Assessment, CampaignFacts, Inspection, Plan
from tests import build

BANNED = CampaignFacts(id="banned", confidence=1.0, banned=True)


def planned(rules: str = "[]", *, mode: str = "enforce", **fields: object) -> Plan:
    request = build.request(**{"model_route": True, **fields})
    policy = build.policy(
        f"version: 1\nmode: {mode}\n"
        "limits: { requests: { per: account, requests: 5/minute } }\n"
        + (f"rules: {rules}\n" if rules != "[]" else "")
    )
    facts = build.facts(
        campaign=BANNED, vouched=True, account=build.account(tags=("partner",), verified=True)
    )
    return decide(policy, request, facts, Assessment())


def test_a_banned_account_is_refused_by_a_policy_that_knows_no_campaigns() -> None:
    plan = planned()

    assert (plan.action, plan.rule) == (Action.DENY, "guard:ban")
    assert plan.reason == "a reviewer banned this account"


def test_a_refusal_by_a_ban_charges_nothing() -> None:
    assert planned().charges == ()


@pytest.mark.parametrize(
    "rules",
    [
        "[{ name: partners, when: { account_tag: partner }, then: allow }]",
        "[{ name: some, when: { campaign: { min: 0.5 } }, then: restrict, with: { n: 1 } }]",
        "[{ name: some, when: { campaign: { min: 0.5 } }, then: challenge }]",
        "[{ name: busy, when: { verified: true }, then: throttle }]",
        "[{ name: members, mode: shadow, when: { campaign: { min: 0.5 } }, then: deny }]",
    ],
)
def test_no_rule_that_lets_go_on_or_come_back_stands_above_a_ban(rules: str) -> None:
    plan = planned(rules)

    assert (plan.action, plan.rule) == (Action.DENY, "guard:ban")


def test_a_rule_that_denies_does_it_in_its_own_way() -> None:
    plan = planned(
        "[{ name: members, when: { campaign: { min: 0.99 } }, then: deny, status: 404 }]"
    )

    assert (plan.rule, plan.status) == ("members", 404)


def test_a_ban_is_said_before_a_body_nobody_can_read() -> None:
    assert planned(inspection=Inspection.NOT_JSON).rule == "guard:ban"


def test_in_shadow_a_ban_is_only_written_down() -> None:
    plan = planned(mode="shadow")

    assert plan.rule == "guard:ban"
    assert not plan.enforced


def test_evidence_alone_is_never_as_sure_as_a_person() -> None:
    assert confidence(PRIOR + sum(MOST.values())) < 1.0
