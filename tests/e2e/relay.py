"""A relay between clients that speak plain TCP and a listener that wants something else first.

What is sent, half-closed or reset on one side is sent, half-closed or reset on the other, so that
tests of raw sockets can be run through TLS, unix sockets and behind the PROXY protocol unchanged.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable
from typing import Final, Self

from tests.processes import PATIENCE

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

#: Bytes read ahead of the slower side: as little as a socket holds anyway.
AHEAD: Final = 64 * 1024


class Relay:
    """Passes connections on, from the beginning of a `with` block to its end.

    Attributes:
        port: where it listens.

    Args:
        connect: opens a connection to where things go.
        prefix: sent on each of them before anything else.
        tls: how it speaks TLS with who comes; None for plain TCP.
        path: of the unix socket it listens at; None for a free port.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Streams]],
        *,
        prefix: bytes = b"",
        tls: ssl.SSLContext | None = None,
        path: str | None = None,
    ) -> None:
        self.port = 0
        self._connect = connect
        self._prefix = prefix
        self._tls = tls
        self._path = path
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._passing: set[asyncio.Task[None]] = set()
        if self._path is not None:
            server = await asyncio.start_unix_server(self._taken, self._path, limit=AHEAD)
        else:
            server = await asyncio.start_server(
                self._taken, "127.0.0.1", 0, limit=AHEAD, ssl=self._tls, backlog=2048
            )
            self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(self._passing):
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._pass(reader, writer))
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there: asyncio.StreamWriter | None = None
        try:
            source, there = await self._connect()
            there.write(self._prefix)
            await asyncio.gather(_pump(reader, there), _pump(source, writer))
        except (OSError, asyncio.IncompleteReadError):
            for side in (writer, there):
                if side is not None:
                    _reset(side)
        finally:
            for side in (writer, there):
                if side is not None:
                    side.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything from one side to the other, and then that there is no more."""
    writer.transport.set_write_buffer_limits(AHEAD)
    while data := await reader.read(AHEAD):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        with contextlib.suppress(OSError):
            writer.write_eof()
    else:
        # TLS: whoever ends it ends both directions.
        writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def to_port(port: int, tls: ssl.SSLContext | None = None) -> Callable[[], Awaitable[Streams]]:
    """Connects to a port on loopback, with TLS where `tls` is given."""

    def connect() -> Awaitable[Streams]:
        name = "localhost" if tls is not None else None
        return asyncio.open_connection(
            "127.0.0.1", port, limit=AHEAD, ssl=tls, server_hostname=name
        )

    return connect


def to_path(path: str) -> Callable[[], Awaitable[Streams]]:
    """Connects to a unix socket."""

    def connect() -> Awaitable[Streams]:
        return asyncio.open_unix_connection(path, limit=AHEAD)

    return connect
