"""A guard whose shared state fails: `on_error.store` decides, counts, and is in the log."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import cast

import pytest

from gateway_guard.building import build_guard
from gateway_guard.errors import SettingsError
from gateway_guard.frontends.admin import Health
from gateway_guard.frontends.asgi import GuardMiddleware
from gateway_guard.frontends.upstream import Upstream
from gateway_guard.guard import Guard
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.record.line import line
from gateway_guard.settings import UNSETTLED, Settings
from gateway_guard.stores.memory import MemoryStore
from gateway_guard.stores.patience import PatientStore
from gateway_guard.types import Action, Exchange, Outcome, Usage
from tests import build
from tests.frontends.fakes import Client, answering, body_of, http_scope
from tests.frontends.test_health import Reachable
from tests.stores.hurry import REFUSED, FaultyStore, hurried, loop_time

POLICY = """
mode: enforce
limits:
  requests: { per: account, requests: 8/minute }
  in-flight: { per: account, concurrent: 4 }
on_error: { store: CHOICE }
rules:
  - { name: no-deletes, when: { method: DELETE }, then: deny }
"""
DONE = Usage(input_tokens=5, output_tokens=5, outcome=Outcome.COMPLETED)


def guard(choice: str, store: FaultyStore, *, workers: int = 1) -> Guard:
    return build_guard(
        build.policy(POLICY.replace("CHOICE", choice)),
        store=PatientStore(store, share=1.0 / workers, clock=loop_time),
        network=NoNetwork(),
        settings=Settings(secret=build.SECRET),
        clock=lambda: build.NOW,
    )


def failing() -> FaultyStore:
    store = FaultyStore()
    store.fault = REFUSED
    return store


def shared(brain: Guard) -> PatientStore:
    assert brain.shared is not None
    return brain.shared


async def well(brain: Guard) -> None:
    """Wait until the store is up and has been told everything; the loop's clock jumps."""
    store = shared(brain)
    while store.calls or not store.mender.idle:  # noqa: ASYNC110
        await asyncio.sleep(0.1)


async def asks(brain: Guard, count: int) -> list[Exchange]:
    exchanges = []
    for _ in range(count):
        exchange = await brain.decide(build.wire())
        await brain.settle(exchange, DONE)
        exchanges.append(exchange)
    return exchanges


@pytest.mark.parametrize(
    ("choice", "actions"),
    [
        ("deny", [Action.DENY] * 12),
        ("allow", [Action.ALLOW] * 12),
        ("local", [Action.ALLOW] * 4 + [Action.THROTTLE] * 8),
    ],
)
def test_every_choice_decides_is_counted_and_stands_in_the_log(
    choice: str, actions: list[Action]
) -> None:
    async def scenario() -> tuple[Guard, list[Exchange]]:
        brain = guard(choice, failing(), workers=2)
        exchanges = await asks(brain, 12)
        await brain.close()
        return brain, exchanges

    brain, exchanges = hurried(scenario)
    lines = [json.loads(line(exchange)) for exchange in exchanges]

    assert [exchange.decision.action for exchange in exchanges] == actions
    assert all(fields["degraded"] == ["store"] for fields in lines)
    assert shared(brain).without == {"deny": 0, "allow": 0, "local": 0} | {choice: 12}
    assert brain.failures == {"store": 12}
    if choice == "deny":
        assert {(f["rule"], f["status"]) for f in lines} == {("guard:store", 503)}
    if choice == "local":
        assert [limit["capacity"] for limit in lines[0]["limits"]] == [4.0, 2.0]


def test_the_longer_the_store_is_away_the_later_its_clients_are_to_come_back() -> None:
    async def scenario() -> list[set[float | None]]:
        brain = guard("deny", failing())
        waits = []
        for pause in (0.0, 30.0, 3000.0):
            await asyncio.sleep(pause)
            waits.append({one.decision.retry_after for one in await asks(brain, 300)})
        await brain.close()
        return waits

    first, later, last = hurried(scenario)

    assert first == {1.0, 2.0, 3.0}
    assert later == {float(seconds) for seconds in range(10, 31)}
    assert last <= {float(seconds) for seconds in range(20, 61)}
    assert len(last) > 30, "spread, though not every second need be among 300"


def test_what_the_rules_refuse_needs_no_store() -> None:
    async def scenario() -> None:
        brain = guard("allow", failing())
        exchange = await brain.decide(build.wire(method="DELETE"))
        await brain.close()

        assert (exchange.decision.rule, exchange.decision.degraded) == ("no-deletes", ())

    hurried(scenario)


def test_what_was_counted_locally_is_charged_to_the_store_that_is_back() -> None:
    async def scenario() -> None:
        store = failing()
        brain = guard("local", store)
        await asks(brain, 6)
        store.works()
        await well(brain)

        exchanges = await asks(brain, 4)

        assert [exchange.decision.action for exchange in exchanges] == [
            Action.ALLOW, Action.ALLOW, Action.THROTTLE, Action.THROTTLE,
        ]  # fmt: skip
        assert exchanges[0].decision.degraded == ()
        await brain.close()

    hurried(scenario)


def test_a_request_reserved_before_an_outage_is_settled_after_it() -> None:
    async def scenario() -> None:
        store = FaultyStore()
        brain = guard("deny", store)
        exchange = await brain.decide(build.wire())
        store.fault = REFUSED
        await brain.settle(exchange, DONE)
        await asyncio.sleep(3)
        assert store.memory.in_flight == 1

        store.works()
        await well(brain)

        assert store.memory.in_flight == 0
        await brain.close()

    hurried(scenario)


@pytest.mark.parametrize(
    ("path", "word"), [("/v1/chat/completions", "error"), ("/v1/messages", "api_error")]
)
def test_a_client_is_told_when_to_come_back_in_its_own_dialect(path: str, word: str) -> None:
    async def scenario() -> Client:
        middleware = GuardMiddleware(answering(b"{}"), guard=guard("deny", failing()))
        client = Client(body_of(build.chat_body()))
        headers = {"content-type": "application/json", "authorization": "Bearer sk-test"}
        await middleware(http_scope(path, headers=headers), client.receive, client.send)
        return client

    client = hurried(scenario)

    assert client.status == 503
    assert client.headers[b"retry-after"] in (b"1", b"2", b"3")
    assert word in client.body.decode()


def test_readiness_and_liveness_tell_that_the_store_is_down_and_up_again() -> None:
    async def scenario() -> list[tuple[str, list[str], str, str]]:
        store = FaultyStore()
        brain = guard("allow", store)
        health = Health(brain, cast("Upstream", Reachable()), Reachable())
        seen = []
        for fault in (None, REFUSED, None):
            store.fault = fault
            await asks(brain, 8)
            await asyncio.sleep(3)
            status, report = await health.report()
            assert status == 200
            troubles = [text for text in report["troubles"] if "shared state" in text]
            breaker = report["store"]["breaker"]
            seen.append((report["status"], troubles, breaker, health.alive()["store"]))
        await brain.close()
        return seen

    first, during, after = hurried(scenario)

    assert first[1:] == ([], "closed", "up")
    assert during[0] == "degraded"
    assert "(connection refused): on_error.store, allow, decides" in during[1][0]
    assert during[2:] in (("open", "down"), ("half-open", "down"))
    assert after[1:] == ([], "closed", "up")


def test_without_a_shared_store_there_is_nothing_to_be_patient_with() -> None:
    async def scenario() -> None:
        brain = build_guard(
            build.policy("mode: enforce"), network=NoNetwork(), settings=Settings(secret=b"x" * 16)
        )
        health = Health(brain, cast("Upstream", Reachable()), Reachable())

        assert isinstance(brain.store, MemoryStore)
        assert brain.shared is None
        assert (await health.report())[1]["store"] == "memory"
        assert health.alive()["store"] == "memory"

    asyncio.run(scenario())


def test_a_store_of_ones_own_that_waits_is_waited_for_within_the_settings_budget() -> None:
    settings = Settings(secret=build.SECRET, store_budget=0.01, total_workers=4)
    policy = build.policy("mode: enforce")

    brain = build_guard(policy, store=FaultyStore(), network=NoNetwork(), settings=settings)

    assert (shared(brain).budget, shared(brain).arrears.share) == (0.01, 0.25)


def test_a_uri_names_a_store_and_a_shared_one_needs_a_secret_that_lasts() -> None:
    policy = build.policy("mode: enforce")

    memory = build_guard(policy, store="memory://", network=NoNetwork())
    with pytest.raises(SettingsError, match="GATEWAY_GUARD_SECRET"):
        build_guard(
            policy,
            store="redis://127.0.0.1:1/0",
            network=NoNetwork(),
            settings=Settings(secret_lasts=False),
        )

    assert isinstance(memory.store, MemoryStore)


def test_the_store_of_the_environment_is_taken_with_its_budget_and_share() -> None:
    environment = {
        "GATEWAY_GUARD_SECRET": "a secret of sixteen",
        "GATEWAY_GUARD_STORE": "redis://user:hunter2@127.0.0.1:1/0",
        "GATEWAY_GUARD_STORE_BUDGET": "20",
        "GATEWAY_GUARD_STORE_NAMESPACE": "edge",
        "GATEWAY_GUARD_STORE_UNSETTLED": "nothing",
        "GATEWAY_GUARD_TOTAL_WORKERS": "8",
    }
    settings = Settings.from_environment(environment)

    async def scenario() -> PatientStore:
        brain = build_guard(build.policy("mode: enforce"), settings=settings, network=NoNetwork())
        await brain.close()
        return shared(brain)

    store = asyncio.run(scenario())

    assert (store.budget, store.arrears.share) == (0.02, 0.125)
    assert "hunter2" not in repr(store.store)


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("GATEWAY_GUARD_STORE_BUDGET", "soon", "milliseconds"),
        ("GATEWAY_GUARD_STORE_BUDGET", "0", "milliseconds"),
        ("GATEWAY_GUARD_TOTAL_WORKERS", "0", "whole number"),
        ("GATEWAY_GUARD_STORE_UNSETTLED", "half", ", ".join(UNSETTLED)),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(name: str, value: str, hint: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}.*{hint}"):
        Settings.from_environment({name: value})


def test_a_store_that_fails_for_every_request_does_not_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        brain = guard("allow", failing())
        await asks(brain, 100)
        await brain.close()

    with caplog.at_level(logging.ERROR):
        hurried(scenario)

    assert sum(record.name == "gateway_guard.failures" for record in caplog.records) == 7
    assert [r.message for r in caplog.records if r.name != "gateway_guard.failures"] == [
        "store-down reason=connection refused"
    ]
