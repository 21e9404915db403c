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
second, buckets go on from there, and places of workers that died are free a lease later; set
forward, buckets drain at once, and leases end early, until they are renewed. `time="caller"` takes
the `now` of each call instead, for tests and replays.

**Who dies.** Requests in flight stand under a lease that the worker renews, three times in its
length; those of a worker that died end with it. What they had reserved of other limits stays used
(`unsettled="estimate"`), or is given back when the lease ends (`"nothing"`). While a worker lives,
its reservations stay known, however long an answer takes. A settlement that cannot be delivered is
kept and tried again for as long as the reservation is known.

**What is forgotten.** Every key has a time to live: what its buckets need to drain at their last
rate, and a minute. Memory must suffice for that (`maxmemory-policy noeviction`): a server that
evicts forgets who owes. A failover may lose the last writes, as replication is asynchronous.

Needs Redis 6.2 or Valkey 7.2, or later. `stores/layout.py` says how keys look.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from typing import Any, Final

from gateway_guard.core.buckets import fits, reset_after, taken, wait
from gateway_guard.errors import SettingsError, StoreError
from gateway_guard.settings import UNSETTLED
from gateway_guard.stores import answers, layout
from gateway_guard.stores.calls import Call
from gateway_guard.stores.cluster import Scatter
from gateway_guard.stores.connect import TIMEOUT, Address, connect, parse_address
from gateway_guard.stores.delivery import Delivery, Order
from gateway_guard.stores.layout import Layout, Visit
from gateway_guard.stores.leases import Leases
from gateway_guard.stores.scripts import RESERVE, SETTLE
from gateway_guard.stores.wire import Line, Wire
from gateway_guard.types import Charge, Grant

#: Seconds without a sign of life after which a worker counts as dead. Not measured.
LEASE: Final = 60.0
#: Seconds a reservation without requests in flight may be settled after the last sign of life.
HOLD: Final = 3600.0
#: Seconds a bucket is kept after it has drained.
LINGER: Final = 60.0

_TAKE, _LOOK = 0, 1
_SETTLE, _GIVE_UP = 0, 1
_HEAD: Final = struct.Struct("<BBBdddd")
#: What an answer that grants begins with.
_GRANTED: Final = b"1"
TIMES: Final = ("server", "caller")


class RedisStore:
    """A `Store` many guards share; the module says what it promises.

    For one event loop. Keys of one reservation are distinct, as limits' names make them.

    Attributes:
        wire: how the server is reached; counts trips and lost connections.
        abandoned: reservations taken back because nobody waited for the answer any more.
    """

    def __init__(
        self,
        address: Address | str,
        *,
        secret: bytes,
        namespace: str = "gg",
        timeout: float = TIMEOUT,
        patience: float = TIMEOUT,
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
            patience: seconds to wait for a slot of a Cluster that is on its way to another node.
            unsettled: from `settings.UNSETTLED`; the same for all guards.
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
        self.abandoned = 0
        client: Any = connect(address, timeout=timeout)
        scattered = address.kind == "cluster"
        self._where = str(address)
        self.wire: Wire = (
            Scatter(client, self._where, timeout, patience)
            if scattered
            else Line(client, self._where, timeout)
        )
        self._layout = Layout(
            secret, namespace, scattered=scattered, given_back=unsettled == "nothing"
        )
        self._timeout = timeout
        self._caller = time == "caller"
        self._flags = (self._caller, unsettled == "nothing")
        self._times = (linger, lease, hold)
        self._heads = [self._packed(mode, 0.0) for mode in (0, 1)]
        self._leases = Leases(self.wire, self._heads[0], None if self._caller else lease, hold)
        self._delivery = Delivery(self.wire, hold)
        self._closed = False

    def __repr__(self) -> str:
        return f"<RedisStore {self._where}>"

    @property
    def in_flight(self) -> int:
        """Reservations of this worker that are not settled yet."""
        return len(self._leases)

    @property
    def owed(self) -> int:
        """Settlements on their way, or kept until the server can be reached."""
        return self._delivery.owed

    @property
    def undelivered(self) -> int:
        """Settlements given up; their requests stay at the estimate."""
        return self._delivery.undelivered

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
            self._leases.add(id, visits)
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
        visits = self._leases.take(id)
        if visits is None:
            visits = self._layout.visits(charges, id)
        head = self._head(_SETTLE, now)
        for visit in visits:
            changes = layout.settled(charges, actual, visit)
            self._delivery.send(Order(SETTLE, id.encode(), visit.keys, (head, changes)))

    async def drained(self) -> None:
        """Return once every settlement so far was delivered or given up."""
        await self._delivery.drained()

    async def close(self) -> None:
        """Deliver what can be delivered at once, and release connections."""
        if self._closed:
            return
        self._closed = True
        self._leases.close()
        await self._delivery.close(self._timeout)
        await self.wire.close()

    async def _ask(
        self, charges: Sequence[Charge], visit: Visit, name: bytes, now: float, levels: list[float]
    ) -> bool:
        """Reserve in one group; whether it was granted. Levels before it go into `levels`."""
        call = self._call(visit, name, self._head(_TAKE, now))
        try:
            return self._read(await call.answer, visit, levels)
        except BaseException as error:
            # The server may have read it, may read it yet, or has said yes to nobody. Where it is
            # said to have done nothing, somebody in between may have said so: who hears of that can
            # give it back, but who has left does not.
            left = call.sent and not isinstance(error, Exception) and not _told(call)
            if call.unsure or left or _granted_by(call):
                self.abandoned += 1
                self._undo(charges, visit, name, self._head(_GIVE_UP, now))
            raise

    async def _look(self, visit: Visit, name: bytes, now: float, levels: list[float]) -> None:
        """Levels in one group, into `levels`."""
        self._read(await self._call(visit, name, self._head(_LOOK, now)).answer, visit, levels)

    def _give_back(
        self, charges: Sequence[Charge], visits: Sequence[Visit], name: bytes, now: float
    ) -> None:
        for visit in visits:
            self._undo(charges, visit, name, self._head(_SETTLE, now))

    def _undo(self, charges: Sequence[Charge], visit: Visit, name: bytes, head: bytes) -> None:
        changes = layout.given_back(charges, visit)
        self._delivery.send(Order(SETTLE, name, visit.keys, (head, changes)))

    def _call(self, visit: Visit, name: bytes, head: bytes) -> Call:
        if self._closed:
            raise answers.closed(self._where)
        return self.wire.call(RESERVE, name, visit.keys, (head, visit.asks))

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
        return answer[:1] == _GRANTED

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


def _told(call: Call) -> bool:
    """Whether the answer has come, be there anybody to hear of it or not."""
    answer = call.answer
    return answer.done() and not answer.cancelled() and answer.exception() is None


def _granted_by(call: Call) -> bool:
    """Whether the answer has come and grants."""
    return _told(call) and call.answer.result()[:1] == _GRANTED


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
