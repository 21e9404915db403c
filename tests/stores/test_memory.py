"""What the memory store promises beyond the contract: bounds, eviction, leases."""

from __future__ import annotations

import asyncio
import sys
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest

from gateway_guard.stores.memory import MemoryStore, Overflow
from gateway_guard.types import Charge, Grant
from tests import build

NOW = build.NOW


def limit(key: str, cost: float = 1.0, capacity: float = 10.0, rate: float = 0.1) -> Charge:
    return build.charge(key=key, cost=cost, capacity=capacity, rate=rate)


def flying(key: str = "in-flight:a", capacity: float = 1.0) -> Charge:
    return build.charge(
        limit="in-flight", key=key, unit="concurrent", capacity=capacity, rate=0.0, window=0.0
    )


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario()

    asyncio.run(main())


async def ask(store: MemoryStore, *charges: Charge, id: str, now: float = NOW) -> Grant:
    """Reserve and settle at the estimate, as a request that took no time; the first grant."""
    grants = await store.reserve(charges, id=id, now=now)
    await store.settle(charges, [charge.cost for charge in charges], id=id, now=now)
    return grants[0]


@pytest.mark.untraced
def test_an_offender_stays_refused_through_a_flood_of_other_keys() -> None:
    async def scenario() -> None:
        store = MemoryStore(max_keys=2_000)
        offender = limit("requests:offender", 10.0, rate=0.001)
        await ask(store, offender, id="offender")

        answers = []
        for i in range(50_000):
            await ask(store, limit(f"requests:{i}", rate=0.001), id=f"r{i}")
            if i % 5_000 == 0:
                answers.append((await ask(store, offender, id=f"o{i}")).allowed)

        assert not any(answers)
        assert len(store) == 2_000
        assert store.evictions > 40_000

    run(scenario)


def test_many_offenders_at_once_are_all_remembered() -> None:
    async def scenario() -> None:
        store = MemoryStore(max_keys=64)
        for i in range(1_000):
            await ask(store, limit(f"requests:{i}", 10.0, rate=0.001), id=f"r{i}")

        answers = [
            await ask(store, limit(f"requests:{i}", 10.0, rate=0.001), id=f"s{i}")
            for i in range(1_000)
        ]

        assert not any(answer.allowed for answer in answers)

    run(scenario)


def test_what_was_evicted_drains_like_everything_else() -> None:
    async def scenario() -> None:
        store = MemoryStore(max_keys=1)
        await ask(store, limit("requests:a", 10.0), id="a")
        await ask(store, limit("requests:b", 10.0), id="b")

        soon = await ask(store, limit("requests:a"), id="c", now=NOW + 9.0)
        later = await ask(store, limit("requests:a"), id="d", now=NOW + 10.1)

        assert (soon.allowed, later.allowed) == (False, True)

    run(scenario)


def test_drained_buckets_go_first_and_leave_no_trace() -> None:
    async def scenario() -> None:
        store = MemoryStore(max_keys=100, seed=1)
        for i in range(100):
            await ask(store, limit(f"requests:old{i}"), id=f"o{i}")

        for i in range(30):
            await ask(store, limit(f"requests:{i}"), id=f"r{i}", now=NOW + 3600.0)

        assert store.evictions == 0
        assert len(store) == 100

    run(scenario)


def test_debts_of_one_limit_are_not_charged_to_another() -> None:
    async def scenario() -> None:
        store = MemoryStore(max_keys=1, overflow_cells=1)
        await ask(store, limit("tokens:a", 9_000.0, 10_000.0), id="a")
        await ask(store, limit("requests:b"), id="b")

        third = await ask(store, limit("requests:c"), id="c")

        assert third.allowed
        assert third.remaining == 9.0

    run(scenario)


def test_a_key_that_shares_a_cell_owes_the_larger_debt_only() -> None:
    cell = Overflow(cells=1, seed=7)
    cell.fold("requests:a", 5.0, 1.0, NOW)
    cell.fold("requests:b", 2.0, 1.0, NOW)

    assert cell.owed("requests:c", 1.0, NOW + 1.0) == pytest.approx(4.0)


def test_a_debt_drains_at_the_slowest_rate_of_its_cell() -> None:
    cell = Overflow(cells=1, seed=7)
    cell.fold("requests:a", 5.0, 0.5, NOW)
    cell.fold("requests:b", 2.0, 4.0, NOW)

    assert cell.owed("requests:a", 4.0, NOW + 2.0) == pytest.approx(4.0)


def test_a_key_evicted_before_it_is_settled_keeps_its_debt() -> None:
    async def scenario() -> None:
        store = MemoryStore(max_keys=1)
        big = limit("requests:a", 8.0)
        await store.reserve((big,), id="one", now=NOW)
        await ask(store, limit("requests:b", 9.0), id="two")

        await store.settle((big,), (30.0,), id="one", now=NOW)

        assert not (await ask(store, limit("requests:a"), id="three", now=NOW + 100.0)).allowed

    run(scenario)


def test_a_store_smaller_than_one_request_still_counts() -> None:
    async def scenario() -> None:
        store = MemoryStore(max_keys=1)
        charges = tuple(limit(f"{name}:a", capacity=3.0, rate=0.001) for name in "wxyz")

        answers = []
        for i in range(5):
            grants = await store.reserve(charges, id=f"r{i}", now=NOW)
            answers.append(all(grant.allowed for grant in grants))

        assert answers == [True, True, True, False, False]
        assert len(store) == 1

    run(scenario)


def test_places_in_flight_are_never_evicted() -> None:
    async def scenario() -> None:
        store = MemoryStore(max_keys=50)
        await store.reserve((flying(),), id="long", now=NOW)
        for i in range(1_000):
            await ask(store, limit(f"requests:{i}"), flying(f"in-flight:{i}"), id=f"r{i}")

        grant = await ask(store, flying(), id="next")

        assert not grant.allowed
        assert store.in_flight == 1

    run(scenario)


def test_a_reservation_nobody_settled_counts_at_its_estimate_after_the_lease() -> None:
    async def scenario() -> None:
        store = MemoryStore(lease=60.0)
        charges = (flying(), limit("requests:a", 10.0, rate=0.01))
        await store.reserve(charges, id="lost", now=NOW)
        before = (await ask(store, flying(), id="r1", now=NOW + 59.0)).allowed
        after = (await ask(store, flying(), id="r2", now=NOW + 62.0)).allowed

        await store.settle(charges, (0.0, 0.0), id="lost", now=NOW + 63.0)
        bucket = await ask(store, limit("requests:a", rate=0.01), id="r3", now=NOW + 63.0)

        assert (before, after) == (False, True)
        assert not bucket.allowed
        assert store.expired == 1

    run(scenario)


def test_reservations_in_flight_are_bounded() -> None:
    async def scenario() -> None:
        store = MemoryStore(max_reservations=10)
        for i in range(100):
            await store.reserve((flying(capacity=1000.0),), id=f"r{i}", now=NOW)

        assert store.in_flight == 10
        assert store.expired == 90

    run(scenario)


@pytest.mark.untraced
def test_a_flood_of_keys_does_not_grow_a_full_store() -> None:
    async def scenario() -> None:
        store = MemoryStore(max_keys=2_000)
        for i in range(4_000):
            await ask(store, limit(f"requests:{i}"), id=f"r{i}")
        tracemalloc.start()
        for i in range(4_000, 12_000):
            await ask(store, limit(f"requests:{i}"), id=f"r{i}")
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        # 8,000 further keys at 300 bytes would be 2.4 MB; replaced key strings are what is seen.
        assert grown < 600_000

    run(scenario)


def test_the_same_key_twice_in_one_request_is_not_let_through_above_its_capacity() -> None:
    async def scenario() -> None:
        store = MemoryStore()
        await ask(store, limit("requests:a", 4.0), id="one")

        grants = await store.reserve(
            (limit("requests:a", 4.0), limit("requests:a", 4.0)), id="two", now=NOW
        )

        assert not all(grant.allowed for grant in grants)
        left = await ask(store, limit("requests:a"), id="three")
        assert left.remaining == pytest.approx(5.0)

    run(scenario)


def test_a_new_key_twice_in_one_request_takes_one_slot() -> None:
    async def scenario() -> None:
        store = MemoryStore()

        await ask(store, limit("requests:a"), limit("requests:a"), id="one")

        assert len(store) == 1

    run(scenario)


def test_a_key_of_lone_surrogates_is_a_key() -> None:
    async def scenario() -> None:
        store = MemoryStore(max_keys=1)
        for i in range(3):
            assert (await ask(store, limit("model:\ud800" * 2 + str(i)), id=f"r{i}")).allowed

    run(scenario)


@pytest.mark.parametrize(
    "wrong", [{"max_keys": 0}, {"max_reservations": 0}, {"lease": 0}, {"overflow_cells": 0}]
)
def test_sizes_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="positive"):
        MemoryStore(**wrong)


@pytest.mark.untraced
def test_a_bucket_takes_at_most_three_hundred_bytes() -> None:
    async def scenario() -> None:
        names = [f"tokens:acct_{i:026d}" for i in range(50_000)]
        store = MemoryStore()
        tracemalloc.start()
        for name in names:
            await ask(store, limit(name), id="r")
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        # The keys themselves were made before; a guard makes them for the store alone.
        assert size / len(names) + sys.getsizeof(names[0]) <= 300

    run(scenario)
