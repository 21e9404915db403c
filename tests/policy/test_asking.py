"""What a policy asks of accounts, and who asks."""

from __future__ import annotations

import pytest

from gateway_guard.policy.asking import ATTRIBUTES, asked_of_accounts, in_words
from gateway_guard.policy.compile import load_policy
from gateway_guard.policy.countries import COUNTRIES
from gateway_guard.policy.schema import KEYS
from gateway_guard.types import AccountFacts
from tests import build
from tests.cli.run import ROOT

TRUSTING = "identify:\n  trusted_proxies: [10.0.0.0/8]\n  attributes: { tier: x-tier }\n"


@pytest.mark.parametrize(
    ("when", "asked"),
    [
        ("{ country: DE, network: tor, risk: { min: 0.5 }, account: known }", []),
        ("{ verified: true }", []),
        ("{ tier: free }", ["tier"]),
        ("{ account_age: { max: 7 days }, account_tag: [a, b] }", ["account_age", "account_tag"]),
        ("{ country: DE, not: { programme: edu } }", ["programme"]),
        ("{ not: { country: DE, organisation: [a, b], tier: unknown } }", ["organisation", "tier"]),
        ("{ not: { country: [" + ", ".join(sorted(COUNTRIES)[:60]) + "], tier: a } }", ["tier"]),
        ("{ not: { account_tag: [', tier: x'] } }", ["account_tag"]),
    ],
)
def test_a_rule_asks_by_its_conditions(when: str, asked: list[str]) -> None:
    policy = build.policy(
        "signals: { geo-velocity: { weight: 0.9 } }\n"
        f"rules: [{{ name: r, when: {when}, then: allow }}]"
    )

    assert asked_of_accounts(policy) == dict.fromkeys(asked, ("r",))


@pytest.mark.parametrize(
    ("more", "asked"),
    [
        ("per: account", []),
        ("per: [organisation, model]", ["organisation"]),
        ("per: account, when: { account_country: DE }", ["account_country"]),
        ("per: account, adapt: { age: { 7 days: 50% } }", ["account_age"]),
        ("per: account, adapt: { unknown_age: 50% }", ["account_age"]),
        ("per: account, adapt: { tier: { free: 50% } }", ["tier"]),
        ("per: account, adapt: { region: { DE: 50% } }", []),
    ],
)
def test_a_limit_asks_by_its_scope_its_key_and_its_tables(more: str, asked: list[str]) -> None:
    policy = build.policy(f"limits: {{ l: {{ {more}, requests: 5/minute }} }}")

    assert asked_of_accounts(policy) == dict.fromkeys(asked, ("l",))


def test_what_a_header_says_is_not_asked_of_others() -> None:
    rules = "rules: [{ name: r, when: { tier: free, programme: edu }, then: allow }]"

    assert list(asked_of_accounts(build.policy(TRUSTING + rules))) == ["programme"]


def test_nor_is_what_a_token_says() -> None:
    says = "identify: { account: { jwt: { key: %s, attributes: { tier: plan } } } }\n" % ("k" * 40)
    rules = "rules: [{ name: r, when: { tier: free, programme: edu }, then: allow }]"

    assert list(asked_of_accounts(build.policy(says + rules))) == ["programme"]


def test_the_recommended_policy_asks_for_three_things() -> None:
    asked = asked_of_accounts(load_policy(ROOT / "policies" / "standard.yaml"))

    assert asked == {
        "account_age": ("requests", "tokens", "hidden-newcomers"),
        "account_tag": ("partners",),
        "tier": ("requests", "in-flight", "tokens"),
    }


def test_of_many_only_the_first_are_named() -> None:
    words = in_words({"tier": ("a", "b", "c"), "account_age": ("a", "b", "c", "d", "e")})

    assert words == "tier (a, b, c), account_age (a, b, c and 2 more)"


def test_every_attribute_is_a_condition_and_a_fact() -> None:
    assert ATTRIBUTES.keys() <= KEYS["when"].keys()
    assert set(ATTRIBUTES.values()) <= set(AccountFacts.__struct_fields__)
