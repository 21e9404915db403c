"""The linker beside the event loop: what was settled goes to a thread, verdicts come back.

The pure part is `campaigns.linker`. Here are its queue, its thread and its clock; and, where a file
is named, what happens to it: it is read at the start, written by the thread once a minute, and the
journal of reviews beside it is put in force as it grows.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import xxhash

from gateway_guard.campaigns.journal import apply
from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.sighting import Sighting, sighting_of
from gateway_guard.campaigns.snapshot import freeze
from gateway_guard.core.credentials import subkey
from gateway_guard.record.reviews import Journal
from gateway_guard.record.snapshots import SnapshotFile
from gateway_guard.types import CampaignFacts, Exchange

if TYPE_CHECKING:
    from gateway_guard.record.metrics import Metrics

log = logging.getLogger(__name__)

#: Seconds a sighting may wait before it is learnt from.
INTERVAL: Final = 0.2
#: Sightings learnt from while `lock` is held once, about 10 ms: whoever waits for it need not wait
#: for the whole queue.
_BATCH: Final = 64
#: Seconds between two looks at the journal of reviews.
LOOK_EVERY: Final = 1.0
#: Seconds between two snapshots, at least, and the share of the time that making them may take.
SAVE_EVERY: Final = 60.0
_SAVING: Final = 0.02


def address_seed(secret: bytes) -> int:
    """The key of the linker's digests of addresses."""
    return xxhash.xxh3_64_intdigest(subkey(secret, b"campaign addresses"))


class Linking:
    """One linker, fed from an event loop, learning on a thread of its own.

    A full queue drops the newest sighting and counts it. `facts` never waits: it reads what the
    linker last published. Nothing here raises after construction. The thread starts with the first
    sighting: threads do not survive a fork.

    Attributes:
        linker: read it only while `lock` is held.
        lock: held while the linker learns.
        dropped: sightings lost because the queue was full.
        failed: sightings the linker could not take in.
        unsaved: snapshots that could not be written.
        trouble: why the last could not; None when it could.

    Args:
        secret: key of the digests of addresses, and of the snapshot.
        linker: what learns; an empty one when None.
        file: where it outlives this process; None for nowhere. Replaces `linker` by what is there.
        asked: whether the policy in force wants campaigns found; nothing is queued while it does
            not. None: always.
        queue: most sightings that wait.
        threaded: False where the caller calls `learn` and `tend`, and nothing may happen beside it.
        now: Unix seconds.
        clock: seconds that only ever go forward.

    Raises:
        SettingsError, SnapshotError: as `SnapshotFile.load`.
    """

    def __init__(
        self,
        secret: bytes,
        *,
        linker: Linker | None = None,
        file: SnapshotFile | None = None,
        asked: Callable[[], bool] | None = None,
        queue: int = 20_000,
        threaded: bool = True,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        saved = file.load(secret) if file is not None else None
        self.linker = linker or Linker()
        self._file = file
        self._journal: Journal | None = None
        if saved is not None:
            self.linker = saved.linker
            log.info(
                "campaigns taken over from %s: %d campaigns, %d accounts",
                file and file.path, len(saved.linker.held), len(saved.linker.memory.traces),
            )  # fmt: skip
        if file is not None:
            self._journal = Journal(file.reviews, saved.applied if saved is not None else None)
        self.lock = threading.Lock()
        self.dropped = 0
        self.failed = 0
        self.unsaved = 0
        self.trouble: str | None = None
        self._secret = secret
        self._now = now
        self._clock = clock
        #: Sightings and reviews taken in that no snapshot holds.
        self._news = 0
        self._look_at = self._save_at = float("-inf")
        self._elsewhere = False
        self._verdicts = self.linker.cases.verdicts
        self._seed = address_seed(secret)
        self._asked = asked
        self._limit = queue
        self._waiting: deque[Sighting] = deque()
        self._wake = threading.Event()
        self._closing = False
        #: Whether the thread has still to be started.
        self._idle = threaded
        self._thread: threading.Thread | None = None

    def facts(self, account: str) -> CampaignFacts | None:
        """The campaign `account` is held to belong to; None for none."""
        return self._verdicts.get(account)

    def write(self, exchange: Exchange) -> None:
        """Queue what is to be learnt of a settled exchange."""
        if self._asked is not None and not self._asked():
            return
        if len(self._waiting) >= self._limit:
            self.dropped += 1
            return
        seen = sighting_of(exchange, self._seed)
        if seen is None:
            return
        self._waiting.append(seen)
        if self._idle:
            self._start()

    def learn(self) -> None:
        """Take in everything that waits, now, on the calling thread."""
        waiting = self._waiting
        while waiting:
            with self.lock:
                for _ in range(min(len(waiting), _BATCH)):
                    self._take(waiting.popleft())

    def tend(self) -> None:
        """Put new reviews in force and save what was learnt, where it is time to; never raises."""
        now = self._clock()
        if self._file is None:
            return
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            self._review()
        if self._save_at == float("-inf"):
            self._save_at = now + SAVE_EVERY
        elif now >= self._save_at:
            self._save()
            self._save_at = now + max(SAVE_EVERY, (self._clock() - now) / _SAVING)

    def publish(self, metrics: Metrics) -> None:
        """Show what is held, and what was lost, among `metrics`."""
        cases = self.linker.cases
        metrics.gauge("campaigns", "Campaigns held.", lambda: len(cases.held))
        metrics.gauge(
            "campaign_members", "Accounts held to be in a campaign.", lambda: len(cases.member_of)
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
        if self._file is not None:
            metrics.counter(
                "campaigns_unsaved",
                "Snapshots of campaigns that could not be written.",
                lambda: self.unsaved,
            )
        if self._journal is not None:
            journal = self._journal
            metrics.counter(
                "reviews_skipped",
                "Lines of the journal of reviews that are no review.",
                lambda: journal.bad,
            )

    def close(self) -> None:
        """Learn from what waits, save, end the thread. Blocks; a second call does nothing."""
        if self._closing:
            return
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=10.0)
        if self._thread is None or not self._thread.is_alive():
            self.learn()
            if self._file is not None:
                self._review()
                self._save()
                self._file.release()

    def _start(self) -> None:
        self._idle = False
        self._thread = threading.Thread(target=self._run, name="linker", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(INTERVAL)
            self.learn()
            self.tend()

    def _review(self) -> None:
        if self._journal is None:
            return
        for review in self._journal.new():
            # Also of one that changes nothing: how far the journal was read has changed.
            self._news += 1
            with self.lock:
                try:
                    held = apply(self.linker, review)
                except Exception as error:
                    log.exception("a review failed: %s", type(error).__name__)
                    continue
            if not held:
                log.info("review skipped: campaign %s is not held", review.campaign)

    def _save(self) -> None:
        """Write a snapshot when there is news. A failing disk is reported once and tried again."""
        file, news = self._file, self._news
        if file is None or not news:
            return
        try:
            if not file.claim():
                if not self._elsewhere:
                    log.warning(
                        "campaigns: another process writes %s, this one does not", file.path
                    )
                self._elsewhere = True
                return
            with self.lock:
                journal = self._journal
                data = freeze(
                    self.linker, self._secret, saved_at=self._now(),
                    applied=journal.applied if journal is not None else None,
                )  # fmt: skip
            file.save(data)
        except Exception as error:  # noqa: BLE001 - learning goes on whatever the disk does
            self.unsaved += 1
            why = error.strerror if isinstance(error, OSError) else None
            if self.trouble is None:
                log.error("campaigns not saved to %s: %s", file.path, why or type(error).__name__)
            self.trouble = f"campaigns not saved: {why or type(error).__name__}"
        else:
            self.trouble = None
            self._elsewhere = False
            self._news -= news

    def _take(self, seen: Sighting) -> None:
        self._news += 1
        try:
            self.linker.learn(seen)
        except Exception as error:
            self.failed += 1
            if self.failed == 1:
                log.exception("the linker failed: %s", type(error).__name__)
