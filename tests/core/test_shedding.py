"""Which share of requests a process takes that cannot keep up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.shedding import LEAST_SHARE, STEP, TURNS, Shedding

TARGET = 0.05


def taught(*turns: float) -> Shedding:
    shedding = Shedding()
    for turn in turns:
        shedding.measured(turn, TARGET)
    return shedding


def test_long_turns_among_short_ones_turn_nobody_away() -> None:
    shedding = taught(*([0.1] * (TURNS - 1) + [0.001]) * 10)

    assert shedding.share == 1.0
    assert all(shedding.takes() for _ in range(1000))
    assert shedding.refused == 0


def test_of_enormous_turns_two_in_a_row_will_do() -> None:
    assert taught(1.0).share == 1.0
    assert taught(1.0, 0.001, 1.0, 0.001).share == 1.0
    assert taught(1.0, 1.0).share < 1.0


def test_where_no_turn_is_short_a_share_is_turned_away() -> None:
    shedding = taught(*[0.1] * TURNS)

    taken = sum(shedding.takes() for _ in range(1000))

    assert shedding.share == 0.5
    assert abs(taken - 500) <= 1
    assert shedding.refused == 1000 - taken


def test_it_takes_everything_again_once_turns_are_short() -> None:
    shedding = taught(*[1.0] * TURNS * 10)
    assert shedding.share == LEAST_SHARE

    windows = 0
    while shedding.share < 1.0:
        for _ in range(TURNS):
            shedding.measured(0.001, TARGET)
        windows += 1

    assert windows <= 1 / STEP


def test_those_turned_away_are_spread_evenly() -> None:
    shedding = taught(*[0.1] * TURNS)

    pairs = [(shedding.takes(), shedding.takes()) for _ in range(100)]

    assert all(one != other for one, other in pairs)


def test_forgetting_takes_everything() -> None:
    shedding = taught(*[1.0] * TURNS * 3)

    shedding.forget()

    assert shedding.takes()
    assert shedding.share == 1.0


@given(st.lists(st.floats(0.0, 10.0), max_size=200))
def test_some_are_always_taken_and_never_more_than_all(turns: list[float]) -> None:
    shedding = taught(*turns)

    assert LEAST_SHARE <= shedding.share <= 1.0
    assert any(shedding.takes() for _ in range(int(1 / LEAST_SHARE) + 1))


def test_twice_what_it_can_settles_at_about_half() -> None:
    # Each turn does what came during the last: at more than capacity turns grow, below they shrink.
    shedding, turn, shares = Shedding(), 0.01, []
    for _ in range(2000):
        turn = min(1.0, max(0.002, turn * 2.0 * shedding.share))
        shedding.measured(turn, TARGET)
        shares.append(shedding.share)

    settled = shares[1000:]

    assert 0.35 <= sum(settled) / len(settled) <= 0.6
