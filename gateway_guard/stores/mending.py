"""Telling shared state what it missed, once it answers again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from gateway_guard.core.breaker import Breaker, State
from gateway_guard.errors import StoreError
from gateway_guard.ids import request_ids
from gateway_guard.stores.arrears import Arrears, Settlement, nothing
from gateway_guard.stores.base import Store
from gateway_guard.stores.deadlines import TURNS, Lateness
from gateway_guard.types import Charge, Grant

log = logging.getLogger(__name__)

#: Seconds one call may take here, or the budget where that is longer; nobody waits for it.
LONGEST: Final = 1.0
#: Seconds between two attempts when the breaker allows them and they fail.
PAUSE: Final = 0.5
#: Keys charged at once after an outage; a store may send them together.
BATCH: Final = 16


#: What is asked to learn whether a store answers: a limit of nobody's, of which nothing is taken.
PROBE: Final = Charge(
    limit="probe", key="probe:guard", unit="requests", cost=0.0, capacity=1.0, rate=1.0, quota=1.0,
    window=1.0,
)  # fmt: skip


#: What is said of an answer that has not come.
LATE: Final = "no answer within the budget"


def said(error: Exception) -> str:
    """What a failure is called. Of foreign exceptions the name: their text may quote anything."""
    if isinstance(error, TimeoutError):
        return LATE
    return str(error) if isinstance(error, StoreError) else type(error).__name__


class Mender:
    """Empties the arrears on a task of its own, as fast as the store answers.

    While the breaker is not closed it probes, so that an outage ends even where no request comes;
    and once at the start, so that one is noticed before the first request does.

    Attributes:
        delivered: settlements that arrived only when they were sent again.
        given_back: reservations undone whose answer nobody got, or nobody wanted any more.
        reconciled: keys charged with what had been counted by this worker alone.

    Args:
        store: what is told.
        breaker: whether to tell it now.
        arrears: what to tell it.
        budget: seconds after which an answer counts as a failure for the breaker; one that this
            process had no time to read counts as none.
        clock: as the breaker's.
        wall: the time reservations and settlements are made at, Unix seconds.
        failing: told why a question failed, in words without a password.
    """

    def __init__(
        self,
        store: Store,
        breaker: Breaker,
        arrears: Arrears,
        *,
        budget: float,
        clock: Callable[[], float],
        wall: Callable[[], float],
        failing: Callable[[str], object],
    ) -> None:
        self.delivered = 0
        self.given_back = 0
        self.reconciled = 0
        self._store = store
        self._breaker = breaker
        self._arrears = arrears
        self._budget = budget
        self._longest = max(LONGEST, budget)
        self._clock = clock
        self._wall = wall
        self._failing = failing
        self._ids = request_ids()
        self._empty = nothing((PROBE,), self._ids())
        self._task: asyncio.Task[None] | None = None
        self._looking = False

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do, or was never started."""
        return self._task is None or self._task.done()

    def look(self) -> None:
        """Probe until the store has answered once."""
        self._looking = True
        self.start()

    def start(self) -> None:
        """See to what is owed, and to a breaker that is not closed; once, however often called."""
        if self.idle:
            self._task = asyncio.get_running_loop().create_task(self.run())

    async def stop(self) -> None:
        """Stop wherever it is."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def run(self) -> None:
        """Go on until nothing is owed, the store has answered once and the breaker is closed."""
        while self._looking or self._arrears or self._breaker.state is not State.CLOSED:
            try:
                done = await self._round()
            except Exception:
                # A bug here must not stop what is still to come.
                log.exception("store-mending-failed")
                done = False
            if not done:
                await asyncio.sleep(min(self._breaker.rests(self._clock()) or PAUSE, PAUSE))

    async def _round(self) -> bool:
        """One probe, one settlement, or some keys; False: wait before the next one."""
        ticket = self._breaker.admit(self._clock())
        if ticket is None:
            return False
        if self._looking or self._breaker.state is not State.CLOSED:
            return await self._probe(ticket)
        settlement = self._arrears.next_settlement()
        if settlement is not None:
            return await self._deliver(settlement)
        debts = self._arrears.next_debts(BATCH, self._wall())
        charged = await asyncio.gather(*(self._charge(ticket, *debt) for debt in debts))
        return all(charged)

    async def _probe(self, ticket: int) -> bool:
        answered = await self._reserve(ticket, self._empty)
        # Under one id until there is an answer, so that a day of probing leaves one to settle.
        self._arrears.owe(self._empty)
        if answered is not None:
            self._looking = False
            self._empty = self._empty._replace(id=self._ids())
        return answered is not None

    async def _deliver(self, settlement: Settlement) -> bool:
        if not await self._settle(settlement):
            return False
        if settlement.charges == (PROBE,):
            return True
        if settlement.doubtful:
            self.given_back += 1
        else:
            self.delivered += 1
        return True

    async def _charge(self, ticket: int, charge: Charge, used: float) -> bool:
        """Charge a key with what was used here.

        `charge` has cost 0, which fits wherever nobody is in debt; settling it to what was used
        then adds that, whatever room there is. A key in debt waits, draining here meanwhile.
        """
        settlement = Settlement(self._ids(), (charge,), (used,))
        taken = None
        try:
            taken = await self._reserve(ticket, settlement)
        finally:
            if taken is None:
                self._arrears.owe(nothing(settlement.charges, settlement.id))
            if not taken:
                self._arrears.use(charge, used, self._wall())
        if not taken or not await self._settle(settlement):
            return False
        self.reconciled += 1
        return True

    async def _reserve(self, ticket: int, asked: Settlement) -> bool | None:
        """Whether one charge was granted; None: no answer. The breaker hears of it.

        It hears that an answer is late before that has come, or is given up: whoever waited for
        the end of that would ask for the store twice as long after it is back.
        """
        heard = False

        def failed(why: str) -> None:
            nonlocal heard
            self._failing(why)
            if not heard:
                heard = True
                self._breaker.failed(ticket, self._clock())

        late = Lateness(self._budget, TURNS, lambda: failed(LATE))
        grants: tuple[Grant, ...] | None = None
        try:
            async with asyncio.timeout(self._longest):
                grants = await self._store.reserve(asked.charges, id=asked.id, now=self._wall())
        except Exception as error:  # noqa: BLE001 - whatever it was, it is no answer
            failed(said(error))
        finally:
            late.arrived()
        answered = grants is not None and len(grants) == len(asked.charges)
        if not answered:
            if not heard:
                failed("an answer to another question")
        elif not heard:
            self._breaker.succeeded(ticket)
        return grants[0].allowed if answered and grants else None

    async def _settle(self, settlement: Settlement) -> bool:
        """Whether it arrived; it is owed until it has, whatever ends the waiting for that."""
        arrived = False
        try:
            async with asyncio.timeout(self._longest):
                await self._store.settle(
                    settlement.charges, settlement.actual, id=settlement.id, now=self._wall()
                )
            arrived = True
        except Exception:  # noqa: BLE001 - whatever it was, it is sent again
            return False
        finally:
            if not arrived:
                self._arrears.owe(settlement)
        return True
