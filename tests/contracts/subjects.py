"""The stores the contract is held against, each made fresh: name → factory.

A further store joins by one line here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import pytest

from gateway_guard.core.limits import Oracle
from gateway_guard.stores.base import Store
from gateway_guard.stores.memory import MemoryStore
from gateway_guard.stores.redis import RedisStore
from gateway_guard.types import Charge, Grant
from tests import build
from tests.servers import VALKEY, needs_redis, needs_valkey, shared_cluster, shared_server

_numbers = itertools.count()


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


class WaitingStore(RedisStore):
    """A shared store in a namespace of its own: what it sends without waiting is waited for.

    It takes the tests' clock, and forgets nothing: here time jumps by hours within one reservation.
    """

    def __init__(self, uri: str) -> None:
        super().__init__(
            uri,
            secret=build.SECRET,
            namespace=f"t{next(_numbers)}",
            timeout=10.0,
            time="caller",
            lease=1e9,
            hold=1e9,
            linger=1e9,
        )

    async def reserve(self, charges: Sequence[Charge], *, id: str, now: float) -> tuple[Grant, ...]:
        try:
            return await super().reserve(charges, id=id, now=now)
        finally:
            await self.drained()

    async def settle(
        self, charges: Sequence[Charge], actual: Sequence[float], *, id: str, now: float
    ) -> None:
        await super().settle(charges, actual, id=id, now=now)
        await self.drained()


STORES: Final[Mapping[str, Callable[[], Store]]] = {
    "oracle": OracleStore,
    # Leases are tested apart (tests/stores): here time jumps by hours within one reservation.
    "memory": lambda: MemoryStore(lease=1e9),
    "redis": lambda: WaitingStore(shared_server().socket_uri),
    "redis-tcp": lambda: WaitingStore(shared_server().uri),
    "valkey": lambda: WaitingStore(shared_server(VALKEY).uri),
    "redis-cluster": lambda: WaitingStore(shared_cluster().uri),
}
_NEEDS: Final = {"redis": needs_redis, "valkey": needs_valkey}
#: The same as parameters of tests: without a server on this machine, some are skipped.
KINDS: Final = [pytest.param(kind, marks=_NEEDS.get(kind.partition("-")[0], ())) for kind in STORES]
