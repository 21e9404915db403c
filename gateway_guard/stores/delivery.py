"""Calls nobody waits for: sent at once, kept and sent again while the server cannot be reached."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import Any, Final, NamedTuple

from gateway_guard.errors import StoreError
from gateway_guard.stores.calls import Call
from gateway_guard.stores.lanes import BATCH
from gateway_guard.stores.scripts import Script
from gateway_guard.stores.wire import Wire

log = logging.getLogger(__name__)

#: Most orders kept while they cannot be delivered.
MOST_OWED: Final = 10_000
#: Seconds between attempts to deliver what is owed, at first and at last.
_PAUSES: Final = (0.1, 1.0)


class Order(NamedTuple):
    """What is to be called, as `Wire.call` takes it."""

    script: Script
    id: bytes
    keys: tuple[bytes, ...]
    args: tuple[bytes, ...]


class Delivery:
    """Orders on their way. For one event loop.

    Attributes:
        undelivered: orders given up, because they could not be delivered in time, the server
            refused them for good, or too many waited.

    Args:
        wire: where they go.
        hold: seconds an order is worth being sent again.
    """

    def __init__(self, wire: Wire, hold: float) -> None:
        self.undelivered = 0
        self._wire = wire
        self._hold = hold
        self._flying: set[asyncio.Future[bytes]] = set()
        #: What waits for another attempt, and until when it is worth one.
        self._owed: deque[tuple[Order, float]] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def owed(self) -> int:
        """Orders on their way, or kept until the server can be reached."""
        return len(self._flying) + len(self._owed)

    def send(self, order: Order) -> None:
        """Call and forget; what cannot be delivered now is kept."""
        until = time.monotonic() + self._hold
        try:
            call = self._wire.call(*order)
        except StoreError:
            self._keep(order, until)
            return

        def answered(answer: asyncio.Future[bytes]) -> None:
            self._flying.discard(answer)
            if answer.cancelled() or answer.exception() is None:
                return
            if call.passing:
                self._keep(order, until)
            else:
                self._lose(answer.exception())

        self._flying.add(call.answer)
        call.answer.add_done_callback(answered)

    async def drained(self) -> None:
        """Return once every order so far was delivered or given up."""
        while self._flying or self._task is not None:
            waiting: set[asyncio.Future[Any]] = {*self._flying}
            if self._task is not None:
                waiting.add(self._task)
            await asyncio.wait(waiting)

    async def close(self, seconds: float) -> None:
        """Deliver what can be delivered within so long, and stop."""
        try:
            async with asyncio.timeout(seconds):
                await self.drained()
        except TimeoutError:
            log.warning("settlements not delivered: %d", self.owed)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _keep(self, order: Order, until: float) -> None:
        if len(self._owed) >= MOST_OWED:
            self._lose(None)
            return
        self._owed.append((order, until))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._deliver())

    def _lose(self, error: BaseException | None) -> None:
        self.undelivered += 1
        # At 1, 2, 4, 8, …: what fails for every request must not fill a disk.
        if self.undelivered & (self.undelivered - 1) == 0:
            log.error("settlements lost: %d (%s)", self.undelivered, error or "too many wait")

    async def _deliver(self) -> None:
        """Try again what could not be delivered, until nothing is left."""
        pause, longest = _PAUSES
        try:
            while self._owed:
                await asyncio.sleep(pause)
                pause = 0.0 if await self._round() else min(pause * 2.0 or _PAUSES[0], longest)
        finally:
            self._task = None

    async def _round(self) -> bool:
        """Send a batch of what is owed; whether all of it arrived."""
        sent: list[tuple[Order, float, Call]] = []
        failed = False
        while self._owed and len(sent) < BATCH:
            order, until = self._owed[0]
            try:
                call = self._wire.call(*order)
            except StoreError:
                failed = True
                break
            self._owed.popleft()
            sent.append((order, until, call))
        await asyncio.gather(*(call.answer for _, _, call in sent), return_exceptions=True)
        now = time.monotonic()
        for order, until, call in sent:
            error = call.answer.exception()
            if error is None:
                continue
            failed = True
            if call.passing and now < until:
                self._owed.append((order, until))
            else:
                self._lose(error)
        return not failed
