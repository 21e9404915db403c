"""What a leaky bucket guarantees over any history."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.buckets import Bucket, fits, reset_after, taken, wait
from gateway_guard.core.limits import Oracle
from gateway_guard.types import Charge
from tests import build

NOW = build.NOW

_costs = st.floats(0.0, 40.0)
_pauses = st.floats(0.0, 30.0)
_visits = st.lists(st.tuples(_pauses, _costs), max_size=60)


def charge(cost: float, share: float = 1.0) -> Charge:
    return build.charge(cost=cost, capacity=20.0 * share, rate=2.0 * share)


@given(_visits)
def test_no_history_uses_more_than_burst_and_rate_allow(visits: list[tuple[float, float]]) -> None:
    oracle = Oracle()
    now, used = NOW, 0.0
    for number, (pause, cost) in enumerate(visits):
        now += pause
        asked = charge(cost)
        (grant,) = oracle.reserve((asked,), id=str(number), now=now)
        if grant.allowed:
            used += taken(asked)

            assert used <= 20.0 + 2.0 * (now - NOW) + 1e-3


@given(_visits, st.lists(st.sampled_from([0.05, 0.25, 1.0]), min_size=1, max_size=8))
def test_quotas_that_come_and_go_never_admit_more_than_the_largest(
    visits: list[tuple[float, float]], shares: list[float]
) -> None:
    oracle = Oracle()
    now, used = NOW, 0.0
    for number, (pause, cost) in enumerate(visits):
        now += pause
        asked = charge(cost, shares[number % len(shares)])
        (grant,) = oracle.reserve((asked,), id=str(number), now=now)
        if grant.allowed:
            used += taken(asked)

            assert used <= 20.0 + 2.0 * (now - NOW) + 1e-3


@given(_visits, st.lists(st.floats(0.0, 80.0), min_size=60, max_size=60))
def test_what_is_really_used_stays_within_burst_rate_and_one_overrun(
    visits: list[tuple[float, float]], actual: list[float]
) -> None:
    oracle = Oracle()
    now, used = NOW, 0.0
    for number, (pause, cost) in enumerate(visits):
        now += pause
        asked = charge(cost)
        (grant,) = oracle.reserve((asked,), id=str(number), now=now)
        if grant.allowed:
            oracle.settle((asked,), (actual[number],), id=str(number), now=now)
            used += actual[number]

            assert used <= 20.0 + 2.0 * (now - NOW) + 80.0 + 1e-3


@given(st.floats(0.0, 100.0), _costs, st.floats(0.001, 20.0))
def test_after_the_wait_a_charge_fits_and_not_before(
    level: float, cost: float, early: float
) -> None:
    asked = charge(cost)
    seconds = wait(level, asked)

    after = Bucket(used=level, at=NOW).level(asked.rate, NOW + seconds)

    assert fits(after, asked)
    if seconds > early:
        before = Bucket(used=level, at=NOW).level(asked.rate, NOW + seconds - early)
        assert not fits(before, asked)


@given(st.floats(0.0, 100.0))
def test_after_the_reset_nothing_is_used(level: float) -> None:
    asked = charge(1.0)

    left = Bucket(used=level, at=NOW).level(asked.rate, NOW + reset_after(level, asked))

    assert left <= 1e-5


@given(st.floats(0.0, 100.0), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_level_never_rises_by_waiting_nor_falls_by_turning_back(
    used: float, one: float, other: float
) -> None:
    bucket = Bucket(used=used, at=NOW)
    first, second = sorted((one, other))

    assert 0.0 <= bucket.level(2.0, NOW + second) <= bucket.level(2.0, NOW + first) <= used
