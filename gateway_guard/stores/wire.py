"""How scripts are called on a shared store: lanes to one server, or to the nodes of a Cluster.

Python 3.11, uvloop, redis-py 8.1 with hiredis 3.5, coredis 5.7, valkey-glide 2.6, Redis 7.0 on
loopback, microseconds of CPU of the client for one `EVALSHA`, measured in one run when the client
was chosen; asyncio's own loop in parentheses:

| client | in turn | 64 at once |
| --- | --- | --- |
| redis-py | 55 (100) | 81 (97) |
| coredis | 61 (147) | 82 (105) |
| valkey-glide | 116 (88) | 33 (45) |
| redis-py's connections, a turn's calls in one write: `stores/lanes.py` | 42 (100) | 10 (17) |
| hiredis on a bare asyncio protocol | 15 (24) | 3 (4) |

The last is what a client of our own would cost; TLS, Sentinels, authentication and reconnecting
would then be ours too. hiredis on the transport of the library's connections, in place of its
streams, saved a sixth of what lanes cost, 1-2 µs of a request, and was not worth reaching into the
library. `stores/cluster.py` does the same for each node of a Cluster.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from gateway_guard.stores.calls import Call
from gateway_guard.stores.connect import disconnect
from gateway_guard.stores.lanes import Lanes, Pool
from gateway_guard.stores.scripts import Script


class Wire(Protocol):
    """Where scripts are called."""

    @property
    def trips(self) -> int:
        """Writes made, each for a batch of calls."""
        ...

    @property
    def lost(self) -> int:
        """Connections dropped, because they broke, fell silent or answered out of order."""
        ...

    def call(
        self, script: Script, id: bytes, keys: tuple[bytes, ...], args: tuple[bytes, ...]
    ) -> Call:
        """Call `script`; `id` is its first argument. At once: the answer comes later.

        Raises:
            StoreError: too many calls wait.
        """
        ...

    async def close(self) -> None:
        """Fail what is open, and close connections."""
        ...


class Line:
    """A `Wire` to one server, or to the one that Sentinels name."""

    def __init__(self, client: Any, where: str, timeout: float) -> None:
        self._client = client
        self._lanes = Lanes(Pool(client.connection_pool), where, timeout)
        #: Asking for it at every call is a system call each.
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def trips(self) -> int:
        """As `Wire.trips`."""
        return self._lanes.trips

    @property
    def lost(self) -> int:
        """As `Wire.lost`."""
        return self._lanes.lost

    def call(
        self, script: Script, id: bytes, keys: tuple[bytes, ...], args: tuple[bytes, ...]
    ) -> Call:
        """As `Wire.call`."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        call = Call(script, id, keys, args, loop.create_future())
        self._lanes.add(call)
        return call

    async def close(self) -> None:
        """As `Wire.close`."""
        await self._lanes.close()
        await disconnect(self._client)
        # Closed without waiting, connections are gone with the loop's next turn.
        await asyncio.sleep(0)
