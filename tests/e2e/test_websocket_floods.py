"""WebSockets against who means harm: redirects, long lines, and floods of the smallest frames."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.e2e.servers import Client, Seen, Sidecar, Upstream, get, in_front_of, says
from tests.e2e.test_websockets import HANDSHAKE

pytestmark = pytest.mark.e2e

#: Empty messages in a flood: more than one read of a socket brings.
FLOOD = 50_000

SERVER = """
import asyncio
from websockets.asyncio.server import serve

async def talk(socket):
    seen = 0
    async for message in socket:
        if message == "count":
            await socket.send(str(seen))
        elif message.startswith("flood "):
            kind, count = message.split()[1:]
            data = bytes.fromhex(kind) * int(count)
            if data[1] == 0 and data[0] == 0:
                data = b"\\x01\\0" + data + b"\\x80\\0"
            socket.transport.write(data)
            await socket.send("end")
        else:
            seen += 1

async def main():
    async with serve(talk, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with in_front_of(SERVER, tmp_path_factory.mktemp("sidecar")) as sidecar:
        yield sidecar


def text(message: bytes) -> bytes:
    return bytes((0x81, 0x80 | len(message))) + bytes(4) + message


@pytest.mark.parametrize(
    ("frame", "arrived"),
    [(text(b""), FLOOD), (b"\x89\x80" + bytes(4), 0), (b"\x8a\x80" + bytes(4), 0)],
    ids=["texts", "pings", "pongs"],
)
def test_a_flood_of_the_clients_passes_whole_and_others_are_served_meanwhile(
    sidecar: Sidecar, frame: bytes, arrived: int
) -> None:
    with Client(sidecar.port) as client, Client(sidecar.port) as other:
        assert client.send(get("/v1/realtime", *HANDSHAKE)).answer(head_only=True).status == 101
        other.send(get("/admin"))

        client.send(frame * FLOOD + text(b"count"))
        during = other.answer().status
        count = str(arrived).encode()
        client.until(bytes((0x81, len(count))) + count)

        assert during == 403
        assert other.send(get("/admin")).answer().status == 403


@pytest.mark.parametrize(
    ("kind", "messages"),
    [("8100", FLOOD), ("8900", 0), ("0000", 1)],
    ids=["texts", "pings", "pieces"],
)
def test_a_flood_of_the_upstreams_passes_whole(sidecar: Sidecar, kind: str, messages: int) -> None:
    # Pieces of one message: as many as a message may have.
    count = FLOOD if messages != 1 else 4000

    async def main() -> int:
        url = f"ws://127.0.0.1:{sidecar.port}/v1/realtime"
        async with connect(url, proxy=None, ping_interval=None) as socket:
            await socket.send(f"flood {kind} {count}")
            seen = 0
            while await socket.recv() != "end":
                seen += 1
            return seen

    assert asyncio.run(main()) == messages


def test_an_upstream_that_sends_frames_with_its_handshakes_answer_is_heard(tmp_path: Path) -> None:
    def script(connection: socket.socket, request: Seen, upstream: Upstream) -> bool:
        key = request["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest())
        connection.sendall(
            b"HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + b"\x81\x00" * 1000 + b"\x81\x03end"
        )
        connection.recv(65536)  # its close
        return False

    with (
        Upstream({"/v1/realtime": script}) as upstream,
        Sidecar(tmp_path, upstream.url) as sidecar,
        Client(sidecar.port) as client,
    ):
        assert client.send(get("/v1/realtime", *HANDSHAKE)).answer(head_only=True).status == 101
        frames = client.until(b"\x81\x03end")

        assert frames == b"\x81\x00" * 1000 + b"\x81\x03end"


REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("where", [b"/admin", b"", b"http://[bad/"])
def test_a_redirect_is_the_clients_to_follow(tmp_path: Path, where: bytes) -> None:
    with (
        Upstream({"/v1/realtime": says(REDIRECT % where)}) as upstream,
        Sidecar(tmp_path, upstream.url) as sidecar,
        Client(sidecar.port) as client,
    ):
        answer = client.send(get("/v1/realtime", *HANDSHAKE)).answer()

        assert (answer.status, answer.headers["location"]) == (302, where.decode())
        assert upstream.paths() == ["/v1/realtime"]
        assert "Traceback" not in "\n".join(sidecar.lines)


def test_a_refusal_says_when_to_come_back_and_what_its_body_is(tmp_path: Path) -> None:
    refusal = (
        b"HTTP/1.1 429 No\r\nRetry-After: 7\r\nWWW-Authenticate: Bearer\r\nX-Inner: 1\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )
    with (
        Upstream({"/v1/realtime": says(refusal)}) as upstream,
        Sidecar(tmp_path, upstream.url) as sidecar,
        Client(sidecar.port) as client,
    ):
        answer = client.send(get("/v1/realtime", *HANDSHAKE)).answer()

        assert (answer.status, answer.body) == (429, b"{}")
        assert answer.headers["retry-after"] == "7"
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/json"
        assert "x-inner" not in answer.headers


def test_an_interim_answer_is_not_passed_on_as_the_last(tmp_path: Path) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    with (
        Upstream({"/v1/realtime": says(hints)}) as upstream,
        Sidecar(tmp_path, upstream.url) as sidecar,
        Client(sidecar.port) as client,
    ):
        assert client.send(get("/v1/realtime", *HANDSHAKE)).answer().status == 502


def test_a_handshake_too_long_for_its_parser_is_answered_and_delays_no_end(tmp_path: Path) -> None:
    with (
        Upstream() as upstream,
        Sidecar(tmp_path, upstream.url) as sidecar,
        Client(sidecar.port) as client,
    ):
        client.send(get("/v1/realtime", *HANDSHAKE, "X-Long: " + "a" * 9000))

        assert client.answer().status == 431
        assert client.closed
        assert sidecar.end() == 0


def test_a_text_that_is_none_closes_with_1007_and_without_a_traceback(sidecar: Sidecar) -> None:
    with Client(sidecar.port) as client:
        assert client.send(get("/v1/realtime", *HANDSHAKE)).answer(head_only=True).status == 101
        client.send(text(b"\xff\xfe") * 3)

        assert client.closed
        assert client.buffer[2:4] == (1007).to_bytes(2, "big")
        assert "Traceback" not in "\n".join(sidecar.lines)
