"""The guard as HAProxy's agent, as a process of its own: `spoe_agent.py POLICY PORT-OR-PATH`.

Writes `serving PORT` to standard error once it answers; SIGTERM says goodbye to every connection.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

import uvloop

from gateway_guard.frontends.listen import bind_tcp, bind_unix
from gateway_guard.frontends.spoe.server import SpoeServer
from gateway_guard.guard import build_guard


async def serve(policy: str, where: str) -> None:
    """Answer until SIGTERM."""
    guard = build_guard(policy)
    server = SpoeServer(guard, lease=float(os.environ.get("SPOE_LEASE", "0")))
    if where.startswith("/"):
        listener = bind_unix(where)
    else:
        listener = bind_tcp("127.0.0.1", int(where), flag="PORT")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    name = where if where.startswith("/") else listener.getsockname()[1]
    await server.start(listener)
    print(f"serving {name}", file=sys.stderr, flush=True)
    await stop.wait()
    await server.close()
    print("closed", file=sys.stderr, flush=True)


if __name__ == "__main__":
    logging.basicConfig(level="INFO", stream=sys.stderr)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1], sys.argv[2]))
