"""Quotas of one process, in memory of fixed size, and no offender forgiven to make room."""

from __future__ import annotations

import math
import random
import secrets
from array import array
from collections.abc import Sequence
from typing import Final

import xxhash

from gateway_guard.core.buckets import ROUNDING, TICK, fits, reset_after, wait
from gateway_guard.stores.bucket import Bucket
from gateway_guard.types import Charge, Grant

#: Growing one dict to a million keys stalls 30 ms once; 64 of them 1.4 ms (PERFORMANCE, State).
_SHARDS: Final = 64
_MASK: Final = _SHARDS - 1
#: Buckets looked at to find the one to evict; the best of 8 owes, on average, less than 8 in 9.
_SAMPLE: Final = 8
#: Seconds a reservation may take. No answer does, however slowly it is read: at an hour, reading a
#: long one for longer paid for the estimate alone and gave its place in flight away. Not measured.
LEASE: Final = 86_400.0
#: Cells of the overflow table of one limit: 1.5 MB, made on the first eviction.
_CELLS: Final = 65_536


class Overflow:
    """What evicted buckets of one limit owed, by hash of their key: fixed size, shared cells.

    A cell holds the largest debt folded into it, so a key that comes back owes at least what it
    owed; one that shares a cell with an offender may owe more than its own. The hash is seeded in
    secret: nobody can choose whose cell to share.
    """

    __slots__ = ("_at", "_rate", "_seed", "_used")

    def __init__(self, cells: int, seed: int) -> None:
        self._seed = seed
        self._used = array("d", bytes(8 * cells))
        self._at = array("d", bytes(8 * cells))
        self._rate = array("d", bytes(8 * cells))

    def fold(self, key: str, level: float, rate: float, now: float) -> None:
        """Remember that `key` owes `level` units, draining at `rate`, as of `now`."""
        cell = self._cell(key)
        left = self._left(cell, self._rate[cell], now)
        if left > 0.0:
            rate = min(rate, self._rate[cell])
        self._used[cell] = max(level, left)
        self._rate[cell] = rate
        self._at[cell] = max(now, self._at[cell])

    def owed(self, key: str, rate: float, now: float) -> float:
        """Units a key starts with, >= 0, when it drains at `rate`."""
        cell = self._cell(key)
        if self._used[cell] <= 0.0:
            return 0.0
        return self._left(cell, min(rate, self._rate[cell]), now)

    def set_back(self, seconds: float) -> None:
        """As `MemoryStore.set_back`."""
        self._at = array("d", (at - seconds for at in self._at))

    def _left(self, cell: int, rate: float, now: float) -> float:
        return max(0.0, self._used[cell] - max(0.0, now - self._at[cell]) * rate)

    def _cell(self, key: str) -> int:
        digest = xxhash.xxh3_64_intdigest(key.encode("utf-8", "surrogatepass"), self._seed)
        return digest % len(self._used)


class MemoryStore:
    """An `ImmediateStore` for one process and one event loop: exact, bounded, under 300 bytes a
    bucket.

    The keys of one reservation are distinct, as limits' names make them.

    Buckets live in sharded dicts. When `max_keys` of them are kept, a newcomer takes the place of
    the one that owes least, relative to its capacity, of a random sample; what that one owed goes
    into the limit's `Overflow`. Counts of requests in flight are never evicted: there are no more
    of them than requests in flight.

    Attributes:
        max_keys: most buckets kept, >= 1.
        max_reservations: most reservations in flight, >= 1, beyond which the oldest counts as
            settled at its estimate; far more than one process can have open.
        lease: seconds after which a reservation nobody settled counts as settled at its estimate.
        evictions: buckets evicted while they still owed something, since the start.
        expired: reservations nobody settled in time, since the start.
    """

    def __init__(
        self,
        *,
        max_keys: int = 400_000,
        max_reservations: int = 200_000,
        lease: float = LEASE,
        overflow_cells: int = _CELLS,
        seed: int | None = None,
    ) -> None:
        if min(max_keys, max_reservations, overflow_cells) < 1 or not lease > 0.0:
            raise ValueError("sizes and lease of a store must be positive")
        self.max_keys = max_keys
        self.max_reservations = max_reservations
        self.lease = lease
        self.evictions = 0
        self.expired = 0
        self._cells = overflow_cells
        self._seed = secrets.randbits(64) if seed is None else seed
        self._random = random.Random(self._seed)  # noqa: S311 - secrecy lies in the seed
        self._shards: list[dict[str, Bucket]] = [{} for _ in range(_SHARDS)]
        #: The same, for drawing one at random.
        self._buckets: list[Bucket] = []
        self._overflow: dict[str, Overflow] = {}
        self._flying: dict[str, int] = {}
        self._held: dict[str, tuple[float, Sequence[Charge]]] = {}
        self._next_sweep = -math.inf

    def __len__(self) -> int:
        """Buckets kept."""
        return len(self._buckets)

    @property
    def in_flight(self) -> int:
        """Reservations not settled yet."""
        return len(self._held)

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Table → (entries, most there may be)."""
        return {
            "limit_keys": (len(self), self.max_keys),
            "reservations": (self.in_flight, self.max_reservations),
        }

    @property
    def given_up(self) -> dict[str, int]:
        """Table → entries that went before their time, since the start."""
        return {"limit_keys": self.evictions, "reservations": self.expired}

    def holds(self, id: str) -> bool:
        """Whether a reservation of this id was granted and is not settled yet."""
        return id in self._held

    async def reserve(self, charges: Sequence[Charge], *, id: str, now: float) -> tuple[Grant, ...]:
        """As `Store.reserve`; never raises `StoreError`."""
        return self.reserve_now(charges, id=id, now=now)

    async def settle(
        self, charges: Sequence[Charge], actual: Sequence[float], *, id: str, now: float
    ) -> None:
        """As `Store.settle`; never raises `StoreError`."""
        self.settle_now(charges, actual, id=id, now=now)

    def reserve_now(self, charges: Sequence[Charge], *, id: str, now: float) -> tuple[Grant, ...]:
        """As `Store.reserve`; never raises `StoreError`."""
        if now >= self._next_sweep:
            self._sweep(now)
        shards = self._shards
        grants: list[Grant] = []
        # Written as it goes and taken back when a later charge does not fit: nobody can look in
        # between, and nearly every request fits.
        written: list[tuple[Bucket, float, float]] = []
        fresh: list[tuple[Charge, float]] | None = None
        flown: list[str] | None = None
        for charge in charges:
            key = charge.key
            capacity = charge.capacity
            cost = charge.cost
            if cost > capacity:
                cost = capacity
            if charge.unit == "concurrent":
                count = self._flying.get(key, 0)
                level = count + cost
                if level > capacity or capacity <= 0.0:
                    break
                self._flying[key] = count + 1
                flown = [key] if flown is None else [*flown, key]
                reset = 0.0
            else:
                rate = charge.rate
                bucket = shards[hash(key) & _MASK].get(key)
                if bucket is None:
                    level = cost + self._owed(key, rate, now) if self._overflow else cost
                    if level > capacity + ROUNDING + rate * TICK or capacity <= 0.0:
                        break
                    fresh = [(charge, level)] if fresh is None else [*fresh, (charge, level)]
                else:
                    before = bucket.used
                    since = bucket.at
                    elapsed = now - since
                    if elapsed > 0.0:
                        level = before - elapsed * rate
                        level = level + cost if level > 0.0 else cost
                    else:
                        level = before + cost
                    # What is below the capacity needs no second look: rounding is for the brim.
                    if level >= capacity and (
                        level > capacity + ROUNDING + rate * TICK or capacity <= 0.0
                    ):
                        break
                    written.append((bucket, before, since))
                    bucket.used = level
                    bucket.rate = rate
                    if elapsed > 0.0:
                        bucket.at = now
                if rate > 0.0:
                    reset = level / rate
                else:
                    reset = math.inf if level > 0.0 else 0.0
            left = capacity - level
            grants.append(
                Grant(
                    charge=charge,
                    allowed=True,
                    remaining=left if left > 0.0 else 0.0,
                    retry_after=0.0,
                    reset=reset,
                )
            )
        else:
            if fresh is not None:
                for charge, level in fresh:
                    self._put(charge, level, now)
            if len(self._held) >= self.max_reservations:
                self._expire(next(iter(self._held)))
            self._held[id] = (now, charges)
            return tuple(grants)
        for bucket, before, since in reversed(written):
            bucket.used = before
            bucket.at = since
        for key in flown or ():
            self._land(key)
        return self._refuse(charges, len(grants), now)

    def settle_now(
        self, charges: Sequence[Charge], actual: Sequence[float], *, id: str, now: float
    ) -> None:
        """As `Store.settle`; never raises `StoreError`."""
        if self._held.pop(id, None) is None:
            return
        for charge, cost in zip(charges, actual, strict=True):
            if charge.unit == "concurrent":
                self._land(charge.key)
                continue
            reserved = charge.cost
            if reserved > charge.capacity:
                reserved = charge.capacity
            if cost == reserved:
                continue
            key = charge.key
            rate = charge.rate
            bucket = self._shards[hash(key) & _MASK].get(key)
            if bucket is None:
                level = self._owed(key, rate, now) + cost - reserved
                self._put(charge, level if level > 0.0 else 0.0, now)
                continue
            level = bucket.used
            elapsed = now - bucket.at
            if elapsed > 0.0:
                level -= elapsed * rate
                if level < 0.0:
                    level = 0.0
                bucket.at = now
            level += cost - reserved
            bucket.used = level if level > 0.0 else 0.0

    def set_back(self, seconds: float) -> None:
        """The caller's clock was set back by `seconds`: everything happened so much earlier.

        Otherwise nothing would drain until it is as late again. Rare; 400,000 buckets take 20 ms.
        """
        for bucket in self._buckets:
            bucket.at -= seconds
        for overflow in self._overflow.values():
            overflow.set_back(seconds)
        self._held = {
            held: (since - seconds, charges) for held, (since, charges) in self._held.items()
        }
        self._next_sweep -= seconds

    async def close(self) -> None:
        """Nothing to release."""

    def _refuse(self, charges: Sequence[Charge], full: int, now: float) -> tuple[Grant, ...]:
        """Every limit's answer when that of charge number `full` has no room."""
        grants = []
        for number, charge in enumerate(charges):
            level = self._level(charge, now)
            allowed = number != full and fits(level, charge)
            grants.append(
                Grant(
                    charge=charge,
                    allowed=allowed,
                    remaining=max(0.0, charge.capacity - level),
                    retry_after=0.0 if allowed else wait(level, charge),
                    reset=reset_after(level, charge),
                )
            )
        return tuple(grants)

    def _level(self, charge: Charge, now: float) -> float:
        key, rate = charge.key, charge.rate
        if charge.unit == "concurrent":
            return float(self._flying.get(key, 0))
        bucket = self._shards[hash(key) & _MASK].get(key)
        if bucket is None:
            return self._owed(key, rate, now)
        elapsed = now - bucket.at
        return max(0.0, bucket.used - (elapsed * rate if elapsed > 0.0 else 0.0))

    def _owed(self, key: str, rate: float, now: float) -> float:
        if not self._overflow:
            return 0.0
        overflow = self._overflow.get(key.partition(":")[0])
        return 0.0 if overflow is None else overflow.owed(key, rate, now)

    def _put(self, charge: Charge, level: float, now: float) -> None:
        """Give the charge's key a bucket: a new one, or one that owes little."""
        key = charge.key
        shard = self._shards[hash(key) & _MASK]
        bucket = shard.get(key)
        if bucket is not None:
            bucket.used = level
            return
        if len(self._buckets) < self.max_keys:
            bucket = Bucket(key, level, now, charge.rate, charge.capacity)
            self._buckets.append(bucket)
        else:
            bucket = self._evicted(now)
            bucket.key = key
            bucket.used = level
            bucket.at = now
            bucket.rate = charge.rate
            bucket.capacity = charge.capacity
        shard[key] = bucket

    def _evicted(self, now: float) -> Bucket:
        """The bucket that owes least of a sample, for another key; what it owed is remembered."""
        buckets = self._buckets
        count, draw = len(buckets), self._random.random
        best, least, owed = buckets[0], math.inf, 0.0
        for _ in range(_SAMPLE):
            bucket = buckets[int(draw() * count)]
            elapsed = now - bucket.at
            level = bucket.used - (elapsed * bucket.rate if elapsed > 0.0 else 0.0)
            share = level / bucket.capacity
            if share < least:
                best, least, owed = bucket, share, level
                if share <= 0.0:
                    break
        key = best.key
        if owed > 0.0:
            self.evictions += 1
            name = key.partition(":")[0]
            overflow = self._overflow.get(name)
            if overflow is None:
                overflow = self._overflow[name] = Overflow(self._cells, self._seed)
            overflow.fold(key, owed, best.rate, now)
        del self._shards[hash(key) & _MASK][key]
        return best

    def _land(self, key: str) -> None:
        """One request in flight less; a key with none is forgotten."""
        count = self._flying.get(key, 0)
        if count > 1:
            self._flying[key] = count - 1
        else:
            self._flying.pop(key, None)

    def _sweep(self, now: float) -> None:
        """Expire reservations older than the lease: they stand in order of age."""
        self._next_sweep = now + self.lease / 60.0
        old = []
        for held, (since, _) in self._held.items():
            if since + self.lease > now:
                break
            old.append(held)
        for held in old:
            self._expire(held)

    def _expire(self, id: str) -> None:
        self.expired += 1
        for charge in self._held.pop(id)[1]:
            if charge.unit == "concurrent":
                self._land(charge.key)
