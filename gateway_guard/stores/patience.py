"""Any store, within a decision's budget: late answers given up, a failing server left alone.

    reserve   answered within the budget, or `StoreError`: then `on_error.store` decides
    settle    sent at once and waited for by nobody; kept and sent again where it does not arrive

A reservation whose answer did not come in time may be taken all the same, then or later. It is
given back: by the store itself, where it keeps what is to be told, else by `stores/aside.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from gateway_guard.core.breaker import Breaker, State
from gateway_guard.errors import SlotMovingError, StoreError
from gateway_guard.stores.arrears import (
    MOST_DEBTS,
    MOST_SETTLEMENTS,
    Arrears,
    Settlement,
    nothing,
)
from gateway_guard.stores.aside import Aside
from gateway_guard.stores.base import Store
from gateway_guard.stores.deadlines import TURNS, Deadlines
from gateway_guard.stores.local import LocalStore
from gateway_guard.stores.mending import LATE, Mender, said
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
    "late": LATE,
    "failed": "an error instead of an answer",
    "moving": "its slot of the Cluster is on its way to another node",
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
        keeps: whether it sees by itself to what nobody waits for: a cancelled `reserve` is given
            back, and `settle` never waits and keeps what it cannot deliver.
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
            store, self.breaker, self.arrears, budget=budget, clock=clock, wall=self._wall,
            failing=self._troubled,
        )  # fmt: skip
        self.failures = dict.fromkeys(CAUSES, 0)
        self.without = {"deny": 0, "allow": 0, "local": 0}
        self._aside: Aside | None = None
        if not keeps:
            longest = max(LONGEST_CALL, 2.0 * budget)
            self._aside = Aside(store, self._owe, longest=longest, clock=clock)
        self._deadlines = Deadlines(budget, TURNS)
        self._most = most_calls
        self._clock = clock
        #: Decisions that wait.
        self._waiting = 0
        #: The latest `now` heard of, and when that was.
        self._latest = (0.0, 0.0)
        self._closed = False
        self._trouble: str | None = None
        #: Whether the log knows that the store is down.
        self._said = False

    @property
    def calls(self) -> int:
        """Calls of the store under way."""
        return self._waiting if self._aside is None else len(self._aside)

    @property
    def away(self) -> float:
        """Seconds since the breaker opened; 0 while it is closed."""
        since = self.breaker.since
        return 0.0 if since is None else self._clock() - since

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Table → (entries, most there may be); the limits among them are those counted here."""
        return {
            **self.local.sizes,
            "store_calls": (self.calls, self._most),
            "waiting_settlements": (self.arrears.settlements, MOST_SETTLEMENTS),
            "waiting_keys": (self.arrears.debts, MOST_DEBTS),
        }

    @property
    def given_up(self) -> dict[str, int]:
        """Of the limits counted here: table → entries that went before their time."""
        return self.local.given_up

    def begin(self) -> None:
        """See whether the store answers, before the first request has to find out."""
        self.mender.look()

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

    def set_back(self, seconds: float) -> None:
        """As `MemoryStore.set_back`, of what is counted here: the server has a clock of its own."""
        self.local.set_back(seconds)
        self.arrears.set_back(seconds)
        now, at = self._latest
        self._latest = (now - seconds, at)

    async def reserve(self, charges: Sequence[Charge], *, id: str, now: float) -> tuple[Grant, ...]:
        """As `Store.reserve`, within the budget.

        Raises:
            StoreError: no answer came in time, or an error; or it was not worth asking.
        """
        began = self._clock()
        self._latest = (now, began)
        if self.calls >= self._most:
            raise self._without("crowded")
        ticket = self.breaker.admit(began)
        if ticket is None:
            raise self._without("resting")
        store = self.store if self._aside is None else self._aside
        limit = self._deadlines.limit()
        self._waiting += 1
        try:
            with limit:
                grants = await store.reserve(charges, id=id, now=now)
                if len(grants) != len(charges):
                    raise StoreError("an answer to another question")
        except asyncio.CancelledError:
            # The client has left.
            self.breaker.dropped(ticket, self._clock())
            raise
        except Exception as error:
            if limit.expired:
                raise self._failed(ticket, "late", CAUSES["late"]) from None
            # Something between here and the server may have said so, and not the server.
            self._owe(nothing(charges, id))
            if isinstance(error, SlotMovingError):
                # The Cluster answers; nobody else's decisions must suffer for these keys.
                self.breaker.dropped(ticket, self._clock())
                raise self._without("moving") from error
            raise self._failed(ticket, "failed", said(error)) from error
        finally:
            self._waiting -= 1
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
        elif self._closed:
            self._owe(Settlement(id, charges, actual))
        elif self._aside is None:
            try:
                await self.store.settle(charges, actual, id=id, now=now)
            except Exception:  # noqa: BLE001 - whatever it was, it is sent again
                self._owe(Settlement(id, charges, actual))
        elif self.calls < self._most and self.breaker.state is State.CLOSED:
            self._aside.settle(Settlement(id, charges, actual), now)
        else:
            self._owe(Settlement(id, charges, actual))

    async def close(self) -> None:
        """Deliver what can be delivered within `CLOSING` seconds, then close the store."""
        self._closed = True
        await self.mender.stop()
        began = self._clock()
        if self._aside is not None:
            await self._aside.close(CLOSING)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING - (self._clock() - began)):
                if self.breaker.state is State.CLOSED:
                    await self.mender.run()
        await self.store.close()

    def _troubled(self, why: str) -> None:
        self._trouble = why

    def _failed(self, ticket: int, cause: str, why: str) -> StoreError:
        """Count a call that was made for nothing."""
        self.breaker.failed(ticket, self._clock())
        self._trouble = why
        self._mend()
        return self._without(cause)

    def _without(self, cause: str) -> StoreError:
        """Count a decision made without the store; the log hears once that it is down."""
        self.failures[cause] += 1
        if not self._said and self.breaker.state is not State.CLOSED:
            self._said = True
            log.error("store-down reason=%s", self._trouble)
        return StoreError(f"shared state: {CAUSES[cause]}")

    def _owe(self, settlement: Settlement) -> None:
        self.arrears.owe(settlement)
        self._mend()

    def _mend(self) -> None:
        if not self._closed:
            self.mender.start()

    def _wall(self) -> float:
        now, at = self._latest
        return now + self._clock() - at
