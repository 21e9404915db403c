"""The server listens where it is told and nowhere else, and takes together those who wait there."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import uvicorn
import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway_guard.frontends.inbound import GuardProtocol
from gateway_guard.frontends.serving import ACCEPTS, Server, beside
from tests.costs import within

WAITING = 64


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Never asked."""


def made() -> Server:
    """A server that has not started."""
    config = uvicorn.Config(
        app, port=0, http=GuardProtocol, ws="none", lifespan="off", log_config=None
    )
    config.load()
    server = Server(config)
    server.lifespan = config.lifespan_class(config)
    return server


async def turns_to_accept_all() -> int:
    """How many turns of the loop pass until all are accepted who wait when the server starts."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=WAITING))
        for _ in range(WAITING):
            stack.enter_context(socket.create_connection(listener.getsockname(), 20.0))
        listener.setblocking(False)
        server = made()
        await server.startup([listener])
        turns = 0
        while len(server.server_state.connections) < WAITING:
            await asyncio.sleep(0)
            turns += 1
        await server.shutdown([listener])
    return turns


def test_one_turn_accepts_several_connections() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        turns = runner.run(asyncio.wait_for(turns_to_accept_all(), 60.0))

    assert turns <= WAITING / ACCEPTS + 4


def test_with_no_socket_it_opens_none_of_its_own() -> None:
    async def served() -> int:
        server = made()
        await server.startup([])
        opened = len(server.servers)
        await server.shutdown([])
        return opened

    assert asyncio.run(served()) == 0


def answered(app: ASGIApp, sent: bytes) -> bytes:
    """The first line of what `app`, served beside, answers to these bytes."""

    async def asked() -> bytes:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            host, port = listener.getsockname()
            async with beside(app, listener):
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(sent)
                answer = await reader.readuntil(b"\r\n")
                writer.close()
        return answer

    return asyncio.run(asyncio.wait_for(asked(), 60.0))


def test_a_trailer_of_a_request_is_never_a_header_field_beside() -> None:
    told: list[list[tuple[bytes, bytes]]] = []

    async def listening(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body", False):
            continue
        told.append(list(scope["headers"]))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    answer = answered(
        listening,
        b"GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-groups: viewers\r\n"
        b"transfer-encoding: chunked\r\n\r\n"
        b"1\r\nx\r\n0\r\nX-Forwarded-Groups: reviewers\r\n\r\n",
    )

    assert b" 204 " in answer
    assert [value for name, value in told[0] if name == b"x-forwarded-groups"] == [b"viewers"]


def test_to_hold_the_loop_of_a_port_beside_with_tiny_chunks_takes_no_time() -> None:
    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body", False):
            continue
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body"})

    sent = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    sent += b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n"

    # Starting and stopping included.
    assert b" 401 " in within(0.4, lambda: answered(refusing, sent))
