"""What comes in over WebSockets, in turns: some frames at a time, so that others come in between.

One read of a socket brings up to 256 KB, in which are 40,000 of the smallest frames, and parsers
take all that they are given at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

from gateway_guard.frontends.door import LET_IN
from gateway_guard.frontends.head import error_response
from gateway_guard.frontends.patience import Limits
from gateway_guard.frontends.watch import ON_GONE

#: Frames taken in one turn of the event loop. One costs up to 80 us, its way to the other side
#: included: others wait for 5 ms. Half as many made every message of 1 KB dearer by a tenth.
FRAMES: Final = 64


class Frames:
    """Bytes of frames, put in as they come and taken out by frames.

    Of a frame only its length is read here (RFC 6455 §5.2): what is wrong with it, its parser says.
    """

    __slots__ = ("_at", "_data", "_rest")

    def __init__(self) -> None:
        self._data = b""
        self._at = 0  # what of `_data` has been taken
        self._rest = 0  # bytes still to come of a frame whose beginning was taken

    def put(self, data: bytes) -> None:
        """More bytes."""
        kept = self._data[self._at :]
        self._data = kept + data if kept else data
        self._at = 0

    def take(self, most: int) -> bytes:
        """The bytes of at most `most` frames that begin in them; the last may be incomplete."""
        data, start = self._data, self._at
        end = len(data)
        at = start + self._rest
        for _ in range(most):
            size = _size(data, at)
            if not size:
                break
            at += size
        self._rest = max(0, at - end)
        at = min(at, end)
        if at == end:
            self._data, self._at = b"", 0
        else:
            self._at = at
        return data if start == 0 and at == end else data[start:at]

    def __bool__(self) -> bool:
        """Whether there is anything to take: a part of a frame's first bytes is nothing yet."""
        at = self._at
        return at < len(self._data) and (self._rest > 0 or _size(self._data, at) > 0)


def _size(data: bytes, at: int) -> int:
    """Length of the frame that begins at `at`, its head included; 0: more of that is needed."""
    end = len(data)
    if at + 2 > end:
        return 0
    second = data[at + 1]
    length = second & 127
    head = 6 if second & 128 else 2
    extended = {126: 2, 127: 8}.get(length, 0)
    if at + head + extended > end:
        return 0
    if extended:
        length = int.from_bytes(data[at + 2 : at + 2 + extended], "big")
    return head + extended + length


class Intake:
    """Feeds a parser some frames a turn, and reads no more while there are any left.

    Args:
        loop: whose turns.
        transport: where the frames come from; others may pause and resume it, too.
        parse: takes what is due.
        free: whether it may be fed now; when that changes, `go_on` is to be called.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        parse: Callable[[bytes], None],
        free: Callable[[], bool],
    ) -> None:
        self._loop, self._transport, self._parse, self._free = loop, transport, parse, free
        self._frames = Frames()
        self._due = False  # a turn is scheduled
        self._paused = False

    def put(self, data: bytes) -> None:
        """Bytes that came in."""
        self._frames.put(data)
        if not self._due:
            self._turn()

    def go_on(self) -> None:
        """It may have become free, or somebody else has resumed the transport."""
        transport = self._transport
        if transport.is_closing():
            return
        if self._frames:
            transport.pause_reading()
            self._paused = True
            if not self._due and self._free():
                self._due = True
                self._loop.call_soon(self._turn)
        elif self._paused and self._free():
            self._paused = False
            transport.resume_reading()

    def _turn(self) -> None:
        self._due = False
        if self._transport.is_closing():
            self._frames = Frames()
        elif self._free():
            self._parse(self._frames.take(FRAMES))
        self.go_on()


class SocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's side towards one client, bounded where that is not."""

    limits: Limits = Limits()
    let_in = False  # whether the door was asked about the handshake
    # uvicorn's, said again: the compiled build is made without it, and could not tell.
    frames: list[bytes]
    read_paused: bool
    _intake: Intake | None = None
    _pong = b""  # answers the pings of a client that reads nothing; the last few only
    _closed = False  # our close frame is written
    _stalled_since = 0.0  # loop time since when the client reads nothing; 0 while it does
    _gone: Callable[[], None] | None = None

    def handle_connect(self, event: Request) -> None:
        """The handshake; whoever serves it may ask to be told when the client is gone."""
        super().handle_connect(event)
        if self.handshake_initiated and not self.close_sent:
            cast("dict[str, Any]", self.scope["extensions"])[ON_GONE] = self._tell
            if self.let_in:
                cast("dict[str, Any]", self.scope)[LET_IN] = True

    def _tell(self, callback: Callable[[], None]) -> None:
        if self.disconnected:
            callback()
        else:
            self._gone = callback

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone. Whoever waits for somebody else does not hear it from `receive`."""
        super().connection_lost(exc)
        gone, self._gone = self._gone, None
        if gone is not None:
            gone()

    def sweep(self, now: float, limits: Limits | None = None) -> None:
        """Break a connection whose client has read nothing for too long; `now` is loop time.
        `limits` are its own unless others are given.

        A close would wait for what is unread.
        """
        if self._stalled_since and now - self._stalled_since > (limits or self.limits).write:
            self.transport.abort()
        elif not self._stalled_since and self.transport.is_closing():
            self._stalled_since = now

    def data_received(self, data: bytes) -> None:
        """First the whole head of the handshake, then frames."""
        if self._intake is not None:
            self._intake.put(data)
            return
        parse = super().data_received
        self._intake = Intake(self.loop, self.transport, parse, lambda: not self.read_paused)
        parse(data)
        if not self.handshake_initiated:
            # A line beyond what its parser reads, which leaves the answer to us.
            message = "a line of the handshake is longer than 8 KiB"
            self.transport.write(error_response(431, message, self.default_headers))
            self.transport.close()

    async def receive(self) -> Any:
        """ASGI `receive`."""
        message = await super().receive()
        self._go_on()
        return message

    async def send(self, message: Any) -> None:
        """ASGI `send`; does nothing while the connection ends, by the client or for what it sent or
        did not send.
        """
        await self.writable.wait()
        if self.transport.is_closing() and not self.disconnected:
            return
        await super().send(message)
        if message["type"] == "websocket.close":
            self._go_on()

    def _go_on(self) -> None:
        if self._intake is not None:
            self._intake.go_on()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled_since = self.loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stalled_since = 0.0
        pong, self._pong = self._pong, b""
        if pong and not self.transport.is_closing():
            self.transport.write(pong)

    def handle_ping(self) -> None:
        """Answer pings; of those that come while the client reads nothing, the last (§5.5.3)."""
        output = b"".join(self.conn.data_to_send())
        closes = self.conn.close_sent is not None and not self._closed and not self.close_sent
        if closes or self.writable.is_set():
            # Behind the pongs may be our close frame, which is written once.
            self._closed = self._closed or closes
            self.transport.write(output)
        elif output:
            self._pong = output

    def handle_cont(self, event: Frame) -> None:
        """One more piece of a message: empty ones take up nothing, however many come."""
        if not self.frames:
            return
        whole: Any = self.frames[0]
        if not isinstance(whole, bytearray):
            whole = bytearray(whole)
        whole += event.data
        self.frames = [whole]
        if event.fin:
            self.send_receive_event_to_app()

    def send_receive_event_to_app(self) -> None:
        """A message is complete; one that is no text ends the connection, and only that."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                text = b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                self.conn.fail(1007, "a text message is not UTF-8")
                self.handle_parser_exception()
                return
            self.frames = []
            self.queue.put_nowait({"type": "websocket.receive", "text": text})
            if not self.read_paused:
                self.read_paused = True
                self.transport.pause_reading()
        else:
            super().send_receive_event_to_app()
