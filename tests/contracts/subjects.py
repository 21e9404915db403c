"""The stores the contract is held against, each made fresh: name → factory.

A further store joins by one line here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gateway_guard.core.limits import Oracle
from gateway_guard.stores.base import Store
from gateway_guard.stores.memory import MemoryStore
from gateway_guard.types import Charge, Grant


class OracleStore:
    """The pure oracle behind the asynchronous protocol."""

    def __init__(self) -> None:
        self._oracle = Oracle()

    async def reserve(self, charges: Sequence[Charge], *, id: str, now: float) -> tuple[Grant, ...]:
        return self._oracle.reserve(charges, id=id, now=now)

    async def settle(
        self, charges: Sequence[Charge], actual: Sequence[float], *, id: str, now: float
    ) -> None:
        self._oracle.settle(charges, actual, id=id, now=now)

    async def close(self) -> None:
        return None


STORES: Final[Mapping[str, Callable[[], Store]]] = {
    "oracle": OracleStore,
    # Leases are tested apart (tests/stores): here time jumps by hours within one reservation.
    "memory": lambda: MemoryStore(lease=1e9),
}
