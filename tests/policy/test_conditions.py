"""What each condition matches, `unknown` included."""

from __future__ import annotations

from typing import Any

import pytest

from gateway_guard.core.policy import Policy
from gateway_guard.types import (
    Assessment,
    CampaignFacts,
    Dialect,
    Facts,
    Inspection,
    NetworkFacts,
    Request,
)
from tests import build

#: So that rules about what cannot be read are asked at all.
ASKED = "on_error: { path: allow, body: allow }\n"
SIGNALS = "signals: { template-sweep: { weight: 0.9 }, geo-velocity: { weight: 0.9 } }\n"


def rule_of(when: str, prefix: str = "") -> Policy:
    rule = f"rules:\n  - name: it\n    when: {when}\n    then: deny\n    status: 451\n"
    return build.policy(f"{ASKED}{SIGNALS}{prefix}{rule}")


def matches(
    when: str,
    request: Request | None = None,
    facts: Facts | None = None,
    assessment: Assessment | None = None,
    prefix: str = "",
) -> bool:
    rule = rule_of(when, prefix).rules[0]
    return rule.matches(
        request or build.request(), facts or build.facts(), assessment or Assessment()
    )


def net(**fields: Any) -> Facts:
    return build.facts(network=build.network(**fields))


def acc(**fields: Any) -> Facts:
    return build.facts(account=build.account(**fields))


NOWHERE = build.facts(network=NetworkFacts(known=False))
DAY = 86400.0


@pytest.mark.parametrize(
    ("when", "facts", "expected"),
    [
        ("{ country: NO }", net(country="NO"), True),
        ("{ country: [SE, NO] }", net(country="NO"), True),
        ("{ country: SE }", net(country="NO"), False),
        ("{ country: unknown }", net(country=None), True),
        ("{ country: unknown }", NOWHERE, True),
        ("{ country: unknown }", net(country="NO"), False),
        ("{ country: XK }", net(country="XK"), True),
        ("{ account_country: NO }", acc(country="NO"), True),
        ("{ account_country: unknown }", acc(), True),
        ("{ network: [tor, vpn] }", net(flags={"vpn", "hosting"}), True),
        ("{ network: tor }", net(flags={"vpn"}), False),
        ("{ network: tor }", NOWHERE, False),
        ("{ network: unknown }", NOWHERE, True),
        ("{ network: unknown }", net(), False),
        ("{ network: [unknown, tor] }", net(flags={"tor"}), True),
        ("{ asn: [AS64500, 64501] }", net(asn=64500), True),
        ("{ asn: 64501 }", net(asn=64500), False),
        ("{ asn: unknown }", net(asn=None), True),
        ("{ organisation: o_a }", acc(organisation="o_a"), True),
        ("{ organisation: unknown }", acc(), True),
        ("{ account_tag: partner }", acc(tags=("x", "partner")), True),
        ("{ account_tag: partner }", acc(tags=("x",)), False),
        ("{ account_tag: unknown }", acc(), True),
        ("{ account_tag: unknown }", acc(tags=("x",)), False),
        ("{ account_age: { max: 7 days } }", acc(created_at=build.NOW - 7 * DAY + 1), True),
        ("{ account_age: { max: 7 days } }", acc(created_at=build.NOW - 7 * DAY), False),
        ("{ account_age: { min: 7 days } }", acc(created_at=build.NOW - 7 * DAY), True),
        ("{ account_age: { max: 7 days } }", acc(created_at=build.NOW + DAY), True),
        ("{ account_age: { max: 7 days } }", acc(), False),
        ("{ account_age: unknown }", acc(), True),
        ("{ account_age: [unknown, { max: 7 days }] }", acc(), True),
        ("{ account_age: [unknown, { max: 7 days }] }", acc(created_at=build.NOW), True),
        ("{ account_age: [{ max: 1 day }, { min: 7 days }] }", acc(created_at=0.0), True),
        ("{ tier: free }", acc(tier="free"), True),
        ("{ tier: [Scale, FREE] }", acc(tier="Free"), True),
        ("{ programme: edu }", acc(programme="EDU"), True),
        ("{ account_tag: Partner }", acc(tags=("vip", "PARTNER")), True),
        ("{ account_tag: partner }", acc(tags=("partners",)), False),
        ("{ organisation: acme }", acc(organisation="ACME"), False),
        ("{ tier: unknown }", acc(), True),
        ("{ verified: true }", acc(verified=True), True),
        ("{ verified: false }", acc(verified=None), False),
        ("{ verified: [false, unknown] }", acc(verified=None), True),
        ("{ programme: edu }", acc(programme="edu"), True),
        ("{ campaign: known }", build.facts(campaign=CampaignFacts(id="c", confidence=0.1)), True),
        ("{ campaign: known }", build.facts(), False),
        ("{ campaign: unknown }", build.facts(), True),
        (
            "{ campaign: { min: 0.9 } }",
            build.facts(campaign=CampaignFacts(id="c", confidence=0.9)),
            True,
        ),
        (
            "{ campaign: { min: 0.9 } }",
            build.facts(campaign=CampaignFacts(id="c", confidence=0.89)),
            False,
        ),
        ("{ indicator: c_0012 }", build.facts(indicators=(build.indicator(),)), True),
        ("{ indicator: c_0012 }", build.facts(), False),
    ],
)
def test_facts(when: str, facts: Facts, expected: bool) -> None:
    assert matches(when, facts=facts) is expected


def req(**fields: Any) -> Request:
    return build.request(**fields)


@pytest.mark.parametrize(
    ("when", "request_", "expected"),
    [
        ("{ client_ip: 198.51.100.0/24 }", req(client_ip="198.51.100.7"), True),
        ("{ client_ip: 198.51.100.8 }", req(client_ip="198.51.100.7"), False),
        ('{ client_ip: "2001:db8::/32" }', req(client_ip="2001:db8:1::1"), True),
        ('{ client_ip: "2001:db8::/32" }', req(client_ip="198.51.100.7"), False),
        ("{ client_ip: unknown }", req(client_ip=None), True),
        ("{ client_ip: 198.51.100.8 }", req(client_ip=None), False),
        ("{ path: /admin }", req(path="/admin"), True),
        ("{ path: /admin }", req(path="/admin/x"), False),
        ("{ path: /admin/** }", req(path="/admin"), True),
        ("{ path: /admin/** }", req(path="/admin/a/b"), True),
        ("{ path: /admin/** }", req(path="/administrator"), False),
        ("{ path: /v1/* }", req(path="/v1/models"), True),
        ("{ path: /v1/* }", req(path="/v1/chat/completions"), False),
        ("{ path: /v1/* }", req(path="/v1"), False),
        ("{ path: /Admin }", req(path="/admin"), True),
        ("{ path: /admin }", req(path="/ADMIN"), True),
        ("{ path: /admin/** }", req(path="/aDmin/Users"), True),
        ("{ path: /admin/*.json }", req(path="/Admin/X.JSON"), True),
        ("{ path: /straße }", req(path="/STRASSE"), True),
        ("{ path: unknown }", req(path=None), True),
        ("{ path: /** }", req(path=None), False),
        ("{ method: [GET, HEAD] }", req(method="GET"), True),
        ("{ method: WEBSOCKET }", req(method="GET"), False),
        ("{ model: apex-* }", req(model="Apex-4"), True),
        ("{ model: apex-4 }", req(model=" APEX-4 "), True),
        ("{ model: unknown }", req(model=None), True),
        ("{ model: apex-4 }", req(model="apex-4-mini"), False),
        ("{ dialect: anthropic }", req(dialect=Dialect.ANTHROPIC), True),
        ("{ model_route: false }", req(model_route=False), True),
        ("{ body: full }", req(), True),
        ("{ body: unknown }", req(inspection=Inspection.NOT_JSON), True),
        ("{ body: unknown }", req(inspection=Inspection.NONE), False),
        ("{ body: [too-large, encoding] }", req(inspection=Inspection.ENCODING), True),
        ("{ stream: true }", req(prompt=build.prompt(stream=True)), True),
        ("{ stream: unknown }", req(prompt=None), True),
        ("{ stream: false }", req(prompt=None), False),
        ("{ account: known }", req(), True),
        ("{ account: unknown }", req(account=None), True),
        ("{ account: acct_aaaaaaaaaaaaaaaa }", req(account="acct_aaaaaaaaaaaaaaaa"), True),
        ("{ account: acct_aaaaaaaaaaaaaaaa }", req(account="acct_bbbbbbbbbbbbbbbb"), False),
        ("{ prompt: Reward Model }", req(prompt=build.prompt(phrases=("reward model",))), True),
        ("{ prompt: Reward Model }", req(), False),
        ("{ prompt: unknown }", req(prompt=None), True),
    ],
)
def test_requests(when: str, request_: Request, expected: bool) -> None:
    assert matches(when, request_) is expected


@pytest.mark.parametrize(
    ("risk", "expected"), [(0.49, False), (0.5, True), (0.84, True), (0.85, False)]
)
def test_min_includes_and_max_excludes(risk: float, expected: bool) -> None:
    when = "{ risk: { min: 0.5, max: 0.85 } }"

    assert matches(when, assessment=Assessment(risk=risk)) is expected


def test_bands_tile() -> None:
    bands = ("{ risk: { max: 0.3 } }", "{ risk: { min: 0.3, max: 0.6 } }", "{ risk: { min: 0.6 } }")

    for step in range(101):
        hits = [matches(when, assessment=Assessment(risk=step / 100)) for when in bands]
        assert hits.count(True) == 1


def test_several_signals_must_all_reach_their_score() -> None:
    when = "{ signal: { template-sweep: { min: 0.5 }, geo-velocity: { min: 0.2 } } }"
    one = Assessment(signals=(build.signal("template-sweep", 0.9),))
    both = Assessment(signals=(*one.signals, build.signal("geo-velocity", 0.2)))

    assert not matches(when, assessment=one)
    assert matches(when, assessment=both)


def test_a_signal_nobody_saw_scores_nothing() -> None:
    assert matches("{ signal: { template-sweep: { max: 0.5 } } }")


def test_every_key_must_match() -> None:
    when = "{ country: NO, method: GET }"

    assert not matches(when, req(method="POST"), net(country="NO"))
    assert matches(when, req(method="GET"), net(country="NO"))


def test_not_is_false_when_any_of_its_keys_matches() -> None:
    when = "{ not: { country: [NO, SE], account_tag: partner } }"

    assert matches(when, facts=net(country="FI"))
    assert matches(when, facts=net(country=None))
    assert not matches(when, facts=net(country="SE"))
    assert not matches(
        when,
        facts=build.facts(
            network=build.network(country="FI"), account=build.account(tags=("partner",))
        ),
    )


def test_a_region_stands_for_its_countries() -> None:
    regions = "regions: { nordic: [DK, FI, IS, NO, SE] }\n"

    assert matches("{ country: [nordic, KP] }", facts=net(country="IS"), prefix=regions)
    assert not matches("{ country: nordic }", facts=net(country="EE"), prefix=regions)


def test_norway_is_no_boolean() -> None:
    policy = rule_of("{ country: [NO, SE] }")

    assert policy.rules[0].conditions[0].text == "[NO, SE]"
    assert matches("{ country: [NO] }", facts=net(country="NO"))


def test_phrases_of_all_rules_are_looked_for_in_lower_case() -> None:
    policy = build.policy(
        """
        rules:
          - name: a
            when: { prompt: [Reward Model, "as a JUDGE"] }
            then: deny
          - name: b
            when: { not: { prompt: Distil } }
            then: restrict
            with: { n: 1 }
        """
    )

    assert policy.inspect.phrases == ("as a judge", "reward model", "distil")


def test_what_rules_of_the_policy_carry() -> None:
    policy = build.policy(
        """
        mode: enforce
        rollout: 5%
        rules:
          - name: slow
            why: overdue
            when: { account_tag: overdue }
            then: throttle
            retry_after: 1 hour
            tarpit: 2 seconds
            rollout: 25%
          - name: verify
            when: { verified: false }
            then: challenge
            url: https://example.com/verify
            status: 401
            mode: shadow
          - name: less
            then: restrict
            with: { max_output_tokens: 512, logprobs: false, n: 1 }
        """
    )

    slow, verify, less = policy.rules
    assert (policy.enforce, policy.rollout) == (True, 0.05)
    assert (slow.retry_after, slow.tarpit, slow.rollout, slow.why) == (3600, 2, 0.25, "overdue")
    assert (verify.challenge_url, verify.status, verify.shadow) == (
        "https://example.com/verify", 401, True,
    )  # fmt: skip
    assert less.restrictions is not None
    assert (less.restrictions.max_output_tokens, less.restrictions.n) == (512, 1)
    assert less.where == "test.yaml:19"
