"""The linker beside the event loop: what was settled goes to a thread, verdicts come back.

The pure part is `campaigns.linker`. Here are its queue and its thread, which also tends what
outlives the process (`record.keeping`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from gateway_guard.campaigns.digests import sighting_of
from gateway_guard.campaigns.journal import apply
from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.reviews import Review
from gateway_guard.campaigns.sighting import Sighting
from gateway_guard.core.credentials import subkey
from gateway_guard.record.announcing import Announcer
from gateway_guard.record.beside import PIECE, Beside, rest
from gateway_guard.record.herald import Herald
from gateway_guard.record.keeping import Keeper
from gateway_guard.record.notices import Notices
from gateway_guard.record.register import LocalRegister
from gateway_guard.types import CampaignFacts, Exchange

if TYPE_CHECKING:
    from gateway_guard.record.metrics import Metrics

log = logging.getLogger(__name__)

#: Seconds a sighting may wait before it is learnt from.
INTERVAL: Final = 0.2


def address_key(secret: bytes) -> bytes:
    """The key of the linker's digests of addresses."""
    return subkey(secret, b"campaign addresses")


class Linking:
    """One linker, fed from an event loop, learning on a thread of its own.

    A full queue drops the newest sighting and counts it. `facts` never waits: it reads what the
    linker last published. Nothing here raises. The thread starts with the first
    sighting: threads do not survive a fork.

    Attributes:
        linker: read it only while `lock` is held.
        lock: held while the linker learns.
        dropped: sightings lost because the queue was full.
        failed: sightings the linker could not take in.
        keeper, herald: as given.
        register: which accounts met a challenge.

    Args:
        secret: key of the digests of addresses.
        linker: what learns; an empty one when None.
        keeper: brings the linker along that learns, and keeps it over restarts; None for nothing.
        herald: tells somebody of campaigns held and let go; closed with this. None for nobody.
        asked: whether the policy in force wants campaigns found; nothing is queued while it does
            not. None: always.
        queue: most sightings that wait.
        threaded: False where the caller calls `learn` and the keeper's `tend`, and nothing may
            happen beside it.
    """

    def __init__(
        self,
        secret: bytes,
        *,
        linker: Linker | None = None,
        keeper: Keeper | None = None,
        herald: Herald | None = None,
        asked: Callable[[], bool] | None = None,
        queue: int = 20_000,
        threaded: bool = True,
    ) -> None:
        self.keeper = keeper
        self.linker = keeper.linker if keeper is not None else linker or Linker()
        self.lock = keeper.lock if keeper is not None else threading.Lock()
        self.register = keeper.register if keeper is not None else LocalRegister()
        self.dropped = 0
        self.failed = 0
        self._verdicts = self.linker.cases.verdicts
        self.herald = herald
        notices = Notices(self.linker, herald.tell) if herald is not None else None
        self._announcer = Announcer(self.linker.cases, notices)
        self._addresses = address_key(secret)
        self._asked = asked
        self._limit = queue
        self._waiting: deque[Sighting] = deque()
        self._beside = Beside(self, Linking._work, name="linker", interval=INTERVAL, keeps=False)
        #: Whether the thread has still to be started.
        self._idle = threaded

    @property
    def trouble(self) -> str | None:
        """What an operator should know; None when all is well."""
        return self.keeper.file.trouble if self.keeper is not None else None

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Table → (entries, most there may be)."""
        memory = self.linker.memory
        return {
            "sightings_queue": (len(self._waiting), self._limit),
            "campaign_accounts": (len(memory.traces), memory.bounds.accounts),
        }

    @property
    def given_up(self) -> dict[str, int]:
        """Table → entries that went before their time; those of a restored snapshot count, too."""
        memory = self.linker.memory
        # Each number is given once.
        return {"campaign_accounts": memory.next - 1 - len(memory.traces)}

    def position(self) -> dict[str, object]:
        """How far the linker is, for a diagnostic snapshot."""
        cases = self.linker.cases
        return {
            "linker": "here", "waiting": len(self._waiting), "dropped": self.dropped,
            "failed": self.failed, "campaigns": len(cases.held), "members": len(cases.member_of),
        }  # fmt: skip

    def facts(self, account: str) -> CampaignFacts | None:
        """The campaign `account` is held to belong to; None for none."""
        return self._verdicts.get(account)

    def begin(self) -> None:
        """Heed the journal of reviews from now on, if there is one: whom somebody bans on a guard
        that nobody has asked yet is refused the first time.
        """
        if self._idle and self.keeper is not None:
            self._start()

    def write(self, exchange: Exchange) -> None:
        """Queue what is to be learnt of a settled exchange."""
        # Reviews are heeded whatever the policy wants to know of campaigns.
        self.begin()
        if self._asked is not None and not self._asked():
            return
        if len(self._waiting) >= self._limit:
            self.dropped += 1
            return
        seen = sighting_of(exchange, self._addresses)
        if seen is None:
            return
        self._waiting.append(seen)
        if self._idle:
            self._start()

    def learn(self) -> None:
        """Take in everything that waits, now, on the calling thread."""
        while self._waiting:
            self._piece()

    def review(self, review: Review) -> bool:
        """Put a person's decision in force now; for a guard that keeps no journal of them.

        False when it is about a campaign that is not held.
        """
        self.learn()
        self.register.heed(review)
        with self.lock:
            return apply(self.linker, review)

    def publish(self, metrics: Metrics) -> None:
        """Show what is held, and what was lost, among `metrics`."""
        cases = self.linker.cases
        metrics.gauge("campaigns", "Campaigns held.", lambda: len(cases.held))
        metrics.gauge(
            "campaign_members", "Accounts held to be in a campaign.", lambda: len(cases.member_of)
        )
        metrics.counters(
            "campaigns_let_go",
            "Campaigns held no longer, by cause.",
            "cause",
            lambda: cases.endings.counts,
        )
        metrics.gauge(
            "campaign_accounts",
            "Accounts remembered to find campaigns among.",
            lambda: len(self.linker.memory.traces),
        )
        metrics.gauge(
            "sightings_waiting",
            "Exchanges the campaign linker has still to learn from.",
            lambda: len(self._waiting),
        )
        metrics.counter(
            "sightings_dropped",
            "Exchanges the campaign linker never saw: its queue was full.",
            lambda: self.dropped,
        )
        metrics.counter(
            "sightings_failed",
            "Exchanges the campaign linker could not take in.",
            lambda: self.failed,
        )
        if self.keeper is not None:
            self.keeper.publish(metrics)
        if self.herald is not None:
            self.herald.publish(metrics)

    def close(self) -> None:
        """Learn from what waits, save, end the thread. Blocks; a second call does nothing."""
        if self._beside.ended:
            return
        if self._beside.end(timeout=10.0):
            self.learn()
            if self.keeper is not None:
                self.keeper.finish()
            self._announce()
        if self.herald is not None:
            self.herald.close()

    def _start(self) -> None:
        self._idle = False
        if self.keeper is not None:
            # Without a lifespan nobody calls close(); what was learnt must still reach the file.
            self._beside.at_exit()
        self._beside.start()

    def _work(self) -> float | None:
        """One turn of the thread."""
        self._piece()
        if self.keeper is not None:
            self.keeper.tend()
        self._announce()
        return rest(len(self._waiting), self._limit)

    def _announce(self) -> None:
        with self.lock:
            self._announcer.announce()

    def _piece(self) -> None:
        """Learn for a while: `lock` is not held longer, either."""
        waiting, clock = self._waiting, time.perf_counter
        with self.lock:
            end = clock() + PIECE
            while waiting:
                self._take(waiting.popleft())
                if clock() >= end:
                    break

    def _take(self, seen: Sighting) -> None:
        if self.keeper is not None:
            self.keeper.news += 1
        try:
            self.linker.learn(seen)
        except Exception as error:
            self.failed += 1
            if self.failed == 1:
                log.exception("the linker failed: %s", type(error).__name__)
