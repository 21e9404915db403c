"""The bound on those who wait, reckoned by hand: one window after the other."""

from __future__ import annotations

import pytest

from gateway_guard.core.gradient import Gradient
from gateway_guard.core.sections import Adaptive

SETTING = Adaptive(floor=5, ceiling=1000, tolerance=1.5, window=1.0)


class Windows:
    """Windows of a hundred seconds each, in which some enter at once and all are answered."""

    def __init__(self, setting: Adaptive = SETTING) -> None:
        self.gradient = Gradient(setting)
        self.now = 0.0

    def of(
        self, *waits: tuple[int, float] | tuple[int, float, str], answered: bool = True
    ) -> float:
        """So many that wait so many seconds (of such a kind), and the end; the ratio then."""
        entered = []
        for count, wait, *kind in waits:
            entered += [(self.gradient.enter(self.now), wait, kind) for _ in range(count)]
        for place, wait, kind in entered:
            assert place
            self.gradient.leave(
                self.now, self.now + wait, place=place, answered=answered,
                kind=kind[0] if kind else "",
            )  # fmt: skip
        self.now += 100.0
        place = self.gradient.enter(self.now)
        self.gradient.leave(self.now, self.now, place=place, answered=False, kind="a passer-by")
        return self.gradient.ratio

    @property
    def bound(self) -> float:
        return self.gradient.bound


def used(count: int = 100, wait: float = 1.0, setting: Adaptive = SETTING) -> Windows:
    """After a window in which nothing was wrong."""
    windows = Windows(setting)
    assert windows.of((count, wait)) == 1.0
    return windows


def test_a_fresh_process_turns_nobody_away_before_its_ceiling() -> None:
    gradient = Gradient(SETTING)

    assert [gradient.enter(0.0) for _ in range(1002)] == [*range(1, 1001), 0, 0]
    assert (gradient.waiting, gradient.refused, gradient.ratio) == (1000, 2, 1.0)


@pytest.mark.parametrize(("count", "ended"), [(9, 0), (10, 1)])
def test_a_window_ends_with_ten_waits(count: int, ended: int) -> None:
    windows = Windows()

    windows.of((count, 0.5))

    assert windows.gradient.windows == ended


@pytest.mark.parametrize(("seconds", "ended"), [(0.999, 0), (1.0, 1)])
def test_and_not_before_its_time(seconds: float, ended: int) -> None:
    gradient = Gradient(SETTING)
    for place in [gradient.enter(50.0) for _ in range(20)]:
        gradient.leave(50.0, 50.1, place=place, answered=True)

    gradient.enter(50.0 + seconds)

    assert gradient.windows == ended


@pytest.mark.parametrize(
    ("wait", "bound"),
    [
        # 0.75 x 100 and the root of that; never less than half.
        (2.0, 83.660254),
        (3.0, 57.071068),
        (50.0, 57.071068),
        (1.51, 109.304),
        # No longer than tolerated.
        (1.5, 1000.0),
        (0.1, 1000.0),
    ],
)
def test_who_waits_too_long_shrinks_the_bound_from_where_the_crowd_was(
    wait: float, bound: float
) -> None:
    windows = used()

    windows.of((100, wait))

    assert windows.bound == pytest.approx(bound, rel=1e-5)


@pytest.mark.parametrize(
    ("count", "wait", "bound"),
    [
        # 1.5 x 83.66 and its root, where at least half of it was in use.
        (42, 1.0, 134.636981),
        (41, 1.0, 83.660254),
        # 1.5 / 1.1996 times as much: the baseline has moved by a 600th of the way.
        (42, 1.2, 113.757),
    ],
)
def test_a_bound_that_is_in_use_grows_while_nobody_waits_too_long(
    count: int, wait: float, bound: float
) -> None:
    windows = used()
    windows.of((100, 2.0))

    windows.of((count, wait))

    assert windows.bound == pytest.approx(bound, rel=1e-5)


def test_it_grows_by_a_half_at_most_however_much_is_tolerated() -> None:
    windows = used(setting=Adaptive(floor=5, ceiling=1000, tolerance=3.0, window=1.0))
    windows.of((100, 6.0))
    assert windows.bound == pytest.approx(57.071068)

    windows.of((50, 1.0))

    assert windows.bound == pytest.approx(1.5 * 57.071068 + 7.554540)


@pytest.mark.parametrize(
    ("wait", "ratio"),
    # A longer wait is followed by a 600th of the way, one too long is not, a shorter one is.
    [(1.2, 1.199600), (1.5, 1.498751), (1.51, 1.51), (9.0, 9.0), (0.5, 1.0), (1.0, 1.0)],
)
def test_what_is_usual_follows_slowly_and_only_what_is_not_too_long(
    wait: float, ratio: float
) -> None:
    assert used().of((100, wait)) == pytest.approx(ratio, rel=1e-6)


def test_the_ratio_is_that_of_all_kinds_by_how_many_they_are_of_three_at_least() -> None:
    def ratio(odd: int) -> float:
        windows = Windows()
        windows.of((10, 1.0, "a"), (10, 2.0, "b"))
        return windows.of((10, 1.0, "a"), (odd, 6.0, "b"))

    assert ratio(30) == pytest.approx(2.5)
    assert ratio(3) == pytest.approx((10 + 3 * 3) / 13)
    assert ratio(2) == 1.0


def test_the_first_512_waits_of_a_window_count() -> None:
    windows = used()

    assert windows.of((256, 1.0), (256, 3.0), (100, 9.0)) == 2.0


def test_thirty_two_kinds_are_told_apart_and_all_others_are_one() -> None:
    windows = Windows()

    for number in range(40):
        windows.of((10, 1.0 + min(number, 32), f"model-{number}"))

    assert len(windows.gradient._kinds) == 33
    # The 33rd is still the first of the others: 1 + 32 seconds.
    assert windows.of((10, 66.0, "model-39")) == pytest.approx(2.0)
    assert windows.of((10, 64.0, "model-31")) == pytest.approx(2.0)


@pytest.mark.parametrize(("wait", "heard"), [(1.5, 0), (1.6, 1)])
def test_of_those_never_answered_the_late_ones_are_heard(wait: float, heard: int) -> None:
    windows = used()

    windows.of((100, wait), answered=False)

    assert windows.gradient.windows == 1 + heard


def test_a_wait_tells_of_the_window_in_which_it_began() -> None:
    windows = used()
    earlier = windows.now - 0.001

    for _ in range(50):
        windows.gradient.waiting += 1
        windows.gradient.leave(earlier, earlier + 9.0, place=50, answered=True)

    assert windows.of((10, 1.0)) == 1.0
    assert windows.gradient.waiting == 0


@pytest.mark.parametrize(
    ("count", "wait", "after"),
    [
        # Of 100, 69 wait 85 % as long: it is the upstream that is slower.
        (69, 1.75, 1.0),
        (70, 1.75, 1.75),
        (69, 1.69, 1.69),
        # A wait that grows on is another reason.
        (60, 2.35, 1.0),
        (60, 2.36, 2.36),
    ],
)
def test_where_fewer_wait_as_long_that_is_what_is_usual_now(
    count: int, wait: float, after: float
) -> None:
    windows = used()
    windows.of((100, 2.0))

    assert windows.of((count, wait)) == pytest.approx(wait)

    assert windows.of((20, wait)) == pytest.approx(after)


def test_where_fewer_wait_less_long_it_is_measured_from_there() -> None:
    windows = used()
    windows.of((100, 2.0))
    windows.of((69, 1.6))

    windows.of((48, 1.55))

    # 48 are 70 % of 69, and 1.55 more than 85 % of 1.6.
    assert windows.of((20, 1.55)) == 1.0


def test_a_squeeze_that_is_over_is_forgotten() -> None:
    windows = used()
    windows.of((100, 2.0))
    windows.of((69, 1.0))

    # Not compared with the 100 that waited before.
    assert windows.of((40, 1.9)) == pytest.approx(1.9)
    assert windows.of((30, 1.9)) == pytest.approx(1.9)


def test_after_five_windows_at_the_floor_what_is_measured_there_is_usual() -> None:
    windows = used(20, 0.1, Adaptive(floor=20, ceiling=1000))

    ratios = [round(windows.of((20, 0.9)), 6) for _ in range(6)]

    assert ratios == [9.0] * 5 + [1.0]


@pytest.mark.parametrize(
    ("waiting", "seconds", "bound"),
    [(20, 6.0, 1000.0), (20, 6.01, 13.162278), (5, 6.01, 5.0), (4, 6.01, 1000.0)],
)
def test_an_upstream_that_hangs_is_noticed_after_four_times_what_is_tolerated(
    waiting: int, seconds: float, bound: float
) -> None:
    windows = used()
    for _ in range(waiting):
        windows.gradient.enter(windows.now)

    windows.gradient.enter(windows.now + seconds)

    assert windows.bound == pytest.approx(bound)


@pytest.mark.parametrize(("seconds", "bound"), [(40.0, 1000.0), (40.1, 13.162278)])
def test_or_after_four_windows_where_those_are_longer(seconds: float, bound: float) -> None:
    windows = used(setting=Adaptive(floor=5, ceiling=1000, tolerance=1.5, window=10.0))
    for _ in range(20):
        windows.gradient.enter(windows.now)

    windows.gradient.enter(windows.now + seconds)

    assert windows.bound == pytest.approx(bound)


def test_before_anything_is_known_nothing_takes_too_long() -> None:
    gradient = Gradient(SETTING)
    for _ in range(100):
        gradient.enter(0.0)

    gradient.enter(1e9)

    assert (gradient.bound, gradient.windows) == (1000.0, 0)


def test_waits_of_nothing_are_those_of_a_clock_that_stands_still() -> None:
    windows = Windows()

    assert [windows.of((20, 0.0)) for _ in range(3)] == [1.0, 1.0, 1.0]


def test_a_new_setting_keeps_what_was_taken_away() -> None:
    windows = used()
    windows.of((100, 2.0))

    windows.gradient.change(Adaptive(floor=5, ceiling=2000))
    kept = windows.bound
    windows.gradient.change(Adaptive(floor=90, ceiling=2000))
    raised = windows.bound
    windows.gradient.change(Adaptive(floor=5, ceiling=50))

    assert [kept, raised, windows.bound] == pytest.approx([83.660254, 90.0, 50.0])
    # At its ceiling nothing is taken away: the next one is the bound.
    windows.gradient.change(Adaptive(floor=5, ceiling=60))
    assert windows.bound == 60.0
