"""Asks at a steady pace, or as fast as it can, and writes down what came back.

`python -m tests.soak.client PORT RATE SECONDS FIRST FILE`: RATE 0 is as fast as `FASTEST`
connections can.
Each line of FILE: number, status (0: no answer), milliseconds, Unix time it was sent.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from pathlib import Path
from typing import IO

import uvloop

from tests.soak.asks import ask, raw

#: As many as are open all the time; so many of them ask as fast as they can to find the pace.
CONNECTIONS, FASTEST = 128, 64
#: Requests after which a connection is closed: a new worker must get its share.
LASTS = 300


class Connection(asyncio.Protocol):
    """One connection: one request after the other."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.number = -1
        self.left = LASTS
        self.sent = 0.0
        self.buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def send(self, number: int) -> None:
        assert self.transport is not None
        self.number, self.sent, self.buffer = number, time.time(), b""
        self.transport.write(raw(ask(number)))

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        length = int(head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0] or b"0")
        if len(self.buffer) < end + 4 + length:
            return
        self.client.answered(self, int(head[9:12]), close=b"\r\nconnection: close" in head)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.number >= 0:
            self.client.answered(self, 0, close=True)
        self.client.lost(self)


class Client:
    """All connections."""

    def __init__(self, port: int, rate: float, first: int, out: IO[str]) -> None:
        self.port = port
        self.rate = rate
        self.next = first
        self.out = out
        self.idle: list[Connection] = []
        self.open = 0
        self.busy = 0
        self.over = False

    def answered(self, connection: Connection, status: int, *, close: bool) -> None:
        took = (time.time() - connection.sent) * 1000
        self.out.write(f"{connection.number} {status} {took:.1f} {connection.sent:.3f}\n")
        connection.number = -1
        connection.left -= 1
        self.busy -= 1
        if close or (connection.left <= 0 and self.rate):
            if connection.transport is not None:
                connection.transport.close()
        elif self.rate == 0 and not self.over:
            self._ask(connection)
        else:
            self.idle.append(connection)

    def lost(self, connection: Connection) -> None:
        self.open -= 1
        if connection in self.idle:
            self.idle.remove(connection)

    def _ask(self, connection: Connection) -> None:
        self.busy += 1
        connection.send(self.next)
        self.next += 1

    async def _dial(self) -> None:
        self.open += 1
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(self), "127.0.0.1", self.port
            )
        except OSError:
            self.open -= 1
            return
        if self.rate == 0:
            self._ask(connection)
        else:
            self.idle.append(connection)

    async def run(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        sent = 0
        dials: set[asyncio.Task[None]] = set()

        def dial() -> None:
            task = loop.create_task(self._dial())
            dials.add(task)
            task.add_done_callback(dials.discard)

        while (now := loop.time() - began) < seconds:
            while self.open < (CONNECTIONS if self.rate else FASTEST):
                dial()
                await asyncio.sleep(0)
            due = int(now * self.rate) - sent
            for _ in range(min(due, len(self.idle))):
                connection = self.idle.pop()
                if connection.transport is not None and not connection.transport.is_closing():
                    self._ask(connection)
                    sent += 1
            # What nobody was free for is not made up for later: the pace is steady.
            sent = max(sent, int(now * self.rate) - int(self.rate / 10))
            await asyncio.sleep(0.004)
        self.over = True
        end = loop.time() + 15.0
        while self.busy and loop.time() < end:  # noqa: ASYNC110 - as often as it takes
            await asyncio.sleep(0.05)


def main() -> None:
    port, rate, seconds, first, name = sys.argv[1:]
    # A pause of the collector here would look like one of the sidecar.
    gc.disable()
    with Path(name).open("w", buffering=1 << 16) as out:
        client = Client(int(port), float(rate), int(first), out)
        uvloop.run(client.run(float(seconds)))
    print(client.next, flush=True)


if __name__ == "__main__":
    main()
