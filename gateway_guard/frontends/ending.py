"""How a connection with a client ends: refused, cut, closed in peace, or because time is up.

- An error behind a request that is still being answered waits for that answer.
- A cut answer never looks complete: where only the connection's end delimits it, that is a reset.
- A connection closed with request bytes unread lingers, so that the refusal is not lost in a reset.
- One that has just been accepted when the server stops may still bring its request.
"""

from __future__ import annotations

import asyncio
import fcntl
import select
import socket
import struct
import termios
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gateway_guard.frontends.cycle import Cycle
from gateway_guard.frontends.extauth.original import PREFIX, Gateway
from gateway_guard.frontends.head import error_response
from gateway_guard.frontends.patience import Late, Limits, late

#: A refused upload is read and thrown away for this many seconds and bytes at most.
LINGER_SECONDS: Final = 2.0
LINGER_BYTES: Final = 16 * 1024 * 1024
#: Seconds a connection that stops with the server may still bring the request it was opened for.
FAREWELL: Final = 0.25

#: Where nginx asks.
_NGINX: Final = PREFIX + Gateway.NGINX.encode()
_RST: Final = struct.pack("ii", 1, 0)
#: Linux tells of the other side's end before it has been read up to.
_LEFT: Final[int] = getattr(select, "POLLRDHUP", 0)


class EndingProtocol(HttpToolsProtocol):
    """The state of one client connection as far as its end depends on it.

    Attributes:
        limits: what clients may take.
        draining: answers end their connections. Set on the class for all of them at once.
        asked: gateways ask here, in their own ways (`extauth`).
    """

    limits: Limits = Limits()
    draining = False
    asked = False

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._current: Cycle | None = None
        self._waiting: list[Cycle] = []
        self._reading: Cycle | None = None  # whose body is being parsed
        self._in_head = False
        self._useful = 0  # bytes of the present request's body
        self._head_since = 0.0  # loop time at which the head being read began
        self._since = 0.0  # loop time of the last progress of whatever is being waited for
        self._stalled_since = 0.0  # loop time since when the client reads nothing; 0 while it does
        self._parted = 0.0  # loop time at which it was first seen to be closing; 0 before
        self._error: tuple[int, str] | None = None
        self._deaf = False  # nothing more is parsed
        self._retiring = False  # it ends with the answer to the last request that has come
        self._lingering = -1  # bytes still thrown away; -1 when not lingering

    @property
    def _answering(self) -> bool:
        current = self._current
        return current is not None and not current.complete

    def has_left(self) -> bool:
        """Whether the other side has closed the connection, be that read or not: who was kept
        waiting for too long has, and what it sent before is still read first.
        """
        transport = self.transport
        where = transport.get_extra_info("socket")
        if transport.is_closing():
            return True
        if where is None or where.fileno() < 0:
            return False
        poll = select.poll()
        poll.register(where.fileno(), select.POLLHUP | _LEFT)
        return bool(poll.poll(0))

    @property
    def streaming(self) -> bool:
        """Whether an answer has begun and is not complete."""
        current = self._current
        return current is not None and current.started and not current.complete

    @property
    def ends(self) -> bool:
        """Whether the answer that begins now is the connection's last."""
        return self.draining or (self._retiring and not self._waiting)

    def cut(self) -> None:
        """Break the connection so that no response in progress can look complete."""
        cycle = self._current
        if self.transport.is_closing() or self._lingering >= 0:
            return
        if cycle is not None and cycle.ends_with_connection:
            raw = self.transport.get_extra_info("socket")
            if raw is not None and raw.family != socket.AF_UNIX:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
            self.transport.abort()
        else:
            self.transport.close()

    def _refuse(self, status: int, message: str) -> None:
        """Answer bytes that are no request, once whatever is in progress has been answered."""
        self._deaf = True
        self._error = (status, message)
        reading = self._reading
        current = self._current
        if reading is not None and reading is current and not current.complete:
            # The body of the request in progress is broken: the application sees its client leave.
            started = current.started
            current.leave()
            if started:
                self.cut()
            else:
                self._write_error()
        elif reading is not None and reading in self._waiting:
            self._waiting.remove(reading)
            self.flow.resume_reading()
        elif current is None or current.complete:
            self._write_error()

    def _write_error(self) -> None:
        assert self._error is not None  # noqa: S101
        status, message = self._error
        if not self.transport.is_closing():
            to_nginx = self.asked and (self.url or b"").startswith(_NGINX)
            headers = self.server_state.default_headers
            self.transport.write(error_response(status, message, headers, to_nginx=to_nginx))
            self._close(unread=True)

    def _close(self, *, unread: bool) -> None:
        self._deaf = True
        if not unread or not self.transport.can_write_eof():
            self.transport.close()
            return
        self._lingering = LINGER_BYTES
        self.flow.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _leave(self) -> None:
        current = self._current
        if current is not None and not current.complete:
            current.leave()
            self.cut()
        elif not self.transport.is_closing():
            self.transport.close()

    def sweep(self, now: float, limits: Limits | None = None) -> None:
        """Close the connection if it has let somebody wait for too long; `now` is loop time.

        `limits` are its own unless others are given.
        """
        limits = limits or self.limits
        if self.transport.is_closing():
            # Its end waits for what the client has not read.
            if not self._parted:
                self._parted = now
            elif now - self._parted > limits.write:
                self.transport.abort()
            return
        if self._lingering >= 0:
            return
        current = self._current
        found = late(
            limits,
            now,
            since=self._since,
            head_since=self._head_since,
            stalled_since=self._stalled_since,
            in_head=self._in_head,
            answering=self._answering,
            fresh=current is None,
            awaits_body=current is not None and current.awaits_body and not self.flow.read_paused,
            received=self._useful,
        )
        if found is None:
            return
        if found is Late.READING:
            self.transport.abort()
        elif found is Late.REQUEST:
            self.transport.close()
        else:
            self._refuse(408, f"{found.value} took too long")

    def shutdown(self) -> None:
        """uvicorn's graceful stop: finish what has begun, take nothing new."""
        self.draining = True
        current = self._current
        if current is not None and not current.complete:
            current.keep_alive = current.keep_alive and bool(self._waiting)
        elif not self._in_head and self._lingering < 0:
            if current is None or self._has_unread_bytes():
                # It has just been accepted, or has a request on its way in: that is served.
                self.loop.call_later(FAREWELL, self._part)
            else:
                self.transport.close()

    def _part(self) -> None:
        """Close after `FAREWELL`, unless a request has come in since then."""
        current = self._current
        if (current is None or current.complete) and not self._in_head and self._lingering < 0:
            self.transport.close()

    def _has_unread_bytes(self) -> bool:
        """Whether the kernel holds bytes of the client that have not been read yet."""
        raw = self.transport.get_extra_info("socket")
        if raw is None or self.transport.is_closing():
            return False
        count = fcntl.ioctl(raw.fileno(), termios.FIONREAD, bytes(4))
        return count != bytes(4)
