"""Which webs are looked at next, and how much of it: so much for each exchange, all in its turn.

Whoever sends traffic chooses what hangs together, and so how often the linker looks and at how
many. What looking costs is counted (`Memory.effort`) and paid from an account that each exchange
adds to. Ordinary traffic leaves it nearly full, and everything is looked at at once. Where it is
empty, webs wait. Next is the one that has cost least (start-time fair queueing, Goyal et al. 1996):
noise of one large web, or of many, cannot have a campaign beside it wait for more than about its
own share, and the more news a web has meanwhile, the more are looked at in one go.
"""

from __future__ import annotations

import heapq
from typing import Final

import msgspec

from gateway_guard.campaigns.steps import Steps
from gateway_guard.campaigns.webs import Web, Webs

# In units of `Memory.effort`, about a microsecond each. Choices; what they do is in
# tests/README.md. Recorded traffic of 45 days spends a tenth of what it is given. With 80 some
# generated worlds of groups that look like one hand came out otherwise, with 200 hardly any.

#: Given for each exchange; and the most that is saved.
_GIVEN: Final = 200.0
_SAVED: Final = 200_000.0
#: In one call nothing more is begun, or gone on with, after so much.
_CALL: Final = 10_000.0


class Job(msgspec.Struct):
    """Something under way.

    Attributes:
        steps: what is left of it. Until it is done nobody joins or leaves a campaign.
        at: Unix seconds as of which it is done.
        forgotten: `Memory.forgotten` when it began.
        number, web: whom it is about, and the web that is looked at; None for what is held.
        hourly: whether its turn came with the hour.
        relates: whether it looks what an exchange ties.
    """

    steps: Steps[None]
    at: float
    forgotten: int
    number: int | None = None
    web: Web | None = None
    hourly: bool = False
    relates: bool = False


class Turns:
    """Accounts around which there is to be looked: those whose web had many news, and those whose
    turn came with the hour; as much is spent on either while both wait."""

    def __init__(self) -> None:
        #: (what it had cost when it began to wait, order of coming, an account) of each web that
        #: has accounts waiting (`Web.due`).
        self._webs: list[tuple[float, int, int]] = []
        self._hourly: dict[int, None] = {}
        self._came = 0
        #: What the web whose turn it was had cost, as it began to wait.
        self._now = 0.0
        self._credit = _SAVED
        self._spent = 0.0
        #: How much more was spent on those that came with the hour than on the others.
        self._more_hourly = 0.0

    @property
    def enough(self) -> bool:
        """Whether this call has taken long enough."""
        return self._spent >= _CALL

    @property
    def waiting(self) -> bool:
        """Whether anybody waits."""
        return bool(self._webs or self._hourly)

    def clear(self) -> None:
        """Nobody waits: there are other webs now."""
        self._webs.clear()
        self._hourly.clear()

    def begin(self) -> None:
        """One exchange more."""
        self._credit = min(self._credit + _GIVEN, _SAVED)
        self._spent = 0.0

    def add(self, number: int, web: Web) -> None:
        """Have `number` looked around for, an account of `web`."""
        if web.due is None:
            web.due = {}
            self._queue(number, web)
        web.due[number] = None

    def every(self, waiting: dict[int, None]) -> bool:
        """Have all of `waiting` looked around for, from now on this object's; False while those of
        the hour before still wait."""
        if self._hourly:
            return False
        self._hourly = waiting
        return True

    def next(self, webs: Webs) -> tuple[int, bool] | None:
        """Whose turn it is, and whether that came with the hour; None when nobody waits, or when
        it has been enough for now."""
        if self._credit <= 0.0 or self.enough:
            return None
        while self._webs and not (self._hourly and self._more_hourly < 0.0):
            cost, _, where = heapq.heappop(self._webs)
            web = webs.of(where)
            if not web.due:
                web.due = None  # others looked at it, or it is one with another that had its turn
                continue
            if web.cost > cost:
                self._queue(where, web)  # by now it has cost more
                continue
            self._now = cost
            number = _first(web.due)
            if web.due:
                self._queue(where, web)
            else:
                web.due = None
            return number, False
        return (_first(self._hourly), True) if self._hourly else None

    def spend(self, effort: float, web: Web | None, *, hourly: bool) -> None:
        """Pay for what was done, for `web` where it was for one."""
        self._credit -= effort
        self._spent += effort
        if web is not None:
            web.cost = max(web.cost, self._now) + effort
        if self._webs and self._hourly:
            self._more_hourly += effort if hourly else -effort
        else:
            self._more_hourly = 0.0

    def use(self, effort: float) -> None:
        """Note what was done that is not paid for, but takes its time."""
        self._spent += effort

    def done(self, number: int, web: Web) -> None:
        """It was looked at with another account of `web`."""
        if web.due:
            web.due.pop(number, None)
        self._hourly.pop(number, None)

    def _queue(self, number: int, web: Web) -> None:
        self._came += 1
        heapq.heappush(self._webs, (max(web.cost, self._now), self._came, number))


def _first(waiting: dict[int, None]) -> int:
    number = next(iter(waiting))
    del waiting[number]
    return number
