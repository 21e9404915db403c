"""What a verified token says of its account decides, below what the application and an edge say."""

from __future__ import annotations

import asyncio
from typing import Any

import jwt
import pytest

from gateway_guard.building import build_guard
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.settings import Settings
from gateway_guard.types import AccountFacts, Exchange
from tests import build

KEY = "a shared secret that is long enough for SHA-256 and SHA-512, of 64+ bytes"
POLICY = f"""
mode: enforce
identify:
  trusted_proxies: [10.0.0.0/8]
  account:
    - jwt:
        key: "{KEY}"
        attributes: {{ organisation: org.id, tier: plan, tags: labels, created_at: since }}
  attributes: {{ tier: x-tier }}
limits:
  requests: {{ per: organisation, requests: 2/minute }}
rules:
  - {{ name: trials, when: {{ tier: trial }}, then: deny, why: no trials }}
"""


def decided(*claims: dict[str, Any], **more: Any) -> list[Exchange]:
    """One request for each token, of one guard."""
    guard = build_guard(
        build.policy(POLICY), network=NoNetwork(), settings=Settings(secret=build.SECRET),
        clock=lambda: build.NOW,
    )  # fmt: skip

    async def scenario() -> list[Exchange]:
        keys = [jwt.encode({"sub": "alice"} | said, KEY, "HS256") for said in claims]
        return [await guard.decide(build.wire(key=key, **more)) for key in keys]

    return asyncio.run(scenario())


def known(exchange: Exchange) -> AccountFacts:
    assert exchange.facts is not None
    return exchange.facts.account


def test_a_token_says_who_pays_and_by_which_plan() -> None:
    said = {"org": {"id": "o_17"}, "plan": "scale", "labels": ["beta"], "since": 1_700_000_000}

    (exchange,) = decided(said)

    assert known(exchange) == AccountFacts(
        organisation="o_17", tier="scale", tags=("beta",), created_at=1.7e9
    )


def test_people_of_one_organisation_share_its_quota_by_their_tokens() -> None:
    one, two = {"org": {"id": "o_17"}}, {"org": {"id": "o_18"}}

    found = decided(one | {"sub": "a"}, one | {"sub": "b"}, one | {"sub": "c"}, two | {"sub": "d"})

    assert [exchange.decision.action.refuses for exchange in found] == [False, False, True, False]


def test_a_trial_is_refused_by_its_token() -> None:
    (exchange,) = decided({"plan": "trial"})

    assert exchange.decision.rule == "trials"


@pytest.mark.parametrize(
    "more",
    [
        {"state": {"tier": "scale"}},
        {"headers": {"x-tier": "scale"}, "peer": "10.0.0.1"},
    ],
    ids=["the application", "a trusted edge"],
)
def test_who_stands_nearer_has_the_last_word(more: dict[str, Any]) -> None:
    (exchange,) = decided({"plan": "trial"}, **({"peer": "10.0.0.1"} | more))

    assert known(exchange).tier == "scale"
    assert not exchange.decision.action.refuses


@pytest.mark.parametrize("plan", [None, {"a": 1}, "", [], "x" * 300, "a\nb"])
def test_what_makes_no_sense_is_unknown(plan: Any) -> None:
    (exchange,) = decided({"plan": plan, "labels": 7, "since": "yesterday", "org": "o_17"})

    assert known(exchange) == AccountFacts()
