"""WebSockets: the client's connection joined to one of our own to the upstream.

Messages, subprotocols and close codes pass in both directions; pings are answered on each side. The
handshake is judged by the guard before this code runs, and no other path is asked for than that
one: the upstream's redirect or refusal reaches the client as it is. An upstream that breaks off
closes the client with 1014 (bad gateway), never with a normal close.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket as sockets
from collections.abc import Callable, Sequence
from typing import Any, Final

from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol

from gateway_guard.errors import UpstreamError, UpstreamTimeoutError
from gateway_guard.frontends.sockets import Intake
from gateway_guard.frontends.upstream import Upstream
from gateway_guard.frontends.watch import ON_GONE
from gateway_guard.types import Outcome

#: RFC 6455 registry: the server, as a gateway, got an invalid answer from its upstream.
BAD_GATEWAY: Final = 1014
#: Codes that stand for the lack of a close frame and must not be sent in one (RFC 6455 §7.4.1).
_UNSENDABLE: Final = frozenset((1005, 1006, 1015))
#: Fields of a refusal that say what the client is to do, or what its body is.
_PASSED: Final = frozenset(
    ("location", "retry-after", "www-authenticate", "content-type", "content-encoding")
)
#: Seconds for a closing handshake with the upstream.
CLOSING: Final = 5.0
_END_OF_HEAD: Final = b"\r\n\r\n"


async def tunnel(
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    upstream: Upstream,
    target: bytes,
    fields: list[bytes],
    preserve_host: bool,
    max_message: int,
) -> Outcome:
    """Join the WebSocket of `scope` to the upstream until either side closes; how that came.

    `target` is the upstream's path and query, `fields` the header lines to send, `max_message` the
    largest message in either direction, bytes.

    Raises:
        UpstreamError: the upstream did not answer the handshake, and so nobody has yet.
        UpstreamTimeoutError: it took too long.
    """
    message = await receive()
    if message["type"] != "websocket.connect":
        return Outcome.CLIENT_GONE
    try:
        socket = await _dial(scope, upstream, target, fields, preserve_host, max_message)
    except InvalidStatus as error:
        if error.response.status_code < 200:
            raise UpstreamError(str(error)) from None
        await _pass_refusal(scope, send, error.response)
        return Outcome.COMPLETED
    except TimeoutError:
        raise UpstreamTimeoutError("the upstream answered no handshake in time") from None
    except (OSError, ValueError, WebSocketException) as error:
        # What the upstream answered may repeat what was offered, and keys are offered.
        reason = str(error) if isinstance(error, OSError) else type(error).__name__
        raise UpstreamError(reason) from None
    up = asyncio.create_task(_to_upstream(receive, socket))
    # What waits for an upstream that takes nothing does not hear that the client has left.
    register = scope.get("extensions", {}).get(ON_GONE)
    if register is not None:
        register(socket.hurry)
    try:
        await send({"type": "websocket.accept", "subprotocol": socket.subprotocol})
        return await _to_client(send, socket)
    except OSError:
        # As servers say it: nobody is there to hear this.
        return Outcome.CLIENT_GONE
    finally:
        up.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await up
        await socket.part()


class _Once(connect):
    """A handshake that stays where it was judged: redirects are the client's to follow."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Socket(ClientConnection):
    """The connection to the upstream; of what it sends, some frames are taken a turn.

    Attributes:
        patience: seconds in which the upstream must take something of what it is sent.
        parted: whether it is we who leave.
    """

    patience = 300.0
    parted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._full = False
        self._tail = b""
        self._feed: Callable[[bytes], None] = self._read_head
        self._parsing: State | None = None  # the state before what is being parsed
        self._pong = b""  # answers the pings of an upstream that reads nothing; the last few only
        self._stall: asyncio.TimerHandle | None = None
        # It would let the transport read before all that was read is parsed.
        self.recv_messages.pause = self._pause
        self.recv_messages.resume = self._resume

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._spare()

    def start_keepalive(self) -> None:
        """Unless all is over by now: nobody would end it then."""
        if self.state is not State.CLOSED:
            super().start_keepalive()

    def hurry(self) -> None:
        """The client is gone: what the upstream has not taken is waited for only briefly."""
        self.patience = min(self.patience, CLOSING)
        if self.paused:
            self._wait()

    async def part(self, code: int = 1000, reason: str = "") -> None:
        """Close, within `CLOSING` seconds."""
        self.parted = True
        try:
            # Its own timeout does not cover the writing of the close frame.
            async with asyncio.timeout(CLOSING):
                await self.close(code, reason)
        except TimeoutError:
            self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._spare()
        pong, self._pong = self._pong, b""
        if pong and self.state is State.OPEN:
            self.transport.write(pong)

    def send_data(self) -> None:
        """Write what is due; of pongs that an upstream which reads nothing calls for, the last
        (RFC 6455 §5.5.3).
        """
        if self._parsing is self.state and self.paused:
            self._pong = b"".join(self.protocol.data_to_send())
        else:
            super().send_data()

    def _wait(self) -> None:
        self._spare()
        self._stall = self.loop.call_later(self.patience, self.transport.abort)

    def _spare(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _parse(self, data: bytes) -> None:
        self._parsing = self.state
        super().data_received(data)
        self._parsing = None

    def data_received(self, data: bytes) -> None:
        self._feed(data)

    def _read_head(self, data: bytes) -> None:
        """The answer to the handshake; what is behind its head may be frames."""
        seen = self._tail + data
        end = seen.find(_END_OF_HEAD)
        if end < 0:
            self._tail = seen[1 - len(_END_OF_HEAD) :]
            self._parse(data)
            return
        end += len(_END_OF_HEAD) - len(self._tail)
        self._parse(data[:end])
        if self.protocol.state is State.OPEN:
            intake = Intake(self.loop, self.transport, self._parse, lambda: not self._full)
            self._intake = intake
            self._feed = intake.put
        else:
            self._feed = self._parse
        if end < len(data):
            self._feed(data[end:])

    def _pause(self) -> None:
        self._full = True
        self.transport.pause_reading()

    def _resume(self) -> None:
        self._full = False
        self.transport.resume_reading()
        self._intake.go_on()


async def _dial(
    scope: Scope,
    upstream: Upstream,
    target: bytes,
    fields: list[bytes],
    preserve_host: bool,
    max_message: int,
) -> Socket:
    origin = upstream.origin
    authority = origin.authority
    if preserve_host:
        authority = next((v for n, v in scope["headers"] if n == b"host" and v), authority)
    scheme = "wss" if origin.secure else "ws"
    where: dict[str, Any] = {}
    if origin.socket is not None:
        loop = asyncio.get_running_loop()
        raw = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
        raw.setblocking(False)
        try:
            await loop.sock_connect(raw, origin.socket)
        except BaseException:
            raw.close()
            raise
        where["sock"] = raw
    else:
        where["host"], where["port"] = origin.host, origin.port
    if origin.secure:
        where["ssl"], where["server_hostname"] = upstream.tls, origin.host
    lines = []
    for field in fields:
        for line in field.decode("latin-1").split("\r\n"):
            name, _, value = line.partition(": ")
            if name and not name.startswith("sec-websocket-"):
                lines.append((name, value))
    socket = await _Once(
        f"{scheme}://{authority.decode('latin-1')}{target.decode('latin-1')}",
        additional_headers=lines,
        # Between two commas there may be nothing, which is no name.
        subprotocols=[Subprotocol(name) for name in scope.get("subprotocols", []) if name] or None,
        compression=None,
        proxy=None,
        user_agent_header=None,
        open_timeout=upstream.timeouts.connect,
        close_timeout=CLOSING,
        max_size=max_message,
        max_queue=4,
        create_connection=Socket,
        **where,
    )
    assert isinstance(socket, Socket)  # noqa: S101
    socket.patience = upstream.timeouts.read
    return socket


async def _to_client(send: Send, socket: Socket) -> Outcome:
    try:
        while True:
            message = await socket.recv()
            if isinstance(message, str):
                await send({"type": "websocket.send", "text": message})
            else:
                await send({"type": "websocket.send", "bytes": message})
    except ConnectionClosed as closed:
        said = closed.rcvd
    if said is not None:
        code, reason, outcome = said.code, said.reason, Outcome.COMPLETED
    elif socket.parted:
        return Outcome.COMPLETED  # the client began the close; its own server finishes it
    else:
        # It broke off, or sent what is no WebSocket.
        code, reason, outcome = BAD_GATEWAY, "upstream connection lost", Outcome.UPSTREAM_CUT
    await send(
        {"type": "websocket.close", "code": 1000 if code in _UNSENDABLE else code, "reason": reason}
    )
    return outcome


async def _to_upstream(receive: Receive, socket: Socket) -> None:
    try:
        while True:
            message = await receive()
            if message["type"] == "websocket.receive":
                text = message.get("text")
                await socket.send(text if text is not None else message["bytes"])
            elif message["type"] == "websocket.disconnect":
                code = message.get("code") or 1000
                reason = message.get("reason") or ""
                await socket.part(1001 if code in _UNSENDABLE else code, reason)
                return
    except ConnectionClosed:
        return  # the other direction sees the same close and reports it


async def _pass_refusal(scope: Scope, send: Send, response: Response) -> None:
    """The upstream's answer other than 101."""
    headers = [
        (name.lower().encode(), value.encode())
        for name, value in response.headers.raw_items()
        if name.lower() in _PASSED and value.isascii()
    ]
    body = bytes(response.body or b"")
    headers.append((b"content-length", b"%d" % len(body)))
    await refuse(scope, send, response.status_code, headers, body)


async def refuse(
    scope: Scope, send: Send, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes
) -> None:
    """Answer the handshake of `scope` with something else, as far as its server can."""
    if "websocket.http.response" in scope.get("extensions", {}):
        await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": body, "more_body": False})
    else:
        await send({"type": "websocket.close", "code": 1014, "reason": "bad gateway"})
