"""A proxy between a guard and a Redis server that fails on demand, inside the test's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from types import TracebackType
from typing import Self

#: What a fault is called → what the guard meets.
FAULTS = {
    "slow": "answers after most of a second",
    "black-hole": "connections stay open, and nothing comes through",
    "refused": "nobody listens",
    "reset": "every connection is reset, old and new",
    "cut": "an answer ends in the middle, and the connection with it",
    "drip": "an answer comes byte by byte",
    "garbage": "an answer is no answer of any protocol",
    "nothing": "every answer is null",
    "late-by-one": "every answer is the one to the question before",
    "BUSY": "Redis is busy running a script.",
    "LOADING": "Redis is loading the dataset in memory",
    "READONLY": "You can't write against a read only replica.",
    "OOM": "command not allowed when used memory > 'maxmemory'.",
    "NOSCRIPT": "No matching script.",
    "MASTERDOWN": "Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "NOAUTH": "Authentication required.",
}

_SLOW = 0.8
_DRIP = 0.02


class FaultProxy:
    """Forwards bytes between a free port of loopback and a server.

    Attributes:
        port: where it listens.
        fault: from `FAULTS`; None forwards everything as it is.
    """

    def __init__(self, to: int) -> None:
        self.fault: str | None = None
        self.port = 0
        self._to = to
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Event()
        self._pairs: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        self._drop()
        while self._pairs:
            await asyncio.wait(self._pairs)

    async def fail(self, fault: str | None) -> None:
        """Have `fault` from now on, or none."""
        self.fault = fault
        self._changed.set()
        self._changed = asyncio.Event()
        if fault in ("refused", "reset"):
            self._drop()
        if fault == "refused" and self._server is not None:
            self._server.close()
            self._server = None
        elif fault != "refused" and self._server is None:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def _drop(self) -> None:
        for writers in self._pairs.values():
            for writer in writers:
                _reset(writer)
        for task in self._pairs:
            task.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pairs[task] = [writer]
        try:
            if self.fault == "reset":
                _reset(writer)
                return
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._to)
            self._pairs[task].append(up_writer)
            ways = [
                asyncio.ensure_future(self._up(reader, up_writer)),
                asyncio.ensure_future(self._down(up_reader, writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            return
        finally:
            for one in self._pairs.pop(task):
                one.close()

    async def _passable(self) -> None:
        while self.fault == "black-hole":
            await self._changed.wait()

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._passable()
            writer.write(data)
            await writer.drain()

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held = b"+OK\r\n"
        while True:
            reply = await read_reply(reader)
            await self._passable()
            fault = self.fault
            if fault == "slow":
                await asyncio.sleep(_SLOW)
            elif fault == "cut":
                writer.write(reply[: len(reply) // 2])
                await writer.drain()
                return
            elif fault == "drip":
                for byte in reply:
                    writer.write(bytes((byte,)))
                    await asyncio.sleep(_DRIP)
                continue
            elif fault == "garbage":
                reply = os.urandom(len(reply)) + b"\r\n"
            elif fault == "nothing":
                reply = b"$-1\r\n"
            elif fault == "late-by-one":
                held, reply = reply, held
            elif fault is not None and fault.isupper():
                reply = f"-{fault} {FAULTS[fault]}\r\n".encode()
            writer.write(reply)
            await writer.drain()


async def read_reply(reader: asyncio.StreamReader) -> bytes:
    """One whole RESP2 reply.

    Raises:
        ConnectionError: the connection ended instead.
    """
    try:
        line = await reader.readuntil(b"\r\n")
        kind, rest = line[:1], line[1:-2]
        if kind == b"$" and int(rest) >= 0:
            return line + await reader.readexactly(int(rest) + 2)
        if kind == b"*":
            parts = [await read_reply(reader) for _ in range(max(0, int(rest)))]
            return line + b"".join(parts)
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError from error
    return line


def _reset(writer: asyncio.StreamWriter) -> None:
    taken = writer.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
