"""The load: raw connections that cost little, so that what is measured is the proxy."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from typing import Final

from tests.peers.upstream import EVENTS

#: Connections at a time.
CONNECTIONS: Final = 32
#: Requests that one account sends, so that nobody runs out of what a policy gives.
EACH: Final = 10
#: Seconds that any answer may take.
PATIENCE: Final = 30.0
#: What an event has in it, however a proxy writes it anew.
MARK: Final = b"data:"
PROMPT: Final = b"word " * 400

_BODY: Final = b'{"model":"apex-4",%b"max_tokens":%d,"messages":[{"role":"user","content":"%b"}]}'
_HEAD: Final = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer sk-%08d\r\n"
    b"Content-Type: application/json\r\nUser-Agent: OpenAI/Python 1.99\r\n"
    b"Accept: application/json\r\nContent-Length: %d\r\n\r\n%b"
)


class FailedError(Exception):
    """A request was not answered as it should be; says how."""


def request(account: int, *, events: int = 0) -> bytes:
    """One request: of a whole answer, or of a stream of so many events."""
    body = _BODY % (b'"stream":true,' if events else b"", max(events, 1), PROMPT)
    return _HEAD % (account, len(body), body)


def length_of(head: bytes) -> int | None:
    """The length that the head of an answer announces, bytes; None for chunks.

    Raises:
        FailedError: the answer is no 200.
    """
    if not head.startswith(b"HTTP/1.1 200"):
        raise FailedError(f"answered {head[:60]!r}")
    value = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0].strip()
    return int(value) if value else None


def answer_end(buffer: bytes) -> int | None:
    """Where the first answer in `buffer` ends; None while it is not complete.

    Raises:
        FailedError: it is no 200.
    """
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    length = length_of(buffer[: end + 2])
    if length is None:
        last = buffer.find(b"\r\n0\r\n\r\n", end)
        return None if last < 0 else last + 7
    whole = end + 4 + length
    return whole if len(buffer) >= whole else None


class _Caller(asyncio.Protocol):
    """Asks again as soon as it is answered, until `until`."""

    transport: asyncio.Transport

    def __init__(self, accounts: Iterator[int], until: float) -> None:
        self.accounts, self.until = accounts, until
        self.good = 0
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # of uvloop, no subclass of it
        self._ask()

    def _ask(self) -> None:
        if self.good % EACH == 0:
            self.request = request(next(self.accounts))
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        try:
            end = answer_end(self.buffer)
        except FailedError as error:
            self._fail(error)
            return
        if end is None:
            return
        self.buffer = self.buffer[end:]
        self.good += 1
        if time.monotonic() < self.until:
            self._ask()
        else:
            if not self.done.done():  # nobody waits any more
                self.done.set_result(self.good)
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(FailedError("closed the connection"))

    def _fail(self, error: FailedError) -> None:
        if not self.done.done():
            self.done.set_exception(error)
        self.transport.close()


class Load:
    """Everything that is asked of one proxy; no account is asked for twice."""

    def __init__(self, port: int, accounts: Iterator[int] | None = None) -> None:
        self.port = port
        self.accounts = accounts or itertools.count()

    async def requests(self, seconds: float) -> int:
        """So many requests were answered within about so many seconds, 32 at a time.

        Raises:
            FailedError: one was not answered 200.
        """
        loop = asyncio.get_running_loop()
        until = time.monotonic() + seconds

        async def one() -> int:
            _, caller = await loop.create_connection(
                lambda: _Caller(self.accounts, until), "127.0.0.1", self.port
            )
            return await asyncio.wait_for(caller.done, seconds + PATIENCE)

        return sum(await _all([one() for _ in range(CONNECTIONS)]))

    async def streams(self, events: int) -> int:
        """Events that arrived, of 32 streams at a time of so many events.

        Raises:
            FailedError: a stream did not arrive whole.
        """

        async def one() -> int:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                return await asyncio.wait_for(self._whole(reader, writer, events), PATIENCE)
            finally:
                writer.close()

        return sum(await _all([one() for _ in range(CONNECTIONS)]))

    async def _whole(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, events: int
    ) -> int:
        writer.write(request(next(self.accounts), events=events))
        length_of(await reader.readuntil(b"\r\n\r\n"))
        seen, last = 0, b""
        while not last.endswith(b"\r\n0\r\n\r\n"):
            piece = await reader.read(65536)
            if not piece:
                raise FailedError("cut a stream")
            seen += piece.count(b'"delta"')
            last = (last + piece)[-16:]
        if seen < events * 0.95:  # a mark may be cut in two by the edge of a piece
            raise FailedError(f"passed on {seen} of {events} events")
        return events

    async def first_event(self) -> float:
        """Seconds from the request to the first event of a stream, on a fresh connection.

        Raises:
            FailedError: none came.
        """
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            began = time.perf_counter()
            writer.write(request(next(self.accounts), events=2))
            await asyncio.wait_for(_mark(reader), PATIENCE)
            return time.perf_counter() - began
        finally:
            writer.close()

    async def hold(self, count: int, events: int) -> list[asyncio.StreamWriter]:
        """Streams that have had their first event and stay open: `count`, or as many as it takes.

        After the first that it does not take, no more are tried. The caller closes them.
        """
        held: list[asyncio.StreamWriter] = []
        few = asyncio.Semaphore(64)
        full = False

        async def one() -> None:
            nonlocal full
            async with few:
                if full:
                    return
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    writer.write(request(next(self.accounts), events=events))
                    await asyncio.wait_for(_mark(reader), PATIENCE / 3)
                except (FailedError, TimeoutError, ConnectionError):
                    full = True
                    writer.close()
                else:
                    held.append(writer)

        await _all([one() for _ in range(count)])
        return held


async def _mark(reader: asyncio.StreamReader) -> None:
    """Wait for the first event.

    Raises:
        FailedError: the answer is another one.
    """
    try:
        length_of(await reader.readuntil(b"\r\n\r\n"))
        await reader.readuntil(MARK)
    except asyncio.IncompleteReadError:
        raise FailedError("ended a stream before its first event") from None


async def _all(jobs: list) -> list:  # type: ignore[type-arg]
    return list(await asyncio.gather(*jobs))


assert all(MARK in event for event in EVENTS)
