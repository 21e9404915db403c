"""Frames of WebSockets, some at a time: nobody's many small ones keep everybody else waiting."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway_guard.frontends.patience import Limits
from gateway_guard.frontends.sockets import FRAMES, Frames, Intake, SocketProtocol
from gateway_guard.frontends.watch import ON_GONE
from tests.frontends.transports import Transport, unread

HANDSHAKE = (
    b"GET /v1/realtime HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def frame(payload: bytes, *, first: int = 0x82, masked: bool = True) -> bytes:
    """One frame; the mask is zeros, so that the payload stays legible."""
    bit = 0x80 if masked else 0
    if len(payload) < 126:
        head = bytes((first, bit | len(payload)))
    elif len(payload) < 65536:
        head = bytes((first, bit | 126)) + struct.pack("!H", len(payload))
    else:
        head = bytes((first, bit | 127)) + struct.pack("!Q", len(payload))
    return head + bytes(4 if masked else 0) + payload


PING = frame(b"", first=0x89)


sizes = st.one_of(st.integers(0, 3), st.sampled_from([125, 126, 127, 300, 65535, 65536]))


@given(
    lengths=st.lists(sizes, max_size=12),
    masked=st.booleans(),
    cut=st.integers(1, 400),
    most=st.integers(1, 5),
)
def test_frames_come_out_as_they_went_in_and_no_more_of_them_at_a_time(
    lengths: list[int], masked: bool, cut: int, most: int
) -> None:
    whole = [frame(b"x" * length, masked=masked) for length in lengths]
    stream = b"".join(whole)
    ends = {sum(map(len, whole[: n + 1])): n + 1 for n in range(len(whole))}
    frames, out = Frames(), bytearray()

    for start in range(0, len(stream), cut):
        frames.put(stream[start : start + cut])
        while frames:
            piece = frames.take(most)
            done = [n for at, n in ends.items() if len(out) < at < len(out) + len(piece)]
            assert piece
            assert len(done) <= most
            out += piece

    assert out == stream


def test_a_piece_of_a_large_frame_is_not_copied() -> None:
    frames = Frames()
    frames.put(frame(b"x" * 1_000_000)[:100_000])
    frames.take(FRAMES)
    data = bytes(100_000)

    frames.put(data)

    assert frames.take(FRAMES) is data


def turns(
    data: bytes, free: Callable[[], bool] = lambda: True
) -> tuple[list[bytes], list[bool], Transport]:
    """What the parser was given in each turn, whether the transport read then, and it."""

    async def main() -> tuple[list[bytes], list[bool], Transport]:
        transport = Transport()
        parsed: list[bytes] = []
        reading: list[bool] = []

        def parse(piece: bytes) -> None:
            parsed.append(piece)

        loop = asyncio.get_running_loop()
        intake = Intake(loop, transport.given, parse, free)
        intake.put(data)
        before = -1
        while before != len(parsed):
            before = len(parsed)
            reading.append(transport.reads)
            await asyncio.sleep(0)  # the next turn
        return parsed, reading, transport

    return asyncio.run(main())


def test_a_turn_takes_some_frames_and_nothing_more_is_read_meanwhile() -> None:
    parsed, reading, transport = turns(PING * 1000)

    assert b"".join(parsed) == PING * 1000
    assert max(map(len, parsed)) == FRAMES * len(PING)
    assert not any(reading[:-1])
    assert transport.reads


def test_a_large_frame_is_one_turn_and_reading_goes_on() -> None:
    parsed, reading, _ = turns(frame(b"x" * 200_000))

    assert (len(parsed), reading[0]) == (1, True)


def test_nothing_is_taken_while_there_is_no_room() -> None:
    parsed, _, transport = turns(PING * 1000, lambda: False)

    assert parsed == []
    assert not transport.reads


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Take the connection and never anything that comes on it."""
    await receive()
    await send({"type": "websocket.accept"})
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.get_running_loop().create_future()


def connected(test: Callable[[SocketProtocol, Transport], None], *lines: bytes) -> None:
    """`test` of a client whose handshake, with `lines` more, was answered."""

    async def main() -> None:
        config = Config(app, ws=SocketProtocol, log_config=None, ws_per_message_deflate=False)
        config.load()
        protocol = SocketProtocol(config, ServerState(), {})
        transport = Transport()
        protocol.connection_made(transport.given)
        protocol.data_received(HANDSHAKE + b"".join(lines) + b"\r\n")
        async with asyncio.timeout(60):
            await transport.answered.wait()
        test(protocol, transport)
        protocol.connection_lost(None)

    asyncio.run(main())


def test_a_handshake_beyond_the_parser_is_answered_and_closed() -> None:
    def test(protocol: SocketProtocol, transport: Transport) -> None:
        assert transport.written[0].startswith(b"HTTP/1.1 431 ")
        assert transport.closing

    connected(test, b"X-Long: " + b"a" * 9000 + b"\r\n")


def test_a_handshake_that_is_wrong_is_answered_once() -> None:
    def test(protocol: SocketProtocol, transport: Transport) -> None:
        assert [piece[:12] for piece in transport.written] == [b"HTTP/1.1 400"]

    connected(test, b"Sec-WebSocket-Version: 12\r\n")


def test_of_pings_that_come_while_the_client_reads_nothing_the_last_are_answered() -> None:
    def test(protocol: SocketProtocol, transport: Transport) -> None:
        transport.written.clear()
        protocol.pause_writing()

        for number in range(1000):
            protocol.data_received(frame(b"%d" % number, first=0x89))
        held = list(transport.written)
        protocol.resume_writing()

        assert held == []
        assert transport.written == [b"\x8a\x03999"]

    connected(test)


def test_pings_behind_our_close_frame_are_answered_only_while_the_client_reads() -> None:
    def test(protocol: SocketProtocol, transport: Transport) -> None:
        transport.written.clear()
        protocol.pause_writing()
        # No frame of RFC 6455: answered with a close frame, behind what else came with it.
        protocol.data_received(PING + frame(b"", first=0x83))
        closing = b"".join(transport.written)

        for _ in range(1000):
            protocol.handle_ping()

        assert closing.startswith(b"\x8a\x00\x88")
        assert b"".join(transport.written) == closing

    connected(test)


def test_pongs_wait_for_a_client_that_we_say_goodbye_to() -> None:
    def test(protocol: SocketProtocol, transport: Transport) -> None:
        protocol.conn.send_close(1000)
        protocol.close_sent = True
        protocol.conn.data_to_send()
        transport.written.clear()
        protocol.pause_writing()

        for number in range(1000):
            protocol.data_received(frame(b"%d" % number, first=0x89))

        assert transport.written == []

    connected(test)


def test_a_client_that_reads_nothing_for_long_is_cut_and_no_other() -> None:
    def test(protocol: SocketProtocol, transport: Transport) -> None:
        protocol.limits = Limits(write=60.0)
        now = protocol.loop.time()
        protocol.sweep(now + 1000.0)
        idle = transport.aborted
        protocol.pause_writing()
        protocol.sweep(now + 59.0)
        patient = transport.aborted
        protocol.sweep(now + 1000.0)

        assert (idle, patient, transport.aborted) == (False, False, True)

    connected(test)


def test_a_close_that_nobody_reads_ends_too() -> None:
    def test(protocol: SocketProtocol, transport: Transport) -> None:
        transport.close()

        assert unread(protocol, transport) == (False, True)

    connected(test)


def test_whoever_serves_a_client_is_told_that_it_is_gone() -> None:
    told: list[str] = []

    def test(protocol: SocketProtocol, transport: Transport) -> None:
        register: Any = dict(protocol.scope["extensions"] or {})[ON_GONE]
        register(lambda: told.append("first"))
        protocol.connection_lost(None)
        register(lambda: told.append("late"))
        protocol.connection_made(transport.given)  # `connected` takes its leave, too

        assert told == ["first", "late"]

    connected(test)


def test_empty_pieces_of_a_message_take_up_nothing() -> None:
    def test(protocol: SocketProtocol, transport: Transport) -> None:
        protocol.data_received(frame(b"ab", first=0x01))

        for _ in range(1000):
            protocol.data_received(frame(b"", first=0x00))
        held = len(protocol.frames)
        protocol.data_received(frame(b"c", first=0x80))

        assert held == 1
        assert protocol.queue.get_nowait() == {"type": "websocket.receive", "text": "abc"}

    connected(test)


@pytest.mark.parametrize("behind", [b"", frame(b"", first=0x88)])
def test_a_text_that_is_none_ends_the_connection_with_1007_and_says_nothing(
    behind: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    def test(protocol: SocketProtocol, transport: Transport) -> None:
        protocol.data_received(frame(b"\xff\xfe", first=0x81) * 3 + behind)

        assert transport.closing
        if not behind:
            assert transport.written[-1][2:4] == struct.pack("!H", 1007)

    connected(test)

    assert "Invalid UTF-8" not in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("message", [{"type": "websocket.send", "text": "a"},
                                     {"type": "websocket.close", "code": 1000}])  # fmt: skip
def test_what_is_said_to_a_client_that_broke_off_goes_nowhere_and_is_no_error(
    message: dict[str, Any],
) -> None:
    def test(protocol: SocketProtocol, transport: Transport) -> None:
        protocol.data_received(frame(b"", first=0x83))
        written = len(transport.written)
        with pytest.raises(StopIteration):
            protocol.send(message).send(None)

        assert transport.closing
        assert len(transport.written) == written

    connected(test)
