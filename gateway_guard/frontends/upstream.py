"""The upstream: its address, its connections kept alive, and when a request may be sent twice.

**Retries.** A request is sent a second time only if no harm can come of it: it went out on a reused
connection, that connection broke before a single byte of an answer, the whole body is at hand,
and the method is idempotent (RFC 9110 §9.2.2). A POST is never repeated once a byte of it was
written: the upstream may have acted on it. It is moved to another connection only when the
chosen one turns out to be closed before anything was written.

**Time.** Timeouts cost no timer per request: one sweep over all connections, at most each quarter
of the shortest timeout, fails what is late. A timeout therefore fires up to 25 % late, never early.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from gateway_guard.errors import SettingsError, UpstreamError, UpstreamTimeoutError
from gateway_guard.frontends.upstream_head import UpstreamResponse
from gateway_guard.frontends.upstream_wire import UpstreamConnection

IDEMPOTENT: Final = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where the upstream listens.

    Attributes:
        host: name or address; None for a unix socket.
        port: TCP port.
        socket: path of a unix socket; None for TCP.
        secure: whether to speak TLS.
        prefix: path put before every request's path, without a trailing slash, e.g. `/openai`.
        authority: what the `Host` field says unless the client's is preserved.
    """

    host: str | None
    port: int
    socket: str | None
    secure: bool
    prefix: bytes
    authority: bytes

    @classmethod
    def parse(cls, url: str) -> Origin:
        """The origin written `http://host:port/prefix`, `https://…` or `unix:/path/of.sock`.

        Raises:
            SettingsError: it is none of these.
        """
        if url.startswith("unix:"):
            path = url.removeprefix("unix:").removeprefix("//")
            if not path.startswith("/"):
                raise SettingsError(f"upstream {url!r}: write unix:/absolute/path.sock")
            return cls(
                host=None, port=0, socket=path, secure=False, prefix=b"", authority=b"localhost"
            )
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise SettingsError(f"upstream {url!r}: {error}") from None
        odd = parts.query or parts.fragment or parts.username is not None
        # Both go into the head of every request as they are.
        odd = odd or not url.isascii() or not url.isprintable() or " " in url
        if parts.scheme not in ("http", "https") or not host or odd:
            # What it says may be a password.
            said = "the URL" if parts.username is not None or parts.query else repr(url)
            raise SettingsError(
                f"upstream {said}: write http://host:port, https://host/prefix or unix:/path"
            )
        secure = parts.scheme == "https"
        default = 443 if secure else 80
        shown = f"[{host}]" if ":" in host else host
        authority = shown if port in (None, default) else f"{shown}:{port}"
        return cls(
            host=host,
            port=port or default,
            socket=None,
            secure=secure,
            prefix=parts.path.rstrip("/").encode(),
            authority=authority.encode(),
        )


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """How long the upstream may take, in seconds, all > 0.

    Attributes:
        connect: to accept a connection, TLS included.
        read: between two pieces of an answer, the first included. Long, because a model may think
            for minutes before the first byte of an answer that is not streamed.
        idle: an unused connection is kept; below the 5 s after which common Python and Node servers
            close theirs, so that a POST rarely meets a closing connection.
        lasts: a connection is used again, at most; of each between half and all of it, so that not
            all are made anew at once. One that is always busy would stay where the upstream's name
            led when it was made, for ever. Not measured.
    """

    connect: float = 5.0
    read: float = 300.0
    idle: float = 4.0
    lasts: float = 60.0


class Upstream:
    """Connections to one origin.

    Attributes:
        origin: where they lead.
        tls: trust for a secure origin; None for a plain one.
        open: connections now open, idle ones included.
        retried: requests that were sent a second time.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        timeouts: Timeouts = Timeouts(),  # noqa: B008  (frozen)
        tls: ssl.SSLContext | None = None,
        max_connections: int = 2000,
    ) -> None:
        """`tls` replaces the system's default trust; `max_connections` bounds `open`, >= 1."""
        self.origin = origin
        self.timeouts = timeouts
        self.retried = 0
        self.tls = (tls or ssl.create_default_context()) if origin.secure else None
        self._max = max_connections
        self._idle: list[UpstreamConnection] = []
        self._all: set[UpstreamConnection] = set()
        self._dialling = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self._stopping = False

    @property
    def open(self) -> int:
        return len(self._all)

    async def exchange(
        self, data: bytes, *, method: str, attach: Callable[[UpstreamConnection], None]
    ) -> tuple[UpstreamConnection, UpstreamResponse]:
        """Send a whole request and await the answer's head.

        The caller owns the connection until `release`. `attach` is told of each connection used,
        before the wait, so that it can be dropped meanwhile.

        Raises:
            UpstreamError: not reachable, or no answer that can be believed.
            UpstreamTimeoutError: it took too long.
        """
        while True:
            connection = self._take()
            if connection is None:
                connection = await self._dial()
            try:
                attach(connection)
                connection.start(data, head_request=method == "HEAD")
                return connection, await connection.head()
            except UpstreamTimeoutError:
                self.release(connection)
                raise
            except UpstreamError:
                again = connection.reused and not connection.answered and method in IDEMPOTENT
                self.release(connection)
                if not again:
                    raise
                self.retried += 1
                self._drop_idle()
            except BaseException:
                connection.close()
                raise

    async def begin(
        self, data: bytes, *, method: str, attach: Callable[[UpstreamConnection], None]
    ) -> UpstreamConnection:
        """Send the head of a request whose body the caller writes; never sent twice.

        The caller owns the connection until `release`; `attach` as in `exchange`.

        Raises:
            UpstreamError: not reachable.
            UpstreamTimeoutError: connecting took too long.
        """
        connection = self._take()
        if connection is None:
            connection = await self._dial()
        try:
            attach(connection)
            connection.start(data, head_request=method == "HEAD")
        except BaseException:
            connection.close()
            raise
        return connection

    def release(self, connection: UpstreamConnection) -> None:
        """Take a connection back: kept when its answer was read to the end, else dropped."""
        if connection.finish():
            self._keep(connection)

    async def check(self) -> None:
        """Open a connection, or find one idle.

        Raises:
            UpstreamError: the upstream cannot be reached.
        """
        connection = self._take()
        if connection is None:
            connection = await self._dial()
            connection.reused = True
        self._keep(connection)

    def close(self) -> None:
        """Drop every connection."""
        self._stopping = True
        for connection in list(self._all):
            connection.close()
        self._idle.clear()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def _keep(self, connection: UpstreamConnection) -> None:
        now = connection.loop.time()
        if now >= connection.retires:
            connection.close()
            return
        connection.deadline = now + self.timeouts.idle
        self._idle.append(connection)

    def _take(self) -> UpstreamConnection | None:
        """The idle connection used last, which is the least likely to be stale."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
        return None

    def _drop_idle(self) -> None:
        """Forget the idle ones: one was stale, so the others probably are."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _dial(self) -> UpstreamConnection:
        if len(self._all) + self._dialling >= self._max:
            raise UpstreamError(f"all {self._max} connections to the upstream are busy")
        loop = asyncio.get_running_loop()

        def build() -> UpstreamConnection:
            return UpstreamConnection(
                loop, read_timeout=self.timeouts.read, on_closed=self._all.discard
            )

        origin = self.origin
        self._dialling += 1
        try:
            async with asyncio.timeout(self.timeouts.connect):
                if origin.socket is not None:
                    _, connection = await loop.create_unix_connection(build, origin.socket)
                else:
                    _, connection = await loop.create_connection(
                        build,
                        origin.host or "",
                        origin.port,
                        ssl=self.tls,
                        server_hostname=origin.host if self.tls is not None else None,
                    )
        except TimeoutError:
            raise UpstreamTimeoutError(
                f"no connection to the upstream within {self.timeouts.connect:g} s"
            ) from None
        except (OSError, ssl.SSLError, UnicodeError) as error:
            raise UpstreamError(f"no connection to the upstream: {error}") from error
        finally:
            self._dialling -= 1
        if self._stopping:
            connection.close()
            raise UpstreamError("shutting down")
        connection.retires = loop.time() + self.timeouts.lasts * random.uniform(0.5, 1.0)  # noqa: S311
        self._all.add(connection)
        if self._sweeper is None:
            self._sweep()
        return connection

    def _sweep(self) -> None:
        """Fail what is late, close what has idled too long; come back while anything is open."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        idle = [c for c in self._idle if not c.closed]
        stale = [c for c in idle if c.deadline <= now]
        if stale:
            for connection in stale:
                connection.close()
            idle = [c for c in idle if c.deadline > now]
        self._idle[:] = idle
        for connection in [c for c in self._all if c.deadline <= now]:
            connection.expire(now)
        if self._all or self._dialling:
            every = min(1.0, self.timeouts.read / 4, self.timeouts.idle / 4)
            self._sweeper = loop.call_later(every, self._sweep)
        else:
            self._sweeper = None


def tls_context(ca: str | None = None) -> ssl.SSLContext:
    """Trust for an upstream: the system's certificates, or only those in the PEM file `ca`.

    Raises:
        SettingsError: `ca` cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=str(Path(ca)) if ca else None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"upstream CA {ca!r}: {error}") from None
