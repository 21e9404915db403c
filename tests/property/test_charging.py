"""What is remembered of an account's limits is never anything but what they ask, whatever they are.

`test_shortcuts` has one policy with a limit of every kind; here the policies themselves are drawn.
"""

from __future__ import annotations

import functools
import itertools
import json
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_guard.core import charging
from gateway_guard.core.charging import Charging
from gateway_guard.core.limits import Limit, charges_for
from gateway_guard.policy.compile import compile_policy
from gateway_guard.types import (
    AccountFacts,
    Assessment,
    CampaignFacts,
    Facts,
    Held,
    NetworkFacts,
    Request,
)
from tests import build

DAY = 86_400.0

#: What a limit may be scoped by: facts of the account, which last, and facts of one request.
_SCOPES: tuple[dict[str, Any], ...] = (
    {}, {"account": "known"}, {"account": "unknown"}, {"tier": "free"}, {"not": {"tier": "free"}},
    {"verified": True}, {"account_tag": "noisy"}, {"organisation": "org_1"},
    {"account_country": "DE"}, {"programme": "edu"}, {"account_age": {"max": "2 days"}},
    {"account_age": ["unknown", {"min": "7 days"}]}, {"campaign": "unknown"},
    {"campaign": {"min": 0.5}}, {"model_route": True}, {"model": "apex-*"}, {"method": "POST"},
    {"path": "/v1/chat/*"}, {"country": "NO"}, {"network": "tor"}, {"risk": {"min": 0.2}},
    {"tier": "free", "method": "POST", "account_age": {"max": "7 days"}},
)  # fmt: skip
_ADAPTS: tuple[dict[str, Any], ...] = (
    {}, {"age": {"2 days": "50%", "7 days": "75%"}}, {"tier": {"free": "100%", "scale": "400%"}},
    {"risk": {"0.5": "50%", "0.75": "1%"}, "recover": "1 hour"}, {"risk": {"0.2": "10%"}},
    {"age": {"7 days": "20%"}, "tier": {"scale": "50%"}},
)  # fmt: skip
#: Most count an account and nothing else, which is what is remembered.
_PERS = ("account", "account", ["account", "model"], "account", "account", "campaign", "subnet")
_UNITS: tuple[dict[str, Any], ...] = (
    {"requests": "7/minute"}, {"tokens": "90/hour"}, {"concurrent": 4},
    {"input_tokens": "90/hour"}, {"output_tokens": "7/minute"},
)  # fmt: skip


def _seldom(usual: object, *others: object) -> st.SearchStrategy[Any]:
    """`usual`, or one time in eight one of `others`: most requests are like the one before."""
    return st.integers(0, 7).flatmap(lambda dice: st.sampled_from(others if dice == 7 else [usual]))


@functools.cache
def _pool() -> tuple[Limit, ...]:
    """A limit for every scope and every way to adapt, counting in turn all that can be counted."""
    pers, units = itertools.cycle(_PERS), itertools.cycle(_UNITS)
    limits: dict[str, Any] = {}
    for when, adapt in itertools.product(_SCOPES, _ADAPTS):
        limit = {"per": next(pers), **next(units)}
        limit |= ({"when": when} if when else {}) | ({"adapt": adapt} if adapt else {})
        limits[f"limit-{len(limits)}"] = limit
    limits["regional"] = {
        "per": "account", "requests": "9/minute", "adapt": {"region": {"north": "25%"}},
    }  # fmt: skip
    document = {
        "version": 1,
        "signals": {"template-sweep": {"weight": 1.0}},
        "regions": {"north": ["NO", "SE"]},
        "limits": limits,
    }
    return compile_policy(json.dumps(document).encode(), "drawn.yaml").limits  # JSON is YAML


@st.composite
def _policies(draw: st.DrawFn) -> tuple[Limit, ...]:
    last = len(_SCOPES) * len(_ADAPTS)
    numbers = st.lists(st.integers(0, last - 1), min_size=3, max_size=9, unique=True)
    picked = draw(numbers) + draw(_seldom([], [last]))
    return tuple([_pool()[number] for number in picked])


_KNOWN = (
    AccountFacts(tier="free", created_at=build.NOW - 1.5 * DAY, verified=True),
    AccountFacts(tier="free", created_at=build.NOW - 6.5 * DAY, tags=("noisy",)),
    AccountFacts(tier="scale", created_at=build.NOW + DAY, organisation="org_1"),
    AccountFacts(country="DE", programme="edu"),
    AccountFacts(),
)
_TOR = frozenset({"tor"})
#: Around the ends of all bands of ages above, forwards and backwards.
_later = st.sampled_from([
    0.0, 1.0, -1.0, DAY / 2 - 1.5, DAY / 2 - 1e-6, DAY / 2, DAY / 2 + 0.5, 6 * DAY, 30 * DAY,
])  # fmt: skip


@st.composite
def _asked(draw: st.DrawFn, usual: AccountFacts | None = None) -> tuple[Request, Facts, Assessment]:
    prompts = [build.prompt(input_tokens=7, max_output_tokens=5), build.prompt(n=3), None]
    request = build.request(
        at=build.NOW + draw(_later),
        account=draw(_seldom("acct_a", "acct_b", None)),
        model=draw(st.sampled_from(["apex-4", "other", None])),
        method=draw(st.sampled_from(["POST", "GET", "WEBSOCKET"])),
        path=draw(st.sampled_from(["/v1/chat/completions", "/v1/embeddings", None])),
        model_route=draw(_seldom(True, False)),
        prompt=draw(st.sampled_from(prompts)),
    )
    network = NetworkFacts(country=draw(st.sampled_from(["DE", "NO", None])), flags=_TOR)
    facts = build.facts(
        account=draw(st.sampled_from(_KNOWN) if usual is None else _seldom(usual, *_KNOWN)),
        network=network,
        held=draw(_seldom(Held(), Held(risk=0.6, at=build.NOW), None)),
        campaign=draw(_seldom(None, CampaignFacts(id="c_1", confidence=0.7))),
    )
    return request, facts, Assessment(risk=draw(_seldom(0.0, 0.2, 0.5, 0.8)))


_USUAL = build.request(at=build.NOW, account="acct_a", model="apex-4", model_route=True)
_GERMANY = NetworkFacts(country="DE", flags=_TOR)
_FACTS = build.facts(account=_KNOWN[0], held=Held(), network=_GERMANY)  # a day and a half old
_NORWAY = NetworkFacts(country="NO", flags=_TOR)


@pytest.mark.parametrize(
    ("later", "changes", "facts", "risk"),
    [(DAY / 2 + offset, {}, {}, 0.0) for offset in (-1.5, -1.0, -1e-6, 0.0, 1e-6, 0.5, 1.5)]
    + [
        (-1.0, {}, {}, 0.0),
        (1.0, {"model": "other"}, {}, 0.0),
        (1.0, {"method": "GET"}, {}, 0.0),
        (1.0, {"path": "/v1/embeddings"}, {}, 0.0),
        (1.0, {"model_route": False}, {}, 0.0),
        (1.0, {"prompt": None}, {}, 0.0),
        (1.0, {"account": None}, {}, 0.0),
        (1.0, {}, {"account": _KNOWN[3]}, 0.0),
        (1.0, {}, {"network": _NORWAY}, 0.0),
        (1.0, {}, {"held": Held(risk=0.6, at=build.NOW)}, 0.0),
        (1.0, {}, {"held": None}, 0.0),
        (1.0, {}, {"campaign": CampaignFacts(id="c_1", confidence=0.7)}, 0.0),
        (1.0, {}, {}, 0.5),
    ],
)
@pytest.mark.parametrize("regional", [False, True])
def test_one_request_says_nothing_wrong_of_the_next(
    later: float, changes: dict[str, Any], facts: dict[str, Any], risk: float, regional: bool
) -> None:
    limits = _pool() if regional else _pool()[:-1]
    remembered = Charging(limits)
    remembered.charges(_USUAL, _FACTS, Assessment())
    request = msgspec.structs.replace(_USUAL, at=build.NOW + later, **changes)
    known, assessment = msgspec.structs.replace(_FACTS, **facts), Assessment(risk=risk)

    charges = remembered.charges(request, known, assessment)

    assert charges == charges_for(limits, request, known, assessment)


@st.composite
def _lives(draw: st.DrawFn) -> list[tuple[Request, Facts, Assessment]]:
    """An account's requests, in an order in which its clock may go back."""
    one = _asked(draw(st.sampled_from(_KNOWN)))
    return draw(st.lists(one, min_size=3, max_size=8))


@given(_policies(), _lives())
def test_whatever_the_policy_its_remembered_charges_are_those_asked_anew(
    limits: tuple[Limit, ...], asked: list[tuple[Request, Facts, Assessment]]
) -> None:
    remembered = Charging(limits)
    for request, facts, assessment in asked:
        charges = remembered.charges(request, facts, assessment)

        assert charges == charges_for(limits, request, facts, assessment)


@settings(max_examples=50)
@given(_policies(), _asked(), st.integers(1, 3))
def test_an_account_in_good_standing_is_worked_out_once(
    limits: tuple[Limit, ...], asked: tuple[Request, Facts, Assessment], more: int
) -> None:
    request, facts, _ = asked
    if any(limit.adapt is not None and limit.adapt.region for limit in limits):
        return  # what depends on where each request comes from is never kept
    request = msgspec.structs.replace(request, account="acct_a", at=build.NOW)
    facts = msgspec.structs.replace(facts, held=Held(), campaign=None)
    remembered = Charging(limits)
    first = remembered.charges(request, facts, Assessment())

    with mock.patch.object(charging.Charging, "_keep", side_effect=AssertionError("anew")):
        for _ in range(more):
            again = remembered.charges(request, facts, Assessment())

            assert again == first


@settings(max_examples=40)
@given(st.lists(_policies(), min_size=2, max_size=4), st.lists(_asked(), min_size=1, max_size=4))
def test_policies_in_force_in_turn_never_mix(
    policies: list[tuple[Limit, ...]], asked: list[tuple[Request, Facts, Assessment]]
) -> None:
    with mock.patch.object(charging, "_MOST_PREPARED", 2):
        for request, facts, assessment in asked:
            for limits in policies:
                charges = charging.charges_of(limits, request, facts, assessment)

                assert charges == charges_for(limits, request, facts, assessment)
