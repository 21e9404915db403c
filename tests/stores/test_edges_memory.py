"""The store in memory at its borders: how many, since when, of whom."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from gateway_guard.stores.memory import MemoryStore, Overflow
from gateway_guard.types import Charge, Grant
from tests import build

NOW = build.NOW


def limit(key: str, cost: float = 1.0, capacity: float = 10.0, rate: float = 0.0) -> Charge:
    return build.charge(key=key, cost=cost, capacity=capacity, rate=rate)


def flying(capacity: float, key: str = "in-flight:a") -> Charge:
    return build.charge(key=key, unit="concurrent", capacity=capacity, rate=0.0)


def ask(store: MemoryStore, id: str, *charges: Charge, now: float = NOW) -> tuple[Grant, ...]:
    """Reserve, and settle at the estimate at once."""
    grants = store.reserve_now(charges, id=id, now=now)
    store.settle_now(charges, [charge.cost for charge in charges], id=id, now=now)
    return grants


def fits(store: MemoryStore, *charges: Charge, id: str = "probe", now: float = NOW) -> bool:
    return all(grant.allowed for grant in ask(store, id, *charges, now=now))


def test_every_request_that_lands_makes_room_for_one() -> None:
    store = MemoryStore()
    charges = (flying(5.0),)
    for number in range(5):
        (grant,) = store.reserve_now(charges, id=str(number), now=NOW)
        assert (grant.allowed, grant.remaining, grant.reset) == (True, 4.0 - number, 0.0)
    assert not fits(store, *charges)

    left = []
    for number in range(5):
        store.settle_now(charges, (0.0,), id=str(number), now=NOW)
        (grant,) = ask(store, f"after {number}", *charges)
        left.append(grant.remaining)

    assert left == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert store.in_flight == 0


def test_a_place_taken_beside_a_limit_without_room_is_free_again() -> None:
    store = MemoryStore()
    empty = limit("requests:a", 1.0, capacity=0.0)

    for number in range(3):
        grants = store.reserve_now((flying(1.0), empty), id=str(number), now=NOW)
        assert [grant.allowed for grant in grants] == [True, False]
    assert not store.holds("0")

    assert fits(store, flying(1.0))


def test_a_suspended_quota_has_no_place_for_anybody() -> None:
    store = MemoryStore()

    assert not fits(store, flying(0.0))
    assert not fits(store, limit("requests:a", cost=0.0, capacity=0.0))
    assert fits(store, limit("requests:a", cost=0.0, capacity=1.0))


@pytest.mark.parametrize("before", [0.0, 4.0])
def test_the_brim_is_the_capacity(before: float) -> None:
    store = MemoryStore()
    if before:
        assert fits(store, limit("requests:a", before), id="before")

    (grant,) = ask(store, "rest", limit("requests:a", 10.0 - before))
    assert (grant.allowed, grant.remaining, grant.reset) == (True, 0.0, math.inf)
    assert not fits(store, limit("requests:a", 0.001))


def test_a_bucket_drains_at_its_rate_from_when_it_was_last_filled() -> None:
    store = MemoryStore()
    ask(store, "one", limit("requests:a", 8.0, rate=2.0))

    (grant,) = ask(store, "two", limit("requests:a", 1.0, rate=2.0), now=NOW + 3.0)
    assert (grant.remaining, grant.reset) == (7.0, 1.5)
    (grant,) = ask(store, "three", limit("requests:a", 2.0, rate=2.0), now=NOW + 3.0)
    assert (grant.remaining, grant.reset) == (5.0, 2.5)
    # A clock that goes back drains nothing, and time is not counted twice when it comes again.
    (grant,) = ask(store, "four", limit("requests:a", 1.0, rate=2.0), now=NOW)
    assert grant.remaining == 4.0
    (grant,) = ask(store, "five", limit("requests:a", 1.0, rate=2.0), now=NOW + 4.0)
    assert grant.remaining == 5.0
    (grant,) = ask(store, "six", limit("requests:a", 0.0, rate=2.0), now=NOW + 400.0)
    assert (grant.remaining, grant.reset) == (10.0, 0.0)


def test_a_refusal_says_what_each_limit_has_left_and_how_long_it_takes() -> None:
    store = MemoryStore()
    ask(store, "one", limit("requests:a", 9.0, rate=0.5), limit("tokens:a", 2.0, rate=1.0))

    refused = store.reserve_now(
        (limit("requests:a", 3.0, rate=0.5), limit("tokens:a", 1.0, rate=1.0), flying(2.0)),
        id="two",
        now=NOW + 1.0,
    )

    assert [grant.allowed for grant in refused] == [False, True, True]
    assert [grant.remaining for grant in refused] == [1.5, 9.0, 2.0]
    assert refused[0].retry_after == pytest.approx(3.0)
    assert [grant.retry_after for grant in refused[1:]] == [0.0, 0.0]
    assert [grant.reset for grant in refused] == [17.0, 1.0, 0.0]
    # Nothing was taken of any.
    (grant,) = ask(store, "three", limit("tokens:a", 0.0, rate=1.0), now=NOW + 1.0)
    assert grant.remaining == 9.0


def settled(store: MemoryStore, estimate: float, actual: float, after: float) -> float:
    """What is left of 10 when something estimated at `estimate` cost `actual`, so much later."""
    charges = (limit("requests:a", estimate, rate=1.0),)
    store.reserve_now(charges, id="one", now=NOW)
    store.settle_now(charges, (actual,), id="one", now=NOW + after)
    (grant,) = ask(store, "probe", limit("requests:a", 0.0, rate=1.0), now=NOW + after)
    return grant.remaining


@pytest.mark.parametrize(
    ("estimate", "actual", "after", "left"),
    [
        (4.0, 4.0, 0.0, 6.0),
        (4.0, 1.0, 0.0, 9.0),
        (4.0, 6.0, 0.0, 4.0),
        (4.0, 1.0, 2.0, 10.0),
        (4.0, 3.0, 2.0, 9.0),
        (4.0, 6.0, 2.0, 6.0),
        # Drained away before it turned out to have cost more: only the difference counts.
        (4.0, 6.0, 100.0, 8.0),
        # What could never fit is taken for all there is.
        (50.0, 50.0, 0.0, 0.0),
        (50.0, 12.0, 0.0, 0.0),
        (50.0, 3.0, 0.0, 7.0),
        # The clock went back meanwhile.
        (4.0, 1.0, -50.0, 9.0),
        (4.0, 1.0, -0.5, 9.0),
        # What is given back is no credit.
        (4.0, 1.0, 1.5, 10.0),
    ],
)
def test_settling_makes_up_the_difference(
    estimate: float, actual: float, after: float, left: float
) -> None:
    assert settled(MemoryStore(), estimate, actual, after) == pytest.approx(left)


def test_a_lease_ends_the_moment_it_is_over_and_is_looked_for_sixty_times_while_it_lasts() -> None:
    def lost(later: Sequence[float]) -> int:
        store = MemoryStore(lease=60.0)
        store.reserve_now((flying(9.0),), id="lost", now=NOW)
        for number, seconds in enumerate(later):
            ask(store, str(number), limit("requests:b"), now=NOW + seconds)
        return store.expired

    assert lost([59.9]) == 0
    assert lost([60.0]) == 1
    # Just looked: the next time is a second later.
    assert lost([59.9, 60.8]) == 0
    assert lost([59.9, 60.89]) == 0
    assert lost([59.9, 60.9]) == 1


def test_those_that_are_older_than_the_lease_expire_and_the_younger_ones_do_not() -> None:
    store = MemoryStore(lease=60.0)
    for number in range(4):
        store.reserve_now((flying(9.0),), id=str(number), now=NOW + 20.0 * number)

    ask(store, "probe", limit("requests:b"), now=NOW + 85.0)

    assert [store.holds(str(number)) for number in range(4)] == [False, False, True, True]
    assert store.expired == 2


def test_so_many_reservations_are_kept_and_then_the_oldest_goes() -> None:
    store = MemoryStore(max_reservations=3)

    for number in range(3):
        store.reserve_now((flying(9.0),), id=str(number), now=NOW)
    assert (store.in_flight, store.expired) == (3, 0)
    store.reserve_now((flying(9.0),), id="3", now=NOW)

    assert (store.in_flight, store.expired) == (3, 1)
    assert not store.holds("0")
    assert store.sizes == {"limit_keys": (0, 400_000), "reservations": (3, 3)}


def test_unless_told_otherwise_a_reservation_may_take_a_day() -> None:
    store = MemoryStore()

    assert (store.max_keys, store.max_reservations, store.lease) == (400_000, 200_000, 86_400.0)


def test_an_answer_read_for_hours_keeps_its_place_and_costs_all_of_it() -> None:
    store = MemoryStore()
    charges = (flying(1.0), limit("tokens:a", 1_000.0, 60_000.0))
    store.reserve_now(charges, id="slow", now=NOW)

    beside = fits(store, flying(1.0), now=NOW + 8 * 3600.0)
    store.settle_now(charges, (0.0, 60_000.0), id="slow", now=NOW + 8 * 3600.0)
    after = fits(store, limit("tokens:a", 1_000.0, 60_000.0), now=NOW + 8 * 3600.0)

    assert not beside
    assert not after
    assert store.in_flight == 0


@pytest.mark.parametrize(
    "sizes", [{"max_keys": 1}, {"max_reservations": 1}, {"overflow_cells": 1}, {"lease": 0.001}]
)
def test_the_least_that_makes_sense_does(sizes: dict[str, float]) -> None:
    assert fits(MemoryStore(**sizes), limit("requests:a"))  # type: ignore[arg-type]


def test_so_many_keys_are_kept_and_one_that_owes_nothing_makes_room_for_the_next() -> None:
    store = MemoryStore(max_keys=3, seed=1)
    for name in "abc":
        ask(store, name, limit(f"requests:{name}", 5.0, rate=1.0))
    assert (len(store), store.evictions) == (3, 0)

    ask(store, "d", limit("requests:d", 5.0, rate=1.0), now=NOW + 10.0)

    assert (len(store), store.evictions) == (3, 0)


def test_the_one_that_owes_least_of_its_capacity_makes_room_and_its_debt_is_remembered() -> None:
    store = MemoryStore(max_keys=2, seed=1)
    ask(store, "a", limit("requests:a", 60.0, capacity=100.0))
    ask(store, "b", limit("requests:b", 7.0, capacity=10.0))

    ask(store, "c", limit("requests:c", 9.0))

    assert store.evictions == 1
    # `b` is still where it was, `a` is found by what it owed.
    (b,) = store.reserve_now((limit("requests:b", 0.0),), id="b?", now=NOW)
    (a,) = store.reserve_now((limit("requests:a", 0.0, capacity=100.0),), id="a?", now=NOW)
    assert (b.remaining, a.remaining) == (3.0, 40.0)


def test_a_cell_keeps_the_larger_debt_the_slower_rate_and_the_later_moment() -> None:
    cell = Overflow(cells=1, seed=7)
    cell.fold("a", 5.0, 1.0, NOW)
    cell.fold("b", 9.0, 3.0, NOW + 2.0)

    assert cell.owed("c", 9.0, NOW + 2.0) == 9.0
    assert cell.owed("c", 9.0, NOW + 5.0) == 6.0
    assert cell.owed("c", 0.5, NOW + 4.0) == 8.0
    assert cell.owed("c", 9.0, NOW) == 9.0
    assert cell.owed("c", 9.0, NOW + 12.0) == 0.0
    # What has drained away slows nobody down, and a clock that went back makes nothing younger.
    cell.fold("d", 4.0, 7.0, NOW + 12.0)
    assert cell.owed("c", 9.0, NOW + 12.5) == 0.5
    cell.fold("e", 1.0, 7.0, NOW + 3.0)
    assert cell.owed("c", 9.0, NOW + 12.0) == 4.0


def test_a_cell_nobody_used_owes_nothing() -> None:
    assert Overflow(cells=4, seed=7).owed("a", 1.0, NOW) == 0.0


@pytest.mark.parametrize(
    ("actual", "left"), [(4.0, 7.0), (6.0, 5.0), (2.0, 9.0), (1.5, 9.5), (0.0, 10.0)]
)
def test_what_was_settled_after_its_key_was_evicted_is_its_debt_and_the_difference(
    actual: float, left: float
) -> None:
    store = MemoryStore(max_keys=1, seed=1)
    charges = (limit("requests:a", 4.0, rate=1.0),)
    store.reserve_now(charges, id="one", now=NOW)
    ask(store, "two", limit("requests:b", 9.0))

    store.settle_now(charges, (actual,), id="one", now=NOW + 1.0)

    (grant,) = store.reserve_now((limit("requests:a", 0.0, rate=1.0),), id="x", now=NOW + 1.0)
    assert grant.remaining == left


def test_every_charge_of_a_reservation_is_settled_whatever_stands_before_it() -> None:
    store = MemoryStore()
    charges = (
        flying(9.0), limit("requests:a", 5.0), flying(9.0, "in-flight:b"), limit("requests:b", 5.0),
        limit("requests:c", 5.0),
    )  # fmt: skip
    store.reserve_now(charges, id="one", now=NOW)

    store.settle_now(charges, (0.0, 2.0, 0.0, 5.0, 1.0), id="one", now=NOW)

    asked = tuple(flying(9.0, f"in-flight:{name}") for name in "ab") + tuple(
        limit(f"requests:{name}", 0.0) for name in "abc"
    )
    grants = store.reserve_now(asked, id="two", now=NOW)
    assert [grant.remaining for grant in grants] == [8.0, 8.0, 8.0, 5.0, 9.0]


def test_as_many_costs_are_settled_as_there_were_charges() -> None:
    store = MemoryStore()
    store.reserve_now((limit("requests:a"), limit("requests:b")), id="one", now=NOW)

    with pytest.raises(ValueError, match="zip"):
        store.settle_now((limit("requests:a"), limit("requests:b")), (1.0,), id="one", now=NOW)


def test_of_eight_drawn_at_random_the_one_that_owes_least_makes_room() -> None:
    class Drawn:
        """Every bucket in turn."""

        def __init__(self) -> None:
            self.count = 0

        def random(self) -> float:
            self.count += 1
            return (self.count - 1) / 10 + 0.01

    store = MemoryStore(max_keys=10)
    for number in range(10):
        ask(store, str(number), limit(f"requests:{number}", 10.0 - number))
    drawn = Drawn()
    store._random = drawn  # type: ignore[assignment]

    ask(store, "new", limit("requests:new"))

    # The eighth owes 3 of 10; the ninth and the tenth owe less.
    kept = {bucket.key for bucket in store._buckets}
    assert kept == {f"requests:{number}" for number in range(10) if number != 7} | {"requests:new"}
    assert drawn.count == 8


def test_a_key_with_nothing_in_flight_is_forgotten() -> None:
    store = MemoryStore()
    for number in range(3):
        ask(store, str(number), flying(1.0, f"in-flight:{number}"))

    assert store._flying == {}


def test_a_bucket_that_has_drained_nearly_is_not_taken_for_empty() -> None:
    store = MemoryStore()
    ask(store, "one", limit("requests:a", 3.5, rate=1.0))

    (grant,) = ask(store, "two", limit("requests:a", 1.0, rate=1.0), now=NOW + 3.0)

    assert grant.remaining == 8.5


def test_what_was_granted_need_not_come_back() -> None:
    store = MemoryStore()
    charges = (limit("requests:a", 4.0, rate=1.0), flying(2.0), limit("tokens:a", 0.0))

    for number in range(2):
        grants = store.reserve_now(charges, id=str(number), now=NOW)
        assert [(grant.allowed, grant.retry_after) for grant in grants] == [(True, 0.0)] * 3
        # Of a limit that regains nothing, nothing is used so far.
        assert [grant.reset for grant in grants] == [4.0 * (number + 1), 0.0, 0.0]


@pytest.mark.parametrize("capacity", [0.5, 1.0, 2.0])
def test_a_key_met_before_has_room_to_the_brim_too(capacity: float) -> None:
    store = MemoryStore()
    ask(store, "one", limit("requests:a", 0.0, capacity=capacity))

    assert fits(store, limit("requests:a", capacity, capacity=capacity))
    assert not fits(store, limit("requests:a", 0.25, capacity=capacity))


def owing(store: MemoryStore, owed: float, rate: float, id: str) -> None:
    """Let `requests:a` owe that much."""
    charges = (limit("requests:a", 1.0, rate=rate),)
    store.reserve_now(charges, id=id, now=NOW)
    store.settle_now(charges, (owed,), id=id, now=NOW)


@pytest.mark.parametrize("rate", [0.0, 1.0, 1000.0])
@pytest.mark.parametrize("evicted", [False, True])
def test_a_millionth_of_a_second_and_what_rounding_leaves_over_are_forgiven(
    rate: float, evicted: bool
) -> None:
    def room(over: float) -> bool:
        store = MemoryStore(max_keys=1, seed=1)
        owing(store, over, rate, "before")
        if evicted:
            ask(store, "other", limit("requests:b", 5.0))
        (grant,) = ask(store, "probe", limit("requests:a", 10.0, rate=rate))
        assert grant.remaining == 0.0 or not grant.allowed
        return grant.allowed

    brim = 10.0 + 1e-9 + rate * 1e-6 - 10.0
    assert room(brim)
    assert room(1e-9)
    assert not room(brim + 1e-8)


@pytest.mark.parametrize(
    ("later", "owed"), [(0.0, 9.0), (3.0, 3.0), (4.25, 0.5), (4.5, 0.0), (9.0, 0.0), (-0.5, 9.0)]
)
def test_what_an_evicted_key_owed_had_drained_until_then(later: float, owed: float) -> None:
    store = MemoryStore(max_keys=1, seed=1)
    ask(store, "a", limit("requests:a", 9.0, rate=2.0))

    ask(store, "b", limit("requests:b", 5.0), now=NOW + later)

    assert store.evictions == (1 if owed else 0)
    (grant,) = store.reserve_now((limit("requests:a", 0.0),), id="a?", now=NOW + later)
    assert grant.remaining == 10.0 - owed


def test_a_newcomer_in_a_place_that_was_somebody_s_begins_with_its_own() -> None:
    store = MemoryStore(max_keys=1, seed=1)
    ask(store, "a", limit("requests:a", 60.0, capacity=100.0, rate=7.0))

    ask(store, "b", limit("tokens:b", 4.0, capacity=5.0, rate=1.0), now=NOW + 2.0)
    (bucket,) = store._buckets

    assert (bucket.key, bucket.used, bucket.at) == ("tokens:b", 4.0, NOW + 2.0)
    assert (bucket.rate, bucket.capacity) == (1.0, 5.0)
    # Each limit remembers by itself: those of another owe nothing.
    (grant,) = ask(store, "c", limit("other:a", 0.0), now=NOW + 2.0)
    assert grant.remaining == 10.0


@pytest.mark.parametrize("back", [0.25, 0.5, 1.0, 30.0])
def test_a_clock_that_went_back_drains_nothing_and_moves_nothing(back: float) -> None:
    store = MemoryStore()
    ask(store, "one", limit("requests:a", 4.0, rate=1.0))

    (grant,) = ask(store, "two", limit("requests:a", 1.0, rate=1.0), now=NOW - back)
    assert grant.remaining == 5.0
    refused = store.reserve_now(
        (limit("requests:a", 9.0, rate=1.0), limit("requests:b")), id="three", now=NOW - back
    )
    assert [grant.remaining for grant in refused] == [5.0, 10.0]
    (grant,) = ask(store, "four", limit("requests:a", 0.0, rate=1.0), now=NOW + 2.0)

    assert grant.remaining == 7.0


@pytest.mark.parametrize("owed", [0.25, 0.5, 1.0, 2.5])
def test_a_refusal_beside_a_limit_nearly_untouched_says_what_it_has_left(owed: float) -> None:
    store = MemoryStore()
    ask(store, "one", limit("requests:a", owed))

    refused = store.reserve_now(
        (limit("requests:a", 0.0), limit("requests:b", 1.0, capacity=0.0)), id="two", now=NOW
    )

    assert [(grant.allowed, grant.remaining) for grant in refused] == [
        (True, 10.0 - owed), (False, 0.0),
    ]  # fmt: skip
    assert refused[1].retry_after == math.inf


def test_a_quota_suspended_meanwhile_has_no_place_for_a_key_met_before() -> None:
    store = MemoryStore()
    ask(store, "one", limit("requests:a", 0.0))

    assert not fits(store, limit("requests:a", 0.0, capacity=0.0))
    assert fits(store, limit("requests:a", 0.0))


@pytest.mark.parametrize("lease", [0.0, -1.0, -3600.0, math.nan])
def test_a_lease_takes_time(lease: float) -> None:
    with pytest.raises(ValueError, match="lease"):
        MemoryStore(lease=lease)


@pytest.mark.parametrize("sizes", ["max_keys", "max_reservations", "overflow_cells"])
def test_a_table_has_room_for_one(sizes: str) -> None:
    for size in (0, -1):
        with pytest.raises(ValueError, match="sizes"):
            MemoryStore(**{sizes: size})


def test_what_stands_behind_an_evicted_key_is_settled_too() -> None:
    store = MemoryStore(max_keys=1, seed=1)
    charges = (limit("requests:a", 4.0), flying(1.0))
    store.reserve_now(charges, id="one", now=NOW)
    ask(store, "two", limit("requests:b", 9.0))
    assert not fits(store, flying(1.0))

    store.settle_now(charges, (5.0, 0.0), id="one", now=NOW)

    assert fits(store, flying(1.0))
