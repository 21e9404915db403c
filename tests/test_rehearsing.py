"""Limits in rehearsal: they count and say what they would refuse; nobody is refused by them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from gateway_guard.cli.tally import Tally
from gateway_guard.core.decide import decide
from gateway_guard.core.explain import explain_tree
from gateway_guard.frontends.headers import rate_limit_headers
from gateway_guard.guard import Guard
from gateway_guard.policy.cases import outcome
from gateway_guard.policy.describe import limit_in_words, summary
from gateway_guard.record.line import line
from gateway_guard.stores.memory import MemoryStore
from gateway_guard.types import (
    Action,
    Assessment,
    Charge,
    Exchange,
    Grant,
    Outcome,
    ShadowHit,
    Usage,
)
from tests import build
from tests.test_guard import BrokenStore, WaitingStore, guard, run

POLICY = """
mode: enforce
limits:
  requests: { per: account, requests: 5/minute }
  fewer:    { per: account, requests: 2/minute, mode: shadow }
  tokens:   { per: account, tokens: 3000/minute, mode: shadow }
  places:   { per: account, concurrent: 1, mode: shadow }
rules:
  - { name: no-deletes, when: { method: DELETE }, then: deny }
"""
STORES = [MemoryStore, WaitingStore]
DONE = Usage(input_tokens=5, output_tokens=5, outcome=Outcome.COMPLETED, reported=True)


def rehearsed(exchange: Exchange) -> list[str]:
    return [hit.rule for hit in exchange.decision.shadow]


async def one(brain: Guard, usage: Usage = DONE, **wire: Any) -> Exchange:
    exchange = await brain.decide(build.wire(**wire))
    await brain.settle(exchange, usage)
    return exchange


@pytest.mark.parametrize("store", STORES)
def test_a_limit_in_rehearsal_says_what_it_would_refuse_and_refuses_nothing(store: Any) -> None:
    async def scenario() -> None:
        brain = guard(POLICY, store=store())

        seen = [await one(brain) for _ in range(6)]

        assert [e.decision.action for e in seen] == [Action.ALLOW] * 5 + [Action.THROTTLE]
        assert [rehearsed(e) for e in seen] == [[], [], *[["limit:fewer"]] * 3, []]
        assert seen[2].decision.shadow[0] == ShadowHit(rule="limit:fewer", action=Action.THROTTLE)
        assert seen[2].decision.rule is None

    run(scenario)


@pytest.mark.parametrize("store", STORES)
def test_what_it_lets_pass_is_settled_at_what_it_really_cost(store: Any) -> None:
    async def scenario() -> None:
        brain = guard(POLICY, store=store())

        dear = Usage(input_tokens=0, output_tokens=2900, reported=True)
        seen = [await one(brain, usage) for usage in (DONE, dear, DONE)]

        assert "limit:tokens" not in rehearsed(seen[1])
        assert "limit:tokens" in rehearsed(seen[2])

    run(scenario)


@pytest.mark.parametrize("store", STORES)
def test_places_are_given_back_when_the_request_ends(store: Any) -> None:
    async def scenario() -> None:
        brain = guard(POLICY, store=store())

        first = await brain.decide(build.wire())
        beside = await brain.decide(build.wire())
        await brain.settle(first, DONE)
        await brain.settle(beside, DONE)
        after = await brain.decide(build.wire())

        assert (rehearsed(first), rehearsed(beside)) == ([], ["limit:places"])
        assert "limit:places" not in rehearsed(after)

    run(scenario)


def test_a_request_that_is_refused_anyway_is_not_rehearsed() -> None:
    async def scenario() -> None:
        brain = guard(POLICY)

        await one(brain, method="DELETE")
        await one(brain, method="DELETE")

        assert rehearsed(await one(brain)) == []

    run(scenario)


def test_a_store_that_fails_in_rehearsal_refuses_nobody() -> None:
    async def scenario() -> None:
        only = POLICY.replace("  requests: { per: account, requests: 5/minute }\n", "")
        brain = guard(only, store=BrokenStore())

        exchange = await one(brain)

        assert exchange.decision.action is Action.ALLOW
        assert (rehearsed(exchange), exchange.decision.degraded) == ([], ())
        assert brain.failures["store"] == 3

    run(scenario)


def test_the_client_is_told_nothing_of_it_and_the_operator_everything() -> None:
    async def scenario() -> None:
        brain = guard(POLICY)
        tally = Tally(brain.policy)

        for _ in range(3):
            exchange = await one(brain)
            tally.add("a", exchange)

        told = b" ".join(value for _, value in rate_limit_headers(exchange))
        assert b"requests" in told
        assert b"fewer" not in told
        logged = json.loads(line(exchange))
        assert logged["shadow"] == [{"rule": "limit:fewer", "action": "throttle"}]
        assert [one["limit"] for one in logged["limits"]] == ["requests"]
        assert tally.as_json()["shadow"][0]["rule"] == "limit:fewer"
        tree = "\n".join(explain_tree(exchange, brain.policy))
        assert "limit:fewer  test.yaml:6  would throttle; shadow, passed over" in tree

    run(scenario)


def test_the_policy_says_in_words_what_rehearses() -> None:
    policy = build.policy(POLICY)

    assert "4 limits (3 in shadow)" in summary(policy)
    assert any("only rehearses" in text for text in limit_in_words(policy.limits[1]))
    assert not any("only rehearses" in text for text in limit_in_words(policy.limits[0]))


def test_cases_of_a_policy_see_the_quota_of_a_limit_in_rehearsal() -> None:
    policy = build.policy(POLICY)

    got = outcome(policy, build.request(), build.facts(), Assessment())

    assert (got["limits"]["requests"], got["limits"]["fewer"]) == (5.0, 2.0)


def test_explain_without_the_policy_still_tells_of_it() -> None:
    hit = ShadowHit(rule="limit:fewer", action=Action.THROTTLE)
    exchange = build.exchange(decision=build.decision(shadow=(hit,)))

    assert "limit:fewer  would throttle" in "\n".join(explain_tree(exchange, None))


def test_who_leaves_while_a_limit_is_rehearsed_keeps_no_place() -> None:
    class Stuck(WaitingStore):
        """Does not come back with the answer for one limit."""

        asked, empty = asyncio.Event(), asyncio.Event()

        async def reserve(
            self, charges: Sequence[Charge], *, id: str, now: float
        ) -> tuple[Grant, ...]:
            if charges[0].limit == "places":
                self.asked.set()
                await asyncio.Event().wait()
            return await super().reserve(charges, id=id, now=now)

        async def settle(
            self, charges: Sequence[Charge], actual: Sequence[float], *, id: str, now: float
        ) -> None:
            await super().settle(charges, actual, id=id, now=now)
            if not self.memory.in_flight:
                self.empty.set()

    async def scenario() -> None:
        store = Stuck()
        leaving = asyncio.ensure_future(guard(POLICY, store=store).decide(build.wire()))
        await store.asked.wait()

        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving

        await asyncio.wait_for(store.empty.wait(), 10)

    run(scenario)


ROLLED_OUT = """
mode: enforce
limits:
  requests: { per: account, requests: 60/minute }
  stricter: { per: account, requests: 2/minute, rollout: 50% }
"""


@pytest.mark.parametrize("store", STORES)
def test_a_limit_that_is_rolled_out_binds_its_share_of_accounts_and_rehearses_for_others(
    store: Any,
) -> None:
    async def scenario() -> None:
        brain = guard(ROLLED_OUT, store=store())
        keys = [f"sk-{number}" for number in range(60)]

        thirds = [[await one(brain, key=key) for _ in range(3)][2] for key in keys]

        bound = [e for e in thirds if e.decision.action is Action.THROTTLE]
        others = [e for e in thirds if e.decision.action is Action.ALLOW]
        assert 15 <= len(bound) <= 45
        assert {e.decision.rule for e in bound} == {"limit:stricter"}
        assert [rehearsed(e) for e in others] == [["limit:stricter"]] * (60 - len(bound))
        assert all(len(e.decision.grants) == 1 for e in others)

    run(scenario)


def test_who_is_bound_by_a_rollout_stays_bound_as_it_grows() -> None:
    brains = [guard(ROLLED_OUT.replace("50%", share)) for share in ("10%", "40%", "100%")]
    requests = [build.request(account=f"acct_{number}") for number in range(80)]

    bound = [
        {
            request.account
            for request in requests
            for charge in decide(brain.policy, request, build.facts(), Assessment()).charges
            if charge.limit == "stricter"
        }
        for brain in brains
    ]

    assert bound[0] < bound[1] < bound[2]
    assert len(bound[2]) == 80


def test_a_limit_that_is_rolled_out_is_told_as_one() -> None:
    policy = build.policy(ROLLED_OUT)

    words = limit_in_words(policy.limits[1])

    assert "It is in force for 50% of accounts and rehearses for others." in words
    assert "2 limits and" in summary(policy)
