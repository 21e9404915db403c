"""GuardMiddleware under real uvicorn: streams, cuts, clients that leave, WebSockets, trailers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from gateway_guard import GuardMiddleware, build_guard
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.types import Exchange, Outcome
from tests import build
from tests.processes import PATIENCE

pytestmark = pytest.mark.e2e

POLICY = """
    version: 1
    mode: enforce
    identify: { trusted_proxies: [127.0.0.0/8] }
    limits:
      tokens: { per: account, tokens: 100000/minute }
      in-flight: { per: account, concurrent: 4 }
    rules:
      - name: no-socket
        when: { path: /refused }
        then: deny
"""
EVENT = b'data: {"choices":[{"delta":{"content":"four word long text"}}]}\n\n'


class App:
    """Streams by path: `/v1/chat/completions` for ever, `/cut/completions` breaks off."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.headers: list[tuple[bytes, bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "text": "hello"})
            await send({"type": "websocket.close", "code": 1000})
            return
        self.headers = list(scope["headers"])
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            await send({"type": "http.response.body", "body": EVENT, "more_body": True})
            if scope["path"].startswith("/cut"):
                raise RuntimeError("the model broke off")
            if scope["path"].startswith("/short"):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            await asyncio.Event().wait()
        finally:
            self.ended.set()


class Server:
    """uvicorn in a thread, with the guarded application."""

    def __init__(self, http: str) -> None:
        self.app = App()
        self.settled: list[Exchange] = []
        self.told = threading.Condition()
        guard = build_guard(build.policy(POLICY), network=NoNetwork(), learners=[self._learn])
        config = uvicorn.Config(
            GuardMiddleware(self.app, guard=guard), port=0, http=http, log_config=None,
            lifespan="on", proxy_headers=False, timeout_graceful_shutdown=2,
        )  # fmt: skip
        self.server = uvicorn.Server(config)
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(16)
        self.port: int = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.server.run, args=([self.socket],))

    def _learn(self, exchange: Exchange) -> None:
        with self.told:
            self.settled.append(exchange)
            self.told.notify_all()

    def wait_settled(self, count: int = 1) -> Exchange:
        with self.told:
            assert self.told.wait_for(lambda: len(self.settled) >= count, PATIENCE)
        return self.settled[-1]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)


@contextlib.contextmanager
def serving(http: str) -> Iterator[Server]:
    server = Server(http)
    server.thread.start()
    try:
        with server.connect():
            yield server
    finally:
        server.server.should_exit = True
        server.thread.join(PATIENCE)
        server.socket.close()


def post(path: str, *lines: str, body: bytes | None = None) -> bytes:
    body = build.chat_body(stream=True) if body is None else body
    head = [f"POST {path} HTTP/1.1", "host: x", "authorization: Bearer sk-1",
            "content-type: application/json", *lines]  # fmt: skip
    if not any(line.startswith("transfer-encoding") for line in lines):
        head.append(f"content-length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode() + body


def read_until(connection: socket.socket, mark: bytes) -> bytes:
    data = b""
    while mark not in data:
        more = connection.recv(65536)
        if not more:
            break
        data += more
    return data


@pytest.mark.parametrize("http", ["httptools", "h11"])
def test_a_client_that_leaves_mid_stream_ends_the_application_and_pays_what_it_got(
    http: str,
) -> None:
    with serving(http) as server:
        with server.connect() as connection:
            connection.sendall(post("/v1/chat/completions"))
            head = read_until(connection, b"\n\n\r\n")
        # It would stream for ever.
        assert server.app.ended.wait(PATIENCE)
        exchange = server.wait_settled()

    assert head.startswith(b"HTTP/1.1 200")
    assert b"ratelimit:" in head
    assert EVENT in head
    assert len(server.settled) == 1
    assert exchange.usage is not None
    assert exchange.usage.outcome is Outcome.CLIENT_GONE
    assert exchange.usage.output_tokens is not None
    assert 1 <= exchange.usage.output_tokens <= 10


@pytest.mark.parametrize("http", ["httptools", "h11"])
def test_a_broken_stream_reaches_the_client_as_broken(http: str) -> None:
    with serving(http) as server, server.connect() as connection:
        connection.sendall(post("/cut/completions"))
        answer = read_until(connection, b"never")
        exchange = server.wait_settled()

    assert EVENT in answer
    assert not answer.endswith(b"0\r\n\r\n")
    assert exchange.usage is not None
    assert exchange.usage.outcome is Outcome.UPSTREAM_CUT


def test_a_websocket_is_let_through_or_refused_with_a_body() -> None:
    import websockets.sync.client as client
    from websockets.exceptions import InvalidStatus

    with serving("httptools") as server:
        with client.connect(f"ws://127.0.0.1:{server.port}/v1/realtime") as connection:
            assert connection.recv(timeout=PATIENCE) == "hello"
        with pytest.raises(InvalidStatus) as refused:
            client.connect(f"ws://127.0.0.1:{server.port}/refused")
        server.wait_settled(2)

    assert refused.value.response.status_code == 403
    assert b"request was refused" in (refused.value.response.body or b"")
    outcomes = [exchange.usage.outcome for exchange in server.settled if exchange.usage]
    assert sorted(outcomes) == [Outcome.COMPLETED, Outcome.REFUSED]


CHUNK = build.chat_body(stream=True)
ATTACK = (
    "transfer-encoding: chunked",
    "x-forwarded-for: 198.51.100.7",
)


def attack(trailer: bytes) -> bytes:
    framed = b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(CHUNK), CHUNK, trailer)
    return post("/short/completions", *ATTACK, body=framed)


def test_a_trailer_cannot_pose_as_the_proxys_header() -> None:
    with serving("httptools") as server, server.connect() as connection:
        connection.sendall(attack(b"x-forwarded-for: 203.0.113.99\r\n"))
        answer = read_until(connection, b"\r\n\r\n")
        exchange = server.wait_settled()

    assert answer.startswith(b"HTTP/1.1 400")
    assert exchange.decision.rule == "guard:trailers"


def test_servers_that_drop_trailers_judge_the_proxys_header() -> None:
    with serving("h11") as server, server.connect() as connection:
        connection.sendall(attack(b"x-forwarded-for: 203.0.113.99\r\n"))
        answer = read_until(connection, b"\r\n\r\n")
        exchange = server.wait_settled()

    assert answer.startswith(b"HTTP/1.1 200")
    assert exchange.request.client_ip == "198.51.100.7"


def test_a_chunked_request_without_trailers_is_served() -> None:
    with serving("httptools") as server, server.connect() as connection:
        connection.sendall(attack(b""))
        answer = read_until(connection, b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200")
