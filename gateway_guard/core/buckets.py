"""The arithmetic of one leaky bucket, and the reference every store is tested against. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from gateway_guard.types import Charge, Grant

#: Units a sum may exceed the capacity by: rounding of a few additions.
ROUNDING: Final = 1e-9
#: Seconds a charge may come too early. Unix time in a double has steps of 0.24 µs today, so a
#: client that waits exactly `retry_after` may arrive that much before it.
TICK: Final = 1e-6
#: Seconds to wait for a place among requests in flight. Nobody knows when one ends; not measured.
CONCURRENT_WAIT: Final = 1.0


class Bucket(msgspec.Struct, kw_only=True, gc=False):
    """Units used, as of a moment. Drains at whatever rate the asking charge has.

    Attributes:
        used: units, >= 0; above the capacity after a settlement that cost more than estimated.
        at: Unix seconds; never moves backwards.
    """

    used: float = 0.0
    at: float = 0.0

    def level(self, rate: float, now: float) -> float:
        """Units used at `now`. A clock that went backwards drains nothing."""
        elapsed = now - self.at
        if elapsed <= 0.0:
            return self.used
        left = self.used - elapsed * rate
        return left if left > 0.0 else 0.0

    def set(self, level: float, now: float) -> None:
        """Make `level` the units used, as of `now` or of the latest moment seen."""
        self.used = level if level > 0.0 else 0.0
        if now > self.at:
            self.at = now


def taken(charge: Charge) -> float:
    """Units a reservation takes: the cost, at most the capacity."""
    return charge.cost if charge.cost < charge.capacity else charge.capacity


def fits(level: float, charge: Charge) -> bool:
    """Whether `charge` has room above `level`. A capacity of 0 is a suspended quota: never."""
    capacity = charge.capacity
    return capacity > 0.0 and level + taken(charge) <= capacity + ROUNDING + charge.rate * TICK


def wait(level: float, charge: Charge) -> float:
    """Seconds until `charge` fits if nobody else comes: exact; infinite for a suspended quota.

    For requests in flight `CONCURRENT_WAIT`.
    """
    if charge.capacity <= 0.0:
        return math.inf
    if charge.unit == "concurrent":
        return CONCURRENT_WAIT
    if charge.rate <= 0.0:
        return math.inf
    over = level + taken(charge) - charge.capacity
    return over / charge.rate if over > 0.0 else 0.0


def reset_after(level: float, charge: Charge) -> float:
    """Seconds until nothing is used any more; 0 for requests in flight."""
    if level <= 0.0 or charge.unit == "concurrent":
        return 0.0
    return level / charge.rate if charge.rate > 0.0 else math.inf


class Oracle:
    """What a `Store` promises, as plainly as it can be written: unbounded, slow, synchronous.

    The contract suite holds every store against it. Keys within one reservation are distinct.
    """

    def __init__(self) -> None:
        self._buckets: dict[str, Bucket] = {}
        self._flying: dict[str, int] = {}
        self._held: dict[str, tuple[Charge, ...]] = {}

    def used(self, charge: Charge, now: float) -> float:
        """Units used under the charge's key at `now`, before the charge."""
        if charge.unit == "concurrent":
            return float(self._flying.get(charge.key, 0))
        bucket = self._buckets.get(charge.key)
        return 0.0 if bucket is None else bucket.level(charge.rate, now)

    def reserve(self, charges: Sequence[Charge], *, id: str, now: float) -> tuple[Grant, ...]:
        """As `Store.reserve`."""
        levels = [self.used(charge, now) for charge in charges]
        room = [fits(level, charge) for level, charge in zip(levels, charges, strict=True)]
        granted = all(room)
        if granted:
            for level, charge in zip(levels, charges, strict=True):
                if charge.unit == "concurrent":
                    self._flying[charge.key] = self._flying.get(charge.key, 0) + 1
                else:
                    bucket = self._buckets.setdefault(charge.key, Bucket(at=now))
                    bucket.set(level + taken(charge), now)
            self._held[id] = tuple(charges)
        grants = []
        for level, charge, allowed in zip(levels, charges, room, strict=True):
            after = level + taken(charge) if granted else level
            grants.append(
                Grant(
                    charge=charge,
                    allowed=allowed,
                    remaining=max(0.0, charge.capacity - after),
                    retry_after=0.0 if allowed else wait(level, charge),
                    reset=reset_after(after, charge),
                )
            )
        return tuple(grants)

    def settle(
        self, charges: Sequence[Charge], actual: Sequence[float], *, id: str, now: float
    ) -> None:
        """As `Store.settle`.

        The difference goes into the bucket at settling time; where there is none, nothing is
        touched, so that a request, which costs what was asked, costs no second write. What is used
        over any long time stays within burst + rate x time; but where an overestimate had drained
        away unused, giving it back may admit at once up to that overestimate more than the burst.
        """
        if self._held.pop(id, None) is None:
            return
        for charge, cost in zip(charges, actual, strict=True):
            if charge.unit == "concurrent":
                left = self._flying[charge.key] - 1
                self._flying[charge.key] = left
            elif cost != taken(charge):
                bucket = self._buckets[charge.key]
                bucket.set(bucket.level(charge.rate, now) + cost - taken(charge), now)
