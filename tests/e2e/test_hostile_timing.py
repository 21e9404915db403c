"""Clients that send by drops, stop, leave or never read: at every stage, and nobody else waits."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest

from tests.e2e.hostile import Site, new_token, site
from tests.e2e.servers import PATIENCE, Client, ask, get, reset
from tests.servers import until

pytestmark = pytest.mark.e2e

CHAT = b'{"model":"m","messages":[{"role":"user","content":"hello there"}]}'
POST = get("/v1/chat/completions?t={T}", "Content-Type: application/json", method="POST", body=CHAT)
CHUNKED = (
    b"POST /v1/chat/completions?t={T} HTTP/1.1\r\nHost: api.test\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (CHAT[:7], CHAT[7:8], CHAT[8:]))
    + b"0\r\n\r\n"
)  # fmt: skip

#: How a client may leave.
LEAVING: dict[str, Callable[[socket.socket], object]] = {
    "in peace": socket.socket.close,
    "by a reset": reset,
    "by half": lambda connection: connection.shutdown(socket.SHUT_WR),
}


@pytest.mark.parametrize("raw", [POST, CHUNKED], ids=["length", "chunks"])
def test_a_request_by_single_bytes_is_read_as_one(where: Site, raw: bytes) -> None:
    token = new_token()
    with Client(where.port) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        for byte in raw.replace(b"{T}", token.encode()):
            client.send(bytes((byte,)))

        assert client.answer().headers["x-token"] == token
    (seen,) = where.arrived(token)
    assert where.read(seen).body == CHAT


@pytest.mark.parametrize("raw", [POST, CHUNKED], ids=["length", "chunks"])
@pytest.mark.parametrize("how", LEAVING)
def test_a_client_that_leaves_at_any_byte_asks_nothing(where: Site, raw: bytes, how: str) -> None:
    token = new_token()
    raw = raw.replace(b"{T}", token.encode())

    for size in range(0, len(raw) - 1, 9):
        with Client(where.port) as client:
            client.send(raw[:size])
            LEAVING[how](client.socket)

    # Answered after all of them: what was to arrive of them has.
    assert ask(where.port, get("/v1/models")).status == 200
    assert where.arrived(token) == []


def test_a_client_that_leaves_while_it_is_answered_is_let_go(where: Site) -> None:
    gone = threading.Event()

    def waits(connection: socket.socket, *_: object) -> bool:
        with suppress(OSError):
            connection.recv(1)
        gone.set()
        return False

    where.upstream.scripts["/v1/waits"] = waits
    token = new_token()
    with Client(where.port) as client:
        client.send(get(f"/v1/waits?t={token}"))
        until(lambda: where.arrived(token), "the request arrives")
        assert not gone.is_set()

    assert gone.wait(PATIENCE)


def test_slow_heads_bodies_chunks_and_trailers_are_closed_and_nobody_waits_for_them(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    flags = ("--timeout-header", "2", "--timeout-body", "2", "--timeout-keep-alive", "2")
    head = CHUNKED.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    stuck = {
        b"": 0, b"G": 408, b"GET /v1/x HTTP/1.1\r\nHost: a\r\n": 408, POST[:-1]: 408, head: 408,
        head + b"5": 408, head + b"5;ext=": 408, head + b"5\r\nhel": 408,
        head + b"5\r\nhello\r\n0\r\nTrailer-": 408, b"\r\n\r\n": 408,
    }  # fmt: skip
    with (
        site(tmp_path_factory.mktemp("slow"), *flags) as slow,
        ExitStack() as stack,
    ):
        clients = [(raw, stack.enter_context(Client(slow.port))) for raw in stuck for _ in range(9)]
        for raw, client in clients:
            client.send(raw)

        assert ask(slow.port, get("/v1/models")).status == 200
        for raw, client in clients:
            assert client.answer().status in (stuck[raw], 0), raw
            assert client.closed
        assert slow.upstream.paths() == ["/v1/models"]


def test_many_who_never_read_their_answers_do_not_stop_others(where: Site) -> None:
    def large(connection: socket.socket, *_: object) -> bool:
        size = 4 * 1024 * 1024
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        return True

    where.upstream.scripts["/v1/large"] = large
    with ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(Client(where.port))
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.send(get("/v1/large"))

        for _ in range(20):
            assert ask(where.port, get("/v1/models")).status == 200


def test_a_thousand_small_requests_at_once_are_answered_in_order(where: Site) -> None:
    tokens = [new_token() for _ in range(1000)]
    with Client(where.port) as client:
        client.send(b"".join(get(f"/v1/models?t={token}") for token in tokens))

        answers = [client.answer().headers["x-token"] for _ in tokens]

    assert answers == tokens


def test_a_reset_in_the_middle_of_many_requests_leaves_no_answer_for_another(where: Site) -> None:
    for _ in range(20):
        with Client(where.port) as client:
            client.send(get("/v1/models?t=gone") * 20)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        token = new_token()

        assert ask(where.port, get(f"/v1/models?t={token}")).headers["x-token"] == token
