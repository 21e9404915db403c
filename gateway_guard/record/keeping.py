"""How a linker outlives its process: saved now and then, and reviewed by people meanwhile."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from gateway_guard.campaigns.journal import apply
from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.memory import ROOMY, Bounds
from gateway_guard.campaigns.snapshot import freeze
from gateway_guard.record.register import LocalRegister
from gateway_guard.record.reviews import Journal
from gateway_guard.record.snapshots import SnapshotFile

if TYPE_CHECKING:
    from gateway_guard.record.metrics import Metrics

log = logging.getLogger(__name__)

#: Seconds between two looks at the journal of reviews.
LOOK_EVERY: Final = 1.0
#: Seconds between two snapshots, at least, and the share of the time that making them may take.
SAVE_EVERY: Final = 60.0
_SAVING: Final = 0.02


class Keeper:
    """Keeps one linker in a file, and puts in force what is written into the journal beside it.

    `tend` and `finish` belong to the thread that learns. Nothing raises after construction.

    Attributes:
        linker: as it was saved last; an empty one when nothing was.
        lock: held while the linker is changed or read.
        news: sightings and reviews taken in that no snapshot holds; the learner counts its own.
        file: as given; knows what could not be written.
        journal: the reviews.
        register: which accounts met a challenge, by the journal.

    Args:
        file: where.
        secret: key of the snapshot.
        bounds: how much the linker may remember.
        now: Unix seconds.
        clock: seconds that only ever go forward.

    Raises:
        SettingsError, SnapshotError: as `SnapshotFile.load`.
    """

    def __init__(
        self,
        file: SnapshotFile,
        secret: bytes,
        *,
        bounds: Bounds = ROOMY,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        saved = file.load(secret, bounds)
        file.foresee()
        self.linker = Linker(bounds=bounds) if saved is None else saved.linker
        if saved is not None:
            log.info(
                "campaigns taken over from %s: %d campaigns, %d accounts",
                file.path, len(self.linker.held), len(self.linker.memory.traces),
            )  # fmt: skip
        self.lock = threading.Lock()
        self.journal = Journal(file.reviews, None if saved is None else saved.applied)
        self.register = LocalRegister(file.reviews)
        self.news = 0
        self.file = file
        self._secret = secret
        self._now = now
        self._clock = clock
        started = clock()
        self._look_at = started + LOOK_EVERY
        self._save_at = started + SAVE_EVERY
        # Who was banned while nobody was running is so from the first request on.
        self._review()

    def tend(self) -> None:
        """Put new reviews in force and save what is new, where it is time to."""
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            self._review()
        if now >= self._save_at:
            self._save()
            self._save_at = now + max(SAVE_EVERY, (self._clock() - now) / _SAVING)

    def finish(self) -> None:
        """The same once more, now, and let another process write."""
        self._review()
        self._save()
        self.file.release()

    def publish(self, metrics: Metrics) -> None:
        """Show what went wrong among `metrics`."""
        metrics.counter(
            "campaigns_unsaved",
            "Snapshots of campaigns that could not be written.",
            lambda: self.file.unsaved,
        )
        metrics.counter(
            "reviews_skipped",
            "Lines of the journal of reviews that are no review.",
            lambda: self.journal.bad,
        )

    def _review(self) -> None:
        for review in self.journal.new():
            # Also of one that changes nothing: how far the journal was read has changed.
            self.news += 1
            self.register.heed(review)
            with self.lock:
                try:
                    held = apply(self.linker, review)
                except Exception as error:
                    log.exception("a review failed: %s", type(error).__name__)
                    continue
            if not held:
                log.info("review skipped: campaign %s is not held", review.campaign)

    def _save(self) -> None:
        """Write a snapshot when there is news."""
        news = self.news
        if news and self.file.keep(self._frozen):
            self.news -= news

    def _frozen(self) -> bytes:
        with self.lock:
            return freeze(
                self.linker, self._secret, saved_at=self._now(), applied=self.journal.applied
            )
