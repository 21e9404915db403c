"""From a guard to the linker: sightings queue up beside the requests and leave in batches."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from typing import Final

from gateway_guard.campaigns.sighting import Sighting
from gateway_guard.errors import StoreError
from gateway_guard.streams.disguise import Disguise
from gateway_guard.streams.keys import LASTS, SIGHTINGS_KEPT, Keys, fingerprint
from gateway_guard.streams.link import Link, Pauses, Word, until
from gateway_guard.streams.wire import BATCH, pack_batch

log = logging.getLogger(__name__)

#: Seconds a sighting waits at most before it is sent.
EVERY: Final = 0.1
#: Batches sent in one trip.
_AT_ONCE: Final = 20


class Sender:
    """A bounded queue, emptied into the stream ten times a second.

    `put` may be called from any thread and never waits; the rest belongs to one event loop. What
    was sent while an answer was lost is sent again, under the same number: the linker takes it
    once.

    Attributes:
        guard: 8 bytes that name this start of this guard; empty before `begin`.
        sent: sightings that are in the stream.
        dropped: sightings lost because the queue was full.
        failed: attempts that did not reach the server.
        most: sightings that may wait.
    """

    def __init__(
        self,
        link: Link,
        keys: Keys,
        secret: bytes,
        *,
        queue: int = 20_000,
    ) -> None:
        """`queue` is the most sightings that wait."""
        self.guard = b""
        self.sent = 0
        self.dropped = 0
        self.failed = 0
        self._link = link
        self._stream = keys.sightings
        self._key = fingerprint(secret)
        self._disguise = Disguise(secret)
        self.most = queue
        self._queue: deque[Sighting] = deque()
        #: Batches on their way: how many sightings, and the bytes. Not changed until they arrived.
        self._leaving: list[tuple[int, bytes]] = []
        #: Sightings that were taken to be sent.
        self._put = 0

    @property
    def waiting(self) -> int:
        """Sightings that are not in the stream yet. Any thread may ask."""
        return self._put - self.sent

    def put(self, seen: Sighting) -> None:
        """Send `seen` soon, or count it as dropped."""
        if len(self._queue) >= self.most:
            self.dropped += 1
        else:
            self._put += 1
            self._queue.append(seen)

    def begin(self) -> None:
        """Be one guard more. Not before: processes that are forked are guards of their own."""
        self.guard = secrets.token_bytes(8)

    async def run(self, stop: asyncio.Event) -> None:
        """Send until told to stop; then what still waits, once."""
        pauses = Pauses()
        while not await until(stop, EVERY if not self._leaving else pauses()):
            if await self._try():
                pauses.over()
        await self._try()

    async def _try(self) -> bool:
        try:
            while self._queue or self._leaving:
                await self.flush()
        except StoreError as error:
            self.failed += 1
            if self.failed == 1:
                log.error("sightings cannot be sent, they wait: %s", error)
            return False
        return True

    async def flush(self) -> None:
        """Send what waits, at most 20 batches.

        Raises:
            StoreError: the server cannot be reached: they wait.
        """
        if not self._leaving:
            self._leaving = self._batches()
        commands: list[tuple[Word, ...]] = [
            ("XADD", self._stream, "MAXLEN", "~", SIGHTINGS_KEPT, "*", "b", data)
            for _, data in self._leaving
        ]
        commands.append(("EXPIRE", self._stream, LASTS))
        await self._link.all(commands)
        self.sent += sum(count for count, _ in self._leaving)
        self._leaving = []

    def _batches(self) -> list[tuple[int, bytes]]:
        found: list[tuple[int, bytes]] = []
        first, queue = self.sent, self._queue
        while queue and len(found) < _AT_ONCE:
            batch = [queue.popleft() for _ in range(min(len(queue), BATCH))]
            found.append((len(batch), self._packed(first, batch)))
            first += len(batch)
        return found

    def _packed(self, first: int, batch: list[Sighting]) -> bytes:
        return pack_batch(self._key, self.guard, first, batch, self._disguise)
