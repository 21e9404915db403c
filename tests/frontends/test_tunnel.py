"""The way to a WebSocket upstream that takes nothing: bounded, and given up in the end."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import Message
from websockets.client import ClientProtocol
from websockets.uri import parse_uri

from gateway_guard.frontends import websocket
from gateway_guard.frontends.upstream import Origin, Upstream
from gateway_guard.frontends.watch import ON_GONE
from gateway_guard.frontends.websocket import Socket, tunnel
from gateway_guard.types import Outcome
from tests.frontends.transports import Transport

#: What RFC 6455 §4.2.2 has a server add to a key.
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accepted(request: bytes) -> bytes:
    """The answer to a handshake."""
    key = request.lower().split(b"sec-websocket-key: ")[1].split(b"\r\n")[0]
    at = request.lower().index(key)
    accept = base64.b64encode(hashlib.sha1(request[at : at + len(key)] + MAGIC).digest())
    return (
        b"HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def connected(test: Callable[[Socket, Transport], Awaitable[None]]) -> None:
    """`test` of a connection to an upstream whose handshake is done."""

    async def main() -> None:
        protocol = ClientProtocol(parse_uri("ws://model.test/v1/realtime"))
        socket = Socket(protocol, ping_interval=None, max_queue=4)
        transport = Transport()
        socket.connection_made(transport.given)
        protocol.send_request(protocol.connect())
        socket.send_data()
        socket.data_received(accepted(b"".join(transport.written)))
        transport.written.clear()
        await test(socket, transport)
        if socket.close_code is None:
            socket.connection_lost(None)

    asyncio.run(main())


def ping(payload: bytes) -> bytes:
    return bytes((0x89, len(payload))) + payload


def test_of_pings_of_an_upstream_that_reads_nothing_the_last_are_answered() -> None:
    async def test(socket: Socket, transport: Transport) -> None:
        socket.pause_writing()
        for number in range(1000):
            socket.data_received(ping(b"%d" % number))
        held = list(transport.written)
        socket.resume_writing()

        assert held == []
        (pong,) = transport.written
        mask, masked = pong[2:6], pong[6:]
        assert pong[0] == 0x8A
        assert bytes(a ^ b for a, b in zip(masked, mask, strict=False)) == b"999"

    connected(test)


def test_pings_are_answered_at_once_while_the_upstream_reads() -> None:
    async def test(socket: Socket, transport: Transport) -> None:
        socket.data_received(ping(b"a"))

        assert [piece[0] for piece in transport.written] == [0x8A]

    connected(test)


def test_a_close_frame_is_answered_though_nobody_reads_and_no_ping_behind_ours_is() -> None:
    async def test(socket: Socket, transport: Transport) -> None:
        socket.pause_writing()
        socket.data_received(ping(b"a") + b"\x88\x02\x03\xe8")

        assert [piece[0] for piece in transport.written] == [0x8A, 0x88]

    connected(test)


def test_pongs_to_an_upstream_that_we_said_goodbye_to_do_not_pile_up() -> None:
    async def test(socket: Socket, transport: Transport) -> None:
        socket.protocol.send_close(1000)
        socket.send_data()
        transport.written.clear()
        socket.pause_writing()

        for _ in range(1000):
            socket.data_received(ping(b"a"))
        socket.resume_writing()

        assert transport.written == []

    connected(test)


@pytest.mark.parametrize(
    ("last", "ours", "said", "outcome"),
    [
        (b"\x83\0", False, 1014, Outcome.UPSTREAM_CUT),
        (b"\x88\x02\x03\xe7", False, 1014, Outcome.UPSTREAM_CUT),
        (b"", False, 1014, Outcome.UPSTREAM_CUT),
        (b"\x88\x02\x0b\xb8", False, 3000, Outcome.COMPLETED),
        (b"\x88\0", False, 1000, Outcome.COMPLETED),
        (b"", True, None, Outcome.COMPLETED),
    ],
)
def test_what_is_no_websocket_is_an_upstream_that_broke_off(
    last: bytes, ours: bool, said: int | None, outcome: Outcome
) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def test(socket: Socket, transport: Transport) -> None:
        if ours:
            parting = asyncio.create_task(socket.part(1000))
            await asyncio.sleep(0)
        if last:
            socket.data_received(last)
        socket.connection_lost(None)

        assert await websocket._to_client(send, socket) is outcome
        assert [message["code"] for message in sent] == ([] if said is None else [said])
        if ours:
            await parting

    connected(test)


def test_of_an_upstream_that_is_gone_at_once_nobody_waits_for_a_sign_of_life() -> None:
    async def test(socket: Socket, transport: Transport) -> None:
        socket.ping_interval = 20.0
        socket.start_keepalive()
        alive = socket.keepalive_task
        socket.connection_lost(None)
        socket.start_keepalive()

        assert alive is not None
        assert socket.keepalive_task is None

    connected(test)


async def due() -> None:
    """Let timers of no time come."""
    for _ in range(3):
        await asyncio.sleep(0)


def test_an_upstream_that_takes_nothing_for_long_is_given_up() -> None:
    async def test(socket: Socket, transport: Transport) -> None:
        socket.patience = 3600.0
        socket.pause_writing()
        await due()
        patient = transport.aborted
        socket.resume_writing()
        socket.patience = 0.0
        socket.pause_writing()
        socket.resume_writing()
        await due()
        resumed = transport.aborted
        socket.pause_writing()
        await due()

        assert (patient, resumed, transport.aborted) == (False, False, True)

    connected(test)


@pytest.mark.parametrize("first", ["gone", "stuck"])
def test_behind_a_client_that_is_gone_it_is_given_up_soon(
    first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "CLOSING", 0.0)

    async def test(socket: Socket, transport: Transport) -> None:
        for step in (socket.hurry, socket.pause_writing)[:: 1 if first == "gone" else -1]:
            step()
        await due()

        assert transport.aborted

    connected(test)


def test_who_leaves_an_upstream_that_takes_nothing_is_waited_for_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(websocket, "CLOSING", 0.01)
    stuck = asyncio.Event()
    gone: list[Callable[[], None]] = []

    class Watched(Socket):
        def pause_writing(self) -> None:
            super().pause_writing()
            stuck.set()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(accepted(await reader.readuntil(b"\r\n\r\n")))
        await over.wait()
        writer.close()

    async def receive() -> Message:
        if not gone:
            return {"type": "websocket.connect"}
        await asyncio.sleep(0)
        return {"type": "websocket.receive", "bytes": bytes(1 << 20)}

    async def send(message: Message) -> None:
        return

    async def main() -> None:
        server = await asyncio.start_server(deaf, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        scope: dict[str, Any] = {
            "type": "websocket", "headers": [], "extensions": {ON_GONE: gone.append}
        }  # fmt: skip
        joined = asyncio.create_task(
            tunnel(
                scope, receive, send, upstream=Upstream(Origin.parse(f"http://127.0.0.1:{port}")),
                target=b"/v1/realtime", fields=[], preserve_host=False, max_message=1 << 24,
            )
        )  # fmt: skip
        async with asyncio.timeout(60):
            await stuck.wait()
            gone[0]()
            await joined
            over.set()
        server.close()

    over = asyncio.Event()
    monkeypatch.setattr(websocket, "Socket", Watched)

    asyncio.run(main())
