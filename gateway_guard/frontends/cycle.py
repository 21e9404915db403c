"""One request on a connection of the sidecar, as ASGI sees it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any, Final

from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gateway_guard.errors import UpstreamError
from gateway_guard.frontends.watch import HAS_LEFT, ON_GONE, ClientGoneError

if TYPE_CHECKING:
    from gateway_guard.frontends.inbound import GuardProtocol

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]

#: Request body held for the application, in bytes, before reading from the client pauses.
HIGH_WATER: Final = 64 * 1024

#: Key of a `http.response.start` whose first piece of body is sent without waiting for anything in
#: between: the head need not be flushed for its own sake.
BODY_FOLLOWS: Final = "gateway_guard.body_follows"

_BODYLESS: Final = frozenset((204, 304))
_STATUS: Final = {status: line.removesuffix(b"\r\n") for status, line in STATUS_LINE.items()}
_END: Final = (b"", b"")  # joined by line ends, what makes the empty line behind the fields
_OVER: Final[dict[str, Any]] = {}

#: Fields of a response that mean something to its framing, or are written here when missing.
_OURS: Final = frozenset((b"content-length", b"connection", b"transfer-encoding", b"date"))


class Cycle:
    """A request under way.

    Attributes:
        scope: its ASGI scope; empty once it is over.
        more_body: whether more of the request body is to come.
        keep_alive: whether the connection serves another request afterwards.
        disconnected: whether the client is gone, or its request turned out broken.
        started, complete: how far the response is.
        task: what runs it; its protocol sets this.
        held: bytes of request body not yet taken by the application.
    """

    __slots__ = (
        "_body", "_callback", "_chunked", "_end_told", "_event", "_pending", "_protocol",
        "_remaining", "_silent", "_until_close", "_waiting", "_wants_continue", "complete",
        "disconnected", "held", "keep_alive", "more_body", "scope", "started", "task",
    )  # fmt: skip

    def __init__(
        self,
        protocol: GuardProtocol,
        scope: dict[str, Any],
        *,
        keep_alive: bool,
        wants_continue: bool,
    ) -> None:
        self.scope = scope
        self.task: asyncio.Task[None] | None = None
        scope["extensions"] = {ON_GONE: self.on_gone}
        if protocol.asked:
            scope["extensions"][HAS_LEFT] = protocol.has_left
        self.more_body = True
        self.keep_alive = keep_alive
        self.disconnected = False
        self.started = False
        self.complete = False
        self._protocol = protocol
        self._wants_continue = wants_continue
        self._body: list[bytes] = []
        self._event: asyncio.Event | None = None
        self._waiting = 0
        self._end_told = False
        self._pending = b""
        self._until_close = False
        self.held = 0
        self._callback: Callable[[], None] | None = None
        self._chunked = False
        self._remaining = -1  # bytes of an announced body still to come; -1 when none was announced
        self._silent = scope["method"] == "HEAD"

    @property
    def awaits_body(self) -> bool:
        """Whether the application waits for more of the request body."""
        return self._waiting > 0 and self.more_body

    @property
    def ends_with_connection(self) -> bool:
        """Whether only the connection's end ends the response, so that a cut must be a reset."""
        return self._until_close and self.started and not self.complete

    def on_gone(self, callback: Callable[[], None]) -> None:
        """Call `callback` once when the client is gone; at once if it is already."""
        if self.disconnected:
            callback()
        else:
            self._callback = callback

    def feed(self, data: bytes) -> None:
        """More of the request body."""
        self._body.append(data)
        self.held += len(data)
        self._wake()

    def feed_end(self) -> None:
        """The request body is complete."""
        self.more_body = False
        self._wake()

    def leave(self) -> None:
        """The client is gone, or what it sends cannot be read any more."""
        if not self.disconnected:
            self.disconnected = True
            self._wake()
            callback, self._callback = self._callback, None
            if callback is not None and not self.complete:
                callback()

    def _wake(self) -> None:
        if self._event is not None:
            self._event.set()

    async def run(self, app: ASGIApp) -> None:
        """Run the application for this request; a broken answer cuts the connection."""
        try:
            await app(self.scope, self.receive, self.send)
        except ClientGoneError:
            self._protocol.cut()
        except UpstreamError as error:
            log.warning("answer-cut reason=%s", error)
            await self._break_off()
        except Exception:
            if not self.disconnected:
                log.exception("application-failed")
            await self._break_off()
        except BaseException:
            self._protocol.cut()
            raise
        else:
            if not self.complete and not self.disconnected:
                log.error("application-returned-early")
                await self._break_off()
        finally:
            self._callback = None
            # The scope leads back here through its extension: let go of it, or every request with
            # all that its scope holds would wait for the garbage collector.
            self.scope = _OVER
            if self.task is not None:
                self._protocol.tasks.discard(self.task)

    async def _break_off(self) -> None:
        if self.started or self.disconnected:
            self._protocol.cut()
            return
        body = b'{"error":{"message":"Internal error","type":"api_error","param":null,"code":null}}'
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    async def receive(self) -> Message:
        """ASGI `receive`: the body in the pieces it arrived in, then `http.disconnect`."""
        protocol = self._protocol
        if self._wants_continue and not self.started and not self.disconnected:
            self._wants_continue = False
            protocol.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not self.disconnected and not self.complete:
            if self._body or not (self.more_body or self._end_told):
                data = self._body[0] if len(self._body) == 1 else b"".join(self._body)
                self._body = []
                self.held = 0
                self._end_told = not self.more_body
                return {"type": "http.request", "body": data, "more_body": self.more_body}
            protocol.take_more()
            if self._event is None:
                self._event = asyncio.Event()
            self._event.clear()
            self._waiting += 1
            try:
                await self._event.wait()
            finally:
                self._waiting -= 1
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """ASGI `send`. Waits while the client does not read; does nothing once it is gone."""
        flow = self._protocol.flow
        if flow.write_paused and not self.disconnected:
            await flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if kind == "http.response.body" and self.started and not self.complete:
            self._write_body(message.get("body", b""), more=message.get("more_body", False))
        elif kind == "http.response.start" and not self.started:
            self._write_head(message["status"], message.get("headers", ()))
            if BODY_FOLLOWS not in message:
                # The head leaves with the first piece of the body if that comes in this turn of
                # the loop: one system call less.
                self._protocol.loop.call_soon(self._flush_head)
        else:
            raise RuntimeError(f"unexpected ASGI message {kind!r}")

    def _write_head(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Compose the head and hold it. Names come in lower case, as ASGI wants them."""
        protocol = self._protocol
        lines = [_STATUS[status]]
        announced: int | None = None
        dated = False
        for field in headers:
            name = field[0]
            if name in _OURS:
                if name == b"content-length":
                    if status == 204 or status < 200:
                        continue  # RFC 9110 §8.6: not even a length of nothing
                    announced = int(field[1])
                elif name == b"date":
                    dated = True
                else:
                    if name == b"connection" and b"close" in field[1].lower():
                        self.keep_alive = False
                    continue
            lines.append(b": ".join(field))
        if not dated:
            lines += protocol.default_lines()
        if self.more_body and status >= 400:
            # The rest of the body is of no use to anybody: say so rather than take it in.
            self.keep_alive = False
        if status in _BODYLESS:
            self._silent = True
        if self._silent:
            self._remaining = -1
        elif announced is not None:
            self._remaining = announced
        elif self.scope["http_version"] == "1.1":
            self._chunked = True
            lines.append(b"transfer-encoding: chunked")
        else:
            self._until_close = True
        if not self.keep_alive or protocol.ends:
            self.keep_alive = False
            lines.append(b"connection: close")
        lines += _END
        head = b"\r\n".join(lines)
        # One of each between two lines, and no other.
        ends = len(lines) - 1
        if head.count(b"\n") != ends or head.count(b"\r") != ends or b"\0" in head:
            raise RuntimeError("a response header field contains a line break or NUL")
        self.started = True
        self._wants_continue = False
        self._pending = head

    def _flush_head(self) -> None:
        if self._pending and not self.disconnected:
            self._protocol.transport.write(self._pending)
            self._pending = b""

    def _write_body(self, data: bytes, *, more: bool) -> None:
        if self._silent:
            data = b""
        elif self._chunked:
            if data:
                data = (
                    b"%x\r\n%b\r\n" % (len(data), data)
                    if more
                    else b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
                )
            elif not more:
                data = b"0\r\n\r\n"
        elif self._remaining >= 0:
            self._remaining -= len(data)
            if self._remaining < 0 or (self._remaining and not more):
                raise RuntimeError("the response body does not fit its Content-Length")
        protocol = self._protocol
        pending = self._pending
        if pending:
            self._pending = b""
            data = pending + data
        if data:
            protocol.transport.write(data)
        if not more:
            self.complete = True
            self._wake()
            protocol.cycle_done(self)
