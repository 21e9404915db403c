"""A real Redis server behind a proxy that fails in every way, under every failure policy.

Every decision within its budget, decided as configured, no 500; and once the fault has ended, right
again within five seconds: the limit exact, nothing in flight that nobody has.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import pytest

from gateway_guard.building import build_guard
from gateway_guard.frontends.asgi import GuardMiddleware
from gateway_guard.guard import Guard
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.settings import Settings
from gateway_guard.stores.patience import PatientStore
from gateway_guard.types import Action, Outcome, Usage
from tests import build
from tests.faults import FAULTS, FaultProxy
from tests.frontends.fakes import Client, answering, body_of, http_scope
from tests.servers import Server, needs_redis, shared_server

pytestmark = [pytest.mark.e2e, needs_redis]

LIMIT = 8
#: Four times the default: a machine that does other things must not look like a fault.
BUDGET = 0.2
#: What a machine that does other things may add to a decision, seconds.
MARGIN = 0.2
#: Outages of which one must be in time: such a machine may also stand still for longer.
ATTEMPTS = 3
RIGHT_AGAIN = 5.0
CHOICES = ("deny", "allow", "local")
POLICY = f"""
mode: enforce
limits:
  requests: {{ per: account, requests: {LIMIT}/minute }}
  in-flight: {{ per: everyone, concurrent: {LIMIT} }}
on_error: {{ store: CHOICE }}
"""
DONE = Usage(input_tokens=5, output_tokens=5, outcome=Outcome.COMPLETED)

T = TypeVar("T")

_names = itertools.count()


class Subject:
    """One guard with one failure policy, as many accounts as one likes."""

    def __init__(self, choice: str, port: int, *, budget: float = BUDGET) -> None:
        self.choice = choice
        self.guard: Guard = build_guard(
            build.policy(POLICY.replace("CHOICE", choice)),
            network=NoNetwork(),
            settings=Settings(
                secret=build.SECRET,
                store=f"redis://127.0.0.1:{port}/0",
                store_namespace=f"faults{next(_names)}",
                store_budget=budget,
            ),
        )
        assert self.guard.shared is not None
        self.store: PatientStore = self.guard.shared
        self.middleware = GuardMiddleware(answering(b"{}"), guard=self.guard)
        self.slowest = 0.0

    async def ask(self, key: str) -> int:
        """The status a client gets; `slowest` is the longest of a burst."""
        began = time.perf_counter()
        headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
        client = Client(body_of(build.chat_body()))
        await self.middleware(http_scope(headers=headers), client.receive, client.send)
        self.slowest = max(self.slowest, time.perf_counter() - began)
        return client.status

    async def burst(self, key: str, count: int = LIMIT + 4) -> Counter[int]:
        """Statuses of so many requests of one account, in fours."""
        statuses: Counter[int] = Counter()
        self.slowest = 0.0
        for _ in range(count // 4):
            statuses.update(await asyncio.gather(*(self.ask(key) for _ in range(4))))
        return statuses

    async def undisturbed(self, what: Callable[[], Awaitable[T]]) -> T:
        """What `what` gives while the server answers in time, as a busy machine may not let it."""
        for _ in range(5):
            await self.told()
            before = sum(self.store.failures.values())
            given = await what()
            if sum(self.store.failures.values()) == before:
                break
        return given

    async def exact(self) -> Counter[int]:
        """As `burst`, of an account nobody has seen."""
        return await self.undisturbed(lambda: self.burst(f"sk-{next(_names)}"))

    async def fits(self) -> int:
        """Requests that find a place in flight, all at once; they are let go again."""
        exchanges = [
            await self.guard.decide(build.wire(key=f"sk-{next(_names)}")) for _ in range(LIMIT + 1)
        ]
        for exchange in exchanges:
            await self.guard.settle(exchange, DONE)
        return sum(exchange.decision.action is Action.ALLOW for exchange in exchanges)

    async def right_again(self) -> float:
        """Seconds until the store decides again; gives up after twice what is allowed."""
        began = time.perf_counter()
        while True:
            exchange = await self.guard.decide(build.wire(key=f"sk-{next(_names)}"))
            await self.guard.settle(exchange, DONE)
            took = time.perf_counter() - began
            if not exchange.decision.degraded or took > 2 * RIGHT_AGAIN:
                return took
            await asyncio.sleep(0.02)

    async def told(self) -> None:
        """Wait until the server knows everything."""
        store: Any = self.store.store
        while self.store.calls or not self.store.mender.idle:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await store.drained()


def expected(choice: str) -> Counter[int]:
    count = LIMIT + 4
    return {
        "deny": Counter({503: count}),
        "allow": Counter({200: count}),
        "local": Counter({200: LIMIT, 429: 4}),
    }[choice]


Fault = Callable[[], Awaitable[None]]


async def goes_through(port: int, begin: Fault, end: Fault) -> None:
    """Outages under every failure policy, and what must be true of them."""
    for choice in CHOICES:
        times: list[tuple[float, float]] = []
        while len(times) < ATTEMPTS and not (times and in_time(*times[-1])):
            subject = Subject(choice, port)
            try:
                times.append(await one_outage(subject, begin, end))
            finally:
                await subject.guard.close()
        assert in_time(*times[-1]), (choice, times)


def in_time(slowest: float, recovered: float) -> bool:
    """Whether an outage was felt for no longer than is promised; as from `one_outage`."""
    return slowest < BUDGET + MARGIN and recovered < RIGHT_AGAIN


async def one_outage(subject: Subject, begin: Fault, end: Fault) -> tuple[float, float]:
    """A whole outage, and what must be true of it however slow the machine is; seconds of its
    slowest decision, and until the store decides again.
    """
    choice = subject.choice
    before = await subject.exact()
    await subject.told()
    await begin()
    during = await subject.burst("sk-during")
    slowest = subject.slowest
    failed = dict(subject.store.failures)
    await end()
    recovered = await subject.right_again()

    assert before == Counter({200: LIMIT, 429: 4}), choice
    assert during == expected(choice), (choice, failed)
    assert subject.store.without[choice] >= LIMIT + 4
    async with asyncio.timeout(8 * RIGHT_AGAIN):
        assert await subject.exact() == Counter({200: LIMIT, 429: 4}), choice
        fits = await subject.undisturbed(subject.fits)
        assert fits == LIMIT, f"{choice}: something is in flight that nobody has"
        if choice == "local":
            # What was admitted in memory is used up in the store as well.
            again = await subject.undisturbed(lambda: subject.burst("sk-during", 4))
            assert again == Counter({429: 4})
    return slowest, recovered


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(180):
            await scenario()

    asyncio.run(bounded())


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_decided_within_the_budget_and_gone_in_seconds(fault: str) -> None:
    async def scenario() -> None:
        async with FaultProxy(shared_server().port) as proxy:
            await goes_through(proxy.port, lambda: proxy.fail(fault), lambda: proxy.fail(None))

    run(scenario)


def test_a_server_killed_and_started_again_is_found_again() -> None:
    async def scenario() -> None:
        with Server() as server:

            async def kill() -> None:
                await asyncio.to_thread(server.kill)

            async def start() -> None:
                await asyncio.to_thread(server.start)

            await goes_through(server.port, kill, start)

    run(scenario)


def test_a_server_that_stands_still_is_waited_for_no_longer_than_the_budget() -> None:
    async def scenario() -> None:
        with Server() as server:

            async def freeze() -> None:
                server.freeze()

            async def thaw() -> None:
                server.thaw()

            await goes_through(server.port, freeze, thaw)

    run(scenario)


def test_by_default_a_decision_waits_a_twentieth_of_a_second() -> None:
    async def scenario() -> None:
        async with FaultProxy(shared_server().port) as proxy:
            await proxy.fail("black-hole")
            times: list[float] = []
            while len(times) < ATTEMPTS and not (times and times[-1] < 0.05 + MARGIN):
                subject = Subject("allow", proxy.port, budget=Settings().store_budget)
                try:
                    statuses = await subject.burst("sk-hole")
                    times.append(subject.slowest)
                finally:
                    await subject.guard.close()
                assert statuses == Counter({200: LIMIT + 4})

            assert times[-1] < 0.05 + MARGIN, times

    run(scenario)


def test_a_guard_starts_without_its_server_and_finds_it_later() -> None:
    async def scenario() -> None:
        with Server() as server:
            server.kill()
            subject = Subject("local", server.port)
            try:
                first = await subject.burst("sk-first")
                await asyncio.to_thread(server.start)
                recovered = await subject.right_again()

                assert first == Counter({200: LIMIT, 429: 4})
                assert recovered < 2 * RIGHT_AGAIN
            finally:
                await subject.guard.close()

    run(scenario)
