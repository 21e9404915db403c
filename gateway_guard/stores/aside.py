"""Any store, asked in tasks of its own: a call ends by itself, whoever has stopped waiting for it.

Cancelling a call would leave open whether it is carried out. So only the waiting ends; the call
goes on, and its end says what there is to give back: a reservation is settled to nothing once its
call is over, and what was never reserved is not changed by that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from gateway_guard.errors import StoreError
from gateway_guard.stores.arrears import Settlement, nothing
from gateway_guard.stores.base import Store
from gateway_guard.types import Charge, Grant


class Aside:
    """Makes a store one that keeps: what nobody waits for is given back, and `settle` never waits.

    Args:
        store: what is asked.
        owe: told what has to be sent again, and given back.
        longest: seconds after which a call is cancelled; whoever waited has been told by then.
        clock: seconds on any clock that never runs backwards.
    """

    def __init__(
        self,
        store: Store,
        owe: Callable[[Settlement], None],
        *,
        longest: float,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._owe = owe
        self._longest = longest
        self._clock = clock
        #: Calls under way → when they began, the oldest first.
        self._calls: dict[asyncio.Task[Any], float] = {}
        self._sweep: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Calls under way."""
        return len(self._calls)

    async def reserve(self, charges: Sequence[Charge], *, id: str, now: float) -> tuple[Grant, ...]:
        """As `Store.reserve`; who stops waiting is charged nothing in the end."""
        call: asyncio.Task[tuple[Grant, ...]] = self._watched(
            self._store.reserve(charges, id=id, now=now)
        )

        def over(done: asyncio.Task[tuple[Grant, ...]]) -> None:
            failed = done.cancelled() or done.exception() is not None
            if failed or all(grant.allowed for grant in done.result()):
                self._owe(nothing(charges, id))

        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            if call.cancelled():
                raise StoreError("cancelled") from None
            call.add_done_callback(over)
            raise

    def settle(self, settlement: Settlement, now: float) -> None:
        """Send at once, and again later where it does not arrive."""
        self._watched(self._send(settlement, now))

    async def close(self, seconds: float) -> None:
        """Wait for calls under way, at most so long, then cancel them."""
        if self._calls:
            await asyncio.wait(self._calls, timeout=seconds)
        for call in self._calls:
            call.cancel()
        if self._calls:
            await asyncio.wait(self._calls)
        if self._sweep is not None:
            self._sweep.cancel()

    def _watched(self, call: Any) -> asyncio.Task[Any]:
        """A task for `call` that is kept until it ends, and seen to that it does."""
        loop = asyncio.get_running_loop()
        task: asyncio.Task[Any] = loop.create_task(call)
        self._calls[task] = self._clock()
        task.add_done_callback(self._ended)
        if self._sweep is None:
            self._sweep = loop.call_later(self._longest / 4, self._sweeping)
        return task

    def _ended(self, call: asyncio.Task[Any]) -> None:
        del self._calls[call]
        if not call.cancelled():
            call.exception()  # retrieved: perhaps nobody waits to hear of it

    def _sweeping(self) -> None:
        self._sweep = None
        now = self._clock()
        for call, began in list(self._calls.items()):
            if now - began < self._longest:
                break
            call.cancel()
        if self._calls:
            self._sweep = asyncio.get_running_loop().call_later(self._longest / 4, self._sweeping)

    async def _send(self, settlement: Settlement, now: float) -> None:
        arrived = False
        try:
            await self._store.settle(
                settlement.charges, settlement.actual, id=settlement.id, now=now
            )
            arrived = True
        except Exception:  # noqa: BLE001 - whatever it was, it is sent again
            return
        finally:
            if not arrived:
                self._owe(settlement)
