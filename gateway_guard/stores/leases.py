"""Reservations of this worker that are not settled yet, and the signs that it still lives."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from typing import Final

from gateway_guard.errors import StoreError
from gateway_guard.stores.layout import Visit
from gateway_guard.stores.scripts import RENEW
from gateway_guard.stores.wire import Wire

#: Most reservations remembered, beyond which the oldest is no longer renewed.
MOST_OPEN: Final = 200_000


class _Open:
    """A reservation: where it was made, and when it last gave a sign of life.

    Attributes:
        visits: where it was made.
        seen: when that was said where it has a lease.
        kept: when that was said where it is only to stay known.
    """

    __slots__ = ("kept", "seen", "visits")

    def __init__(self, visits: Sequence[Visit], now: float) -> None:
        self.visits = visits
        self.seen = self.kept = now


class Leases:
    """Renews every open reservation three times in the length of its lease, or, where nothing has
    one, in the time it stays known. For one event loop.

    Args:
        wire: where signs of life go.
        head: the settings `renew.lua` reads.
        lease: seconds after which a reservation without a sign of life is nobody's; None: nothing
            is renewed.
        hold: seconds after which one without a sign of life is forgotten.
    """

    def __init__(self, wire: Wire, head: bytes, lease: float | None, hold: float) -> None:
        self._wire = wire
        self._head = head
        self._lease = lease
        self._hold = hold
        #: By id, the oldest first.
        self._open: dict[str, _Open] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Reservations not settled yet."""
        return len(self._open)

    def add(self, id: str, visits: Sequence[Visit]) -> None:
        """Remember a reservation that was granted."""
        if len(self._open) >= MOST_OPEN:
            del self._open[next(iter(self._open))]
        self._open[id] = _Open(visits, time.monotonic())
        if self._timer is None and self._lease is not None:
            self._next(self._lease)

    def take(self, id: str) -> Sequence[Visit] | None:
        """Where a reservation was made, which is over; None when it is not known."""
        found = self._open.pop(id, None)
        return None if found is None else found.visits

    def close(self) -> None:
        """Renew nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _renew(self, lease: float) -> None:
        now = time.monotonic()
        for name, opened in self._open.items():
            leased = opened.seen <= now - lease / 3.0
            known = opened.kept <= now - self._hold / 3.0
            if leased:
                opened.seen = now
            if known:
                opened.kept = now
            if leased or known:
                for visit in opened.visits:
                    if leased if visit.stop.leases else known:
                        self._sign(opened, name.encode(), visit.renews)
        self._timer = None
        if self._open:
            self._next(lease)

    def _next(self, lease: float) -> None:
        loop = asyncio.get_running_loop()
        soon = min(lease, self._hold) / 6.0
        self._timer = loop.call_later(soon, self._renew, lease)

    def _sign(self, opened: _Open, id: bytes, keys: tuple[bytes, ...]) -> None:
        def answered(answer: asyncio.Future[bytes]) -> None:
            if not answer.cancelled() and answer.exception() is not None:
                # Again with the next turn.
                opened.seen = opened.kept = -math.inf

        try:
            call = self._wire.call(RENEW, id, keys, (self._head,))
        except StoreError:
            opened.seen = opened.kept = -math.inf
            return
        call.answer.add_done_callback(answered)
