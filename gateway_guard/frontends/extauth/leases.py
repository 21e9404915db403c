"""Requests let through whose end the guard does not see: held until somebody reports, or too long.

A gateway that only asks never says how a request ended. What it reserved is therefore leased: a
report of the real usage settles it (`POST /v1/usage`), and a lease that runs out is settled by the
estimate. Not safe for several threads.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from gateway_guard.types import Exchange

#: Most requests waiting for a report; the oldest is settled by its estimate beyond it. About 3 KB
#: each.
MOST: Final = 100_000


class Leases:
    """Exchanges by request id, oldest first.

    Attributes:
        seconds: how long a report may take; 0 holds nothing.
        expired: exchanges nobody reported, since the start.
        unknown: reports about no exchange held, since the start.
    """

    def __init__(self, seconds: float, *, most: int = MOST) -> None:
        self.seconds = seconds
        self.expired = 0
        self.unknown = 0
        self._most = most
        #: Request id → since when, and what.
        self._held: OrderedDict[str, tuple[float, Exchange]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, exchange: Exchange, now: float) -> list[Exchange]:
        """Wait for a report on `exchange` from `now` on; those that had to make room for it.

        `now` is seconds on a clock that never runs backwards.
        """
        held = self._held
        held[exchange.request.id] = now, exchange
        over = [held.popitem(last=False)[1][1] for _ in range(len(held) - self._most)]
        self.expired += len(over)
        return over

    def take(self, request_id: str) -> Exchange | None:
        """The exchange a report is about, held no longer; None when there is none (any more)."""
        found = self._held.pop(request_id, None)
        self.unknown += found is None
        return None if found is None else found[1]

    def over(self, now: float) -> list[Exchange]:
        """Those whose time is up at `now`, on the clock of `hold`; held no longer."""
        held, due = self._held, now - self.seconds
        over = []
        while held and next(iter(held.values()))[0] <= due:
            over.append(held.popitem(last=False)[1][1])
        self.expired += len(over)
        return over

    def all(self) -> list[Exchange]:
        """Everything held, held no longer: the guard is about to end."""
        left = [exchange for _, exchange in self._held.values()]
        self._held.clear()
        return left
