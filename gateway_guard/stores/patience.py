"""Any store, within a decision's budget: late answers given up, a failing server left alone.

    reserve   answered within the budget, or `StoreError`: then `on_error.store` decides
    settle    sent at once and waited for by nobody; kept and sent again where it does not arrive

A reservation whose answer did not come in time may be taken all the same, then or later. It is
settled to nothing once its call has ended: what was never reserved is not changed by that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from gateway_guard.errors import StoreError
from gateway_guard.stores.arrears import Arrears, Settlement
from gateway_guard.stores.base import Store
from gateway_guard.stores.breaker import Breaker, State
from gateway_guard.stores.local import LocalStore
from gateway_guard.stores.mending import Mender
from gateway_guard.types import Charge, Grant

log = logging.getLogger(__name__)

#: Seconds a decision waits for shared state.
BUDGET: Final = 0.05
#: Calls of the store under way at once, those nobody waits for any more included.
MOST_CALLS: Final = 1_000
#: Seconds after which a call is cancelled, or twice the budget where that is longer; whoever waited
#: has been told by then.
LONGEST_CALL: Final = 2.0
#: Seconds `close` goes on delivering.
CLOSING: Final = 1.0

#: Why a decision was made without the store → what that means.
CAUSES: Final = {
    "late": "no answer within the budget",
    "failed": "an error instead of an answer",
    "resting": "not asked, it has failed too often",
    "crowded": "not asked, too many requests wait for it",
}


class StoreHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How shared state is, for `/readyz`.

    Attributes:
        up: whether it answers, as far as anybody knows.
        breaker: `closed`, `open` or `half-open`.
        down_for: seconds since the breaker opened; None while it is closed.
        calls: calls under way.
        settlements: settlements waiting to be delivered.
        debts: keys waiting to be charged with what this worker counted alone.
        trouble: the latest failure, in words without a password; None while the breaker is closed.
    """

    up: bool
    breaker: str
    down_for: float | None
    trouble: str | None
    calls: int
    settlements: int
    debts: int


class PatientStore:
    """A `Store` that answers in time or says that it cannot. For one event loop.

    Attributes:
        budget: seconds a decision waits.
        local: this worker's share of the limits, for `on_error.store: local`. `settle` knows what
            was reserved there.
        breaker: whether the store is asked at present.
        arrears: what it has to be told once it answers again.
        mender: who tells it, and looks whether it answers.
        failures: decisions made without it, by cause (`CAUSES`).
        without: the same, by what `on_error.store` made of them: `deny`, `allow` or `local`.

    Args:
        store: what is asked. Closed with this.
        keeps: whether its `settle` never waits and keeps by itself what it cannot deliver.
        budget: seconds, > 0.
        share: this worker's share of every quota, in (0, 1].
        most_calls: calls under way at once, >= 1; further decisions fail at once, further
            settlements are kept.
        max_keys: limit keys counted locally, as in `MemoryStore`.
        clock: seconds on any clock that never runs backwards.
    """

    def __init__(
        self,
        store: Store,
        *,
        keeps: bool = False,
        budget: float = BUDGET,
        share: float = 1.0,
        most_calls: int = MOST_CALLS,
        max_keys: int = 400_000,
        breaker: Breaker | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not (budget > 0.0 and 0.0 < share <= 1.0 and most_calls >= 1):
            raise ValueError("budget > 0, 0 < share <= 1 and most_calls >= 1 are needed")
        self.store = store
        self.budget = budget
        self.breaker = Breaker() if breaker is None else breaker
        self.arrears = Arrears(share)
        self.local = LocalStore(self.arrears, max_keys=max_keys)
        self.mender = Mender(
            store, self.breaker, self.arrears, budget=budget, clock=clock, wall=self._wall
        )
        self.failures = dict.fromkeys(CAUSES, 0)
        self.without = {"deny": 0, "allow": 0, "local": 0}
        self._keeps = keeps
        self._most = most_calls
        self._longest = max(LONGEST_CALL, 2.0 * budget)
        self._clock = clock
        #: Calls under way → when they began, the oldest first; and who waits.
        self._calls: dict[asyncio.Task[Any], tuple[float, asyncio.Future[bool] | None]] = {}
        self._sweep: asyncio.TimerHandle | None = None
        #: The latest `now` heard of, and when that was.
        self._latest = (0.0, 0.0)
        self._closed = False
        self._trouble: str | None = None
        #: Whether the log knows that the store is down.
        self._said = False

    @property
    def calls(self) -> int:
        """Calls of the store under way."""
        return len(self._calls)

    def health(self) -> StoreHealth:
        """How the store is right now."""
        since = self.breaker.since
        return StoreHealth(
            up=self.breaker.state is State.CLOSED,
            breaker=self.breaker.state.value,
            down_for=None if since is None else self._clock() - since,
            trouble=None if since is None else self._trouble,
            calls=self.calls,
            settlements=self.arrears.settlements,
            debts=self.arrears.debts,
        )

    async def reserve(self, charges: Sequence[Charge], *, id: str, now: float) -> tuple[Grant, ...]:
        """As `Store.reserve`, within the budget.

        Raises:
            StoreError: no answer came in time, or an error; or it was not worth asking.
        """
        began = self._clock()
        self._latest = (now, began)
        if len(self._calls) >= self._most:
            raise self._without("crowded")
        ticket = self.breaker.admit(began)
        if ticket is None:
            raise self._without("resting")
        loop = asyncio.get_running_loop()
        call = loop.create_task(self.store.reserve(charges, id=id, now=now))
        # Not `asyncio.wait_for`: it would cancel the call, and what had been sent could still be
        # carried out. Only the waiting ends; the call goes on, and its end says what there is to
        # give back.
        waiter: asyncio.Future[bool] = loop.create_future()
        timer = loop.call_later(self.budget, _wake, waiter, False)
        self._watch(call, began, waiter)
        try:
            answered = await waiter
        except asyncio.CancelledError:
            # The client has left; whatever is granted now is nobody's.
            self.breaker.dropped(ticket, self._clock())
            self._give_back_after(call, charges, id)
            raise
        finally:
            timer.cancel()
        if not answered:
            self.breaker.failed(ticket, self._clock())
            self._give_back_after(call, charges, id)
            self._mend()
            raise self._failed("late", CAUSES["late"])
        try:
            grants = call.result()
            if len(grants) != len(charges):
                raise StoreError("an answer to another question")
        except (Exception, asyncio.CancelledError) as error:
            self.breaker.failed(ticket, self._clock())
            self._give_back(charges, id)
            # Of foreign exceptions the name only: their text may quote anything.
            said = str(error) if isinstance(error, StoreError) else type(error).__name__
            raise self._failed("failed", said) from error
        self.breaker.succeeded(ticket)
        if self._said:
            self._said = False
            log.info("store-answers")
        return grants

    async def settle(
        self, charges: Sequence[Charge], actual: Sequence[float], *, id: str, now: float
    ) -> None:
        """As `Store.settle`; never waits and never raises."""
        self._latest = (now, self._clock())
        if self.local.settle_now(charges, actual, id=id, now=now):
            self._mend()
        elif self._keeps and not self._closed:
            try:
                await self.store.settle(charges, actual, id=id, now=now)
            except Exception:  # noqa: BLE001 - whatever it was, it is sent again
                self._owe(Settlement(id, charges, actual))
        elif (
            len(self._calls) < self._most
            and self.breaker.state is State.CLOSED
            and not self._closed
        ):
            sending = self._send(Settlement(id, charges, actual), now)
            self._watch(asyncio.get_running_loop().create_task(sending), self._clock())
        else:
            self._owe(Settlement(id, charges, actual))

    async def close(self) -> None:
        """Deliver what can be delivered within `CLOSING` seconds, then close the store."""
        self._closed = True
        await self.mender.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING):
                if self._calls:
                    await asyncio.wait(self._calls)
                if self.breaker.state is State.CLOSED:
                    await self.mender.run()
        for call in self._calls:
            call.cancel()
        if self._calls:
            await asyncio.wait(self._calls)
        if self._sweep is not None:
            self._sweep.cancel()
        await self.store.close()

    def _failed(self, cause: str, said: str) -> StoreError:
        self._trouble = said
        return self._without(cause)

    def _without(self, cause: str) -> StoreError:
        """Count a decision made without the store; the log hears once that it is down."""
        self.failures[cause] += 1
        if not self._said and self.breaker.state is not State.CLOSED:
            self._said = True
            log.error("store-down reason=%s", self._trouble)
        return StoreError(f"shared state: {CAUSES[cause]}")

    def _watch(
        self, call: asyncio.Task[Any], began: float, waiter: asyncio.Future[bool] | None = None
    ) -> None:
        """Keep `call` until it ends, see to it that it does, and wake who waits."""
        self._calls[call] = (began, waiter)
        call.add_done_callback(self._ended)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(self._longest / 4, self._sweeping)

    def _ended(self, call: asyncio.Task[Any]) -> None:
        _, waiter = self._calls.pop(call)
        if waiter is not None and not waiter.done():
            waiter.set_result(True)
        elif not call.cancelled():
            call.exception()  # retrieved: nobody waits to hear of it

    def _sweeping(self) -> None:
        self._sweep = None
        now = self._clock()
        for call, (began, _) in list(self._calls.items()):
            if now - began < self._longest:
                break
            call.cancel()
        if self._calls:
            self._sweep = asyncio.get_running_loop().call_later(self._longest / 4, self._sweeping)

    def _give_back_after(
        self, call: asyncio.Task[tuple[Grant, ...]], charges: Sequence[Charge], id: str
    ) -> None:
        """Give the reservation back once its call is over: before, it might still be taken."""

        def over(done: asyncio.Task[tuple[Grant, ...]]) -> None:
            answered = not done.cancelled() and done.exception() is None
            if not answered or all(grant.allowed for grant in done.result()):
                self._give_back(charges, id)

        call.add_done_callback(over)

    def _give_back(self, charges: Sequence[Charge], id: str) -> None:
        self._owe(Settlement(id, charges, (0.0,) * len(charges), doubtful=True))

    async def _send(self, settlement: Settlement, now: float) -> None:
        arrived = False
        try:
            await self.store.settle(
                settlement.charges, settlement.actual, id=settlement.id, now=now
            )
            arrived = True
        except Exception:  # noqa: BLE001 - whatever it was, it is sent again
            return
        finally:
            if not arrived:
                self._owe(settlement)

    def _owe(self, settlement: Settlement) -> None:
        self.arrears.owe(settlement)
        self._mend()

    def _mend(self) -> None:
        if not self._closed:
            self.mender.start()

    def _wall(self) -> float:
        now, at = self._latest
        return now + self._clock() - at


def _wake(waiter: asyncio.Future[bool], answered: bool) -> None:
    if not waiter.done():
        waiter.set_result(answered)
