"""The journal of reviews: JSON lines that people append and linkers read on from."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway_guard.campaigns.journal import Applied, line_of, review_of
from gateway_guard.campaigns.reviews import Review
from gateway_guard.files import alone, append_whole

log = logging.getLogger(__name__)

#: Bytes read in one go.
_CHUNK: Final = 1 << 20
#: Complaints that are logged; the rest is only counted.
_TOLD: Final = 20


class Journal:
    """Reads on from where it last stopped; never writes and never raises.

    A last line without its end is waited for. A file that became shorter, or another one, is read
    from its start.

    Attributes:
        bad: lines that are no review.
        error: why the file cannot be read; None while it can, or is not there.

    Args:
        path: the journal; need not exist.
        applied: how much of it is in force already; read again from the start where that is not
            how it begins.
        complain: told (line number, why) of each bad line; logged by default.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        applied: Applied | None = None,
        *,
        complain: Callable[[int, str], None] | None = None,
    ) -> None:
        self.path = Path(path)
        self.bad = 0
        self.error: str | None = None
        self._complain = complain or self._log
        self._expected = applied or Applied()
        self._inode = 0
        #: Bytes and lines read, and their digest.
        self._at = 0
        self._lines = 0
        self._hasher = hashlib.blake2b(digest_size=16)

    @property
    def applied(self) -> Applied:
        """How much was read so far, for a snapshot."""
        return Applied(self._at, self._hasher.digest()) if self._at else Applied()

    def new(self) -> list[Review]:
        """The reviews that were added since the last call, oldest first."""
        try:
            found = self._read()
        except FileNotFoundError:
            self.error = None
            self._restart()
            return []
        except OSError as error:
            if self.error is None:
                log.error("reviews %s cannot be read: %s", self.path, error.strerror)
            self.error = error.strerror or type(error).__name__
            return []
        self.error = None
        return found

    def _read(self) -> list[Review]:
        status = self.path.stat()
        if status.st_ino != self._inode or status.st_size < self._at:
            self._restart()
            self._inode = status.st_ino
        if status.st_size == self._at:
            return []
        found: list[Review] = []
        with self.path.open("rb") as file:
            if self._expected.size:
                self._skip(file.read(self._expected.size))
            file.seek(self._at)
            rest = b""
            while chunk := file.read(_CHUNK):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._line(line, found)
        return found

    def _skip(self, start: bytes) -> None:
        """Pass over what a snapshot has in force already, if this is the journal it has it from."""
        known, self._expected = self._expected, Applied()
        if hashlib.blake2b(start, digest_size=16).digest() == known.digest:
            self._hasher.update(start)
            self._at = len(start)
            self._lines = start.count(b"\n")

    def _line(self, line: bytes, found: list[Review]) -> None:
        self._hasher.update(line + b"\n")
        self._at += len(line) + 1
        self._lines += 1
        if not line.strip():
            return
        try:
            found.append(review_of(line))
        except ValueError as error:
            self.bad += 1
            self._complain(self._lines, str(error))

    def _log(self, number: int, why: str) -> None:
        if self.bad <= _TOLD:
            log.error("%s:%d: skipped: %s", self.path, number, why)

    def _restart(self) -> None:
        self._at = self._lines = 0
        self._hasher = hashlib.blake2b(digest_size=16)


def append(path: str | os.PathLike[str], review: Review) -> None:
    """Add `review` as the last line of the journal, on the disk when this returns.

    The file is made, readable by its owner only, when it is not there.

    Raises:
        OSError: it cannot be written; the journal is as it was.
    """
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with alone(handle):
            size = os.fstat(handle).st_size
            # Whoever wrote last may have been stopped in the middle of a line.
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            append_whole(handle, (b"\n" if torn else b"") + line_of(review))
    finally:
        os.close(handle)
