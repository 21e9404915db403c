"""A guard behind Envoy's gRPC services, and nothing else: `python -m tests.e2e.envoy_guard …`.

policy.yaml ADDRESS LEASE     listens on ADDRESS until SIGTERM
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

import uvloop

from gateway_guard.frontends.envoy.server import EnvoyServer
from gateway_guard.guard import build_guard
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.settings import Settings


async def serve(policy: str, address: str, lease: float) -> None:
    """Until SIGTERM."""
    settings = Settings.from_environment()
    guard = build_guard(policy, settings=settings, network=NoNetwork())
    server = EnvoyServer(guard, lease=lease, secret=settings.secret)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    bound = await server.start(address)
    print(f"listens on {bound}", file=sys.stderr, flush=True)
    await stop.wait()
    await server.close(drain=0.2)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    uvloop.run(serve(sys.argv[1], sys.argv[2], float(sys.argv[3])))
