"""The bound on those who wait for an upstream, against an upstream of simulated slots and time."""

from __future__ import annotations

import heapq
import random
from collections import deque
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.gradient import AT_FLOOR, LEAST_SAMPLES, MOST_KINDS, Gradient
from gateway_guard.core.sections import Adaptive

SETTING = Adaptive(floor=5, ceiling=1000, tolerance=1.5, window=1.0)


class Upstream:
    """So many slots, one queue: the first token comes when a slot has worked `service` seconds.

    Attributes:
        slots: requests served at once; may change at any time.
        service: seconds each takes, give or take a fifth.
        rate: requests a second that want to be served.
        waits: (begun, seconds) of those answered.
    """

    def __init__(self, gradient: Gradient, *, slots: int, service: float, rate: float) -> None:
        self.gradient = gradient
        self.slots = slots
        self.service = service
        self.rate = rate
        self.waits: list[tuple[float, float]] = []
        self.now = 0.0
        self._random = random.Random(7)
        self._arrival = 0.0
        self._queue: deque[tuple[float, int]] = deque()
        self._busy: list[tuple[float, float, int]] = []

    def run(self, windows: int) -> None:
        """Until so many windows of the gradient have ended."""
        end = self.gradient.windows + windows
        while self.gradient.windows < end:
            self._step()

    def _step(self) -> None:
        if self._busy and self._busy[0][0] <= self._arrival:
            self.now, since, place = heapq.heappop(self._busy)
            self.gradient.leave(since, self.now, place=place, answered=True)
            self.waits.append((since, self.now - since))
        else:
            self.now = self._arrival
            self._arrival += self._random.expovariate(self.rate)
            if place := self.gradient.enter(self.now):
                self._queue.append((self.now, place))
        while self._queue and len(self._busy) < self.slots:
            takes = self.service * self._random.uniform(0.8, 1.2)
            heapq.heappush(self._busy, (self.now + takes, *self._queue.popleft()))

    def p99(self, since: float) -> float:
        waits = sorted(wait for begun, wait in self.waits if begun >= since)
        return waits[int(0.99 * len(waits))]


def busy(**fields: float) -> Upstream:
    """An upstream that has been used to 80 % for a while."""
    upstream = Upstream(Gradient(SETTING), slots=100, service=0.5, rate=160.0)
    upstream.run(20)
    for name, value in fields.items():
        setattr(upstream, name, value)
    return upstream


def overrun() -> tuple[Upstream, float]:
    """One that twice as many want to be served by as it can, and the bound that has come of it."""
    upstream = busy(rate=400.0)
    upstream.run(20)
    return upstream, upstream.gradient.bound


def test_below_capacity_nobody_is_turned_away() -> None:
    upstream = busy()

    upstream.run(100)

    assert upstream.gradient.refused == 0
    assert upstream.gradient.bound == SETTING.ceiling


def test_at_twice_capacity_those_let_in_wait_no_longer_than_twice() -> None:
    upstream = busy()
    idle = upstream.p99(0.0)
    upstream.rate = 400.0
    upstream.run(10)

    since = upstream.now
    upstream.run(30)

    assert upstream.p99(since) <= 2.0 * idle
    # And the slots are never empty for it.
    assert upstream.gradient.bound >= upstream.slots


@pytest.mark.parametrize("slots", [50, 20, 10])
def test_the_bound_follows_an_upstream_that_loses_capacity_within_five_windows(slots: int) -> None:
    upstream, before = overrun()

    upstream.slots = slots
    upstream.run(5)

    assert upstream.gradient.bound <= before * max(0.75, 1.5 * slots / 100)
    assert upstream.gradient.bound >= SETTING.floor


@pytest.mark.parametrize("slots", [50, 20, 10])
def test_it_is_back_within_ten_windows_once_the_capacity_is(slots: int) -> None:
    upstream, before = overrun()
    upstream.slots = slots
    upstream.run(30)
    assert upstream.gradient.bound < before

    upstream.slots = 100
    upstream.run(10)

    assert upstream.gradient.bound >= 0.9 * before


@pytest.mark.parametrize("slots", [100, 50, 20, 10])
def test_once_it_has_found_the_bound_it_stays_within_a_quarter_of_it(slots: int) -> None:
    upstream, _ = overrun()
    upstream.slots = slots
    upstream.run(10)

    bounds = []
    for _ in range(40):
        upstream.run(1)
        bounds.append(upstream.gradient.bound)

    middle = median(bounds)
    assert min(bounds) >= 0.75 * middle
    assert max(bounds) <= 1.25 * middle


@pytest.mark.parametrize("times", [8, 10, 20])
def test_an_upstream_slower_than_a_window_lasts_is_not_held_at_the_floor(times: int) -> None:
    # Answers begin when the window has ended without any: who waits must be heard in a later one.
    upstream = busy(service=0.5 * times, slots=1000, rate=40.0)
    upstream.run(60)
    refused = upstream.gradient.refused

    upstream.run(20)

    assert upstream.gradient.refused == refused
    assert upstream.gradient.bound > upstream.gradient.waiting


def test_an_upstream_that_hung_is_asked_by_all_again_within_twelve_windows() -> None:
    upstream = busy()
    upstream.slots, working = 0, upstream._busy
    for place in range(len(working)):
        working[place] = (working[place][0] + 60.0, *working[place][1:])
    end = upstream.now + 60.0
    while upstream.now < end:
        upstream._step()
    assert upstream.gradient.bound == SETTING.floor

    upstream.slots = 100
    upstream.run(12)
    refused = upstream.gradient.refused
    upstream.run(10)

    assert upstream.gradient.refused == refused


def test_an_upstream_that_only_became_slower_is_not_held_to_what_it_was() -> None:
    # As after a change of the model: thrice the time, and slots enough.
    upstream = busy(service=1.5, slots=1000)
    upstream.run(30)
    refused = upstream.gradient.refused

    upstream.run(30)

    assert upstream.gradient.refused == refused
    assert upstream.gradient.bound > upstream.gradient.waiting


def test_long_streams_take_no_place_once_they_have_begun() -> None:
    gradient = Gradient(Adaptive(floor=1, ceiling=10))

    for turn in range(1000):
        place = gradient.enter(float(turn))
        gradient.leave(float(turn), turn + 0.2, place=place, answered=True)

    assert gradient.waiting == 0
    assert gradient.bound == 10


def feed(gradient: Gradient, now: float, wait: float, count: int, kind: str = "") -> float:
    """`count` together, each of which waits `wait`; when the last is answered."""
    entered = [place for _ in range(count) if (place := gradient.enter(now))]
    for place in entered:
        gradient.leave(now, now + wait, place=place, answered=True, kind=kind)
    return now + max(wait, 1.0)


def test_another_mix_of_quick_and_slow_requests_is_no_overload() -> None:
    gradient = Gradient(SETTING)
    now = 0.0
    for _ in range(20):
        feed(gradient, now, 0.01, 50, "embeddings")
        now = feed(gradient, now, 1.0, 50, "chat")

    for _ in range(20):
        now = feed(gradient, now, 1.0, 50, "chat")

    assert gradient.bound == SETTING.ceiling


def test_quick_refusals_of_the_upstream_say_nothing_of_how_fast_it_is() -> None:
    gradient = Gradient(SETTING)
    now = 0.0
    for _ in range(20):
        now = feed(gradient, now, 1.0, 50)
    for _ in range(200):
        place = gradient.enter(now)
        gradient.leave(now, now + 0.001, place=place, answered=False)

    now = feed(gradient, now, 1.0, 50)
    feed(gradient, now, 1.0, 50)

    assert gradient.ratio == 1.0
    assert gradient.bound == SETTING.ceiling


def test_an_upstream_that_hangs_is_asked_by_ever_fewer() -> None:
    gradient = Gradient(SETTING)
    now = 0.0
    for _ in range(5):
        now = feed(gradient, now, 0.5, 100)

    for _ in range(400):
        gradient.enter(now)
        now += 0.1

    assert gradient.bound == SETTING.floor
    assert gradient.refused > 0


def test_those_who_gave_up_waiting_tell_of_the_wait() -> None:
    gradient = Gradient(SETTING)
    now = 0.0
    for _ in range(5):
        now = feed(gradient, now, 0.5, 100)
    places = [gradient.enter(now) for _ in range(100)]

    for place in places:
        gradient.leave(now, now + 5.0, place=place, answered=False)
    gradient.enter(now + 5.0)

    assert gradient.ratio > 9.0
    assert gradient.bound < 100


def test_at_the_floor_the_baseline_is_measured_again() -> None:
    gradient = Gradient(Adaptive(floor=20, ceiling=1000))
    now = 0.0
    for _ in range(5):
        now = feed(gradient, now, 0.1, 20)

    for _ in range(AT_FLOOR + 3):
        now = feed(gradient, now, 0.9, 20)

    assert gradient.ratio < 1.5


def test_names_of_kinds_do_not_fill_memory() -> None:
    gradient = Gradient(SETTING)

    for turn in range(10 * MOST_KINDS):
        feed(gradient, float(turn), 0.1, 5, f"model-{turn}")
    for turn in range(1000):
        place = gradient.enter(1000.0)
        gradient.leave(1000.0, 2000.0, place=place, answered=False, kind=f"never-{turn}")

    assert len(gradient._kinds) <= MOST_KINDS + 1


def test_a_new_ceiling_is_heeded_and_what_was_learnt_stays() -> None:
    gradient = Gradient(SETTING)

    gradient.change(Adaptive(floor=5, ceiling=30))

    assert gradient.bound == 30
    gradient.change(Adaptive(floor=5, ceiling=2000))
    assert gradient.bound == 2000


def squeezed(bound_by: float) -> Gradient:
    """One window of 100 that waited `bound_by` times as long as usual."""
    gradient = Gradient(SETTING)
    now = 0.0
    for _ in range(5):
        now = feed(gradient, now, 1.0, 100)
    now = feed(gradient, now, bound_by, 100)
    gradient.enter(now)
    return gradient


@given(st.floats(1.0, 20.0), st.floats(1.0, 20.0))
def test_the_longer_the_wait_the_smaller_the_bound(one: float, other: float) -> None:
    shorter, longer = squeezed(min(one, other)), squeezed(max(one, other))

    assert longer.bound <= shorter.bound


events = st.lists(
    st.tuples(st.floats(0.0, 3.0), st.floats(0.0, 30.0), st.booleans(), st.sampled_from("abc")),
    max_size=300,
)


@given(events, st.integers(1, 30), st.integers(0, 200))
def test_whatever_happens_the_bound_is_kept_and_the_floor_is_let_in(
    events: list[tuple[float, float, bool, str]], floor: int, more: int
) -> None:
    setting = Adaptive(floor=floor, ceiling=floor + more)
    gradient = Gradient(setting)
    now, entered = 0.0, []
    for step, wait, answered, kind in events:
        now += step
        if place := gradient.enter(now):
            entered.append((now + wait, now, place, answered, kind))
        else:
            assert gradient.waiting >= floor
        for over in [one for one in entered if one[0] <= now]:
            entered.remove(over)
            gradient.leave(over[1], over[0], place=over[2], answered=over[3], kind=over[4])

        assert setting.floor <= gradient.bound <= setting.ceiling
        assert gradient.waiting == len(entered)
        assert gradient.waiting <= setting.ceiling
        assert gradient.ratio >= 1.0


def test_a_window_waits_for_enough_to_go_by() -> None:
    gradient = Gradient(SETTING)

    feed(gradient, 0.0, 0.1, LEAST_SAMPLES - 1)
    gradient.enter(500.0)

    assert gradient.windows == 0


def test_a_window_of_nothing_but_odd_ones_says_nothing() -> None:
    gradient = Gradient(SETTING)

    for turn in range(2):
        for number in range(LEAST_SAMPLES):
            place = gradient.enter(float(turn))
            gradient.leave(
                turn, turn + 1.0 + number, place=place, answered=True, kind=f"model-{number}"
            )
    gradient.enter(5.0)

    assert (gradient.ratio, gradient.bound) == (1.0, SETTING.ceiling)


def test_the_same_setting_again_changes_nothing() -> None:
    gradient = squeezed(3.0)
    bound = gradient.bound

    gradient.change(Adaptive(floor=5, ceiling=1000, tolerance=1.5, window=1.0))

    assert gradient.bound == bound < SETTING.ceiling
