"""The table of indicators on disk: replaced as a whole, read by every guard, last good one kept."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from gateway_guard.errors import IntelError
from gateway_guard.files import Files, Stamp, stamp, write_whole
from gateway_guard.intel.groups import group_of
from gateway_guard.intel.matching import Found, Matcher
from gateway_guard.intel.networks import Limits
from gateway_guard.intel.table import Table, decode, encode
from gateway_guard.settings import Settings
from gateway_guard.types import Request

log = logging.getLogger(__name__)

#: Most bytes of a table; 100,000 indicators take about 25 MB.
MAX_BYTES: Final = 256 << 20


def limits_of(settings: Settings) -> Limits:
    """What indicators may name here."""
    v4, v6 = settings.intel_widest
    return Limits(widest_v4=v4, widest_v6=v6, allowed=settings.intel_allow)


def read_bounded(path: Path, most: int) -> bytes:
    """All of a file of at most `most` bytes.

    Raises:
        FileNotFoundError: there is none.
        IntelError: it cannot be read or is larger; says which file and why.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise IntelError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > most:
        raise IntelError(f"{path}: more than {most:,} bytes; is this the right file?")
    return data


class TableFile:
    """One table on disk.

    Attributes:
        path: where it lies; what writes it holds a lock on `path` + `.lock` meanwhile.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def read(self) -> Table:
        """The table; an empty one where there is no file yet.

        Raises:
            IntelError: it cannot be read; says which file and why.
        """
        try:
            data = read_bounded(self.path, MAX_BYTES)
        except FileNotFoundError:
            return Table()
        try:
            return decode(data)
        except IntelError as error:
            raise IntelError(
                f"{self.path}: {error}. Was another file meant? Name that. If this was the table, "
                "move it away and import again what it held"
            ) from None

    def update(self, change: Callable[[Table], Table]) -> Table:
        """Put `change` of the table in its place, while nobody else changes it; gives the new one.

        Raises:
            IntelError: it cannot be read or written; the old one stays.
        """
        try:
            with locked(self.path):
                table = change(self.read())
                write_whole(self.path, encode(table))
        except OSError as error:
            raise IntelError(f"{self.path}: cannot be written: {error.strerror}") from error
        return table


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else changes `path` in this block; waits for whoever does.

    Raises:
        OSError: the lock beside it cannot be opened.
    """
    handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with contextlib.suppress(ImportError):
            import fcntl  # noqa: PLC0415  (not on every system)

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class Indicators:
    """What a guard knows from others: the table compiled, read again when it changes.

    Attributes:
        match: which indicators match a request; None while there is nothing to match.
        error: why the newest file is not in force; None when it is.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        limits: Limits | None = None,
        group_key: bytes | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Read the table at `path`; None for no indicators at all.

        Args:
            limits: what indicators may name, checked again at every reading.
            group_key: opens digests of templates and clients; None leaves those out.
            clock: Unix seconds.

        Raises:
            IntelError: there is a file and it cannot be used.
        """
        self.match: Callable[[Request], Found] | None = None
        self.error: str | None = None
        self._file = TableFile(path) if path is not None else None
        self._limits = Limits() if limits is None else limits
        self._group = group_of(group_key) if group_key is not None else None
        self._clock = clock
        self._matcher = Matcher((), now=0.0, limits=self._limits)
        #: Of the file that was read last; None where there was none.
        self._tried: Stamp | None = None
        self._files = Files(() if path is None else (path,))
        if not self.reload():
            raise IntelError(str(self.error))

    @classmethod
    def configured(
        cls, settings: Settings, *, clock: Callable[[], float] | None = None
    ) -> Indicators:
        """What `settings` ask for; `clock` as in the constructor.

        Raises:
            IntelError: as the constructor.
        """
        return cls(
            settings.intel_file,
            limits=limits_of(settings),
            group_key=settings.intel_group_key,
            clock=clock or time.time,
        )

    @property
    def loaded(self) -> int:
        """Indicators that can match."""
        return self._matcher.loaded

    def changed(self) -> bool:
        """Whether the file is another one than when this was last said, and nobody is writing it
        any more (`files.Files`).
        """
        return self._files.changed()

    def reload(self) -> bool:
        """Read the file if it has changed, or could not be used when it was read last; False when
        it cannot be used: the last good one stays.

        Never raises; `error` says why.
        """
        if self._file is None:
            return True
        found: Stamp | None = None
        try:
            found = stamp(self._file.path)
        except FileNotFoundError:
            pass
        except OSError as error:
            self.error = f"{self._file.path}: cannot be read: {error.strerror}"
            return False
        if found == self._tried and self.error is None:
            return True
        self._tried = found
        try:
            matcher = Matcher(
                self._file.read().pairs(), now=self._clock(), limits=self._limits, group=self._group
            )
        except IntelError as error:
            self.error = str(error)
            log.warning("indicators-kept path=%s", self._file.path)
            return False
        self._matcher, self.match, self.error = matcher, matcher.match, None
        if matcher.sealed:
            log.warning(
                "indicators-of-another-group count=%s: set GATEWAY_GUARD_INTEL_GROUP_KEY_FILE to "
                "the key they were sealed with",
                matcher.sealed,
            )
        return True

    def describe(self) -> dict[str, Any]:
        """For `/readyz`: how many can match, how many were left out, and why the newest is not in
        force.
        """
        matcher = self._matcher
        return {
            "loaded": matcher.loaded,
            "protected": matcher.protected,
            "sealed": matcher.sealed,
            "error": self.error,
        }
