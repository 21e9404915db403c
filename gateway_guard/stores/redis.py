"""Quotas of many guards, in a Redis or Valkey they share.

**One trip.** `reserve` is one script call over all charges of a request, `settle` another that
nobody waits for. In a Cluster this holds for charges of one account; a request that is also charged
by address, country, model or campaign visits their groups one after another, the account first,
then in one order for everybody, and gives back what it took when a later group refuses. Nothing is
over-admitted: what passes was taken in every group. Giving back is exact: a bucket drains at a
constant rate, so it stands where it would have stood (where adaptation changes the rate, it has
drained until then at that of the refused request). In between, others may be refused for it.

**Once.** Everything is known by the request's id. A call repeated after a lost connection, a second
settlement, a settlement of what never was: none changes anything. A reservation whose asker gave up
waiting is given back, also when the server reads it only later. Answers carry the id: one that
belongs to somebody else is not believed, and its connection is dropped.

**Whose time.** The server's: scripts ask it, so no worker's clock matters. Set back by more than a
second, buckets go on from there; set forward, they drain at once, and leases end early, until they
are renewed. `time="caller"` takes the `now` of each call instead, for tests and replays.

**Who dies.** Requests in flight stand under a lease that the worker renews, three times in its
length; those of a worker that died end with it. What they had reserved of other limits stays used
(`unsettled="estimate"`), or is given back when the lease ends (`"nothing"`). A settlement that
cannot be delivered is kept and tried again for as long as the reservation is known.

**What is forgotten.** Every key has a time to live: what its buckets need to drain at their last
rate, and a minute. Memory must suffice for that (`maxmemory-policy noeviction`): a server that
evicts forgets who owes. A failover may lose the last writes, as replication is asynchronous.

Needs Redis 6.2 or Valkey 7.2, or later. `stores/layout.py` says how keys look.
"""

from __future__ import annotations

import asyncio
import logging
import math
import struct
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from gateway_guard.core.buckets import fits, reset_after, taken, wait
from gateway_guard.errors import SettingsError, StoreError
from gateway_guard.stores import answers, layout
from gateway_guard.stores.cluster import Scatter
from gateway_guard.stores.connect import TIMEOUT, Address, connect, parse_address
from gateway_guard.stores.layout import Layout, Visit
from gateway_guard.stores.scripts import RENEW, RESERVE, SETTLE, Script
from gateway_guard.stores.wire import BATCH, Call, Line, Wire
from gateway_guard.types import Charge, Grant

log = logging.getLogger(__name__)

#: Seconds without a sign of life after which a worker counts as dead. Not measured.
LEASE: Final = 60.0
#: Seconds a reservation without requests in flight may be settled.
HOLD: Final = 3600.0
#: Seconds a bucket is kept after it has drained.
LINGER: Final = 60.0
#: Most settlements kept while they cannot be delivered.
MOST_OWED: Final = 10_000
#: Most reservations remembered, beyond which the oldest is no longer renewed.
MOST_OPEN: Final = 200_000
#: Seconds between attempts to deliver what is owed, at first and at last.
_PAUSES: Final = (0.1, 5.0)

_TAKE, _LOOK = 0, 1
_SETTLE, _GIVE_UP = 0, 1
_HEAD: Final = struct.Struct("<BBBdddd")
#: What an answer that grants begins with.
_YES: Final = ord("1")
UNSETTLED: Final = ("estimate", "nothing")
TIMES: Final = ("server", "caller")


class _Order:
    """A call nobody waits for, kept until it is delivered."""

    __slots__ = ("args", "id", "keys", "script", "until")

    def __init__(
        self,
        script: Script,
        id: bytes,
        keys: Sequence[bytes],
        args: tuple[bytes, ...],
        until: float,
    ) -> None:
        self.script = script
        self.id = id
        self.keys = keys
        self.args = args
        #: Of the loop's clock.
        self.until = until


class _Open:
    """A reservation of this worker: where it was made, and when it last gave a sign of life."""

    __slots__ = ("seen", "visits")

    def __init__(self, visits: Sequence[Visit], seen: float) -> None:
        self.visits = visits
        self.seen = seen


class RedisStore:
    """A `Store` many guards share; the module says what it promises.

    For one event loop. Keys of one reservation are distinct, as limits' names make them.

    Attributes:
        wire: how the server is reached; counts trips and lost connections.
        undelivered: settlements given up, because they could not be delivered in time or the
            server refused them for good; their requests stay at the estimate.
        abandoned: reservations taken back because nobody waited for the answer any more.
    """

    def __init__(
        self,
        address: Address | str,
        *,
        secret: bytes,
        namespace: str = "gg",
        timeout: float = TIMEOUT,
        unsettled: str = "estimate",
        time: str = "server",
        lease: float = LEASE,
        hold: float = HOLD,
        linger: float = LINGER,
    ) -> None:
        """Nothing is connected to yet.

        Args:
            address: as `stores.connect` reads it.
            secret: what keys are digested with, >= 16 bytes, the same for all guards.
            namespace: what keys begin with; guards of one namespace are one guard.
            timeout: seconds to wait for a connection, and for an answer.
            unsettled: from `UNSETTLED`; the same for all guards.
            time: from `TIMES`; the same for all guards. With the caller's, leases are not renewed.
            lease, hold, linger: seconds, as the constants of this module; the same for all guards.

        Raises:
            SettingsError: one of them makes no sense, or the extra `redis` is not installed.
        """
        if isinstance(address, str):
            address = parse_address(address)
        if len(secret) < 16:
            raise SettingsError("a shared store needs a secret of at least 16 bytes")
        if unsettled not in UNSETTLED:
            raise SettingsError(f"unsettled is {unsettled!r}; write {' or '.join(UNSETTLED)}")
        if time not in TIMES:
            raise SettingsError(f"time is {time!r}; write {' or '.join(TIMES)}")
        if not min(timeout, lease, hold) > 0.0 or linger < 0.0:
            raise SettingsError("times of a store are seconds and positive")
        self.undelivered = 0
        self.abandoned = 0
        client: Any = connect(address, timeout=timeout)
        scattered = address.kind == "cluster"
        self.wire: Wire = (Scatter if scattered else Line)(client, str(address), timeout)
        self._where = str(address)
        self._layout = Layout(
            secret, namespace, scattered=scattered, given_back=unsettled == "nothing"
        )
        self._timeout = timeout
        self._caller = time == "caller"
        self._flags = (self._caller, unsettled == "nothing")
        self._times = (linger, lease, hold)
        self._heads = [self._packed(mode, 0.0) for mode in (0, 1)]
        #: By id, the one longest without a sign of life first.
        self._open: dict[str, _Open] = {}
        self._renewal: asyncio.TimerHandle | None = None
        self._flying: set[asyncio.Future[bytes]] = set()
        self._owed: deque[_Order] = deque()
        self._deliverer: asyncio.Task[None] | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<RedisStore {self._where}>"

    @property
    def in_flight(self) -> int:
        """Reservations of this worker that are not settled yet."""
        return len(self._open)

    @property
    def owed(self) -> int:
        """Settlements on their way, or kept until the server can be reached."""
        return len(self._flying) + len(self._owed)

    async def reserve(self, charges: Sequence[Charge], *, id: str, now: float) -> tuple[Grant, ...]:
        """As `Store.reserve`; `now` matters only when the time is the caller's.

        Whoever stops waiting is charged nothing: what the server took is given back.
        """
        if not charges:
            return ()
        visits = self._layout.visits(charges, id)
        name = id.encode()
        levels = [0.0] * len(charges)
        taken_in = 0
        try:
            for visit in visits:
                if not await self._ask(charges, visit, name, now, levels):
                    break
                taken_in += 1
        except BaseException:
            self._give_back(charges, visits[:taken_in], name, now)
            raise
        if taken_in == len(visits):
            self._opened(id, visits)
            return _granted(charges, levels)
        self._give_back(charges, visits[:taken_in], name, now)
        rest = visits[taken_in + 1 :]
        if rest:
            await asyncio.gather(*(self._look(visit, name, now, levels) for visit in rest))
        return self._refused(charges, levels)

    async def settle(
        self, charges: Sequence[Charge], actual: Sequence[float], *, id: str, now: float
    ) -> None:
        """As `Store.settle`, without waiting for it; see `drained`.

        Raises:
            StoreError: the store is closed. That the server cannot be reached is no reason: the
                settlement is kept, and counted in `undelivered` when it had to be given up.
        """
        if not charges:
            return
        if self._closed:
            raise answers.closed(self._where)
        opened = self._open.pop(id, None)
        visits = self._layout.visits(charges, id) if opened is None else opened.visits
        name, head = id.encode(), self._head(_SETTLE, now)
        for visit in visits:
            changes = layout.settled(charges, actual, visit)
            self._send(SETTLE, name, visit.keys, (head, changes))

    async def drained(self) -> None:
        """Return once every settlement so far was delivered or given up."""
        while self._flying or self._deliverer is not None:
            waiting: set[asyncio.Future[Any]] = {*self._flying}
            if self._deliverer is not None:
                waiting.add(self._deliverer)
            await asyncio.wait(waiting)

    async def close(self) -> None:
        """Deliver what can be delivered at once, and release connections."""
        if self._closed:
            return
        self._closed = True
        if self._renewal is not None:
            self._renewal.cancel()
        try:
            async with asyncio.timeout(self._timeout):
                await self.drained()
        except TimeoutError:
            log.warning("%s: %d settlements were not delivered", self._where, self.owed)
        if self._deliverer is not None:
            self._deliverer.cancel()
            await asyncio.gather(self._deliverer, return_exceptions=True)
        await self.wire.close()

    async def _ask(
        self, charges: Sequence[Charge], visit: Visit, name: bytes, now: float, levels: list[float]
    ) -> bool:
        """Reserve in one group; whether it was granted. Levels before it go into `levels`."""
        call = self._call(RESERVE, name, visit.keys, (self._head(_TAKE, now), visit.asks))
        try:
            answer = await call.answer
        except BaseException:
            # The server may have read it, or may read it yet.
            if call.unsure:
                self.abandoned += 1
                changes = layout.given_back(charges, visit)
                self._send(SETTLE, name, visit.keys, (self._head(_GIVE_UP, now), changes))
            raise
        return self._read(answer, visit, levels)

    async def _look(self, visit: Visit, name: bytes, now: float, levels: list[float]) -> None:
        """Levels in one group, into `levels`."""
        call = self._call(RESERVE, name, visit.keys, (self._head(_LOOK, now), visit.asks))
        self._read(await call.answer, visit, levels)

    def _give_back(
        self, charges: Sequence[Charge], visits: Sequence[Visit], name: bytes, now: float
    ) -> None:
        for visit in visits:
            changes = layout.given_back(charges, visit)
            self._send(SETTLE, name, visit.keys, (self._head(_SETTLE, now), changes))

    def _call(
        self, script: Script, id: bytes, keys: Sequence[bytes], args: tuple[bytes, ...]
    ) -> Call:
        if self._closed:
            raise answers.closed(self._where)
        return self.wire.call(script, id, keys, args)

    def _head(self, mode: int, now: float) -> bytes:
        """The settings every script reads."""
        return self._packed(mode, now) if self._caller else self._heads[mode]

    def _packed(self, mode: int, now: float) -> bytes:
        return _HEAD.pack(mode, *self._flags, now, *self._times)

    def _read(self, answer: bytes, visit: Visit, levels: list[float]) -> bool:
        """Whether `answer` grants; the levels it tells go into `levels`."""
        count = len(visit.stop.numbers)
        if len(answer) != 1 + 8 * count:
            raise StoreError(f"{self._where}: ERR: an answer of {len(answer)} bytes makes no sense")
        for number, level in zip(
            visit.stop.numbers, struct.unpack_from(f"<{count}d", answer, 1), strict=True
        ):
            levels[number] = level
        return answer[0] == _YES

    def _refused(self, charges: Sequence[Charge], levels: Sequence[float]) -> tuple[Grant, ...]:
        grants = []
        for charge, level in zip(charges, levels, strict=True):
            allowed = fits(level, charge)
            left = charge.capacity - level
            grants.append(
                Grant(
                    charge=charge,
                    allowed=allowed,
                    remaining=left if left > 0.0 else 0.0,
                    retry_after=0.0 if allowed else wait(level, charge),
                    reset=reset_after(level, charge),
                )
            )
        if all(grant.allowed for grant in grants):
            # What the guard reads as granted, while nothing was taken.
            raise StoreError(f"{self._where}: ERR: refused although every limit has room")
        return tuple(grants)

    def _opened(self, id: str, visits: Sequence[Visit]) -> None:
        """Remember a reservation, to renew and to settle it."""
        loop = asyncio.get_running_loop()
        if len(self._open) >= MOST_OPEN:
            del self._open[next(iter(self._open))]
        self._open[id] = _Open(visits, loop.time())
        if self._renewal is None and not self._caller:
            self._renewal = loop.call_later(self._times[1] / 6.0, self._renew)

    def _renew(self) -> None:
        """Say of what has been open for long that its worker lives."""
        loop = asyncio.get_running_loop()
        lease, now = self._times[1], loop.time()
        head = self._head(0, 0.0)
        for name, opened in self._open.items():
            if opened.seen > now - lease / 3.0:
                continue
            opened.seen = now
            for visit in opened.visits:
                if visit.renews:
                    self._sign(opened, name.encode(), visit.renews, head)
        self._renewal = loop.call_later(lease / 6.0, self._renew) if self._open else None

    def _sign(self, opened: _Open, id: bytes, keys: Sequence[bytes], head: bytes) -> None:
        def answered(answer: asyncio.Future[bytes]) -> None:
            self._flying.discard(answer)
            if not answer.cancelled() and answer.exception() is not None:
                opened.seen = -math.inf

        try:
            call = self.wire.call(RENEW, id, keys, (head,))
        except StoreError:
            opened.seen = -math.inf
            return
        self._flying.add(call.answer)
        call.answer.add_done_callback(answered)

    def _send(
        self, script: Script, id: bytes, keys: Sequence[bytes], args: tuple[bytes, ...]
    ) -> None:
        """Call and forget; what cannot be delivered now is kept."""
        until = asyncio.get_running_loop().time() + self._times[2]
        order = _Order(script, id, keys, args, until)
        try:
            call = self.wire.call(script, id, keys, args)
        except StoreError:
            self._keep(order)
            return

        def answered(answer: asyncio.Future[bytes]) -> None:
            self._flying.discard(answer)
            if answer.cancelled() or answer.exception() is None:
                return
            if call.passing:
                self._keep(order)
            else:
                self._lose(1, answer.exception())

        self._flying.add(call.answer)
        call.answer.add_done_callback(answered)

    def _keep(self, order: _Order) -> None:
        if len(self._owed) >= MOST_OWED:
            self._lose(1, None)
            return
        self._owed.append(order)
        if self._deliverer is None:
            self._deliverer = asyncio.get_running_loop().create_task(self._deliver())

    def _lose(self, count: int, error: BaseException | None) -> None:
        before = self.undelivered
        self.undelivered += count
        # At 1, 2, 4, 8, …: what fails for every request must not fill a disk.
        if before.bit_length() != self.undelivered.bit_length():
            log.error("settlements lost: %d (%s)", self.undelivered, error or "too many wait")

    async def _deliver(self) -> None:
        """Try again what could not be delivered, until nothing is left."""
        loop = asyncio.get_running_loop()
        pause, longest = _PAUSES
        try:
            while self._owed:
                await asyncio.sleep(pause)
                sent: list[tuple[_Order, Call]] = []
                failed = False
                while self._owed and len(sent) < BATCH:
                    order = self._owed[0]
                    try:
                        call = self.wire.call(order.script, order.id, order.keys, order.args)
                    except StoreError:
                        failed = True
                        break
                    self._owed.popleft()
                    sent.append((order, call))
                await asyncio.gather(*(call.answer for _, call in sent), return_exceptions=True)
                for order, call in sent:
                    error = call.answer.exception()
                    if error is None:
                        continue
                    failed = True
                    if call.passing and loop.time() < order.until:
                        self._owed.append(order)
                    else:
                        self._lose(1, error)
                pause = min(pause * 2.0 or _PAUSES[0], longest) if failed else 0.0
        finally:
            self._deliverer = None


def _granted(charges: Sequence[Charge], levels: Sequence[float]) -> tuple[Grant, ...]:
    grants = []
    for charge, level in zip(charges, levels, strict=True):
        after = level + taken(charge)
        left = charge.capacity - after
        grants.append(
            Grant(
                charge=charge,
                allowed=True,
                remaining=left if left > 0.0 else 0.0,
                retry_after=0.0,
                reset=reset_after(after, charge),
            )
        )
    return tuple(grants)
