"""Every decision settled once: refusals at once, the rest when reported, late, or at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from gateway_guard.core.limits import told_apart
from gateway_guard.frontends.background import Settle
from gateway_guard.frontends.extauth.leases import Leases
from gateway_guard.types import Exchange, Outcome, Usage

#: Seconds between two looks for leases that ran out.
_LOOK: Final = 1.0
#: Of a request whose end nobody saw: the estimate stands.
_UNSEEN: Final = Usage(outcome=Outcome.COMPLETED)


class Settling:
    """What becomes of decisions whose traffic somebody else carries.

    Attributes:
        leases: requests let through whose end may still be reported; of 0 seconds: every request is
            settled at once by its estimate.

    Args:
        leases: where they wait.
        settle: settles an exchange to the end, whatever becomes of the caller.
        clock: seconds on any clock that never runs backwards.
    """

    def __init__(
        self, leases: Leases, settle: Settle, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.leases = leases
        self._settle = settle
        self._clock = clock
        self._looking: asyncio.Task[None] | None = None

    async def decided(self, exchange: Exchange) -> None:
        """Take on `exchange`. Suspends only where the store has to be waited for."""
        decision = exchange.decision
        if not decision.forwards:
            await self._settle(exchange, Usage(outcome=Outcome.REFUSED, status=decision.status))
        elif self.leases.seconds <= 0.0:
            await self._settle(exchange, _UNSEEN)
        else:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.get_running_loop().create_task(self._look())
            for over in self.leases.hold(exchange, self._clock()):
                await self._settle(over, _UNSEEN)

    async def ended(self, request_id: str, usage: Usage) -> bool:
        """Settle a request by what it really cost; False when it is not waited for (any more)."""
        exchange = self.leases.take(request_id)
        if exchange is None:
            return False
        await self._settle(exchange, told_apart(usage, exchange.request))
        return True

    async def close(self) -> None:
        """Settle everything by its estimate."""
        if self._looking is not None:
            self._looking.cancel()
        for exchange in self.leases.all():
            await self._settle(exchange, _UNSEEN)

    async def _look(self) -> None:
        while len(self.leases):
            await asyncio.sleep(_LOOK)
            for exchange in self.leases.over(self._clock()):
                await self._settle(exchange, _UNSEEN)
