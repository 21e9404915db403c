"""A store that fails in every way: answers in time or not at all, and nothing leaks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway_guard.core.breaker import IN_A_ROW, LONGEST_REST, Breaker, State
from gateway_guard.errors import StoreError
from gateway_guard.record.metrics import Metrics
from gateway_guard.stores.patience import PatientStore
from gateway_guard.stores.published import publish
from gateway_guard.types import Charge, Grant
from tests import build
from tests.stores.hurry import REFUSED, FaultyStore, hurried, loop_time

NOW = build.NOW
BUDGET = 0.05
ONE = (build.charge(capacity=1.0, rate=0.0),)
FLYING = (
    build.charge(
        limit="in-flight", key="in-flight:a", unit="concurrent", capacity=1.0, rate=0.0,
        quota=1.0, window=0.0,
    ),
)  # fmt: skip
TOKENS = (
    build.charge(
        limit="tokens", key="tokens:a", unit="tokens", cost=10.0, capacity=100.0, rate=0.0
    ),
)
#: As long as an outage may go on being felt.
RIGHT_AGAIN = 5.0


def patient(store: FaultyStore, **more: Any) -> PatientStore:
    options: dict[str, Any] = {"budget": BUDGET, "clock": loop_time} | more
    return PatientStore(store, **options)


def charges(key: str) -> tuple[Charge, ...]:
    return (build.charge(key=f"requests:{key}"),)


async def tries(store: PatientStore, count: int, prefix: str = "t") -> list[bool]:
    """Whether each of some requests, one after the other, got an answer."""
    answered = []
    for number in range(count):
        try:
            await store.reserve(charges(f"{prefix}{number}"), id=f"{prefix}{number}", now=NOW)
        except StoreError:
            answered.append(False)
        else:
            answered.append(True)
    return answered


async def settled_down(store: PatientStore) -> None:
    """Wait until nothing is owed and nothing is under way."""
    while store.calls or not store.mender.idle:  # noqa: ASYNC110 - the loop's clock jumps
        await asyncio.sleep(0.05)


def test_what_answers_is_asked_and_believed() -> None:
    async def scenario() -> None:
        faulty = FaultyStore()
        store = patient(faulty)

        first = await store.reserve(ONE, id="r1", now=NOW)
        second = await store.reserve(ONE, id="r2", now=NOW)
        await store.settle(ONE, (1.0,), id="r1", now=NOW)
        await settled_down(store)

        assert [grants[0].allowed for grants in (first, second)] == [True, False]
        assert faulty.settled == ["r1"]
        assert faulty.memory.in_flight == 0
        assert sum(store.failures.values()) == 0
        await store.close()
        assert faulty.closed

    hurried(scenario)


@pytest.mark.parametrize("delay", [BUDGET * 2, 30.0])
def test_a_decision_waits_its_budget_and_no_longer(delay: float) -> None:
    async def scenario() -> None:
        faulty = FaultyStore()
        faulty.delay = delay
        store = patient(faulty)
        began = loop_time()

        with pytest.raises(StoreError, match="no answer within the budget"):
            await store.reserve(ONE, id="r1", now=NOW)

        assert loop_time() - began == pytest.approx(BUDGET)
        assert store.failures["late"] == 1
        await store.close()

    hurried(scenario)


def test_an_answer_that_came_while_the_process_stood_still_is_not_late() -> None:
    async def scenario() -> bool:
        faulty = FaultyStore()
        loop: Any = asyncio.get_running_loop()
        answered = loop.create_future()
        reserve = faulty.reserve

        async def handed_through(*args: Any, **more: Any) -> tuple[Grant, ...]:
            await answered
            return await reserve(*args, **more)

        def arrive(turns: int) -> None:
            if turns:
                loop.call_soon(arrive, turns - 1)
            else:
                answered.set_result(None)

        def stand_still() -> None:
            # The budget ends meanwhile; the answer is there, and has to be read and handed on.
            loop.now += 10 * BUDGET
            arrive(2)

        faulty.reserve = handed_through  # type: ignore[method-assign]
        store = patient(faulty, keeps=True)
        loop.call_later(BUDGET / 2, stand_still)
        (grant,) = await store.reserve(ONE, id="r1", now=NOW)
        return grant.allowed and store.failures["late"] == 0

    assert hurried(scenario)


@pytest.mark.parametrize("where", ["delay", "reply_delay"])
@pytest.mark.parametrize("taken", [ONE, FLYING, TOKENS])
def test_a_late_grant_is_given_back(taken: tuple[Charge, ...], where: str) -> None:
    async def scenario() -> tuple[Grant, ...]:
        faulty = FaultyStore()
        setattr(faulty, where, BUDGET * 4)
        store = patient(faulty)

        with pytest.raises(StoreError):
            await store.reserve(taken, id="r1", now=NOW)
        faulty.works()
        await settled_down(store)

        assert faulty.memory.in_flight == 0
        assert store.mender.given_back == 1
        return await store.reserve(taken, id="r2", now=NOW)

    (grant,) = hurried(scenario)

    assert grant.allowed
    assert grant.remaining == taken[0].capacity - taken[0].cost


def test_a_late_refusal_changes_nothing() -> None:
    async def scenario() -> None:
        faulty = FaultyStore()
        store = patient(faulty)
        await store.reserve(ONE, id="r1", now=NOW)
        faulty.reply_delay = BUDGET * 4

        with pytest.raises(StoreError):
            await store.reserve(ONE, id="r2", now=NOW)
        faulty.works()
        await settled_down(store)

        assert faulty.memory.in_flight == 1
        assert not (await store.reserve(ONE, id="r3", now=NOW))[0].allowed

    hurried(scenario)


@pytest.mark.parametrize(
    "lost",
    [StoreError("reset"), ConnectionResetError(), ValueError("a bug"), asyncio.CancelledError()],
)
def test_a_grant_whose_answer_was_lost_is_given_back(lost: BaseException) -> None:
    async def scenario() -> tuple[Grant, ...]:
        faulty = FaultyStore()
        faulty.lost = lost
        store = patient(faulty)

        with pytest.raises(StoreError, match="an error instead of an answer"):
            await store.reserve(ONE, id="r1", now=NOW)
        assert faulty.memory.in_flight == 1
        faulty.works()
        await settled_down(store)

        return await store.reserve(ONE, id="r2", now=NOW)

    (grant,) = hurried(scenario)

    assert grant.allowed


def test_an_answer_to_another_question_is_none() -> None:
    async def scenario() -> None:
        faulty = FaultyStore()
        faulty.short = True
        store = patient(faulty)

        with pytest.raises(StoreError):
            await store.reserve(ONE, id="r1", now=NOW)
        faulty.works()
        await settled_down(store)

        assert faulty.memory.in_flight == 0

    hurried(scenario)


def test_what_a_client_asked_for_that_left_is_given_back() -> None:
    async def scenario() -> None:
        faulty = FaultyStore()
        faulty.delay = BUDGET / 2
        store = patient(faulty)

        asking = asyncio.ensure_future(store.reserve(ONE, id="r1", now=NOW))
        await asyncio.sleep(BUDGET / 4)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.sleep(BUDGET)
        faulty.works()
        await settled_down(store)

        assert faulty.settled == ["r1"]
        assert faulty.memory.in_flight == 0
        assert store.breaker.state is State.CLOSED
        assert sum(store.failures.values()) == 0

    hurried(scenario)


@pytest.mark.parametrize("fault", [{"fault": REFUSED}, {"hangs": True}])
def test_a_store_that_is_down_at_the_start_is_known_to_be_before_any_request(
    fault: dict[str, Any],
) -> None:
    async def scenario() -> None:
        faulty = FaultyStore()
        for name, value in fault.items():
            setattr(faulty, name, value)
        store = patient(faulty)

        store.begin()
        await asyncio.sleep(10.0)
        down = store.health()
        faulty.fault, faulty.hangs = None, False
        await asyncio.sleep(RIGHT_AGAIN)

        assert (down.up, store.health().up) == (False, True)
        await store.close()

    hurried(scenario)


def test_what_only_probes_met_is_told_as_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    """A wrong password, before the first request came."""

    async def scenario() -> str | None:
        faulty = FaultyStore()
        faulty.fault = StoreError("WRONGPASS: user or password is wrong")
        store = patient(faulty)
        store.begin()
        await asyncio.sleep(10.0)
        await tries(store, 1)
        trouble = store.health().trouble
        await store.close()
        return trouble

    assert hurried(scenario) == "WRONGPASS: user or password is wrong"
    assert "store-down reason=WRONGPASS" in caplog.text


def test_a_store_that_answers_at_the_start_is_asked_once_and_charged_nothing() -> None:
    async def scenario() -> None:
        faulty = FaultyStore()
        store = patient(faulty)

        store.begin()
        await settled_down(store)

        assert len(faulty.asked) == 1
        assert store.mender.idle
        assert (store.mender.delivered, store.mender.given_back) == (0, 0)
        await store.close()

    hurried(scenario)


def test_a_server_that_fails_is_left_alone_and_asked_again_by_one_at_a_time() -> None:
    async def scenario() -> None:
        faulty = FaultyStore()
        faulty.fault = REFUSED
        store = patient(faulty)
        began = loop_time()

        for _ in range(1_000):
            await tries(store, 5)
            await asyncio.sleep(0.01)

        lasted = loop_time() - began
        assert store.breaker.opened == 1
        assert len(faulty.asked) - IN_A_ROW <= lasted / LONGEST_REST + 3
        assert store.failures["resting"] > 4_900
        await store.close()

    hurried(scenario)


@pytest.mark.parametrize(
    "fault",
    [{"fault": REFUSED}, {"hangs": True}, {"delay": 0.8}, {"reply_delay": 0.8}, {"short": True}],
    ids=lambda fault: next(iter(fault)),
)
@pytest.mark.parametrize("busy", [True, False])
def test_it_is_right_again_within_seconds_of_the_faults_end(
    fault: dict[str, Any], busy: bool
) -> None:
    async def scenario() -> None:
        faulty = FaultyStore()
        store = patient(faulty)
        for name, value in fault.items():
            setattr(faulty, name, value)
        for number in range(200 if busy else IN_A_ROW):
            await tries(store, 1, prefix=f"during{number}-")
            await asyncio.sleep(0.05)
        assert not store.health().up

        faulty.works()
        ended = loop_time()
        if busy:
            while not all(await tries(store, 10, prefix="after")):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        else:
            # Nobody asks: what is owed finds out.
            await settled_down(store)

        assert loop_time() - ended < RIGHT_AGAIN
        await settled_down(store)
        assert store.health().up
        assert faulty.memory.in_flight == (10 if busy else 0)
        await store.close()

    hurried(scenario)


def test_a_process_with_long_turns_notices_as_soon_that_the_store_is_back() -> None:
    async def scenario() -> None:
        faulty = FaultyStore()
        store = patient(faulty)
        loop: Any = asyncio.get_running_loop()

        def busy() -> None:
            loop.now += 0.06  # longer than the budget, with every turn
            if not faulty.closed:
                loop.call_soon(busy)

        faulty.fault = REFUSED
        await tries(store, IN_A_ROW)
        await asyncio.sleep(10.0)
        faulty.works()
        loop.call_soon(busy)
        ended = loop.time()
        while store.breaker.state is not State.CLOSED:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert loop.time() - ended <= LONGEST_REST + 0.5
        await store.close()

    hurried(scenario)


def test_a_store_that_hung_is_asked_again_within_a_second_of_its_return() -> None:
    async def scenario() -> float:
        faulty = FaultyStore()
        store = patient(faulty)
        faulty.fault = REFUSED
        await tries(store, IN_A_ROW)
        faulty.fault, faulty.hangs = None, True
        await asyncio.sleep(10.0)
        while faulty.open == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        faulty.works()
        ended = loop_time()
        while not store.health().up:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        took = loop_time() - ended
        await store.close()
        return took

    assert hurried(scenario) <= BUDGET + LONGEST_REST + 0.02


def test_while_a_store_hangs_nothing_grows_and_the_rest_fail_at_once() -> None:
    async def scenario() -> None:
        faulty = FaultyStore()
        faulty.hangs = True
        # One that never opens: the bound must hold by itself.
        store = patient(faulty, most_calls=50, breaker=Breaker(in_a_row=10**9, of_window=10**9))
        began = loop_time()

        async def one(number: int) -> None:
            with pytest.raises(StoreError):
                await store.reserve(charges(f"{number}"), id=f"r{number}", now=NOW)

        for turn in range(20):
            await asyncio.gather(*(one(turn * 500 + number) for number in range(500)))
            assert store.calls <= 50

        assert faulty.most_open <= 51  # and what is given back
        assert loop_time() - began <= 20 * BUDGET + 0.01
        assert store.failures["crowded"] >= 9_000
        assert store.arrears.settlements <= 10_000
        await store.close()
        assert faulty.open == store.calls == 0

    hurried(scenario)


def test_a_settlement_that_fails_is_delivered_later_and_counts_once() -> None:
    async def scenario() -> None:
        faulty = FaultyStore()
        store = patient(faulty)
        await store.reserve(TOKENS, id="r1", now=NOW)
        faulty.lost = REFUSED

        began = loop_time()
        await store.settle(TOKENS, (70.0,), id="r1", now=NOW)
        assert loop_time() == began
        await asyncio.sleep(1.0)
        faulty.works()
        await settled_down(store)

        (grant,) = await store.reserve(TOKENS, id="r2", now=NOW)
        assert grant.remaining == 100.0 - 70.0 - 10.0
        assert len(faulty.settled) > 1
        assert store.mender.delivered == 1

    hurried(scenario)


def test_what_a_store_that_keeps_does_not_take_is_kept_here_also_when_it_is_closed() -> None:
    async def scenario() -> tuple[int, int]:
        faulty = FaultyStore()
        store = patient(faulty, keeps=True)
        for name in ("r1", "r2"):
            await store.reserve(TOKENS, id=name, now=NOW)
        faulty.fault = REFUSED
        await store.settle(TOKENS, (70.0,), id="r1", now=NOW)
        owed = store.arrears.settlements
        faulty.works()
        await store.close()
        await store.settle(TOKENS, (0.0,), id="r2", now=NOW)
        return owed, store.arrears.settlements

    # The first was delivered while it closed.
    assert hurried(scenario) == (1, 1)


def test_what_was_admitted_locally_is_charged_when_the_store_is_back() -> None:
    async def scenario() -> None:
        faulty = FaultyStore()
        store = patient(faulty, share=0.5)
        faulty.fault = REFUSED
        await tries(store, IN_A_ROW)

        grants = store.local.reserve_now(TOKENS, id="r1", now=NOW)
        await store.settle(TOKENS, (30.0,), id="r1", now=NOW)
        assert (grants[0].allowed, store.health().debts) == (True, 1)
        faulty.works()
        await settled_down(store)

        (grant,) = await store.reserve(TOKENS, id="r2", now=NOW)
        assert grant.remaining == 100.0 - 30.0 - 10.0
        assert store.mender.reconciled == 1
        assert faulty.memory.in_flight == 1

    hurried(scenario)


def test_a_key_in_debt_is_charged_once_it_is_out_of_it_and_holds_up_nobody() -> None:
    async def scenario() -> None:
        faulty = FaultyStore()
        store = patient(faulty)
        indebted = (build.charge(key="requests:deep", capacity=10.0, rate=1.0, cost=1.0),)
        await store.reserve(indebted, id="r0", now=NOW)
        await store.settle(indebted, (15.0,), id="r0", now=NOW)
        await settled_down(store)
        for number, taken in enumerate((indebted, TOKENS)):
            store.local.reserve_now(taken, id=f"l{number}", now=NOW)
            await store.settle(taken, (4.0,), id=f"l{number}", now=NOW)

        await asyncio.sleep(0.1)
        assert (store.mender.reconciled, store.arrears.debts) == (1, 1)
        await settled_down(store)

        # Both drain at the same rate: what was owed in the end is gone or charged, never lost.
        assert not store.arrears
        assert faulty.memory.in_flight == 0

    hurried(scenario)


def test_closing_delivers_what_it_can_and_waits_no_longer_than_a_second() -> None:
    async def scenario(hangs: bool) -> tuple[float, FaultyStore, PatientStore]:
        faulty = FaultyStore()
        store = patient(faulty)
        await store.reserve(TOKENS, id="r1", now=NOW)
        faulty.lost = REFUSED
        await store.settle(TOKENS, (70.0,), id="r1", now=NOW)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        faulty.works()
        faulty.hangs = hangs
        began = loop_time()
        await store.close()
        return loop_time() - began, faulty, store

    quick, faulty, store = hurried(lambda: scenario(False))
    slow, hanging, _ = hurried(lambda: scenario(True))

    assert quick < 0.1
    assert not store.arrears
    assert faulty.closed
    assert slow <= 1.01
    assert hanging.closed


def test_everything_is_published_and_states_are_one_and_zero() -> None:
    async def scenario() -> tuple[str, int]:
        faulty = FaultyStore()
        store, metrics = patient(faulty), Metrics()
        publish(store, metrics)
        faulty.fault = REFUSED
        await tries(store, 8)
        page = metrics.render()[0].decode()
        await store.close()
        return page, store.failures["failed"]

    page, failed = hurried(scenario)

    assert failed == IN_A_ROW

    for line in (
        "gateway_guard_store_up 0.0",
        'gateway_guard_store_breaker{state="open"} 1.0',
        'gateway_guard_store_breaker{state="closed"} 0.0',
        f'gateway_guard_store_failures_total{{cause="failed"}} {failed}.0',
        f'gateway_guard_store_failures_total{{cause="resting"}} {8 - failed}.0',
        'gateway_guard_store_without_total{on_error="allow"} 0.0',
        "gateway_guard_store_opened_total 1.0",
        f"gateway_guard_store_waiting_settlements {failed}.0",
        "gateway_guard_store_waiting_keys 0.0",
    ):
        assert line in page, line


@pytest.mark.parametrize("wrong", [{"budget": 0.0}, {"share": 0.0}, {"share": 1.5}])
def test_a_budget_or_share_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="budget > 0"):
        patient(FaultyStore(), **wrong)
