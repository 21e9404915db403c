"""Requests of one connection: how many at once, and what a handshake is where none is served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway_guard.frontends.cycle import HIGH_WATER
from gateway_guard.frontends.head import MAX_HEADERS, Head
from gateway_guard.frontends.inbound import AT_ONCE, FIELDS_AT_ONCE, GuardProtocol
from gateway_guard.frontends.patience import Limits
from gateway_guard.frontends.pieces import MOST
from gateway_guard.frontends.refusals import Answer
from tests.costs import within
from tests.frontends.conversation import conversation
from tests.frontends.transports import Transport, turn, unread

GET = b"GET / HTTP/1.1\r\nHost: api.test\r\n"
HANDSHAKE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


#: Seconds of processor time for what comes in one turn; a request may take 50 ms. Measured on two
#: shared cores, at their best and worst: 1 to 28 ms; with a method called for each chunk or trailer
#: 17 to 70.
TURN = 0.035


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok", "more_body": False})


def answers(sent: bytes, ends: bytes, *, app: Any = app, asked: bool = False) -> list[bytes]:
    """The status of each answer to `sent`, which arrives in one piece, until one that `ends` so.

    `asked`: of a listener at which gateways ask.
    """
    bound = GuardProtocol.bound(Limits(), asked=asked)

    got = conversation(bound, app, sent, lambda got: got.endswith(ends))
    return [piece[:3] for piece in got.split(b"HTTP/1.1 ")[1:]]


def test_so_many_requests_at_once_are_answered() -> None:
    statuses = answers((GET + b"\r\n") * (AT_ONCE - 1) + GET + b"Connection: close\r\n\r\n", b"\0")

    assert statuses == [b"200"] * AT_ONCE


def test_more_requests_at_once_end_the_connection_behind_the_answers_to_the_first() -> None:
    statuses = answers((GET + b"\r\n") * (AT_ONCE * 3), b"}}")

    assert statuses == [b"200"] * AT_ONCE + [b"400"]


@pytest.mark.parametrize("name", [b"Connection", b"Proxy-Connection"])
def test_a_request_that_ends_the_connection_by_either_name_is_told_so(name: bytes) -> None:
    # The parser takes one for the other, and anything behind for an error.
    sent = GET + name + b": close\r\n\r\n"

    (answered,) = conversation(
        GuardProtocol.bound(Limits()), app, sent, lambda got: got.endswith(b"ok")
    ).split(b"HTTP/1.1 ")[1:]

    assert b"connection: close\r\n" in answered


def test_where_no_websockets_are_served_a_handshake_is_the_request_it_also_is() -> None:
    statuses = answers(GET + HANDSHAKE + b"\r\n", b"ok")

    assert statuses == [b"200"]


def test_more_fields_at_once_end_the_connection_behind_the_answers_to_the_first() -> None:
    request = GET + b"a:b\r\n" * (MAX_HEADERS - 1) + b"\r\n"

    statuses = answers(request * (FIELDS_AT_ONCE // MAX_HEADERS + 5), b"}}")

    assert statuses == [b"200"] * (FIELDS_AT_ONCE // MAX_HEADERS) + [b"400"]


@pytest.mark.parametrize("asked", [False, True])
def test_names_with_underscores_are_seen_where_a_gateway_hands_them_on(asked: bool) -> None:
    seen: list[list[tuple[bytes, bytes]]] = []

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(list(scope["headers"]))
        await app(scope, receive, send)

    answers(
        GET + b"X_Api_Key: k \r\nX-A: b\r\nConnection: close\r\n\r\n", b"ok",
        app=noting, asked=asked,
    )  # fmt: skip

    assert ((b"x_api_key", b"k") in seen[0]) is asked
    assert (b"x-a", b"b") in seen[0]


@pytest.mark.parametrize(
    "name", ["X_Guard_Account", "X-Guard_Risk", "x_forwarded_for", "X_Real.IP", "Content_Length"]
)
def test_a_name_that_imitates_another_is_refused_where_a_gateway_would_hand_it_on(
    name: str,
) -> None:
    sent = GET + name.encode() + b": 1\r\nConnection: close\r\n\r\n"

    assert answers(sent, b"}}", asked=True) == [b"400"]
    assert answers(sent, b"ok") == [b"200"]  # nobody's upstream gets it here


POST = b"POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n"


async def takes_nothing(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.get_running_loop().create_future()


def connected(
    test: Callable[[GuardProtocol, Transport], None], app: Any = takes_nothing, door: Any = None
) -> None:
    """`test` of a connection before its first byte."""

    async def main() -> None:
        config = Config(app, http=GuardProtocol, ws="none", log_config=None, access_log=False)
        config.load()
        protocol = GuardProtocol.bound(Limits(), door)(config, ServerState(), {})
        transport = Transport()
        protocol.connection_made(transport.given)
        test(protocol, transport)
        for task in protocol.tasks:
            task.cancel()

    asyncio.run(main())


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(POST + b"1\r\nx\r\n" * 175_000, id="chunks of one byte"),
        pytest.param(POST + b"2\r\nxx\r\n" * 150_000, id="chunks of two bytes"),
        pytest.param(POST + b"1;a=b\r\nx\r\n" * 105_000, id="chunks with an extension"),
        pytest.param(
            POST + b"f000\r\n" + b"x" * 0xF000 + b"\r\n0\r\n" + b"a:b\r\n" * 190_000, id="trailers"
        ),
        pytest.param((GET + b"\r\n") * 30_000, id="requests"),
        pytest.param((GET + b"a:b\r\n" * 99 + b"\r\n") * 2000, id="requests of many fields"),
        pytest.param((POST + b"1\r\nx\r\n0\r\n\r\n") * 12_000, id="requests in chunks"),
        pytest.param(GET + b"a:b\r\n" * 200_000, id="fields"),
        pytest.param(GET + b"a:b\r\n" + b" c\r\n" * 250_000, id="a folded field"),
        pytest.param(GET + b"a:" + b"b" * 1_000_000, id="a long field"),
        pytest.param(b"\r\n" * 500_000, id="empty lines"),
    ],
)
def test_to_hold_the_loop_with_the_smallest_pieces_takes_no_time(data: bytes) -> None:
    def test(protocol: GuardProtocol, transport: Transport) -> None:
        turn(protocol, transport, data)

    within(TURN, lambda: connected(test))


def test_many_pieces_pause_reading_and_come_as_one() -> None:
    got: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        got.append((await receive())["body"])

    def test(protocol: GuardProtocol, transport: Transport) -> None:
        protocol.data_received(POST + b"1\r\nx\r\n" * MOST)
        few = transport.reads
        protocol.data_received(b"1\r\nx\r\n" * (MOST + 1))
        many = transport.reads
        current = protocol._current
        assert current is not None
        with pytest.raises(StopIteration):
            current.run(app).send(None)

        assert (few, many) == (True, False)
        assert got == [b"x" * (2 * MOST + 1)]
        assert len(got[0]) < HIGH_WATER

    connected(test)


def test_trailers_are_few() -> None:
    few = POST + b"0\r\n" + b"a:b\r\n" * MAX_HEADERS + b"\r\n" + GET + b"\r\n"
    many = POST + b"0\r\n" + b"a:b\r\n" * (MAX_HEADERS + 1) + b"\r\n"

    assert answers(few + GET + b"Connection: close\r\n\r\n", b"\0") == [b"200"] * 3
    assert answers(many, b"}}")[-1] == b"431"


class Busy:
    """A door that lets nobody in."""

    def refuses(self, method: str, head: Head) -> Answer | None:
        return 503, [(b"content-length", b"4")], b"busy"


def test_who_does_not_read_how_it_was_turned_away_is_read_no_more_until_it_does() -> None:
    def test(protocol: GuardProtocol, transport: Transport) -> None:
        protocol.pause_writing()
        protocol.data_received(GET + b"\r\n")
        waits = transport.reads
        protocol.resume_writing()

        assert (waits, transport.reads) == (False, True)
        assert len(transport.written) == 1

    connected(test, door=Busy())


def test_an_answer_that_is_closed_behind_but_never_read_is_cut_in_the_end() -> None:
    def test(protocol: GuardProtocol, transport: Transport) -> None:
        transport.close()

        assert unread(protocol, transport) == (False, True)

    connected(test)
