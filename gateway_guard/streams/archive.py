"""The linker's file and the journal of reviews beside it, for whoever learns from the streams."""

from __future__ import annotations

import logging

from gateway_guard.campaigns.journal import Applied, line_of
from gateway_guard.campaigns.memory import ROOMY, Bounds
from gateway_guard.campaigns.reviews import Review
from gateway_guard.campaigns.snapshot import Snapshot
from gateway_guard.record.reviews import Journal, append
from gateway_guard.record.snapshots import SnapshotFile

log = logging.getLogger(__name__)


class Archive:
    """What of a linker lies on this host's disk; nothing where no file is named.

    Attributes:
        bounds: as given: how much a linker made here may remember.

    Raises:
        SettingsError, SnapshotError: as `SnapshotFile.load`.
    """

    def __init__(self, file: SnapshotFile | None, secret: bytes, bounds: Bounds = ROOMY) -> None:
        self.bounds = bounds
        self._file = file
        self._secret = secret
        self._journal = Journal(file.reviews) if file is not None else None
        #: Lines of the journal beyond what a snapshot had in force: not to be written again.
        self._lines: set[bytes] = set()
        #: Reviews up to this time are in force already, wherever they stand; Unix seconds.
        self._since = float("-inf")
        # What cannot be read is said at the start, not when somebody else dies.
        self._first = self._load()
        if file is not None:
            file.foresee()

    @property
    def unsaved(self) -> int:
        """Snapshots that could not be written."""
        return self._file.unsaved if self._file is not None else 0

    @property
    def trouble(self) -> str | None:
        """Why the last could not; None when it could."""
        return self._file.trouble if self._file is not None else None

    @property
    def bad(self) -> int:
        """Lines of the journal that are no review."""
        return self._journal.bad if self._journal is not None else 0

    @property
    def applied(self) -> Applied:
        """How much of the journal is in force."""
        return self._journal.applied if self._journal is not None else Applied()

    def latest(self) -> Snapshot | None:
        """What is in the file now; None when there is none.

        Raises:
            SettingsError, SnapshotError: as `SnapshotFile.load`.
        """
        first, self._first = self._first, None
        return first or self._load()

    def begin(self, snapshot: Snapshot | None, *, here: bool) -> None:
        """Read the journal on from where `snapshot` has it, None for its start.

        Of a snapshot that is not from `here`, only what was written after it counts: this journal
        may be an old one.
        """
        if self._file is None:
            return
        applied = snapshot.applied if snapshot is not None else None
        self._journal = Journal(self._file.reviews, applied)
        self._lines.clear()
        self._since = snapshot.saved_at if snapshot is not None and not here else float("-inf")

    def reviews(self) -> list[Review]:
        """What was added to the journal since the last call."""
        if self._journal is None:
            return []
        found = self._journal.new()
        self._lines.update(map(line_of, found))
        return [review for review in found if review.at > self._since]

    def write(self, review: Review) -> None:
        """Add a review of the stream to the journal, unless it stands there."""
        if self._file is None:
            return
        line = line_of(review)
        if line in self._lines:
            return
        try:
            append(self._file.reviews, review)
        except OSError as error:
            log.error("a review is in force, but not in %s: %s", self._file.reviews, error.strerror)
        else:
            self._lines.add(line)

    def save(self, data: bytes) -> None:
        """Write a snapshot, as `SnapshotFile.keep`."""
        if self._file is not None:
            self._file.keep(lambda: data)

    def release(self) -> None:
        """Let another process write."""
        if self._file is not None:
            self._file.release()

    def _load(self) -> Snapshot | None:
        return self._file.load(self._secret, self.bounds) if self._file is not None else None
