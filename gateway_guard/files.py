"""Files that are replaced or added to whole, whoever reads one sees the old content or the new; and
whether files have changed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

#: What the system says where there is no room: of the disk, of who writes, of one file.
FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: Inode, size, and when in ns the content and the file itself (whose it is, who may read it) were
#: last changed.
Stamp = tuple[int, int, int, int]


class Files:
    """Which of some files have changed, and rest.

    Half a file often loads, too: of accounts that are written in place, those behind the middle
    would be nobody's for as long as that takes, and no longer suspended. So a change counts from
    the second look in a row that finds the same `stamp`. A folder has changed when
    a database (`*.mmdb`) in it has, or came or went.
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        self._paths = [Path(path) for path in paths]
        self._seen = self._told = self._look()

    def changed(self) -> bool:
        """Whether any of them differs from what it was when this was last said, and rests.

        Call it now and then: it only compares with the look before.
        """
        before, self._seen = self._seen, self._look()
        resting = [
            seen if seen == last else told
            for seen, last, told in zip(self._seen, before, self._told, strict=True)
        ]
        told, self._told = self._told, resting
        return resting != told

    def _look(self) -> list[tuple[int | None, ...]]:
        return [
            sum((_seen(one) for one in sorted(path.glob("*.mmdb"))), _seen(path))
            for path in self._paths
        ]


def stamp(path: Path) -> Stamp:
    """What is another one once `path` is another file, was written to, or can be read at last.

    Raises:
        OSError: nobody can say.
    """
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _seen(path: Path) -> tuple[int | None, ...]:
    try:
        return stamp(path)
    except OSError as error:
        return (error.errno,)


def write_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put `data` in place of `path`, on the disk when this returns.

    Written beside it first, under one name, so that a process that is killed leaves one file at
    most: two that write at once need a lock of their own. A link stays, and what it leads to is
    replaced. What is no file (`/dev/null`, `/dev/stdout`, a pipe) is written to, never replaced.

    Raises:
        OSError: it cannot be written; the old content stays.
    """
    if not path.name:  # `.` and `/`, whose neighbours have no name to be made of
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if _takes_what_comes(path):
        with path.open("wb", buffering=0) as stream:
            _write(stream.fileno(), data)
        return
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    beside = path.with_name(f".{path.name}.new")
    # What lies there is half a file, or was put there for this: through a link the content would
    # get elsewhere, and somebody else's file would stay theirs and keep its mode.
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        try:
            _write(handle, data)
            os.fsync(handle)
        finally:
            os.close(handle)
        beside.replace(path)
    except OSError:
        # Half a file on a disk that is full helps nobody.
        beside.unlink(missing_ok=True)
        raise
    # The new name must be on the disk, too.
    folder = os.open(path.absolute().parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def append_whole(handle: int, data: bytes) -> None:
    """Add `data` at the end of the file open for appending as `handle`, on the disk when this
    returns.

    A disk that fills up takes a part, and says so only when asked to take the rest: that part is
    taken back. Whoever else may append must wait meanwhile (`alone`).

    Raises:
        OSError: it cannot be written; the file ends where it did.
    """
    size = os.fstat(handle).st_size
    try:
        _write(handle, data)
        os.fsync(handle)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, size)
        raise


@contextlib.contextmanager
def alone(handle: int) -> Iterator[None]:
    """One process at a time, of those that ask: by a lock on the file open as `handle`, which ends
    with it.

    Raises:
        OSError: the file cannot be locked where it lies.
    """
    try:
        import fcntl  # noqa: PLC0415  (not on every system)
    except ImportError:
        yield
        return
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)


def _takes_what_comes(path: Path) -> bool:
    """Whether there is something at `path` that is neither a file nor a directory."""
    try:
        kind = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


def _write(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
