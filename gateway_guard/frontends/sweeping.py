"""Closing the connections of a server that let others wait: one look at all, no timer each.

While all connections are taken, whoever does nothing with theirs is let go much sooner: anybody can
open thousands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from gateway_guard.frontends.inbound import GuardProtocol
from gateway_guard.frontends.patience import Limits
from gateway_guard.frontends.sockets import SocketProtocol

if TYPE_CHECKING:
    from gateway_guard.frontends.serving import Server

#: Seconds between two looks at the connections, at most.
EVERY: Final = 1.0


async def sweep(
    server: Server, limits: Limits, late: Callable[[float], None] | None = None
) -> None:
    """Close what is late by `limits`, at most a quarter of the shortest late itself; never ends.

    `late` is told by how many seconds the loop missed each look.
    """
    shortest = min(limits.head, limits.body, limits.idle, limits.write)
    every = min(EVERY, shortest / 4)
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every
        await asyncio.sleep(every)
        now = loop.time()
        if late is not None:
            late(max(0.0, now - due))
        connections = list(server.server_state.connections)
        allowed = limits.hurried if len(connections) >= limits.connections else None
        for connection in connections:
            if isinstance(connection, GuardProtocol | SocketProtocol):
                connection.sweep(now, allowed)
