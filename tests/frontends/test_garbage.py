"""Requests leave nothing to the garbage collector: what they held is free when they are over."""

from __future__ import annotations

import asyncio
import gc
import socket

from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway_guard.frontends.cycle import Cycle
from gateway_guard.frontends.inbound import GuardProtocol

REQUEST = b"POST /v1/x HTTP/1.1\r\nHost: api.test\r\nContent-Length: 2\r\n\r\n{}"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok", "more_body": False})


def cycles() -> int:
    return sum(isinstance(thing, Cycle) for thing in gc.get_objects())


async def serve(count: int) -> int:
    """How many cycles are left of `count` requests on one connection, without a collection."""
    loop = asyncio.get_running_loop()
    config = Config(app, http=GuardProtocol, log_config=None, access_log=False)
    config.load()
    ours, theirs = socket.socketpair()
    with ours:
        ours.setblocking(False)
        await loop.connect_accepted_socket(lambda: GuardProtocol(config, ServerState(), {}), theirs)
        before = cycles()
        gc.disable()
        try:
            for _ in range(count):
                await loop.sock_sendall(ours, REQUEST)
                answer = b""
                while not answer.endswith(b"ok"):
                    answer += await loop.sock_recv(ours, 4096)
            return cycles() - before
        finally:
            gc.enable()


def test_a_request_that_is_over_is_freed_at_once() -> None:
    left = asyncio.run(serve(20))

    # The connection keeps its last one.
    assert left <= 1
