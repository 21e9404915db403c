"""Which requests a process takes that cannot keep up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.shedding import (
    CROWDED,
    EMPTY,
    FIRST,
    INTERVAL,
    MOST,
    SAVED,
    WINDOW,
    Shedding,
)

TARGET = 0.02
LONG = 0.03


def crowded() -> Shedding:
    shedding = Shedding()
    shedding.turned(LONG, TARGET, 0.0)
    shedding.turned(LONG, TARGET, INTERVAL)
    assert shedding.crowded
    return shedding


def test_long_turns_among_short_ones_turn_nobody_away() -> None:
    shedding = Shedding()
    for turn in range(1000):
        shedding.turned(0.001 if turn % 5 == 4 else 0.024, TARGET, 0.024 * turn)

    assert not shedding.crowded
    assert all(shedding.takes() for _ in range(1000))
    assert shedding.refused == 0


def test_one_enormous_turn_turns_nobody_away() -> None:
    shedding = Shedding()
    shedding.turned(5.0, TARGET, 5.0)
    shedding.turned(0.001, TARGET, 5.001)
    shedding.turned(5.0, TARGET, 10.0)

    assert not shedding.crowded


def test_long_turns_are_looked_at_one_after_the_other_short_ones_now_and_then() -> None:
    shedding = Shedding()

    assert shedding.turned(LONG, TARGET, 0.0)
    assert not shedding.turned(TARGET, TARGET, LONG)


def test_where_no_turn_is_short_each_begins_so_many_and_no_more() -> None:
    shedding = crowded()

    first = [shedding.takes() for _ in range(10)]
    shedding.turned(0.001, TARGET, INTERVAL + 0.001)
    second = [shedding.takes() for _ in range(3)]

    assert first == [True] * int(FIRST) + [False] * (10 - int(FIRST))
    assert second == [True] * 3
    assert shedding.refused == 10 - int(FIRST)


def test_one_is_always_taken() -> None:
    shedding = crowded()
    for turn in range(100):
        for _ in range(5):
            shedding.takes()
        shedding.turned(1.0, TARGET, 1.0 + turn * 1e-6)

    assert shedding.most == 1.0
    assert shedding.takes()
    assert not shedding.takes()


def test_turning_away_is_no_reason_to_take_fewer() -> None:
    shedding = crowded()
    cost = TARGET * CROWDED / 10
    for turn in range(100):
        taken = sum(shedding.takes() for _ in range(50))
        shedding.turned(cost * (taken + 0.2 * (50 - taken)), TARGET, 1.0 + turn * 1e-6)

    # As many as there is time for, although half of a turn goes into turning away.
    assert 7.0 <= shedding.most <= 11.0


def test_where_next_to_nobody_is_taken_one_in_a_dozen_is() -> None:
    shedding = crowded()
    shedding.most = 1.0
    first = "".join("+" if shedding.takes() else "-" for _ in range(25))
    shedding.turned(LONG, TARGET, INTERVAL + WINDOW)
    shedding.most = 1.0
    second = "".join("+" if shedding.takes() else "-" for _ in range(25))

    assert first == "+" + 24 * "-"
    assert second == "+" + 10 * "-" + "+" + 10 * "-" + "+" + 2 * "-"


def test_a_bound_that_nobody_met_stays() -> None:
    shedding = crowded()
    for turn in range(1000):
        shedding.takes()
        shedding.turned(0.0 if turn % 2 else 1.0, TARGET, 1.0 + turn * 1e-6)

    assert shedding.most == FIRST


def test_it_is_over_once_hardly_anybody_is_turned_away() -> None:
    shedding = crowded()
    for turn in range(100):
        shedding.takes()
        shedding.turned(0.001, TARGET, INTERVAL + WINDOW * (turn + 1) / 100)

    assert not shedding.crowded
    assert shedding.share == 1.0


def test_it_goes_on_while_some_are() -> None:
    shedding = crowded()
    for turn in range(100):
        for _ in range(2 * int(shedding.most)):
            shedding.takes()
        shedding.turned(0.001, TARGET, INTERVAL + WINDOW * (turn + 1) / 100)

    assert shedding.crowded
    assert 0.4 < shedding.share < 0.6
    assert shedding.refused > 100


def test_a_crowd_that_leaves_at_once_is_forgotten() -> None:
    shedding = crowded()

    shedding.turned(0.0, TARGET, INTERVAL + WINDOW)

    assert not shedding.crowded


def test_forgetting_takes_everything() -> None:
    shedding = crowded()

    shedding.forget()

    assert all(shedding.takes() for _ in range(1000))
    assert shedding.share == 1.0


@given(st.lists(st.tuples(st.floats(0.0, 10.0), st.integers(0, 300)), max_size=200))
def test_some_are_always_taken_and_never_more_than_bounded(
    turns: list[tuple[float, int]],
) -> None:
    shedding, now = Shedding(), 0.0
    for turn, asked in turns:
        bound = int(shedding.most) if shedding.crowded else asked
        taken = sum(shedding.takes() for _ in range(asked))
        now += turn
        shedding.turned(turn, TARGET, now)

        assert min(asked, bound) <= taken <= max(min(asked, bound), 2 + asked / 11)
        assert 1.0 <= shedding.most <= MOST
        assert 0.0 <= shedding.share <= 1.0


def test_at_twice_what_it_can_those_taken_wait_for_little() -> None:
    # Each turn does what came during the last: taking one costs 200 us, turning it away 40.
    shedding, turn, now, over, turns, taken = Shedding(), 0.001, 0.0, 0.0, [], 0
    for number in range(20_000):
        over += 10_000 * turn
        asked, over = int(over), over % 1.0
        took = sum(shedding.takes() for _ in range(asked))
        turn = 0.00002 + took * 0.0002 + (asked - took) * 0.00004
        now += turn
        shedding.turned(turn, TARGET, now)
        if number >= 10_000:
            turns.append(turn)
            taken += took

    assert shedding.crowded
    assert max(turns) < 0.002
    # Not idle either: half of what it could do without anybody to turn away, and more.
    assert taken / sum(turns) > 2500


def test_it_begins_within_half_a_second_of_twice_what_it_can() -> None:
    shedding, turn, now = Shedding(), 0.0005, 0.0
    while not shedding.crowded:
        turn = 2.0 * turn
        now += turn
        shedding.turned(turn, TARGET, now)

    assert now < 0.5


def after(turns: list[tuple[float, int]]) -> float:
    """How many a turn begins after turns so long, to each of which so many requests came."""
    shedding = crowded()
    for number, (turn, came) in enumerate(turns):
        for _ in range(came):
            shedding.takes()
        shedding.turned(turn, TARGET, INTERVAL + number * 1e-6)
    return shedding.most


def test_what_a_turn_begins_grows_by_a_twentieth_and_shrinks_by_a_tenth() -> None:
    short, long = (0.0, 9), (1.0, 9)

    assert after([short]) == pytest.approx(4.05)
    assert after([short] * 19) == pytest.approx(4.95)
    assert after([long]) == pytest.approx(3.6)
    assert after([long, long, short]) == pytest.approx(3.29)
    # Where nobody was turned away the bound made no difference.
    assert after([short] * 2000) == 9.0
    assert after([(0.0, 100)] * 2000) == 64.0
    assert after([long] * 2000) == 1.0


def test_what_was_turned_away_counts_a_fifth_of_what_was_taken() -> None:
    budget = TARGET * CROWDED

    # Four were taken and five turned away: four parts of five are work.
    assert after([(budget * 1.249, 9)]) > FIRST
    assert after([(budget * 1.251, 9)]) < FIRST


def test_turns_among_which_fifty_requests_one_was_turned_away_are_over_it() -> None:
    def crowded_after(taken: int, away: int) -> tuple[bool, float]:
        shedding = crowded()
        for number in range(taken):
            assert shedding.takes()
            if number % 4 == 3:
                for _ in range(away if number == 3 else 0):
                    assert not shedding.takes()
                shedding.turned(LONG, TARGET, INTERVAL)
                shedding.most = FIRST
        shedding.turned(LONG, TARGET, INTERVAL + WINDOW)
        return shedding.crowded, shedding.share

    assert crowded_after(196, 4) == (False, 1.0)
    assert crowded_after(196, 5) == (True, 196 / 201)
    assert crowded_after(4, 4) == (True, 0.5)


def test_a_window_begins_anew_with_what_comes_in_it() -> None:
    shedding = crowded()
    for _ in range(8):
        shedding.takes()
    shedding.turned(LONG, TARGET, INTERVAL + WINDOW)
    assert (shedding.crowded, shedding.share) == (True, 0.5)

    assert shedding.takes()
    shedding.turned(LONG, TARGET, INTERVAL + WINDOW + WINDOW * 0.99)
    assert shedding.crowded
    shedding.turned(LONG, TARGET, INTERVAL + WINDOW + WINDOW)

    assert (shedding.crowded, shedding.share) == (False, 1.0)
    assert (shedding.most, shedding.turn, shedding.refused) == (FIRST, 0.0, 4)


def bunches(size: int, every: float, seconds: float, *, each: float = 0.00035) -> Shedding:
    """A crowded loop to which `size` requests come together again and again, until it is calm.

    Taking one costs `each` over four turns, turning it away a fifth of that, a turn alone 8 us. The
    loop does not rest.
    """
    shedding = crowded()
    begin = now = INTERVAL
    under_way: list[int] = []
    bunch = 0
    while shedding.crowded and now - begin < seconds:
        turn = 8e-6 + len(under_way) * each / 4
        under_way = [left - 1 for left in under_way if left > 1]
        while begin + bunch * every <= now:
            bunch += 1
            for _ in range(size):
                taken = shedding.takes()
                turn += each / 4 if taken else each / 5
                if taken:
                    under_way.append(3)
        now += turn
        shedding.turned(turn, TARGET, now)
    return shedding


@pytest.mark.parametrize(
    ("size", "every", "most"), [(8, 0.004, 300), (8, 0.016, 20), (40, 0.016, 850), (200, 0.1, 950)]
)
def test_clients_that_ask_in_bunches_are_served_again_where_the_loop_has_time_for_all(
    size: int, every: float, most: int
) -> None:
    # 18 to 88 % of what the loop can. A bound on each turn alone refused most of it for ever; in
    # the window that it takes to see that, what was saved serves those who are few.
    shedding = bunches(size, every, seconds=5.0)

    assert not shedding.crowded
    assert 0 < shedding.refused <= most


@pytest.mark.parametrize(("size", "every"), [(16, 0.004), (60, 0.016), (400, 0.1)])
def test_clients_that_ask_in_bunches_for_more_than_it_can_are_still_turned_away(
    size: int, every: float
) -> None:
    shedding = bunches(size, every, seconds=5.0)

    assert shedding.crowded
    assert 0.0 < shedding.share < 0.9


def test_what_comes_together_after_a_rest_has_what_was_saved_and_no_more() -> None:
    shedding = crowded()
    # One window in which a request costs a millisecond and most are turned away.
    now = INTERVAL
    while now < INTERVAL + WINDOW:
        taken = sum(shedding.takes() for _ in range(100))
        shedding.turned(0.001 * (taken + 0.2 * (100 - taken)), TARGET, now)
        now += 0.02
    shedding.turned(0.001, TARGET, now + 0.02)
    assert shedding.crowded
    shedding.most = 1.0
    at_once = sum(shedding.takes() for _ in range(20))
    shedding.turned(0.001 * (2 + 0.2 * 18), TARGET, now + 0.02)
    for _ in range(100_000):
        shedding.turned(EMPTY / 4, TARGET, now + 0.021)
    shedding.most = 1.0
    rested = sum(shedding.takes() for _ in range(20))

    assert at_once == 2  # of 20, where next to nobody is taken
    assert rested == pytest.approx(1 + SAVED * TARGET / 0.001, abs=1.0)


def asking_again(seconds: float, *, clients: int, capacity: float) -> tuple[list[int], int]:
    """Clients that ask the moment they are answered, at a loop that can serve `capacity` a second;
    it begins crowded. How many were served in each second, and in how many turns everything was
    taken although it was too much.
    """
    shedding, now, served, long = crowded(), INTERVAL, [0], 0
    each = 1.0 / capacity
    steps: list[int] = []
    asking = clients
    while now < seconds:
        turn = 8e-6 + len(steps) * each / 4
        done = steps.count(1)
        steps = [left - 1 for left in steps if left > 1]
        taken = sum(shedding.takes() for _ in range(asking))
        turn += taken * each / 4 + (asking - taken) * each / 5
        steps += [3] * taken
        asking = asking - taken + done
        now += turn
        long += not shedding.crowded and turn > TARGET
        shedding.turned(turn, TARGET, now)
        served += [0] * (int(now) + 1 - len(served))
        served[int(now)] += done
    return served, long


def test_clients_that_ask_again_at_once_are_all_served_again_where_they_were_before() -> None:
    served, _ = asking_again(19.0, clients=100, capacity=4000.0)

    # A third of the time serves until it is tried; before, next to nobody was, for ever.
    assert all(500 < count < 2000 for count in served[1:15])
    assert all(count > 3900 for count in served[17:19])


def test_trials_that_fail_are_soon_over_and_become_rare() -> None:
    # 800 of them are too much: turns would take 70 ms.
    served, long = asking_again(110.0, clients=800, capacity=4000.0)

    assert all(count > 500 for count in served[1:100])
    # After 15, 45 and 105 seconds.
    assert 3 <= long <= 9
