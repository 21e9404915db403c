"""What shared state promises. One contract suite (`tests/contracts`) runs against every store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from gateway_guard.types import Charge, Grant


class Store(Protocol):
    """Quotas in force.

    Promises: `reserve` is atomic and all-or-nothing over its charges; a refused request changes
    nothing; nothing grows without bound; a key that owes is never forgotten to make room;
    `settle` acts once per reservation id.
    """

    async def reserve(self, charges: Sequence[Charge], *, id: str, now: float) -> tuple[Grant, ...]:
        """Take every charge, or none. One grant per charge, same order.

        A cost above a bucket's capacity is taken as the capacity: it fits only an unused bucket,
        and settling puts the bucket into debt. Raises `StoreError` when state cannot be reached.
        """
        ...

    async def settle(
        self, charges: Sequence[Charge], actual: Sequence[float], *, id: str, now: float
    ) -> None:
        """Replace each reserved cost by what was really used (same order, same units).

        Concurrency charges are released whatever `actual` says. A second call with the same id,
        or one for an id never reserved, changes nothing.
        """
        ...

    async def close(self) -> None:
        """Release connections. The store is not used afterwards."""
        ...


@runtime_checkable
class ImmediateStore(Store, Protocol):
    """A store that never waits, so that nobody needs to wait for it: a call for a coroutine's cost.

    Whoever may take these two takes them instead of `reserve` and `settle`, which do the same.
    """

    def reserve_now(self, charges: Sequence[Charge], *, id: str, now: float) -> tuple[Grant, ...]:
        """As `reserve`."""
        ...

    def settle_now(
        self, charges: Sequence[Charge], actual: Sequence[float], *, id: str, now: float
    ) -> None:
        """As `settle`."""
        ...
