"""Rules against an evaluator of a few lines: what `decide` does and `check` calls unreached."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any, Final

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway_guard.core.decide import decide
from gateway_guard.core.rollout import chosen
from gateway_guard.policy.compile import check_policy
from gateway_guard.types import Assessment, CampaignFacts, Facts
from tests import build

#: Condition → values it may list; those of the last two are bands.
WORDS: Final = {
    "country": ("NO", "KP", "unknown"),
    "tier": ("free", "scale", "unknown"),
    "verified": (True, False, "unknown"),
    "network": ("tor", "vpn", "unknown"),
}
BANDS: Final = tuple({"min": low, "max": high} for low, high in ((0, 0.5), (0.2, 0.7), (0.5, 1.0)))


def some(values: tuple[Any, ...]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=3, unique_by=repr)


CONDITIONS: Final = {
    **{name: some(words) for name, words in WORDS.items()},
    "risk": st.sampled_from(BANDS),
    "campaign": some((*BANDS, "unknown")),
}
WHEN: Final = st.fixed_dictionaries({}, optional=CONDITIONS).filter(len)
WITH_NOT: Final = st.builds(
    lambda when, without: when | ({"not": without} if without else {}), WHEN, st.none() | WHEN
)
RULES: Final = st.lists(
    st.tuples(
        st.none() | WITH_NOT,
        st.sampled_from(("allow", "challenge", "deny")),
        st.sampled_from(({}, {}, {"mode": "shadow"}, {"rollout": "50%"})),
    ),
    min_size=1,
    max_size=5,
)
Case = tuple[Facts, float]


def _cases() -> list[Case]:
    """Every combination of what the conditions look at."""
    return [
        (
            build.facts(
                network=build.network(country=country, flags=flags or (), known=flags is not None),
                account=build.account(tier=tier, verified=True if vouched else verified),
                campaign=None if sure is None else CampaignFacts(id="c", confidence=sure),
                vouched=vouched,
            ),
            risk,
        )
        for country, tier, verified, flags, sure, vouched, risk in itertools.product(
            ("NO", "KP", None),
            ("free", "scale", None),
            (True, False, None),
            (None, ("tor",), ("tor", "vpn"), ()),
            (None, 0.1, 0.6),
            (False, True),
            (0.0, 0.3, 0.6),
        )
    ]


CASES: Final = _cases()


def _holds(name: str, wanted: Any, facts: Facts, risk: float) -> bool:
    account, network, campaign = facts.account, facts.network, facts.campaign
    if name == "not":
        return not any(_holds(key, value, facts, risk) for key, value in wanted.items())
    if name == "risk":
        return bool(wanted["min"] <= risk < wanted["max"])
    if name == "campaign":
        if campaign is None:
            return "unknown" in wanted
        bands = [band for band in wanted if band != "unknown"]
        return any(band["min"] <= campaign.confidence < band["max"] for band in bands)
    if name == "network":
        return "unknown" in wanted if not network.known else not network.flags.isdisjoint(wanted)
    value: Any = {
        "country": network.country, "tier": account.tier, "verified": account.verified,
    }[name]  # fmt: skip
    return ("unknown" if value is None else value) in wanted


def _expected(rules: list[dict[str, Any]], case: Case) -> tuple[str | None, list[str]]:
    """The rule that decides, None for the default, and those that would in rehearsal."""
    rehearsed = []
    for rule in rules:
        if not all(_holds(name, wanted, *case) for name, wanted in rule.get("when", {}).items()):
            continue
        if rule["then"] == "challenge" and case[0].vouched:
            continue
        if "mode" in rule or ("rollout" in rule and not chosen(0.5, rule["name"], build.request())):
            rehearsed.append(rule["name"])
            continue
        return rule["name"], rehearsed
    return None, rehearsed


@settings(max_examples=60, deadline=None)
@given(RULES)
@example([({"network": ["tor"]}, "challenge", {}), ({"network": ["tor"]}, "deny", {})])
@example([(None, "challenge", {}), (None, "challenge", {"mode": "shadow"})])
def test_the_first_rule_that_holds_decides_and_none_that_is_called_unreached_is_ever_reached(
    drawn: list[tuple[dict[str, Any] | None, str, dict[str, str]]],
) -> None:
    rules = [
        {"name": f"r{number}", "then": then, **more, **({"when": when} if when else {})}
        for number, (when, then, more) in enumerate(drawn)
    ]
    document = {
        "version": 1, "mode": "enforce", "signals": {"geo-velocity": {"weight": 1.0}},
        "verification": {"url": "https://a.example/v", "form": {"accept": ["yes"]}},
        "rules": rules,
    }  # fmt: skip

    policy, findings = check_policy(json.dumps(document).encode(), "p.yaml")

    expected = [_expected(rules, case) for case in CASES]
    reached = {name for rule, rehearsed in expected for name in (rule, *rehearsed)}
    for finding in findings:
        if finding.code in ("GG301", "GG302"):
            named = re.search(r"'(r\d)'", finding.message)
            assert named is not None
            assert named[1] not in reached
    if policy is not None:
        plans = [
            decide(policy, build.request(), facts, Assessment(risk=risk)) for facts, risk in CASES
        ]
        assert [(p.rule, [hit.rule for hit in p.shadow]) for p in plans] == expected
