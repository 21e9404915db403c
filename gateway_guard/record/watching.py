"""What the dashboard shows of traffic, counted beside the event loop, and the latest decisions.

A request only puts its exchange into a bounded queue (0.2 µs measured); a thread counts it a
few times a second and keeps, within a fixed room, lines of the decision log to explain it by.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Final

from gateway_guard.record.beside import PIECE, Beside, rest
from gateway_guard.record.line import Addresses, line
from gateway_guard.record.tally import Tally
from gateway_guard.record.windows import Windows
from gateway_guard.types import Exchange

log = logging.getLogger(__name__)

#: Seconds an exchange may wait before it is counted.
INTERVAL: Final = 0.25
#: Exchanges that may wait.
QUEUE: Final = 20_000
#: Accounts whose latest decisions are kept, how many of each, and the longest line, bytes: at most
#: some 16 MB.
ACCOUNTS: Final = 1_000
OF_EACH: Final = 8
_LONGEST: Final = 2_048
#: Of so many exchanges at most, lines are made of the most severe decisions and of the latest: of
#: all that an interval brings where it brings few.
_BATCH: Final = 512
_SEVERE: Final = 32
_LATEST: Final = 32


class Watching:
    """Counts exchanges. One producer thread, any number of tasks; any thread may ask.

    Attributes:
        dropped: exchanges not counted because the queue was full.
        failed: exchanges that could not be counted, or written down.

    Args:
        addresses: how much of a client's address the lines hold.
        clock: Unix seconds.
        threaded: False where the caller asks often enough by itself, and nothing may happen beside.
    """

    def __init__(
        self,
        *,
        addresses: Addresses = Addresses.FULL,
        clock: Callable[[], float] = time.time,
        threaded: bool = True,
    ) -> None:
        self.dropped = 0
        self.failed = 0
        self._addresses = addresses
        self._clock = clock
        self._windows = Windows(clock(), addresses=addresses is Addresses.FULL)
        self._waiting: deque[Exchange] = deque()
        #: Counted, and not looked at yet for what is worth a line; and what is.
        self._counted: list[Exchange] = []
        self._chosen: deque[Exchange] = deque()
        self._lines: OrderedDict[str, deque[bytes]] = OrderedDict()
        self._lock = threading.Lock()
        self._beside = Beside(
            self, Watching._work, name="watching", interval=INTERVAL, keeps=False
        )  # fmt: skip
        self._idle = threaded

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Table → (entries, most there may be)."""
        return {
            "watching_queue": (len(self._waiting), QUEUE),
            "watching_accounts": (len(self._lines), ACCOUNTS),
        }

    def write(self, exchange: Exchange) -> None:
        """Queue a settled exchange. Never waits, never raises."""
        waiting = self._waiting
        if len(waiting) >= QUEUE:
            self.dropped += 1
            return
        waiting.append(exchange)
        if self._idle:
            self._idle = False
            self._beside.start()

    def tally(self) -> Tally:
        """What was seen until now."""
        self.count()
        with self._lock:
            return self._windows.tally(self._clock(), self.dropped)

    def lines(self, account: str) -> list[bytes]:
        """The latest decisions on `account` that were kept, newest first, as the decision log has
        them.
        """
        self.count()
        with self._lock:
            return list(reversed(self._lines.get(account, ())))

    def forget(self, account: str) -> None:
        """Keep nothing of an account that was erased; from any thread."""
        self.count()
        with self._lock:
            self._lines.pop(account, None)
            self._windows.forget(account)

    def count(self) -> None:
        """Count what waits, now, on the calling thread."""
        while self._piece():
            pass

    def close(self) -> None:
        """End the thread."""
        self._beside.end(timeout=5.0)

    def _work(self) -> float | None:
        """One turn of the thread."""
        return rest(self._piece(), QUEUE)

    def _piece(self) -> int:
        """Count, and make lines, for a while: the lock is not held longer, either. What is left."""
        waiting, chosen, clock = self._waiting, self._chosen, time.perf_counter
        with self._lock:
            end = clock() + PIECE
            while True:
                if chosen:
                    self._tried(self._keep, chosen.popleft())
                elif waiting and len(self._counted) < _BATCH:
                    self._tried(self._take, waiting.popleft())
                elif self._counted:
                    chosen.extend(_choose(self._counted))
                    self._counted.clear()
                else:
                    break
                if clock() >= end:
                    break
            return len(waiting) + len(self._counted) + len(chosen)

    def _tried(self, work: Callable[[Exchange], None], exchange: Exchange) -> None:
        try:
            work(exchange)
        except Exception as error:
            # One odd exchange must not end the counting.
            self.failed += 1
            if self.failed == 1:
                log.exception("an exchange was not counted: %s", type(error).__name__)

    def _take(self, exchange: Exchange) -> None:
        self._windows.take(exchange)
        self._counted.append(exchange)

    def _keep(self, exchange: Exchange) -> None:
        account = exchange.request.account
        if account is None:
            return
        made = line(exchange, self._addresses)
        if len(made) > _LONGEST:
            return
        kept = self._lines.get(account)
        if kept is None:
            kept = self._lines[account] = deque(maxlen=OF_EACH)
            if len(self._lines) > ACCOUNTS:
                self._lines.popitem(last=False)
        else:
            self._lines.move_to_end(account)
        kept.append(made)


def _choose(counted: Sequence[Exchange]) -> list[Exchange]:
    """Those of `counted` that are worth a line, in order."""
    severe = heapq.nlargest(_SEVERE, range(len(counted)), key=lambda i: _severity(counted[i]))
    latest = range(max(len(counted) - _LATEST, 0), len(counted))
    return [counted[i] for i in sorted({*severe, *latest})]


def _severity(exchange: Exchange) -> tuple[int, float]:
    return exchange.decision.action, exchange.assessment.risk
