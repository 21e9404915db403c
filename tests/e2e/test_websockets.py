"""WebSockets through the sidecar: joined to the upstream, or refused by the policy."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.e2e.servers import Client, Sidecar, Upstream, ask, get, in_front_of, says

pytestmark = pytest.mark.e2e

HANDSHAKE = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
]

SERVER = """
import asyncio
from websockets.asyncio.server import serve

async def echo(socket):
    async for message in socket:
        if message == "headers":
            fields = socket.request.headers.raw_items()
            await socket.send("\\n".join(f"{k}: {v}" for k, v in fields))
        elif message == "die":
            socket.transport.abort()
        elif isinstance(message, str) and message.startswith("close "):
            await socket.close(int(message[6:]), "asked")
        else:
            await socket.send(message)

async def main():
    pick = lambda connection, offered: "realtime" if "realtime" in offered else None
    async with serve(echo, "127.0.0.1", 0, select_subprotocol=pick, max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
"""


#: It takes whatever is offered, all at once, which no client may accept.
ECHOING = """
import asyncio
from websockets.asyncio.server import serve

async def nothing(socket):
    pass

async def echo(connection, request, response):
    response.headers["Sec-WebSocket-Protocol"] = request.headers["Sec-WebSocket-Protocol"]

async def main():
    async with serve(nothing, "127.0.0.1", 0, process_response=echo) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
"""
KEY = "openai-insecure-api-key.sk-canary-of-a-browser"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with in_front_of(SERVER, tmp_path_factory.mktemp("sidecar")) as sidecar:
        yield f"ws://127.0.0.1:{sidecar.port}"


def test_text_and_bytes_come_back(url: str) -> None:
    async def main() -> list[str | bytes]:
        async with connect(url + "/v1/realtime?model=m") as socket:
            await socket.send("hi")
            first = await socket.recv()
            await socket.send(b"\0\1")
            return [first, await socket.recv()]

    assert asyncio.run(main()) == ["hi", b"\0\1"]


def test_a_large_message_passes(url: str) -> None:
    async def main() -> str | bytes:
        async with connect(url + "/v1/realtime", max_size=None) as socket:
            await socket.send(b"x" * 3_000_000)
            return await socket.recv()

    assert len(asyncio.run(main())) == 3_000_000


def test_the_subprotocol_is_agreed_with_the_upstream(url: str) -> None:
    async def main() -> str | None:
        offered = [Subprotocol("other"), Subprotocol("realtime")]
        async with connect(url + "/v1/realtime", subprotocols=offered) as socket:
            return socket.subprotocol

    assert asyncio.run(main()) == "realtime"


def test_a_key_among_the_subprotocols_arrives_as_it_was_sent(url: str) -> None:
    async def main() -> str:
        offered = [Subprotocol("realtime"), Subprotocol(KEY)]
        async with connect(url + "/v1/realtime", subprotocols=offered) as socket:
            await socket.send("headers")
            return str(await socket.recv())

    assert f"Sec-WebSocket-Protocol: realtime, {KEY}" in asyncio.run(main())


def test_nothing_between_two_commas_is_no_subprotocol(tmp_path: Path) -> None:
    scripts = {"/v1/realtime": says(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")}
    with (
        Upstream(scripts) as upstream,
        Sidecar(tmp_path, upstream.url) as sidecar,
        Client(sidecar.port) as client,
    ):
        offers = "Sec-WebSocket-Protocol: realtime,, b ,"

        assert client.send(get("/v1/realtime", *HANDSHAKE, offers)).answer().status == 403
        assert upstream.seen[-1]["sec-websocket-protocol"] == "realtime, b"


def test_a_key_that_the_upstream_repeats_is_not_logged(tmp_path: Path) -> None:
    with in_front_of(ECHOING, tmp_path) as sidecar, Client(sidecar.port) as client:
        offers = f"Sec-WebSocket-Protocol: realtime, {KEY}"

        answer = client.send(get("/v1/realtime", *HANDSHAKE, offers)).answer()

        assert answer.status == 502
        assert sidecar.heard(r"upstream-failed reason=(\w+)") == "InvalidHeader"
        assert not any("sk-canary" in line for line in sidecar.lines)


def test_credentials_arrive_and_spoofed_fields_do_not(url: str) -> None:
    async def main() -> str:
        fields = {"Authorization": "Bearer sk-a", "X-Forwarded-For": "198.51.100.1"}
        async with connect(url + "/v1/realtime", additional_headers=fields) as socket:
            await socket.send("headers")
            return str(await socket.recv()).lower()

    seen = asyncio.run(main())

    assert "authorization: bearer sk-a" in seen
    assert "198.51.100.1" not in seen
    assert "x-forwarded-for: 127.0.0.1" in seen


@pytest.mark.parametrize(
    ("ask", "code"), [("close 4001", 4001), ("close 1000", 1000), ("die", 1014)]
)
def test_the_upstreams_end_reaches_the_client_and_a_break_is_no_normal_close(
    url: str, ask: str, code: int
) -> None:
    async def main() -> int | None:
        async with connect(url + "/v1/realtime") as socket:
            await socket.send(ask)
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            return socket.close_code

    assert asyncio.run(main()) == code


@pytest.mark.parametrize("path", ["/admin", "//admin", "/v1/%2e%2e/admin"])
def test_the_policy_judges_handshakes(url: str, path: str) -> None:
    async def main() -> int:
        with pytest.raises(InvalidStatus) as refused:
            await connect(url + path)
        return refused.value.response.status_code

    assert asyncio.run(main()) in (400, 403)


def test_the_upstreams_refusal_reaches_the_client(tmp_path: Path) -> None:
    scripts = {"/v1/realtime": says(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")}
    with (
        Upstream(scripts) as upstream,
        Sidecar(tmp_path, upstream.url) as sidecar,
        Client(sidecar.port) as client,
    ):
        answer = client.send(get("/v1/realtime", *HANDSHAKE)).answer()

        assert answer.status == 403


def test_bytes_behind_an_unanswered_handshake_are_refused(tmp_path: Path) -> None:
    with (
        Upstream() as upstream,
        Sidecar(tmp_path, upstream.url) as sidecar,
        Client(sidecar.port) as client,
    ):
        client.send(get("/v1/realtime", *HANDSHAKE) + get("/admin"))

        assert client.answer().status == 400
        assert upstream.seen == []


def test_an_unreachable_upstream_is_a_502(tmp_path: Path) -> None:
    with (
        Sidecar(tmp_path, "unix:/nonexistent/model.sock") as sidecar,
        Client(sidecar.port) as client,
    ):
        answer = client.send(get("/v1/realtime", *HANDSHAKE)).answer()

        assert answer.status == 502
        assert b'"code":"bad_gateway"' in answer.body
        ended = 'gateway_guard_outcomes_total{outcome="upstream-error"} 1.0'
        assert ended.encode() in ask(sidecar.admin, get("/metrics")).body
