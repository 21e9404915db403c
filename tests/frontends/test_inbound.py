"""Requests of one connection: how many at once, and what a handshake is where none is served."""

from __future__ import annotations

import asyncio
import socket

from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway_guard.frontends.inbound import AT_ONCE, GuardProtocol

GET = b"GET / HTTP/1.1\r\nHost: api.test\r\n"
HANDSHAKE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok", "more_body": False})


def answers(sent: bytes, ends: bytes) -> list[bytes]:
    """The status of each answer to `sent`, which arrives in one piece, until one that `ends` so."""

    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        config = Config(app, http=GuardProtocol, ws="none", log_config=None, access_log=False)
        config.load()
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)
            ours.send(sent)
            await loop.connect_accepted_socket(
                lambda: GuardProtocol(config, ServerState(), {}), theirs
            )
            got = b""
            while not got.endswith(ends) and (more := await loop.sock_recv(ours, 65536)):
                got += more
            return got

    return [piece[:3] for piece in asyncio.run(main()).split(b"HTTP/1.1 ")[1:]]


def test_so_many_requests_at_once_are_answered() -> None:
    statuses = answers((GET + b"\r\n") * (AT_ONCE - 1) + GET + b"Connection: close\r\n\r\n", b"\0")

    assert statuses == [b"200"] * AT_ONCE


def test_more_requests_at_once_end_the_connection_behind_the_answers_to_the_first() -> None:
    statuses = answers((GET + b"\r\n") * (AT_ONCE * 3), b"}}")

    assert statuses == [b"200"] * AT_ONCE + [b"400"]


def test_where_no_websockets_are_served_a_handshake_is_the_request_it_also_is() -> None:
    statuses = answers(GET + HANDSHAKE + b"\r\n", b"ok")

    assert statuses == [b"200"]
