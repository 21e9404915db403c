"""One client of a sidecar's listener, over a socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway_guard.frontends.inbound import GuardProtocol


def conversation(
    bound: type[GuardProtocol],
    app: Any,
    sent: bytes,
    over: Callable[[bytes], bool],
    *,
    leaves: bool = False,
) -> bytes:
    """What comes back for `sent`, which arrives in one piece, until that is `over` or ends.

    `leaves`: the client has closed its side by the time that anything of it is read.
    """

    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        config = Config(app, http=GuardProtocol, ws="none", log_config=None, access_log=False)
        config.load()
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)
            ours.send(sent)
            if leaves:
                ours.shutdown(socket.SHUT_WR)
            await loop.connect_accepted_socket(lambda: bound(config, ServerState(), {}), theirs)
            got = b""
            async with asyncio.timeout(60):
                while not over(got) and (more := await loop.sock_recv(ours, 65536)):
                    got += more
            return got

    return asyncio.run(main())
