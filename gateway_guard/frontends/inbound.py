"""The sidecar's side towards clients: HTTP/1.1 over httptools, strict, bounded and timed.

A subclass of uvicorn's own protocol, which keeps the server around it (sockets, TLS, shutdown,
WebSocket hand-over). What differs, and why:

- chunked *trailers* are dropped; uvicorn with httptools appends them to `scope["headers"]`, even
  before the application starts, so that a trailer `X-Forwarded-For` or `Authorization` passes
  any guard.
- heads are bounded (100 fields, 64 KiB) and judged by `head.read_head`.
- slow heads, slow bodies, slow readers and idle connections are closed in time (`Limits`), by
  one sweep a second over all connections instead of a timer each.
- a client's half-close counts as leaving after `LINGER_EOF` seconds: half-closing clients still
  get short answers, and the upstream is let go in time.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any, Final, cast
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from gateway_guard.frontends.cycle import HIGH_WATER, Cycle
from gateway_guard.frontends.door import LET_IN, Doorkeeper, on_the_wire, small
from gateway_guard.frontends.ending import EndingProtocol
from gateway_guard.frontends.head import (
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    BadHead,
    Head,
    read_head,
    underscored,
)  # fmt: skip
from gateway_guard.frontends.parting import Parting
from gateway_guard.frontends.patience import Limits
from gateway_guard.frontends.pieces import Pieces
from gateway_guard.frontends.proxy_protocol import ProxyProtocolError, ProxyReader
from gateway_guard.frontends.refusals import Answer
from gateway_guard.frontends.upgrade import hand_over, is_handshake

log = logging.getLogger(__name__)

#: Seconds a half-closed connection may still receive an answer that has begun or is due.
LINGER_EOF: Final = 1.0
#: Most requests in what one read of the socket brings, which is parsed at once, and most header
#: fields of them together: 256 KB could be 9,800 requests, each waiting for the answers before it,
#: or 50,000 fields, which take 70 ms.
AT_ONCE: Final = 1024
FIELDS_AT_ONCE: Final = 10_000


class GuardProtocol(EndingProtocol):
    """One client connection. `bound` gives the class its limits: uvicorn builds the instances.

    Attributes:
        door: asked about every request that others of its connection do not keep waiting; None
            lets everything in.
        parting: whether connections last; None where nobody else accepts any at this listener.
    """

    door: Doorkeeper | None = None
    parting: Parting | None = None

    @classmethod
    def bound(
        cls, limits: Limits, door: Doorkeeper | None = None, *, asked: bool = False,
        parting: Parting | None = None,
    ) -> type[GuardProtocol]:  # fmt: skip
        """A subclass with `limits`, `door`, `asked` and `parting`."""
        own = {"limits": limits, "door": door, "asked": asked, "parting": parting}
        bound = type("BoundGuardProtocol", (cls,), own)
        return cast("type[GuardProtocol]", bound)

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._pieces = Pieces()
        self.on_body = self._pieces.append  # type: ignore[method-assign, assignment]
        # uvicorn lets bytes after a final request pass; here they are an error.
        self.parser = httptools.HttpRequestParser(self)
        self._fields: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._wire = 0  # bytes of the present request behind its head
        # Requests that began in the bytes being parsed, and their header fields.
        self._heads = self._heads_fields = 0
        self._trailers = 0  # of the present request
        self._upgrade: Head | None = None
        self._proxy: ProxyReader | None = None
        # The head and the answer of a request turned away whose body is still coming.
        self._turned_away: tuple[Head, Answer] | None = None
        self._held_back = False  # reading waits until the client reads
        self._retires = math.inf  # loop time from which on it takes no further request

    # -- asyncio.Protocol -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.flow = FlowControl(self.transport)
        self._since = self._head_since = self.loop.time()
        if len(self.connections) >= self.limits.connections:
            self.transport.abort()
            return
        self.connections.add(self)
        if self.parting is not None:
            self._retires = self.parting.until(self._since)
        self.server = get_local_addr(self.transport)
        self.client = get_remote_addr(self.transport)
        self.scheme = "https" if is_ssl(self.transport) else "http"
        proxies = self.limits.proxies
        if proxies is not None:
            if self.client is not None and self.client[0] not in proxies:
                self.transport.abort()
                return
            self._proxy = ProxyReader()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.connections.discard(self)
        self._deaf = True
        for cycle in (self._current, *self._waiting):
            if cycle is not None:
                cycle.leave()
        self._waiting.clear()
        self.flow.resume_writing()
        self.parser = None  # type: ignore[assignment]
        # A timer may hold this object for some seconds more, but need not hold the last head.
        self._fields, self.url = [], b""

    def eof_received(self) -> bool:  # type: ignore[override]
        current = self._current
        if current is None or current.complete or current.more_body or self.scheme == "https":
            return False
        # Half-closed, or gone: one looks like the other until something is written.
        current.keep_alive = False
        self._deaf = True
        self.loop.call_later(LINGER_EOF, self._leave)
        return True

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            if self._lingering >= 0:
                self._lingering -= len(data)
                if self._lingering < 0:
                    self.transport.abort()
            return
        self._since = self.loop.time()
        if self._proxy is not None:
            rest = self._read_proxy_header(data)
            if not rest:
                return
            data = rest
        if self._in_head or self._reading is None:
            self._head_bytes += len(data)
        else:
            self._wire += len(data)
        self._heads = self._heads_fields = 0
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            self._pieces.clear()
            cause = error.__context__
            if isinstance(cause, BadHead):
                self._refuse(cause.status, cause.message)
            elif isinstance(error, httptools.HttpParserCallbackError) and cause is not None:
                log.error("parser-callback-failed", exc_info=cause)
                self._refuse(400, "Invalid HTTP request")
            else:
                self._refuse(400, f"Invalid HTTP request: {error}")
            return
        if self._pieces:
            self._take_body()
        if self._turned_away is not None and not small(self._turned_away[0]):
            self._turn_away(unread=True)
        elif self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(431, f"the header fields are longer than {MAX_HEAD_BYTES} bytes")
        elif self._wire > MAX_HEAD_BYTES + 9 * self._useful:
            # The parser collects trailers and chunk extensions for as long as they come.
            self._refuse(431, "trailers or chunk extensions out of all proportion to the body")

    def pause_writing(self) -> None:
        self._stalled_since = self.loop.time()
        self.flow.pause_writing()

    def resume_writing(self) -> None:
        self._stalled_since = 0.0
        self.flow.resume_writing()
        if self._held_back:
            self._held_back = False
            self.flow.resume_reading()

    # -- parser callbacks -----------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self.url = b""
        self._fields = []
        self._in_head = True
        self._head_since = self._since

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            self._trailers += 1  # and dropped
            if self._trailers > MAX_HEADERS:
                raise BadHead(431, f"more than {MAX_HEADERS} trailers")
            return
        if len(self._fields) >= MAX_HEADERS:
            raise BadHead(431, f"more than {MAX_HEADERS} header fields")
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._deaf:
            return  # behind a request whose answer was the last
        self._head_bytes = self._wire = self._useful = self._trailers = 0
        self._heads += 1
        self._heads_fields += len(self._fields)
        if self._heads > AT_ONCE:
            raise BadHead(400, f"more than {AT_ONCE} requests at once")
        if self._heads_fields > FIELDS_AT_ONCE:
            raise BadHead(400, f"more than {FIELDS_AT_ONCE} header fields of requests at once")
        version = self.parser.get_http_version()
        method = self.parser.get_method()
        head = read_head(method, self.url, version, self._fields)
        head.close |= not self.parser.should_keep_alive()  # as after `Proxy-Connection: close`
        if self.asked:
            # A gateway hands them on to its upstream, which may read a key there.
            head.headers += underscored(self._fields)
        busy = self._answering
        shakes = self.parser.should_upgrade() and is_handshake(
            head, method, busy=busy, served=self.ws_protocol_class is not None
        )
        if self.door is not None and not busy:
            answer = self.door.refuses("WEBSOCKET" if shakes else method.decode("ascii"), head)
            if answer is not None:
                head.close = head.close or shakes  # the parser reads nothing behind it
                self._turned_away = head, answer
                return
        if shakes:
            self._upgrade = head
            return
        if self.parting is not None and not busy:
            self._retiring = self._since >= self._retires or self.parting.lets_go(self._since)
        path = head.raw_path.decode("ascii")
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": "",
            "method": method.decode("ascii"),
            "path": unquote(path) if "%" in path else path,
            "raw_path": head.raw_path,
            "query_string": head.query,
            "headers": head.headers,
            "state": {},
        }
        if not busy:
            scope[LET_IN] = True
        cycle = Cycle(
            self,
            scope,
            keep_alive=version == "1.1" and not head.close and not self.draining,
            wants_continue=head.expects_continue,
        )
        self._reading = cycle
        if not busy:
            self._start(cycle)
        else:
            self.flow.pause_reading()
            self._waiting.append(cycle)

    def _take_body(self) -> None:
        """Hand on what the parser has found of the body, in one piece."""
        body, many = self._pieces.take()
        self._useful += len(body)
        cycle = self._reading
        if cycle is None or cycle.complete:
            return
        cycle.feed(body)
        if cycle.held > HIGH_WATER or many:
            self.flow.pause_reading()

    def on_message_complete(self) -> None:
        if self._pieces:
            self._take_body()
        cycle = self._reading
        self._reading = None
        if cycle is not None:
            cycle.feed_end()
            if not cycle.keep_alive:
                self._deaf = self._deaf or cycle.complete
        elif self._turned_away is not None:
            self._turn_away(unread=False)

    # -- requests -------------------------------------------------------------------------------

    def _start(self, cycle: Cycle) -> None:
        self._current = cycle
        # A cycle takes itself off this set: a callback when it is done would cost another turn of
        # the loop for each request.
        # Named, because making up a name for a task costs as much as a sixth of the task.
        cycle.task = task = asyncio.Task(cycle.run(self.app), loop=self.loop, name="request")
        self.tasks.add(task)

    def cycle_done(self, cycle: Cycle) -> None:
        """The response to `cycle` is written: go on with the next request, or close."""
        self.server_state.total_requests += 1
        self._since = self.loop.time()
        if self.transport.is_closing():
            return
        if not cycle.keep_alive or cycle.more_body:
            self._close(unread=cycle.more_body)
        elif self._waiting:
            self._start(self._waiting.pop(0))
            if not self._waiting:
                self.flow.resume_reading()
        elif self._error is not None:
            self._write_error()
        elif self.draining:
            self.transport.close()
        else:
            self.flow.resume_reading()

    def _turn_away(self, *, unread: bool) -> None:
        """Answer a request that was not let in; `unread`: its body is not waited for."""
        assert self._turned_away is not None  # noqa: S101
        (head, answer), self._turned_away = self._turned_away, None
        self.server_state.total_requests += 1
        self._head_bytes = 0
        version = self.parser.get_http_version()
        close = unread or version != "1.1" or head.close or self.draining
        if self.parting is not None and not close:
            close = self.parting.lets_go(self._since, turned_away=True)
        silent = self.parser.get_method() == b"HEAD"
        self.transport.write(on_the_wire(answer, self.default_lines(), silent=silent, close=close))
        if close:
            self._close(unread=unread)
        elif self.flow.write_paused:
            # Nobody reads these answers: take no more requests to turn away.
            self._held_back = True
            self.flow.pause_reading()

    def take_more(self) -> None:
        """The request in progress wants more of its body."""
        if not self._waiting:
            self.flow.resume_reading()

    def default_lines(self) -> list[bytes]:
        """Fields every response gets, as lines; uvicorn renews the date in them each second."""
        return [b": ".join(field) for field in self.server_state.default_headers]

    # -- upgrades and PROXY protocol ------------------------------------------------------------

    def _upgraded(self, rest: bytes) -> None:
        head = self._upgrade
        self._deaf = True
        if head is None:
            cycle = self._reading or self._current
            if cycle is not None:
                cycle.keep_alive = False
                cycle.feed_end()
            self._reading = None
        elif rest:
            self._refuse(400, "bytes behind a handshake that has not been answered")
        else:
            hand_over(self, head)

    def _read_proxy_header(self, data: bytes) -> bytes:
        assert self._proxy is not None  # noqa: S101
        try:
            found = self._proxy.feed(data)
        except ProxyProtocolError as error:
            log.warning("proxy-protocol reason=%s", error)
            self._deaf = True
            self.transport.abort()
            return b""
        if found is None:
            return b""
        self._proxy = None
        if found.source is not None:
            self.client = found.source
        return found.rest
