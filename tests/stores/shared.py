"""What tests of the shared store have in common: stores, questions, and a proxy that misbehaves."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

from gateway_guard.stores.redis import RedisStore
from gateway_guard.types import Charge
from tests import build

ACCOUNT = "acct_k3vqabcdefgh2345"
#: What a user of its own needs, as examples/cluster/README.md has it: for limits; besides for
#: campaigns; in a Cluster.
RIGHTS = (
    "+evalsha +script +get +set +getdel +del +exists +time +pexpire +pttl +zadd +zrem +zcount "
    "+zrangebyscore +zremrangebyscore +client +select"
)
CAMPAIGN_RIGHTS = (
    "+eval +expire +hdel +hget +hgetall +hlen +hmget +hscan +hset +unlink +xadd +xinfo +xrange "
    "+xread +xtrim +zcard +zremrangebyrank +zscan +zscore"
)
CLUSTER_RIGHTS = "+asking +cluster|slots +command"
_numbers = itertools.count()


def namespace() -> str:
    """One nobody used before."""
    return f"n{next(_numbers)}"


@asynccontextmanager
async def opened(uri: str, **more: Any) -> AsyncIterator[RedisStore]:
    """A store in a namespace of its own, unless `more` names one; closed at the end."""
    fields: dict[str, Any] = {"secret": build.SECRET, "namespace": namespace(), "timeout": 10.0}
    store = RedisStore(uri, **fields | more)
    try:
        yield store
    finally:
        await store.close()


def tokens(cost: float = 1.0, *, capacity: float = 10.0, rate: float = 0.0, who: str = ACCOUNT,
           limit: str = "tokens") -> Charge:  # fmt: skip
    """Tokens that do not drain, so that no time matters, unless a rate is given."""
    return build.charge(
        limit=limit, key=f"{limit}/tokens:{who}", unit="tokens", cost=cost, capacity=capacity,
        rate=rate,
    )  # fmt: skip


def flying(capacity: float = 2.0, who: str = ACCOUNT) -> Charge:
    """A place among requests in flight."""
    return build.charge(
        limit="in-flight", key=f"in-flight:{who}", unit="concurrent", capacity=capacity, rate=0.0,
        window=0.0,
    )  # fmt: skip


async def take(
    store: RedisStore, *charges: Charge, id: str | None = None, now: float = build.NOW
) -> bool:
    """Whether all of it was granted."""
    name = f"r_{next(_numbers)}" if id is None else id
    grants = await store.reserve(charges, id=name, now=now)
    return all(grant.allowed for grant in grants)


async def used(store: RedisStore, charge: Charge, now: float = build.NOW) -> float:
    """Units used, or requests in flight, under the key of `charge`."""
    await store.drained()
    name = f"look_{next(_numbers)}"
    wide = build.charge(
        limit=charge.limit, key=charge.key, unit=charge.unit, cost=0.0, capacity=1e9,
        rate=charge.rate,
    )  # fmt: skip
    (grant,) = await store.reserve((wide,), id=name, now=now)
    await store.settle((wide,), (0.0,), id=name, now=now)
    await store.drained()
    return round(1e9 - grant.remaining, 6)


class Proxy:
    """Between a store and its server, in this event loop.

    Attributes:
        down: what becomes of a piece the server sends; None ends the connection.
        up: the same for what the store sends.
        ends: whether the connection ends behind the next piece.
        made: connections so far.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.down: Callable[[bytes], bytes | None] = lambda piece: piece
        self.up: Callable[[bytes], bytes | None] = lambda piece: piece
        self.ends = False
        self.made = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def uri(self) -> str:
        """For the store."""
        return f"redis://127.0.0.1:{self.port}"

    def healthy(self) -> None:
        """No more faults."""
        self.ends = False
        self.down = self.up = lambda piece: piece

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.made += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        behind_reader, behind = await asyncio.open_connection("127.0.0.1", self._port)
        ways = [
            asyncio.create_task(self._pump(reader, behind, "up")),
            asyncio.create_task(self._pump(behind_reader, writer, "down")),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for end in (writer, behind):
                end.transport.abort()
            self._tasks.discard(task)
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str
    ) -> None:
        while piece := await reader.read(65_536):
            changed = (self.up if way == "up" else self.down)(piece)
            if changed is None:
                return
            if changed:
                writer.write(changed)
                await writer.drain()
            if self.ends:
                self.healthy()
                return
