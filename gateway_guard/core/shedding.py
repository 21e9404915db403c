"""Which share of requests a process takes that has more to do than it can. Pure.

What a process cannot keep up with waits in its event loop, and everybody with it. How long one turn
of the loop takes is that wait: whoever sends something is heard a turn later. One long turn is
nothing (a large body, the garbage collector); only where not one of several in a row was short is
there a standing queue. Then a part of the new requests is turned away, at once and for next to
nothing, and the others are served as if they were alone.

Source: the least delay of an interval as the sign of a standing queue is CoDel's (Nichols and
Jacobson, "Controlling Queue Delay", 2012); turning requests away by share with slow growth and
quick reduction is additive increase, multiplicative decrease (Chiu and Jain, 1989).
"""

from __future__ import annotations

from typing import Final

#: Turns that are looked at together. Not measured.
TURNS: Final = 6
#: A turn of so many times what it may take counts as half of them. Not measured.
ENORMOUS: Final = 3.0
#: The share is multiplied by no less at once, and grows back by so much. Not measured.
LEAST_FACTOR: Final = 0.5
STEP: Final = 0.05
#: Never fewer are taken: what is turned away costs something too, so the way back must stay open.
LEAST_SHARE: Final = 0.05


class Shedding:
    """The share of requests taken.

    Attributes:
        share: of requests taken, in [`LEAST_SHARE`, 1].
        least: the shortest of the last `TURNS` turns, seconds of CPU; 0 before there were so many.
        refused: requests turned away since the start.
    """

    __slots__ = ("_credit", "_least", "_turns", "least", "refused", "share")

    def __init__(self) -> None:
        self.share = 1.0
        self.least = 0.0
        self.refused = 0
        self._turns = 0
        self._least = 0.0
        self._credit = 0.0

    def measured(self, turn: float, target: float) -> None:
        """One turn took `turn` seconds of CPU; more than `target` (> 0) every time is too long."""
        self._least = turn if self._turns == 0 else min(self._least, turn)
        # Where turns are very long there are few: two of them must do.
        self._turns += 1 if turn < ENORMOUS * target else TURNS // 2
        if self._turns < TURNS:
            return
        self._turns = 0
        least = self.least = self._least
        if least > target:
            self.share = max(LEAST_SHARE, self.share * max(LEAST_FACTOR, target / least))
        else:
            self.share = min(1.0, self.share + STEP)

    def takes(self) -> bool:
        """Whether the next request is taken: evenly spread, so that no two bursts differ."""
        if self.share >= 1.0:
            return True
        self._credit += self.share
        if self._credit >= 1.0:
            self._credit -= 1.0
            return True
        self.refused += 1
        return False

    def forget(self) -> None:
        """Take everything again: nobody measures any more."""
        self.share = 1.0
        self.least = self._credit = 0.0
        self._turns = 0
