"""A process after a pause, with clients that come back when they were told to. Simulated."""

from __future__ import annotations

import heapq
import random

import pytest

from gateway_guard.core.coming_back import LATEST, LONGEST, SOONEST, come_back, come_back_after
from gateway_guard.core.shedding import Shedding
from gateway_guard.frontends.admission import SIDECAR_LAG

#: Seconds of CPU that an answer takes, in four turns, and turning one away: a third, as beside
#: other work on a shared machine.
ANSWER, REFUSAL = 200e-6, 70e-6
#: Seconds of CPU of a turn with nothing to do.
TURN = 5e-6


class Process:
    """One process that can do 5,000 requests a second, and its clients.

    Attributes:
        now: seconds.
        served: when each of those served was begun.
        refused: when each of those turned away was.

    Args:
        rate: requests a second that begin by themselves.
    """

    def __init__(self, rate: float) -> None:
        self.now = 0.0
        self.served: list[float] = []
        self.refused: list[float] = []
        self._rate = rate
        self._chance = random.Random(3)
        self._shedding = Shedding()
        #: When somebody asks, and whether for the first time.
        self._arrivals = [(0.0, True)]
        self._under_way = [0, 0, 0]

    def pause(self, seconds: float) -> None:
        """Others keep it from running."""
        self.now += seconds

    def run(self, until: float) -> None:
        """Turns of the loop until then."""
        while self.now < until:
            self._turn()

    def _turn(self) -> None:
        taken = refused = 0
        arrivals = self._arrivals
        while arrivals[0][0] <= self.now:
            came, new = heapq.heappop(arrivals)
            if new:
                heapq.heappush(arrivals, (came + self._chance.expovariate(self._rate), True))
            if self._shedding.takes():
                taken += 1
                self.served.append(self.now)
            else:
                refused += 1
                self.refused.append(self.now)
                again = come_back(f"r_{self._chance.random()}", self._shedding.share)
                heapq.heappush(arrivals, (self.now + again, False))
        stages = [taken, *self._under_way]
        self._under_way = stages[:3]
        took = TURN + sum(stages) * ANSWER / 4 + refused * REFUSAL
        self.now += took
        self._shedding.turned(took, SIDECAR_LAG, self.now)


def test_everybody_is_served_again_soon_after_a_pause() -> None:
    process = Process(rate=2500.0)
    process.run(2.0)

    process.pause(4.0)
    process.run(30.0)

    assert not [when for when in process.refused if when < 6.0]
    assert len([when for when in process.refused if when >= 6.0]) > 1000
    assert len([when for when in process.refused if when >= 25.0]) < 500
    assert len([when for when in process.served if when >= 25.0]) > 4.5 * 2500


@pytest.mark.parametrize(
    ("share", "soonest", "latest"),
    [
        (1.0, SOONEST, LATEST),
        (0.5, 2 * SOONEST, 2 * LATEST),
        (0.1, 10 * SOONEST, 10 * LATEST),
        (0.001, LONGEST * SOONEST // LATEST, LONGEST),
        (0.0, LONGEST * SOONEST // LATEST, LONGEST),
    ],
)
def test_the_fewer_are_taken_the_later_the_others_may_come_back(
    share: float, soonest: int, latest: int
) -> None:
    waits = {come_back(f"r_{i}", share) for i in range(5000)}

    assert waits == {float(wait) for wait in range(soonest, latest + 1)}


@pytest.mark.parametrize(
    ("outage", "soonest", "latest"),
    [
        (0.0, SOONEST, LATEST),
        (3.0, SOONEST, LATEST),
        (30.0, 10, 30),
        (60.0, 20, LONGEST),
        (86_400.0, 20, LONGEST),
    ],
)
def test_the_longer_something_is_away_the_later_those_who_need_it_may_come_back(
    outage: float, soonest: int, latest: int
) -> None:
    waits = {come_back_after(f"r_{i}", outage) for i in range(5000)}

    assert waits == {float(wait) for wait in range(soonest, latest + 1)}
