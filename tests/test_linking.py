"""The linker in the live guard: fed after the answer, asked before the next, closed with it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from gateway_guard.guard import Guard, build_guard
from gateway_guard.linking import Linking
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.record.metrics import Metrics
from gateway_guard.settings import Settings
from gateway_guard.types import Action, CampaignFacts, Exchange, Usage
from tests import build
from tests.campaigns import ring

ASKS = """
version: 1
mode: enforce
rules:
  - name: campaign-members
    when: { campaign: { min: 0.9 } }
    then: deny
"""
DOES_NOT_ASK = "version: 1\nmode: enforce\n"


def settled(who: str = "acct_test", **facts: Any) -> Exchange:
    return build.exchange(
        request=build.request(account=who), facts=build.facts(**facts),
        usage=Usage(input_tokens=5, output_tokens=7),
    )  # fmt: skip


def linking(**more: Any) -> Linking:
    return Linking(build.SECRET, threaded=False, **more)


def guard(policy: Any, **more: Any) -> Guard:
    return build_guard(
        policy, network=NoNetwork(), settings=Settings(secret=build.SECRET),
        clock=lambda: build.NOW, **more,
    )  # fmt: skip


async def ask(brain: Guard) -> Exchange:
    """One chat through the guard, settled."""
    exchange = await brain.decide(build.wire())
    await brain.settle(exchange, Usage(input_tokens=5, output_tokens=7))
    return exchange


def linked(brain: Guard) -> Linking:
    assert brain.linking is not None
    return brain.linking


def test_a_settled_exchange_is_learnt_when_the_linker_gets_to_it() -> None:
    links = linking()

    links.write(settled())
    waiting = len(links.linker.memory.traces)
    links.learn()

    assert waiting == 0
    (trace,) = links.linker.memory.traces.values()
    assert (trace.account, trace.exchanges, trace.tokens) == ("acct_test", 1, 12)


def test_what_does_not_fit_into_the_queue_is_dropped_and_counted() -> None:
    links = linking(queue=2)

    for number in range(5):
        links.write(settled(f"acct_{number}"))
    links.learn()

    assert links.dropped == 3
    assert [t.account for t in links.linker.memory.traces.values()] == ["acct_0", "acct_1"]


def test_one_sighting_the_linker_chokes_on_costs_only_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    links = linking()
    odd = build.account(created_at="yesterday")

    for exchange in (
        settled("acct_1", account=odd), settled("acct_2", account=odd), settled("acct_good"),
    ):  # fmt: skip
        links.write(exchange)
    links.learn()

    assert links.failed == 2
    assert "acct_good" in links.linker.memory.numbers
    assert len([r for r in caplog.records if "the linker failed" in r.message]) == 1


def test_the_thread_learns_by_itself_and_ends_when_the_linking_is_closed() -> None:
    links = Linking(build.SECRET)
    before = threading.active_count()

    links.write(settled())
    during = threading.active_count()
    links.close()
    links.close()

    assert during == before + 1
    assert threading.active_count() == before
    assert "acct_test" in links.linker.memory.numbers


def test_a_guard_whose_policy_asks_refuses_who_is_held(tmp_path: Path) -> None:
    async def scenario() -> tuple[Exchange, Exchange]:
        brain = guard(build.policy(ASKS))
        first = await ask(brain)
        account = first.request.account
        assert account is not None
        held = CampaignFacts(id="c_0001", confidence=0.97)
        linked(brain).linker.cases.verdicts[account] = held
        second = await ask(brain)
        await brain.close()
        return first, second

    first, second = asyncio.run(scenario())

    assert first.decision.action is Action.ALLOW
    assert second.decision.action is Action.DENY
    assert second.facts.campaign == CampaignFacts(id="c_0001", confidence=0.97)


def test_closing_the_guard_learns_what_waits_and_ends_the_thread() -> None:
    async def scenario() -> Guard:
        brain = guard(build.policy(ASKS))
        await ask(brain)
        await brain.close()
        return brain

    brain = asyncio.run(scenario())

    assert len(linked(brain).linker.memory.traces) == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "linker"]


def test_a_policy_that_does_not_ask_feeds_nothing_until_a_reload_asks(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(DOES_NOT_ASK)

    async def scenario() -> tuple[int, int, int]:
        brain = guard(path)
        links = linked(brain)
        await ask(brain)
        links.learn()
        before = len(links.linker.memory.traces)
        path.write_text(ASKS)
        assert brain.reload()
        await ask(brain)
        links.learn()
        during = links.linker.memory.traces[1].exchanges
        path.write_text(DOES_NOT_ASK)
        assert brain.reload()
        await ask(brain)
        await brain.close()
        return before, during, links.linker.memory.traces[1].exchanges

    assert asyncio.run(scenario()) == (0, 1, 1)


def test_who_says_themselves_which_campaign_an_account_is_in_gets_no_linker() -> None:
    brain = guard(build.policy(ASKS), campaign_of=lambda _: None)

    assert brain.linking is None
    assert brain.learners == ()


def test_the_callers_learners_stay_beside_the_linkers() -> None:
    told: list[Exchange] = []

    async def scenario() -> None:
        brain = guard(build.policy(ASKS), learners=[told.append])
        await ask(brain)
        await brain.close()

    asyncio.run(scenario())

    assert len(told) == 1


def test_metrics_show_what_is_held_and_what_was_lost() -> None:
    links, metrics = Linking(build.SECRET, linker=ring.caught(), queue=1, threaded=False), Metrics()
    links.publish(metrics)
    links.write(settled())
    links.write(settled())

    page = metrics.render()[0].decode()

    assert "\ngateway_guard_campaigns 1.0\n" in page
    assert f"\ngateway_guard_campaign_members {float(ring.MEMBERS)}\n" in page
    known = float(ring.MEMBERS + ring.BYSTANDERS)
    assert f"\ngateway_guard_campaign_accounts {known}\n" in page
    assert "\ngateway_guard_sightings_waiting 1.0\n" in page
    assert "\ngateway_guard_sightings_dropped_total 1.0\n" in page
    assert "\ngateway_guard_sightings_failed_total 0.0\n" in page
