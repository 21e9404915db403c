"""What is remembered of one account: its pace."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.campaigns.traces import Trace
from tests.campaigns import build
from tests.campaigns.build import DAY, HOUR, NOW

WEEK = 7 * DAY


def at_hours(*hours: float) -> Trace:
    """An account with an exchange at each of these hours after its first."""
    trace = build.trace(pace_start=int(NOW // HOUR))
    for hour in hours:
        trace.paced(NOW + hour * HOUR)
    return trace


def test_nothing_can_be_said_of_few_exchanges() -> None:
    assert at_hours(*range(0, 18, 2)).even() is None


def test_nothing_can_be_said_of_a_short_time() -> None:
    assert at_hours(*(n / 4 for n in range(40))).even() is None


def test_nothing_can_be_said_when_every_hour_is_full() -> None:
    assert at_hours(*(n / 10 for n in range(480))).even() is None


def test_requests_spread_over_the_hours_are_even() -> None:
    assert at_hours(*range(0, 48, 3)).even() is True


def test_requests_in_sessions_are_not() -> None:
    assert at_hours(*(day * 24 + n / 10 for day in range(3) for n in range(8))).even() is False


def test_a_poisson_stream_is_even_nine_times_in_ten() -> None:
    rng = random.Random(1)
    told = []
    for _ in range(400):
        trace, hour = at_hours(), rng.expovariate(0.6)
        while hour < 72:
            trace.paced(NOW + hour * HOUR)
            hour += rng.expovariate(0.6)
        told.append(trace.even())

    share = told.count(True) / len(told)

    assert share > 0.9


def test_the_judgement_of_last_week_stands_until_there_is_a_new_one() -> None:
    trace = at_hours(*range(0, 160, 5))

    trace.paced(NOW + WEEK)

    assert trace.even() is True


def test_a_new_week_is_judged_by_itself() -> None:
    trace = at_hours(*range(0, 160, 5))

    for day in range(7, 10):
        for minute in range(8):
            trace.paced(NOW + day * DAY + minute * 60)

    assert trace.even() is False


def test_a_step_back_of_the_clock_begins_a_new_week() -> None:
    trace = at_hours(*range(0, 48, 3))

    trace.paced(NOW - DAY)

    assert trace.even() is True
    assert trace.pace_count == 1


@given(st.lists(st.floats(-1e12, 1e12), max_size=60))
def test_no_clock_makes_it_grow_or_raise(times: list[float]) -> None:
    trace = build.trace()

    for at in times:
        trace.paced(at)

    assert trace.pace_hours.bit_length() <= 168
    assert trace.even() in (None, True, False)


def test_an_account_is_counted_once_with_each_of_many_keys() -> None:
    trace, rng = build.trace("a"), random.Random(1)
    keys = [rng.getrandbits(64) for _ in range(48)]

    counted = [trace.first(key, 7) for _ in range(20) for key in keys]

    assert sum(counted[:48]) >= 45
    assert not any(counted[48:])


def test_one_with_hundreds_of_keys_is_counted_again_but_not_each_time() -> None:
    trace, rng = build.trace("a"), random.Random(2)
    keys = [rng.getrandbits(64) for _ in range(600)]

    counted = [trace.first(key, 7) for _ in range(10) for key in keys]

    assert 500 < sum(counted[:600]) < sum(counted) < len(counted)
    assert trace.counted.bit_length() <= 509
