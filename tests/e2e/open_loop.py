"""Requests at a rate that does not wait for answers, and the upstream that gives them.

`python -m tests.e2e.open_loop` prints the upstream's port; then each line it reads,
`PORT RATE WARM SECONDS FIRST`, is a load, and each line it prints what became of it (`Result`,
JSON): of what was due in the `SECONDS` after the first `WARM`.

Arrivals are Poisson's, each is due at its own time whatever became of those before it, and what it
took counts from when it was due: a proxy that is late with one answer delays none of the others,
and cannot hide how late it is (coordinated omission). The loop never sleeps: timers are as coarse
as what is measured here. Upstream and load share a process because they share a core.
"""

from __future__ import annotations

import asyncio
import gc
import random
import statistics
import sys
import time
from collections import deque
from typing import Final

import msgspec
import uvloop

from tests.peers.load import EACH, request
from tests.peers.upstream import Upstream

#: Connections that may be open; a load that needs more loses requests, and says so.
MOST: Final = 4000
#: Seconds that those under way get at the end.
PATIENCE: Final = 20.0


class Result(msgspec.Struct, kw_only=True):
    """What became of a load. Times in milliseconds, from when a request was due.

    Attributes:
        asked: requests that were due.
        served, shed, failed: of them answered 200, answered 503, and everything else.
        told: of those shed, how many were told when to come back.
        served_ms, shed_ms: their 50th, 99th and 99.9th percentile; empty where there are too few.
        late_ms: 99th percentile of how late this side was itself.
        connections: most open at once.
        other: the first answer that was neither.
    """

    asked: int = 0
    served: int = 0
    shed: int = 0
    failed: int = 0
    told: int = 0
    served_ms: tuple[float, ...] = ()
    shed_ms: tuple[float, ...] = ()
    late_ms: float = 0.0
    connections: int = 0
    other: str = ""


class Connection(asyncio.Protocol):
    """One connection: one request after the other, whenever one is due."""

    transport: asyncio.Transport

    def __init__(self, load: Load, raw: bytes, due: float) -> None:
        self.load = load
        self.raw, self.due = raw, due
        self.buffer = b""
        self.busy = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # of uvloop, no subclass of it
        self.transport.write(self.raw)

    def send(self, raw: bytes, due: float) -> None:
        self.busy, self.due, self.buffer = True, due, b""
        self.transport.write(raw)

    def data_received(self, data: bytes) -> None:
        self.buffer = buffer = self.buffer + data if self.buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = buffer[:end].lower()
        length = int(head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0] or b"0")
        if len(buffer) < end + 4 + length or not self.busy:
            return
        self.busy = False
        self.load.answered(head, self.due)
        if b"\r\nconnection: close" in head:
            self.transport.close()
        else:
            self.load.idle.append(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.load.lost(self)


class Load:
    """One load on one port; accounts are numbered from `first` on, `EACH` requests each.

    `most` connections may be open: few make it wait for answers after all.
    """

    def __init__(
        self, port: int, rate: float, warm: float, seconds: float, first: int, most: int = MOST
    ) -> None:
        self.port, self.rate, self.first, self.most = port, rate, first, most
        self.warm, self.seconds = warm, seconds
        self.counts_from = 0.0
        self.result = Result()
        self.idle: deque[Connection] = deque()
        self.open = self.under_way = 0
        self.served: list[float] = []
        self.shed: list[float] = []
        self.late: list[float] = []
        self.dials: set[asyncio.Task[None]] = set()

    def answered(self, head: bytes, due: float) -> None:
        took = 1000.0 * (time.perf_counter() - due)
        self.under_way -= 1
        if due < self.counts_from:
            return
        if head.startswith(b"http/1.1 200"):
            self.served.append(took)
        elif head.startswith(b"http/1.1 503"):
            self.shed.append(took)
            self.result.told += b"\r\nretry-after: " in head  # the head is in lower case
        else:
            self.failed(head[:60].decode("latin-1"), due)

    def failed(self, why: str, due: float) -> None:
        if due >= self.counts_from:
            self.result.other = self.result.other or why

    def lost(self, connection: Connection) -> None:
        self.open -= 1
        if connection.busy:
            connection.busy = False
            self.under_way -= 1
            self.failed("the connection ended without an answer", connection.due)
        elif connection in self.idle:
            self.idle.remove(connection)

    def ask(self, number: int, due: float) -> None:
        """Send the request that is due, on a connection that is free or a new one."""
        if due >= self.counts_from:
            self.result.asked += 1
            self.late.append(1000.0 * (time.perf_counter() - due))
        raw = request(self.first + number // EACH)
        self.under_way += 1
        while self.idle:
            # The one that was free last: a client keeps few connections busy, not many lukewarm.
            connection = self.idle.pop()
            if not connection.transport.is_closing():
                connection.send(raw, due)
                return
        if self.open >= self.most:
            self.under_way -= 1
            self.failed("no connection was free", due)
            return
        self.open += 1
        self.result.connections = max(self.result.connections, self.open)
        task = asyncio.get_running_loop().create_task(self._dial(raw, due))
        self.dials.add(task)
        task.add_done_callback(self.dials.discard)

    async def _dial(self, raw: bytes, due: float) -> None:
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: Connection(self, raw, due), "127.0.0.1", self.port
            )
        except OSError as error:
            self.open -= 1
            self.under_way -= 1
            self.failed(repr(error), due)

    async def run(self) -> Result:
        """Ask at `rate`, wait for what is under way, and say what became of it."""
        chance = random.Random(1)
        due = time.perf_counter()
        self.counts_from = due + self.warm
        end = self.counts_from + self.seconds
        number = 0
        while due < end:
            if time.perf_counter() >= due:
                self.ask(number, due)
                number += 1
                due += chance.expovariate(self.rate)
            else:
                await asyncio.sleep(0)
        end = time.perf_counter() + PATIENCE
        while self.under_way and time.perf_counter() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for connection in list(self.idle):
            connection.transport.abort()
        result = self.result
        result.served, result.shed = len(self.served), len(self.shed)
        result.failed = result.asked - result.served - result.shed  # some may never be answered
        result.served_ms, result.shed_ms = spread(self.served), spread(self.shed)
        result.late_ms = spread(self.late)[1] if len(self.late) >= 100 else 0.0
        return result


def spread(values: list[float]) -> tuple[float, ...]:
    """The 50th, 99th and 99.9th percentile; nothing of fewer than 100 values."""
    if len(values) < 100:
        return ()
    cuts = statistics.quantiles(values, n=1000, method="inclusive")
    return cuts[499], cuts[989], cuts[998]


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    # A pause of the collector here would look like one of the proxy.
    gc.disable()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        port, rate, warm, seconds, first = line.split()
        load = Load(int(port), float(rate), float(warm), float(seconds), int(first))
        result = await load.run()
        gc.collect()
        print(msgspec.json.encode(result).decode(), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
