"""Which requests a process takes that has more to do than it can. Pure.

What a process cannot keep up with waits in its event loop, and everybody with it: whoever sends
something is heard a turn of the loop later, and a request takes about four turns. One long turn is
nothing (a large body, the garbage collector); only where for a while not one was short is there a
standing queue. Two answers to it:

    calm      everything is taken; turns are looked at now and then
    crowded   each turn begins so many new requests and no more, the others are turned away at once.
              How many follows from what they cost: the work of those taken is kept to a fraction
              of a long turn, so that they find hardly anybody before them. One is always taken, so
              that the way back stays open

A share of the requests, adapted once a window, is no substitute: until the window is over whatever
is too much waits, and at twice the capacity a tenth of a second too many is a tenth of a second
that all wait. What is bounded here each turn cannot pile up at all.

A bound on each turn refuses what comes together, too, however idle the loop is in between. So time
in which there was nothing to do is saved, up to a fraction of a long turn, for what then comes
together; and the crowd is over as well once all that came, had it been taken, would have fitted
into the time there was. Otherwise one long pause has clients that ask in bunches turned away for
ever, at a rate that was none too high before.

Clients that ask again the moment they are turned away are always more than there is time for. So
now and then everything is taken on trial: it is over after two long turns, and each that fails
makes the wait for the next twice as long. Until then, where next to nobody is taken, one in a dozen
of a turn is, so that a third of the time serves. (One in six would be too many: where three times
the capacity comes by itself, the queue grows without end.)

Source: the least delay of an interval as the sign of a standing queue is CoDel's (Nichols and
Jacobson, "Controlling Queue Delay", 2012), and so is its interval; slow growth and quick reduction
of what is taken is additive increase, multiplicative decrease (Chiu and Jain, 1989).
"""

from __future__ import annotations

from typing import Final

#: Seconds without a single short turn after which there is a standing queue.
INTERVAL: Final = 0.1
#: While it is crowded the work of those taken is kept to this part of what a turn may take
#: otherwise: a quarter of a millisecond in the sidecar, one request or two, so that four turns are
#: about what a request takes alone. At twice the capacity 1/40 serves a tenth more of them, their
#: 99th percentile is 3.7 instead of 2.5 ms, at idle it is 1.6. `python -m tests.bench overload`.
CROWDED: Final = 1.0 / 80.0
#: What turning one away costs of what taking it does. Measured there.
CHEAPER: Final = 0.2
#: What may be saved up while there is nothing to do: work of this part of a long turn. Of 4,500
#: requests a second at random, somewhat more than there was time for, 77 % were served with it,
#: 64 % without; what is served took longer (p99 6.9 and 3.3 ms; seven rounds of 2 s in turns).
SAVED: Final = 1.0 / 4.0
#: What a turn may begin: at first, at most, and how it follows the work.
FIRST: Final = 4.0
MOST: Final = 64.0
LESS: Final = 0.9
MORE: Final = 0.05
#: It is over when, in so many seconds, hardly any were turned away, or all would have fitted into
#: this part of the loop's time. Not measured.
WINDOW: Final = 0.5
HARDLY: Final = 0.02
FITS: Final = 0.9
#: Seconds of crowd after which everything is taken on trial: at first, and at most. A trial of
#: twice the capacity, reckoned, is over after a tenth of a second that delays some 600 requests:
#: from the second trial on, less than one in a hundred of what is served meanwhile.
TRIAL: Final = (15.0, 120.0)
#: Share taken below which those turned away are the trouble, and how many are taken then of a turn
#: for each that is turned away.
NOBODY: Final = 0.05
SOME: Final = 0.1
#: Requests taken, or five times as many turned away, whose work tells what one costs. Not measured.
ENOUGH: Final = 10
#: Seconds of CPU up to which a turn does nothing: while it is crowded the loop does not rest, and
#: turns without work show what time is left. They take 1.4 to 4 us with uvloop (measured, the
#: median and the 99th of a hundred).
EMPTY: Final = 20e-6


class Shedding:
    """What one process takes. Times in seconds, turns in seconds of CPU; `now` is any clock that
    does not go back.

    Attributes:
        crowded: whether what each turn begins is bounded.
        turn: the last turn looked at; 0 before there was one.
        most: requests that a turn begins while it is crowded, in [1, `MOST`].
        share: of the requests of the last window that were taken, in [0, 1]; 1 while it is calm.
        refused: requests turned away since the start.
    """

    __slots__ = (
        "_all_taken", "_all_turned_away", "_cost", "_saved", "_since", "_spent", "_taken",
        "_trial", "_tried", "_turned_away", "_wait", "_worked", "crowded", "most", "refused",
        "share", "turn",
    )  # fmt: skip

    crowded: bool
    share: float
    turn: float
    most: float
    _since: float
    _taken: int
    _turned_away: int
    _all_taken: int
    _all_turned_away: int
    _cost: float
    _saved: float
    _spent: float
    _trial: float
    _tried: float
    _wait: float
    _worked: float

    def __init__(self) -> None:
        self.refused = 0
        self._trial = 0.0
        self._tried = -TRIAL[1]
        self._wait = TRIAL[0]
        self.forget()

    def turned(self, turn: float, target: float, now: float) -> bool:
        """One turn took `turn`, and one after the other that takes more than `target` (> 0) is too
        long. True: the next turn is of interest, too.
        """
        self.turn = turn
        if self.crowded:
            self._follow(turn, target)
            if now - self._since >= WINDOW:
                self._judge(now)
        elif turn <= target:
            self._since = -1.0
            return now - self._tried < WINDOW
        elif self._since < 0.0:
            self._since = now
        elif now - self._tried < WINDOW or now - self._since >= INTERVAL:
            self._crowd(now)
        return True

    def takes(self) -> bool:
        """Whether the next request of this turn is taken."""
        if not self.crowded:
            return True
        if self._taken < int(self.most):
            self._taken += 1
            return True
        if self._saved >= self._cost > 0.0:
            self._saved -= self._cost
            self._taken += 1
            return True
        if self.share < NOBODY and self._taken <= SOME * self._turned_away:
            self._taken += 1
            return True
        self._turned_away += 1
        self.refused += 1
        return False

    def forget(self) -> None:
        """Take everything again: it is over, or nobody measures any more."""
        self.crowded = False
        self.share = 1.0
        self.turn = 0.0
        self.most = FIRST
        self._since = -1.0
        self._taken = self._turned_away = 0
        self._all_taken = self._all_turned_away = 0
        self._cost = self._saved = self._spent = self._worked = 0.0

    def _crowd(self, now: float) -> None:
        """There is a standing queue; or still, where everything was taken on trial."""
        failed = now - self._tried < self._wait
        self._wait = min(2.0 * self._wait, TRIAL[1]) if failed else TRIAL[0]
        self._trial = now + self._wait
        self.crowded = True
        self._since = now

    def _follow(self, turn: float, target: float) -> None:
        taken, away = self._taken, self._turned_away
        if away:
            # Only here has the bound made a difference. What was spent on turning away is no reason
            # to take fewer: it would be the more the fewer are taken.
            work = turn * taken / (taken + CHEAPER * away)
            if work > target * CROWDED:
                self.most = max(1.0, self.most * LESS)
            else:
                self.most = min(MOST, self.most + MORE)
        self._spent += turn
        if turn > EMPTY:
            self._worked += turn
        else:
            self._saved = min(SAVED * target, self._saved + turn)
        self._all_taken += taken
        self._all_turned_away += away
        self._taken = self._turned_away = 0
        like = self._all_taken + CHEAPER * self._all_turned_away
        if like >= ENOUGH:
            self._cost = self._worked / like

    def _judge(self, now: float) -> None:
        taken, away = self._all_taken, self._all_turned_away
        asked = taken + away
        # What all of them would have taken: those turned away cost only a part of it.
        would = self._worked * asked / max(1.0, taken + CHEAPER * away)
        if away <= HARDLY * asked or would <= FITS * self._spent or now >= self._trial:
            self.forget()
            self._tried = now
        else:
            self.share = taken / asked
            self._all_taken = self._all_turned_away = 0
            self._spent = self._worked = 0.0
            self._since = now
