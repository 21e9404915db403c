"""The linker beside the event loop: what was settled goes to a thread, verdicts come back.

The pure part is `campaigns.linker`. Here are its queue, its thread and its clock.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Final

import xxhash

from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.sighting import Sighting, sighting_of
from gateway_guard.core.credentials import subkey
from gateway_guard.types import CampaignFacts, Exchange

log = logging.getLogger(__name__)

#: Seconds a sighting may wait before it is learnt from.
INTERVAL: Final = 0.2


def address_seed(secret: bytes) -> int:
    """The key of the linker's digests of addresses."""
    return xxhash.xxh3_64_intdigest(subkey(secret, b"campaign addresses"))


class Linking:
    """One linker, fed from an event loop, learning on a thread of its own.

    A full queue drops the newest sighting and counts it. `facts` never waits: it reads what the
    linker last published. Nothing here raises.

    Attributes:
        linker: read it only while `lock` is held.
        lock: held while the linker learns.
        dropped: sightings lost because the queue was full.
        failed: sightings the linker could not take in.
    """

    def __init__(self, secret: bytes, *, linker: Linker | None = None, queue: int = 20_000) -> None:
        self.linker = linker or Linker()
        self.lock = threading.Lock()
        self.dropped = 0
        self.failed = 0
        self._verdicts = self.linker.verdicts
        self._seed = address_seed(secret)
        self._limit = queue
        self._waiting: deque[Sighting] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def facts(self, account: str) -> CampaignFacts | None:
        """The campaign `account` is held to belong to; None for none."""
        return self._verdicts.get(account)

    def write(self, exchange: Exchange) -> None:
        """Queue what is to be learnt of a settled exchange."""
        seen = sighting_of(exchange, self._seed)
        if seen is None:
            return
        if len(self._waiting) >= self._limit:
            self.dropped += 1
            return
        self._waiting.append(seen)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="linker", daemon=True)
            self._thread.start()

    def learn(self) -> None:
        """Take in everything that waits, now, on the calling thread."""
        waiting = self._waiting
        with self.lock:
            while waiting:
                try:
                    self.linker.learn(waiting.popleft())
                except Exception as error:
                    self.failed += 1
                    if self.failed == 1:
                        log.exception("the linker failed: %s", type(error).__name__)

    def close(self) -> None:
        """Learn from what waits and end the thread."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=10.0)
        self.learn()

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(INTERVAL)
            self.learn()
