"""What every store promises (`stores/base.py`), one fact a test."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Awaitable, Callable, Sequence

import pytest

from gateway_guard.stores.base import Store
from gateway_guard.types import Charge, Grant
from tests import build
from tests.contracts.subjects import KINDS, STORES

NOW = build.NOW
Scenario = Callable[[Store], Awaitable[None]]


@pytest.fixture(params=KINDS)
def run(request: pytest.FixtureRequest) -> Callable[[Scenario], None]:
    """Runs a scenario against a fresh store and closes it."""

    def go(scenario: Scenario) -> None:
        async def main() -> None:
            store = STORES[request.param]()
            try:
                await scenario(store)
            finally:
                await store.close()

        asyncio.run(main())

    return go


def limit(
    cost: float = 1.0, *, capacity: float = 10.0, rate: float = 1.0, **more: object
) -> Charge:
    fields: dict[str, object] = {"cost": cost, "capacity": capacity, "rate": rate}
    return build.charge(**fields | more)


def flying(capacity: float = 2.0, key: str = "in-flight:a") -> Charge:
    return build.charge(
        limit="in-flight", key=key, unit="concurrent", capacity=capacity, rate=0.0, window=0.0
    )


_ids = itertools.count()


async def ask(store: Store, *charges: Charge, now: float = NOW) -> tuple[Grant, ...]:
    return await store.reserve(charges, id=f"r_{next(_ids)}", now=now)


def granted(grants: Sequence[Grant]) -> bool:
    return all(grant.allowed for grant in grants)


def test_a_bucket_lets_through_its_capacity_and_no_more(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: Store) -> None:
        answers = [granted(await ask(store, limit())) for _ in range(12)]

        assert answers == [True] * 10 + [False] * 2

    run(scenario)


def test_a_burst_of_sixty_at_once_passes_exactly_the_capacity(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario(store: Store) -> None:
        answers = await asyncio.gather(*(ask(store, limit(capacity=37)) for _ in range(60)))

        assert sum(granted(answer) for answer in answers) == 37

    run(scenario)


def test_many_tasks_for_one_remaining_unit_are_granted_once(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario(store: Store) -> None:
        await ask(store, limit(9.0))

        answers = await asyncio.gather(
            *(ask(store, limit(), flying(100.0)) for _ in range(50)),
        )

        assert sum(granted(answer) for answer in answers) == 1

    run(scenario)


def test_what_remains_and_when_it_resets_are_told(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: Store) -> None:
        (grant,) = await ask(store, limit(4.0, rate=2.0))

        assert (grant.allowed, grant.remaining, grant.retry_after, grant.reset) == (True, 6, 0, 2)

    run(scenario)


def test_retry_after_is_the_exact_wait(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: Store) -> None:
        await ask(store, limit(10.0, rate=3.0))
        (refused,) = await ask(store, limit(5.0, rate=3.0), now=NOW + 1.0)

        wait = refused.retry_after
        early = granted(await ask(store, limit(5.0, rate=3.0), now=NOW + 1.0 + wait - 0.001))
        late = granted(await ask(store, limit(5.0, rate=3.0), now=NOW + 1.0 + wait))

        assert wait == pytest.approx(2.0 / 3.0)
        assert (early, late) == (False, True)

    run(scenario)


def test_a_refused_request_charges_no_limit(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: Store) -> None:
        roomy, full = limit(key="roomy:a", capacity=3.0), limit(key="full:a", capacity=1.0)
        await ask(store, full)

        answers = [await ask(store, roomy, flying(), full, limit(key="new:a")) for _ in range(20)]

        assert all([g.allowed for g in answer] == [True, True, False, True] for answer in answers)
        assert [g.remaining for g in answers[-1]] == [3.0, 2.0, 0.0, 10.0]
        (left,) = await ask(store, roomy)
        assert left.remaining == 2.0

    run(scenario)


def test_a_refused_request_does_not_postpone_the_next_one(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario(store: Store) -> None:
        await ask(store, limit(10.0))
        for tenth in range(9):
            assert not granted(await ask(store, limit(), now=NOW + tenth / 10))

        assert granted(await ask(store, limit(), now=NOW + 1.0))

    run(scenario)


def test_a_cost_above_the_capacity_fits_only_an_unused_bucket(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario(store: Store) -> None:
        (grant,) = await ask(store, limit(500.0))
        (refused,) = await ask(store, limit(500.0), now=NOW + 4.0)

        assert grant.allowed
        assert grant.remaining == 0.0
        assert not refused.allowed
        assert refused.retry_after == pytest.approx(6.0)

    run(scenario)


def test_settling_gives_back_what_was_not_used(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: Store) -> None:
        await store.reserve((limit(8.0),), id="one", now=NOW)
        await store.settle((limit(8.0),), (3.0,), id="one", now=NOW)

        (grant,) = await ask(store, limit())

        assert grant.remaining == 6.0

    run(scenario)


def test_settling_above_the_capacity_leaves_a_debt(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: Store) -> None:
        await store.reserve((limit(500.0),), id="one", now=NOW)
        await store.settle((limit(500.0),), (25.0,), id="one", now=NOW)

        (refused,) = await ask(store, limit())

        assert not refused.allowed
        assert refused.retry_after == pytest.approx(16.0)

    run(scenario)


def test_settling_twice_counts_once(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: Store) -> None:
        await ask(store, limit(4.0), flying(9.0))
        charges = (limit(6.0), flying(9.0))
        await store.reserve(charges, id="one", now=NOW)
        for _ in range(3):
            await store.settle(charges, (1.0, 0.0), id="one", now=NOW)

        used, flown = await ask(store, limit(), flying(9.0))

        assert (used.remaining, flown.remaining) == (4.0, 7.0)

    run(scenario)


def test_settling_what_was_never_reserved_changes_nothing(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario(store: Store) -> None:
        await ask(store, limit(4.0), flying())
        await ask(store, limit(9.0), flying())
        await store.settle((limit(9.0), flying()), (0.0, 0.0), id="nobody", now=NOW)

        used, flown = await ask(store, limit(), flying())

        assert (used.remaining, flown.remaining) == (5.0, 0.0)

    run(scenario)


def test_a_settled_zero_is_zero(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: Store) -> None:
        await store.reserve((limit(7.0),), id="one", now=NOW)
        await store.settle((limit(7.0),), (0.0,), id="one", now=NOW)

        (grant,) = await ask(store, limit(10.0))

        assert grant.allowed

    run(scenario)


def test_settling_late_never_gives_back_more_than_is_used(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario(store: Store) -> None:
        await store.reserve((limit(8.0),), id="one", now=NOW)
        await store.settle((limit(8.0),), (0.0,), id="one", now=NOW + 100.0)

        (grant,) = await ask(store, limit(), now=NOW + 100.0)

        assert grant.remaining == 9.0

    run(scenario)


def test_in_flight_is_bounded_and_released_whatever_was_used(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario(store: Store) -> None:
        for name in ("one", "two"):
            await store.reserve((flying(),), id=name, now=NOW)
        (refused,) = await ask(store, flying(), now=NOW + 1e6)
        await store.settle((flying(),), (5.0,), id="one", now=NOW)

        answers = [granted(await ask(store, flying())) for _ in range(2)]

        assert (refused.allowed, refused.remaining) == (False, 0.0)
        assert 0.0 < refused.retry_after < math.inf
        assert answers == [True, False]

    run(scenario)


def test_a_suspended_quota_admits_nothing_and_names_no_wait(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario(store: Store) -> None:
        nothing = limit(0.0, capacity=0.0, rate=0.0)
        (refused,) = await ask(store, nothing)
        (concurrent,) = await ask(store, flying(0.0))

        assert (refused.allowed, refused.retry_after) == (False, math.inf)
        assert not concurrent.allowed

    run(scenario)


def test_changing_the_quota_neither_resets_nor_scales_the_count(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario(store: Store) -> None:
        await ask(store, limit(5.0, capacity=100.0, rate=10.0))
        (smaller,) = await ask(store, limit(1.0, capacity=8.0, rate=0.8))
        (larger,) = await ask(store, limit(1.0, capacity=1000.0, rate=100.0))

        assert (smaller.remaining, larger.remaining) == (2.0, 993.0)

    run(scenario)


def test_a_clock_going_backwards_drains_nothing_and_forgives_nothing(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario(store: Store) -> None:
        await ask(store, limit(10.0))
        back = [granted(await ask(store, limit(), now=NOW - ago)) for ago in (1.0, 3600.0)]
        soon = granted(await ask(store, limit(), now=NOW + 0.5))

        assert (back, soon) == ([False, False], False)

    run(scenario)


def test_a_bucket_that_never_drains_names_no_wait(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: Store) -> None:
        (first,) = await ask(store, limit(10.0, rate=0.0))
        (second,) = await ask(store, limit(rate=0.0), now=NOW + 1e6)

        assert (first.allowed, first.reset) == (True, math.inf)
        assert (second.allowed, second.retry_after, second.reset) == (False, math.inf, math.inf)

    run(scenario)


def test_keys_do_not_share_a_bucket(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: Store) -> None:
        await ask(store, limit(10.0, key="requests:a"))

        assert granted(await ask(store, limit(10.0, key="requests:b")))

    run(scenario)


def test_no_charges_are_granted(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: Store) -> None:
        assert await ask(store) == ()

    run(scenario)
