"""The shared store behind Sentinels: the master dies, its replica takes over."""

from __future__ import annotations

import asyncio

from gateway_guard.errors import StoreError
from tests.servers import PATIENCE, needs_redis, sentinels
from tests.stores.shared import opened, take, tokens, used

pytestmark = needs_redis


def test_when_the_master_is_killed_its_replica_goes_on_with_the_same_counts() -> None:
    async def main() -> tuple[float, int]:
        with sentinels() as trio:
            async with opened(trio.uri, timeout=2.0) as store:
                await take(store, tokens(4.0))
                # Replication is asynchronous: without this the last write may be lost.
                trio.master.do("WAIT", 1, 5_000)
                trio.master.kill()
                refused, deadline = 0, asyncio.get_running_loop().time() + PATIENCE
                while asyncio.get_running_loop().time() < deadline:
                    try:
                        assert await take(store, tokens())
                        break
                    except StoreError:
                        refused += 1
                        await asyncio.sleep(0.05)
                assert trio.master_port() == trio.replica.port
                return await used(store, tokens()), refused

    level, refused = asyncio.run(main())

    assert level == 5.0
    assert refused >= 1
