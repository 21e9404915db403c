"""The file that holds a snapshot of campaigns: read at the start, replaced as a whole."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Self

from gateway_guard.campaigns.memory import ROOMY, Bounds
from gateway_guard.campaigns.snapshot import Snapshot, thaw
from gateway_guard.errors import OtherVersionError, SettingsError, SnapshotError
from gateway_guard.files import write_whole
from gateway_guard.settings import Settings

log = logging.getLogger(__name__)

#: Added to the file's name: the journal of reviews; and the lock of whoever writes snapshots.
REVIEWS = ".reviews"
LOCK = ".lock"


class SnapshotFile:
    """One file, written by one process at a time.

    Attributes:
        path: the file.
        reviews: the journal of reviews beside it.
        unsaved: snapshots that `keep` could not write.
        trouble: why it could not write the last; None when it could.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.reviews = Path(f"{self.path}{REVIEWS}")
        self.unsaved = 0
        self.trouble: str | None = None
        self._lock: int | None = None
        #: Whether another process was found to write.
        self._elsewhere = False

    @classmethod
    def configured(cls, settings: Settings) -> Self | None:
        """The file `settings` ask for; None when they ask for none.

        Raises:
            SettingsError: what would be kept there could not be read after a restart.
        """
        if not settings.campaigns_file:
            return None
        if not settings.secret_lasts:
            raise SettingsError(
                f"campaigns cannot be kept in {settings.campaigns_file}: nobody could read them "
                "after a restart. Set GATEWAY_GUARD_SECRET or GATEWAY_GUARD_SECRET_FILE "
                "(openssl rand -hex 32), or unset GATEWAY_GUARD_CAMPAIGNS_FILE"
            )
        return cls(settings.campaigns_file)

    def load(self, secret: bytes, bounds: Bounds = ROOMY) -> Snapshot | None:
        """What a guard with this secret saved last; None when there is no file yet.

        Its linker goes on within `bounds`.

        Raises:
            SettingsError: the file cannot be read, or not in that place.
            SnapshotError: it is damaged; says what to do.
            ForeignSnapshotError: it was written with another secret.
            OtherVersionError: it was written by another version of the guard.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            if not self.path.absolute().parent.is_dir():
                raise SettingsError(
                    f"campaigns cannot be kept in {self.path}: there is no such directory; make it "
                    "or name another file in GATEWAY_GUARD_CAMPAIGNS_FILE"
                ) from None
            return None
        except OSError as error:
            raise SettingsError(
                f"campaigns cannot be read from {self.path}: {error.strerror}; "
                "let this process read it or name another file in GATEWAY_GUARD_CAMPAIGNS_FILE"
            ) from error
        try:
            return thaw(data, secret, bounds=bounds)
        except SnapshotError as error:
            instead = (
                "The version that wrote it can"
                if isinstance(error, OtherVersionError)
                else "Was another file meant? Name that"
            )
            raise type(error)(
                f"campaigns cannot be taken over from {self.path}: {error}. {instead}. To start "
                "without what this one holds, move it away: "
                f"mv {self.path} {self.path}.old (the reviews in "
                f"{self.reviews} stay in force, for accounts as the same secret names them)"
            ) from error

    def foresee(self) -> None:
        """Say at the start, not with the first snapshot, that none could be written: `trouble`.

        Guards, which learn whatever the disk does, go on without.
        """
        folder = self.path.absolute().parent
        if not self.path.is_symlink() and not os.access(folder, os.W_OK | os.X_OK):
            self.trouble = "campaigns would not be saved: this process may not write there"
            log.error(
                "campaigns will not be saved to %s: this process may not write in %s; what is "
                "learnt ends with it",
                self.path, folder,
            )  # fmt: skip

    def claim(self) -> bool:
        """Whether this process is the one that writes; from the first True on until `release`.

        Raises:
            OSError: the lock cannot be opened.
        """
        if self._lock is not None:
            return True
        try:
            import fcntl  # noqa: PLC0415  (not on every system)
        except ImportError:
            return True
        handle = os.open(f"{self.path}{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._lock = handle
        return True

    def release(self) -> None:
        """Let another process write."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def keep(self, snapshot: Callable[[], bytes]) -> bool:
        """Save what `snapshot` gives, which is not asked where another process writes; whether it
        was saved. Never raises: a failing disk is reported once, and tried again the next time.
        """
        try:
            if not self.claim():
                if not self._elsewhere:
                    log.warning(
                        "campaigns: another process writes %s, this one does not", self.path
                    )
                self._elsewhere = True
                return False
            self.save(snapshot())
        except Exception as error:  # noqa: BLE001 - learning goes on whatever the disk does
            why = error.strerror if isinstance(error, OSError) else None
            why = why or type(error).__name__
            self.unsaved += 1
            if self.trouble is None:
                log.error("campaigns not saved to %s: %s", self.path, why)
            self.trouble = f"campaigns not saved: {why}"
            return False
        self.trouble = None
        self._elsewhere = False
        return True

    def save(self, data: bytes) -> None:
        """Put `data` in place of the file; whoever reads it sees the old content or the new.

        It is readable by its owner only, and on the disk when this returns.

        Raises:
            OSError: it cannot be written; the old content stays.
        """
        write_whole(self.path, data)
