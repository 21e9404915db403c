"""Limits while shared state does not answer: this worker's share of every quota, in memory."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway_guard.stores.arrears import Arrears
from gateway_guard.stores.memory import MemoryStore
from gateway_guard.types import Charge, Grant


def portion(charge: Charge, share: float) -> Charge:
    """`charge` against `share` of its limit, share in (0, 1].

    Requests, and places for those in flight, are indivisible: at least one is left of a quota that
    had any. Tokens need no such floor: what costs more than a bucket holds takes an unused one.
    """
    if share >= 1.0 or charge.capacity <= 0.0:
        return charge
    capacity = charge.capacity * share
    if charge.unit == "concurrent":
        capacity = max(1.0, float(int(capacity + 1e-9)))
    elif charge.unit == "requests":
        capacity = max(1.0, capacity)
    return msgspec.structs.replace(
        charge, capacity=capacity, rate=charge.rate * share, quota=charge.quota * share
    )


class LocalStore:
    """Takes charges against one worker's share; what was used goes to `arrears`.

    All workers together admit at most the limit, but for the floor of one request each, and what
    had been used before the outage, which this worker does not know.
    """

    def __init__(self, arrears: Arrears, *, max_keys: int = 400_000) -> None:
        self._arrears = arrears
        self._memory = MemoryStore(max_keys=max_keys)

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """As `MemoryStore.sizes`."""
        return self._memory.sizes

    @property
    def given_up(self) -> dict[str, int]:
        """As `MemoryStore.given_up`."""
        return self._memory.given_up

    def set_back(self, seconds: float) -> None:
        """As `MemoryStore.set_back`."""
        self._memory.set_back(seconds)

    def reserve_now(self, charges: Sequence[Charge], *, id: str, now: float) -> tuple[Grant, ...]:
        """As `Store.reserve`, for this worker's share; never raises."""
        share = self._arrears.share
        return self._memory.reserve_now(
            [portion(charge, share) for charge in charges], id=id, now=now
        )

    def settle_now(
        self, charges: Sequence[Charge], actual: Sequence[float], *, id: str, now: float
    ) -> bool:
        """Settle what was reserved here; False when `id` was not, or has been settled."""
        if not self._memory.holds(id):
            return False
        share = self._arrears.share
        portions = [portion(charge, share) for charge in charges]
        self._memory.settle_now(portions, actual, id=id, now=now)
        for charge, cost in zip(charges, actual, strict=True):
            self._arrears.use(charge, cost, now)
        return True
