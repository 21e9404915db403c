"""What has still to be told: bounded, drained by time, and never told twice as much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.stores.arrears import Arrears, Settlement
from gateway_guard.stores.local import LocalStore, portion
from gateway_guard.types import Charge
from tests import build

NOW = build.NOW
TOKENS = build.charge(
    limit="tokens", key="tokens:a", unit="tokens", cost=100.0, capacity=1_000.0, rate=10.0,
    quota=600.0,
)  # fmt: skip
FLYING = build.charge(
    limit="in-flight", key="in-flight:a", unit="concurrent", capacity=8.0, rate=0.0, quota=8.0,
    window=0.0,
)  # fmt: skip


def test_what_was_used_drains_at_the_workers_share_of_the_rate() -> None:
    arrears = Arrears(share=0.5)
    arrears.use(TOKENS, 300.0, NOW)

    ((charge, used),) = arrears.next_debts(10, NOW + 20.0)

    assert used == pytest.approx(300.0 - 20.0 * 10.0 * 0.5)
    assert (charge.key, charge.cost, charge.capacity) == ("tokens:a", 0.0, 1_000.0)
    assert not arrears


def test_an_hour_of_use_at_the_share_owes_no_more_than_a_bucket() -> None:
    arrears = Arrears(share=0.25)
    local = LocalStore(arrears)
    for second in range(3_600):
        now = NOW + second
        grants = local.reserve_now([TOKENS], id=f"r{second}", now=now)
        if grants[0].allowed:
            local.settle_now([TOKENS], [100.0], id=f"r{second}", now=now)

    ((_, used),) = arrears.next_debts(10, NOW + 3_600)

    assert used <= TOKENS.capacity * 0.25


def test_what_has_drained_away_is_forgotten() -> None:
    arrears = Arrears()
    arrears.use(TOKENS, 10.0, NOW)

    assert arrears.next_debts(10, NOW + 3_600.0) == []
    assert not arrears


def test_requests_in_flight_and_free_ones_leave_nothing_behind() -> None:
    arrears = Arrears()

    arrears.use(FLYING, 1.0, NOW)
    arrears.use(TOKENS, 0.0, NOW)

    assert not arrears


def test_a_settlement_is_kept_once_and_the_oldest_goes_first() -> None:
    arrears = Arrears()
    first = Settlement("r1", (TOKENS,), (5.0,))
    for settlement in (first, Settlement("r2", (TOKENS,), (6.0,)), first._replace(actual=(9.0,))):
        arrears.owe(settlement)

    order = [arrears.next_settlement() for _ in range(3)]

    assert [entry and (entry.id, entry.actual) for entry in order] == [
        ("r1", (5.0,)), ("r2", (6.0,)), None,
    ]  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=120))
def test_it_never_grows_beyond_its_bounds_and_counts_what_it_drops(
    entries: list[tuple[int, bool]],
) -> None:
    arrears = Arrears(most_settlements=5, most_debts=7)
    settlements, debts = set(), set()
    for number, settles in entries:
        if settles:
            arrears.owe(Settlement(f"r{number}", (), ()))
            settlements.add(number)
        else:
            arrears.use(build.charge(key=f"requests:{number}", rate=0.0), 1.0, NOW)
            debts.add(number)

        assert arrears.settlements <= 5
        assert arrears.debts <= 7

    assert (arrears.dropped == 0) == (len(settlements) <= 5 and len(debts) <= 7)


@pytest.mark.parametrize(
    ("charge", "share", "capacity"),
    [
        (build.charge(capacity=60.0), 0.25, 15.0),
        (build.charge(capacity=3.0), 0.1, 1.0),
        (FLYING, 0.25, 2.0),
        (FLYING, 0.01, 1.0),
        (TOKENS, 0.1, 100.0),
        (build.charge(capacity=0.0), 0.5, 0.0),
    ],
)
def test_a_share_of_a_quota_keeps_one_indivisible_unit(
    charge: Charge, share: float, capacity: float
) -> None:
    part = portion(charge, share)

    assert part.capacity == pytest.approx(capacity)
    if charge.capacity:
        assert part.rate == pytest.approx(charge.rate * share)
        assert part.quota == pytest.approx(charge.quota * share)


def test_all_workers_together_admit_the_limit_and_not_more() -> None:
    workers = [LocalStore(Arrears(share=0.25)) for _ in range(4)]
    charge = build.charge(capacity=60.0)

    granted = sum(
        worker.reserve_now([charge], id=f"r{number}", now=NOW)[0].allowed
        for worker in workers
        for number in range(60)
    )

    assert granted == 60


def test_only_what_was_reserved_here_is_settled_here_and_once() -> None:
    arrears = Arrears()
    local = LocalStore(arrears)
    local.reserve_now([TOKENS, FLYING], id="r1", now=NOW)

    told = [
        local.settle_now([TOKENS, FLYING], [40.0, 0.0], id=name, now=NOW)
        for name in ("r0", "r1", "r1")
    ]

    assert told == [False, True, False]
    ((charge, owed),) = arrears.next_debts(10, NOW)
    assert (charge.key, owed) == ("tokens:a", 40.0)
