"""How many requests may wait for an upstream's first token: found out while they do. Pure.

An upstream that has more to do than it can lets each request wait longer for its first token, and
then everybody times out together. So the number of those that wait is bounded, and the bound
follows what the wait does:

    gradient = tolerance x baseline / wait        in [0.5, 1.5]
    bound'   = gradient x bound + sqrt(bound)     while it is being used

`wait` is the median of one window, `baseline` the least of these. Both are kept for each kind of
request (models differ, and so do streams and answers in one piece), so that a change in what is
asked for looks like nothing. Only the time to the first token counts: a stream that goes on for
minutes afterwards says nothing, and takes no place either.

Source: the gradient controller of Envoy's adaptive concurrency filter (formula, head room of the
root of the bound, median, measuring again after five windows at the floor) and `Gradient2Limit` of
Netflix's concurrency-limits (no growth while unused, tolerance of 1.5, a baseline that drifts over
600 windows). The first token instead of the whole latency, and the kinds, are ours. What differs
from both:

- It starts at the ceiling and comes down, so that a fresh process refuses nobody on suspicion.
- Nobody is refused in order to measure. A shrinking bound is the measurement: where fewer wait and
  they wait as long as before, the upstream has become slower and is not overrun, and that wait is
  the new baseline.
- A wait counts only for the window in which it began, so each window tells of its own bound. Only
  at the floor it may have begun in one before in which next to nobody was answered: otherwise an
  upstream that takes longer than such a window would never be heard, and held there for good.
- Who is never answered does not hold a place for ever: a host that is gone leaves requests behind
  that wait until they time out, minutes, and at the floor nobody else would be let in. So where a
  window was stalled and nobody at all was answered, one more is let in; where that one is answered
  before those who came earlier, they are lost, and count no longer.
"""

from __future__ import annotations

import math
from statistics import median
from typing import Final

from gateway_guard.core.sections import Adaptive

#: Waits a window needs before it ends, and each kind to be heard in it; most that one remembers.
#: Not measured.
LEAST_SAMPLES: Final = 10
LEAST_OF_KIND: Final = 3
MOST_SAMPLES: Final = 512
#: Kinds of requests told apart; all others are one more.
MOST_KINDS: Final = 32
#: Bounds of the gradient. Source: Envoy's are 0.5 and 2.0; growth is slower here, because what it
#: overshoots, customers wait for.
STEEPEST: Final = 0.5
FASTEST: Final = 1.5
#: Windows over which a baseline follows a longer wait. Source: `Gradient2Limit.longWindow`.
DRIFT: Final = 600
#: With this share of those who waited and this share of their wait, the upstream is slower, not
#: overrun: of a queue both would have fallen alike. Not measured.
FEWER: Final = 0.7
AS_LONG: Final = 0.85
#: Windows at the floor after which what is measured there is the baseline. Source: Envoy.
AT_FLOOR: Final = 5
#: A window in which next to nobody is answered ends after so many times what it should have
#: taken. Not measured.
STALLED: Final = 4.0


class _Kind:
    """Waits of like requests, seconds: those of this window, the last median, the least median."""

    __slots__ = ("baseline", "wait", "waits")

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.wait: float | None = None
        self.baseline: float | None = None

    def close(self, tolerance: float) -> int:
        """End the window; how many waits it is known by, 0 for too few to say anything."""
        count = len(self.waits)
        if count < LEAST_OF_KIND:
            self.waits.clear()
            return 0
        wait = self.wait = median(self.waits)
        self.waits.clear()
        baseline = self.baseline
        if baseline is None or wait < baseline:
            self.baseline = wait
        elif wait <= tolerance * baseline:
            # What is too long is no habit: an overrun upstream must not get used to it.
            self.baseline = baseline + (wait - baseline) / DRIFT
        return count

    def ratio(self) -> float:
        """The last wait in units of the baseline, >= 1."""
        wait, baseline = self.wait, self.baseline
        # Waits of nothing at all are those of a clock that stands still.
        return wait / baseline if wait is not None and baseline else 1.0


class Gradient:
    """The bound on those who wait for one upstream.

    Every `enter` that does not return 0 is followed by exactly one `leave`. `now` is seconds on any
    clock that never runs backwards. All of it is O(1) in the traffic: the end of a window sorts at
    most `MOST_SAMPLES` numbers.

    Attributes:
        setting: floor, ceiling, tolerance and window.
        bound: most that may wait, in [floor, ceiling].
        waiting: those who wait now.
        refused: those turned away since the start.
        windows: windows that have ended since the start.
        ratio: how many times its baseline a request waited in the last window; 1 before the first.
    """

    def __init__(self, setting: Adaptive) -> None:
        self.setting = setting
        self.bound = float(setting.ceiling)
        self.waiting = 0
        self.refused = 0
        self.windows = 0
        self.ratio = 1.0
        self._began: float | None = None
        #: Waits that began before say nothing any more.
        self._told = 0.0
        self._kinds: dict[str, _Kind] = {}
        #: Whether anybody was answered in this window.
        self._heard = False
        #: Of those who wait, how many came before this time, and how many take no place.
        self._earlier = -math.inf
        self._old = self._lost = 0
        #: How many waited when each of the samples came.
        self._places: list[int] = []
        self._peak = 0
        self._at_floor = 0
        #: (how many waited, ratio) when the present squeeze began, or when it was last measured.
        self._before: tuple[float, float] | None = None

    def enter(self, now: float) -> int:
        """How many wait with one more request that goes to the upstream `now`, itself included, the
        lost ones not.

        0 when it may not: too many wait already.
        """
        began = self._began
        if began is None:
            self._began = self._told = now
        elif now - began >= self.setting.window:
            self._turn(now, now - began)
        place = self.waiting - self._lost
        if place >= self.bound:
            self.refused += 1
            return 0
        self.waiting += 1
        place += 1
        if place > self._peak:
            self._peak = place
        return place

    def leave(
        self, since: float, now: float, *, place: int, answered: bool, kind: str = ""
    ) -> None:
        """One that entered at `since` waits no longer: its first token is there, or never will be.

        `place` is what `enter` said, `kind` names requests that wait alike. Of those not answered
        only one that has waited too long already says anything: how late the upstream is at least.
        """
        self.waiting -= 1
        if since < self._earlier:
            self._old -= 1
            self._lost = min(self._lost, self._old)
        elif answered:
            # Before those who came earlier: they were lost.
            self._lost = self._old
        self._heard = self._heard or answered
        if self._began is None or since < self._told or len(self._places) >= MOST_SAMPLES:
            return
        known = self._kinds.get(kind)
        wait = now - since
        if not answered:
            # What was never answered is no kind of its own: anybody can make up names.
            late = known is not None and known.baseline is not None and (
                wait > self.setting.tolerance * known.baseline
            )  # fmt: skip
            if known is None or not late:
                return
        elif known is None:
            if len(self._kinds) >= MOST_KINDS:
                kind = ""
            known = self._kinds.setdefault(kind, _Kind())
        known.waits.append(wait)
        self._places.append(place)

    def change(self, setting: Adaptive) -> None:
        """Go on with another setting; what was measured stays."""
        if setting != self.setting:
            # Where nothing has been taken away, the new ceiling is the new bound.
            full = self.bound >= self.setting.ceiling
            self.setting = setting
            self.bound = float(setting.ceiling) if full else self._within(self.bound)

    def _turn(self, now: float, lasted: float) -> None:
        """End the window where it has something to say."""
        if len(self._places) >= LEAST_SAMPLES:
            self._measured()
        elif self.waiting >= self.setting.floor and lasted > self._too_long():
            # The upstream hangs: nobody comes back to say how long it took.
            if self.bound <= self.setting.floor:
                # Nor will those who go there next, before another such window has ended.
                self._at_floor += 1
                self._try_one(now)
                self._open(now, self._told)
                return
            self._squeeze(STEEPEST)
            self._try_one(now)
        else:
            return
        self._places.clear()
        self._open(now, now)

    def _try_one(self, now: float) -> None:
        """Let one more in where nobody at all was answered: perhaps those who wait are lost."""
        if not self._heard:
            self._earlier, self._old = now, self.waiting
            self._lost = max(self._lost, self.waiting + 1 - int(self.bound))

    def _open(self, now: float, told: float) -> None:
        """The next window begins; waits count in it that began at `told` or later."""
        self.windows += 1
        self._began, self._told = now, told
        self._heard = False
        self._peak = self.waiting - self._lost

    def _too_long(self) -> float:
        """Seconds after which a window should long have had its waits; infinite while unknown."""
        baselines = [kind.baseline for kind in self._kinds.values() if kind.baseline is not None]
        if not baselines:
            return math.inf
        return STALLED * max(self.setting.window, self.setting.tolerance * max(baselines))

    def _measured(self) -> None:
        tolerance = self.setting.tolerance
        heard = [(kind, n) for kind in self._kinds.values() if (n := kind.close(tolerance))]
        total = sum(count for _, count in heard)
        if not total:
            return
        self.ratio = ratio = sum(kind.ratio() * count for kind, count in heard) / total
        gradient = tolerance / ratio
        if gradient >= 1.0:
            self._before = None
            self._at_floor = 0
            if 2 * self._peak >= self.bound:
                grown = min(FASTEST, gradient) * self.bound + math.sqrt(self.bound)
                self.bound = self._within(grown)
            return
        self._squeeze(max(STEEPEST, gradient))
        self._at_floor = self._at_floor + 1 if self.bound <= self.setting.floor else 0
        # Of the very requests that were measured: a queue that is still growing must not pass for
        # an upstream that has become slower.
        before, crowd = self._before, median(self._places)
        if before is None or AS_LONG * ratio >= before[1]:
            # A new squeeze, or one for another reason: the capacity has fallen further.
            self._before = (crowd, ratio)
        elif self._at_floor >= AT_FLOOR or (
            crowd <= FEWER * before[0] and ratio >= AS_LONG * before[1]
        ):
            for kind, _ in heard:
                kind.baseline = kind.wait
            self._before = None
            self._at_floor = 0
        elif crowd <= FEWER * before[0]:
            self._before = (crowd, ratio)

    def _squeeze(self, gradient: float) -> None:
        # From those who wait, not from a bound nobody has come near.
        now = gradient * min(self.bound, float(max(self._peak, 1)))
        self.bound = self._within(now + math.sqrt(now))

    def _within(self, bound: float) -> float:
        setting = self.setting
        return min(max(bound, float(setting.floor)), float(setting.ceiling))
