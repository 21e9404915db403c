"""Which answers of an upstream are believed, and how much of them one turn of the loop reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest

from gateway_guard.errors import UpstreamError
from gateway_guard.frontends.upstream_head import MAX_HEADERS
from gateway_guard.frontends.upstream_wire import MAX_INTERIM, UpstreamConnection
from tests.costs import within
from tests.frontends.transports import Transport, turn

T = TypeVar("T")

OK = b"Content-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\n\r\n"


#: Seconds of processor time for what comes in one turn: half of what a request may take. Measured
#: on two shared cores, at their best and worst: 1 to 10 ms; with a method called for each chunk or
#: trailer 22 to 80.
TURN = 0.025


def asked(test: Callable[[UpstreamConnection, Transport], T]) -> T:
    """`test` of a connection that has sent a request."""

    async def main() -> T:
        loop = asyncio.get_running_loop()
        connection = UpstreamConnection(loop, read_timeout=60.0, on_closed=lambda _: None)
        transport = Transport()
        connection.connection_made(transport.given)
        connection.start(b"GET / HTTP/1.1\r\n\r\n", head_request=False)
        return test(connection, transport)

    return asyncio.run(main())


def answer(*pieces: bytes) -> tuple[int, bytes]:
    """Status and body of an answer that comes in these pieces.

    Raises:
        UpstreamError: it is not believed.
    """

    async def read(connection: UpstreamConnection) -> tuple[int, bytes]:
        head = await connection.head()
        body, more = await connection.read()
        while more:
            data, more = await connection.read()
            body += data
        return head.status, body

    async def main() -> tuple[int, bytes]:
        loop = asyncio.get_running_loop()
        connection = UpstreamConnection(loop, read_timeout=60.0, on_closed=lambda _: None)
        connection.connection_made(Transport().given)
        connection.start(b"GET / HTTP/1.1\r\n\r\n", head_request=False)
        for piece in pieces:
            connection.data_received(piece)
        connection.connection_lost(None)
        return await read(connection)

    return asyncio.run(main())


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/2.0 200 OK", b"HTTP/2 200 OK", b"HTTP/0.9 200 OK", b"HTTP/1.2 200 OK",
        b"HTTP/1.10 200 OK", b"HTTP/01.1 200 OK", b"HTTP/1.1x 200 OK", b"http/1.1 200 OK",
        b"RTSP/1.0 200 OK", b"ICE/1.0 200 OK", b"ICY 200 OK",
        b" HTTP/1.1 200 OK", b"\r\nHTTP/1.1 200 OK", b"HTTP/1.1  200 OK", b"HTTP/1.1\t200 OK",
        b"HTTP/1.1 200\tOK", b"HTTP/1.1 200OK",
        b"HTTP/1.1 099 Odd", b"HTTP/1.1 000 Odd", b"HTTP/1.1 600 Odd", b"HTTP/1.1 999 Odd",
        b"HTTP/1.1 1000 Odd", b"HTTP/1.1 20 Odd", b"HTTP/1.1 +20 Odd", b"HTTP/1.1 2OO Odd",
        b"HTTP/2.0 103 Early Hints\r\n\r\nHTTP/1.1 200 OK",
    ],
)  # fmt: skip
def test_another_version_or_status_is_no_answer(line: bytes) -> None:
    with pytest.raises(UpstreamError, match="cannot be believed"):
        answer(line + b"\r\n" + OK)


@pytest.mark.parametrize(
    "line",
    [b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 200 ", b"HTTP/1.1 200",
     b"HTTP/1.1 200 quite fine", b"HTTP/1.1 599 Odd"],
)  # fmt: skip
def test_a_status_line_of_ours_is_one_with_any_reason_or_none(line: bytes) -> None:
    # RFC 9112 §4: the reason may be empty. Many send no space before it then, which all accept.
    assert answer(line + b"\r\n" + OK) == (int(line[9:12]), b"ok")
    assert (
        answer(*((line + b"\r\n" + OK)[n : n + 1] for n in range(len(line + OK) + 2)))[1] == b"ok"
    )


@pytest.mark.parametrize("blank", [b" ", b"\t", b" \t "])
def test_blanks_around_a_length_are_no_part_of_it(blank: bytes) -> None:
    length = OK.replace(b" 2\r", blank + b"2" + blank + b"\r", 1)

    assert answer(b"HTTP/1.1 200 OK\r\n" + length) == (200, b"ok")
    with pytest.raises(UpstreamError, match="cannot be believed"):
        answer(b"HTTP/1.1 200 OK\r\nContent-Length:" + blank + b"\r\n\r\nok")


def test_chunks_in_http_1_0_are_no_framing() -> None:
    chunks = CHUNKED.replace(b"/1.1", b"/1.0") + b"2\r\nok\r\n0\r\n\r\n"

    with pytest.raises(UpstreamError, match=r"HTTP/1\.0"):
        answer(chunks)
    with pytest.raises(UpstreamError, match=r"HTTP/1\.0"):
        answer(chunks.replace(b"OK\r\n", b"OK\r\nConnection: keep-alive\r\n"))


@pytest.mark.parametrize("count", [0, MAX_INTERIM])
def test_some_interim_answers_are_passed_over(count: int) -> None:
    assert answer(HINTS * count + b"HTTP/1.1 200 OK\r\n" + OK) == (200, b"ok")


def test_interim_answers_without_end_are_no_answer() -> None:
    with pytest.raises(UpstreamError, match="interim"):
        answer(HINTS * (MAX_INTERIM + 1) + b"HTTP/1.1 200 OK\r\n" + OK)


def test_trailers_are_dropped_and_few() -> None:
    trailers = b"a:b\r\n" * MAX_HEADERS

    assert answer(CHUNKED + b"2\r\nok\r\n0\r\n" + trailers + b"\r\n") == (200, b"ok")
    with pytest.raises(UpstreamError, match="trailers"):
        answer(CHUNKED + b"0\r\n" + trailers + b"a:b\r\n\r\n")


def test_what_came_before_a_broken_chunk_is_read_first() -> None:
    def test(connection: UpstreamConnection, _: Transport) -> None:
        connection.data_received(CHUNKED + b"1\r\na\r\n1\r\nb\r\nZZ\r\n")

        reading = connection.read()
        with pytest.raises(StopIteration) as read:
            reading.send(None)
        assert read.value.value == (b"ab", True)

    asked(test)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"1\r\nx\r\n" * 175_000, id="chunks of one byte"),
        pytest.param(b"2\r\nxx\r\n" * 150_000, id="chunks of two bytes"),
        pytest.param(b"1;a=b\r\nx\r\n" * 105_000, id="chunks with an extension"),
        pytest.param(b"40000\r\n" + b"x" * 0x40000 + b"\r\n0\r\n" + b"a:b\r\n" * 157_000,
                     id="trailers"),
    ],
)  # fmt: skip
def test_to_hold_the_loop_with_the_smallest_pieces_takes_no_time(data: bytes) -> None:
    def test(connection: UpstreamConnection, transport: Transport) -> None:
        connection.data_received(CHUNKED)
        turn(connection, transport, data)

    within(TURN, lambda: asked(test))


def test_to_hold_the_loop_with_interim_answers_takes_no_time() -> None:
    within(TURN, lambda: asked(lambda connection, at: turn(connection, at, HINTS * 40_000)))


def test_many_pieces_pause_reading_until_they_are_taken() -> None:
    def test(connection: UpstreamConnection, transport: Transport) -> tuple[bool, bool]:
        connection.data_received(CHUNKED + b"1\r\nx\r\n" * 2000)
        paused = not transport.reads
        with pytest.raises(StopIteration):
            connection.read().send(None)
        return paused, transport.reads

    assert asked(test) == (True, True)
