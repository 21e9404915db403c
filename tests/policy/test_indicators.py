"""`when: { indicator: … }`: what others say, believed as far as the policy says."""

from __future__ import annotations

import pytest

from gateway_guard.policy.compile import check_policy
from gateway_guard.types import Assessment, Facts
from tests import build

DAY = 86_400.0
SURE = build.indicator()
OLD = build.indicator(name="c_0007", source="other", confidence=0.5, at=build.NOW - 90 * DAY)
TEMPLATE = build.indicator(kind="template", source="other", name="c_0099", confidence=1.0)


def matches(when: str, *indicators: object) -> bool:
    policy = build.policy(f"""
        rules:
          - name: a-rule
            when: {{ indicator: {when} }}
            then: restrict
            with: {{ n: 1 }}
    """)
    facts: Facts = build.facts(indicators=tuple(indicators))
    (condition,) = policy.rules[0].conditions
    return condition.test(build.request(), facts, Assessment())


@pytest.mark.parametrize(
    ("when", "found"),
    [
        ("known", [SURE, OLD, TEMPLATE]),
        ("unknown", []),
        ("c_0012", [SURE]),
        ("[c_0012, c_0007]", [SURE, OLD]),
        ("{ source: acme }", [SURE]),
        ("{ source: [acme, other] }", [SURE, OLD, TEMPLATE]),
        ("{ kind: template }", [TEMPLATE]),
        ("{ name: c_0007 }", [OLD]),
        ("{ confidence: { min: 0.9 } }", [SURE, TEMPLATE]),
        ("{ confidence: { max: 0.9 } }", [OLD]),
        ("{ age: { max: 30 days } }", [SURE, TEMPLATE]),
        ("{ age: { min: 30 days } }", [OLD]),
        ("{ source: other, kind: network }", [OLD]),
        ("[c_0012, { kind: template }]", [SURE, TEMPLATE]),
    ],
)
def test_a_description_matches_those_it_describes(when: str, found: list[object]) -> None:
    assert [one for one in (SURE, OLD, TEMPLATE) if matches(when, one)] == found


def test_all_keys_must_hold_of_one_and_the_same_indicator() -> None:
    when = "{ source: acme, kind: template }"

    assert not matches(when, SURE, TEMPLATE)
    assert matches(when, build.indicator(kind="template"))


def test_unknown_is_that_there_is_none() -> None:
    assert matches("unknown")
    assert not matches("unknown", SURE)
    assert matches("[unknown, c_0012]")
    assert matches("[unknown, c_0012]", SURE)
    assert not matches("[unknown, c_0012]", OLD)
    assert not matches("known")


def test_a_clock_behind_the_sources_makes_it_new_not_older_than_time() -> None:
    assert matches("{ age: { max: 1 minute } }", build.indicator(at=build.NOW + 60.0))


def findings(*whens: str, then: str = "then: deny") -> list[str]:
    rules = "".join(
        f"  - name: rule-{n}\n    when: {{ {when} }}\n    {then}\n" for n, when in enumerate(whens)
    )
    _, found = check_policy(f"version: 1\nmode: enforce\nrules:\n{rules}".encode(), "p.yaml")
    return [one.code for one in found]


@pytest.mark.parametrize(
    ("when", "codes"),
    [
        ("indicator: known", ["GG505"]),
        ("indicator: c_0012", ["GG505"]),
        ("indicator: { kind: network }", ["GG505"]),
        ("indicator: [{ source: acme }, { kind: tls }]", ["GG505"]),
        ("indicator: known, path: /v1/**", ["GG505"]),
        ("indicator: { source: acme }", []),
        ("indicator: { confidence: { min: 0.9 } }", []),
        ("indicator: known, country: KP", []),
        ("indicator: unknown", []),
    ],
)
def test_a_refusal_on_hearsay_is_warned_of(when: str, codes: list[str]) -> None:
    assert findings(when) == codes


def test_a_rule_that_refuses_nobody_is_not() -> None:
    assert findings("indicator: known", then="then: deny\n    mode: shadow") == []
    assert findings("indicator: known", then="then: restrict\n    with: { n: 1 }") == []


@pytest.mark.parametrize(
    ("first", "second", "reached"),
    [
        ("known", "{ source: acme }", False),
        ("known", "unknown", True),
        ("{ source: [acme, other] }", "{ source: acme, kind: tls }", False),
        ("{ source: acme, kind: tls }", "{ source: acme }", True),
        ("{ confidence: { min: 0.5 } }", "{ confidence: { min: 0.8 }, source: a }", False),
        ("{ confidence: { min: 0.8 } }", "{ confidence: { min: 0.5 } }", True),
        ("[a, b]", "a", False),
        ("a", "[a, b]", True),
        ("a", "known", True),
        ("[known, unknown]", "{ kind: tls }", False),
    ],
)
def test_a_rule_nobody_reaches_is_found(first: str, second: str, reached: bool) -> None:
    then = "then: restrict\n    with: { n: 1 }"

    codes = findings(f"indicator: {first}", f"indicator: {second}", then=then)

    assert bool({"GG301", "GG302"} & set(codes)) is not reached


def test_digests_of_prompts_are_made_where_a_policy_asks_for_indicators() -> None:
    asks = "rules: [{ name: a, when: { indicator: known }, then: restrict, with: { n: 1 } }]"

    assert build.policy(asks).inspect.shapes
    assert not build.policy("mode: shadow").inspect.shapes
