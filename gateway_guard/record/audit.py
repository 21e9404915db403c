"""The audit file: every decision of a person, one JSON line each, chained so that no change hides.

Whoever has no key can neither change nor add a line, and what is removed or moved leaves a gap
(`record.chain`). So that lines cut off the end are missed too, the digest of the last one also
stands in a file beside it (`.head`), replaced after every line. Whoever can put back older copies
of *both* is found only by somebody who noted the last digest elsewhere: `gateway-guard audit
verify` prints it, and takes it.

A file that is moved away (rotation) is continued: the next one begins with the digest of its last
line. Any number of processes may append; they take turns by a lock on a third file (`.lock`).
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, Self

from gateway_guard.campaigns.reviews import Review
from gateway_guard.errors import SettingsError, SourceError
from gateway_guard.files import FULL, alone, append_whole, write_whole
from gateway_guard.record.chain import (
    LONGEST,
    Checked,
    Entry,
    Place,
    check,
    entry_of,
    key_of,
    line_of,
    mac_of,
)
from gateway_guard.settings import Settings

_HEAD: Final = ".head"
_LOCK: Final = ".lock"


def _nobody(_: str) -> None:
    """Nobody is told."""


def absent(path: Path) -> str:
    """What is said where there is no audit file."""
    return f"there is no audit file {path}; it is made by the first decision"


class Audit:
    """One chain.

    Attributes:
        path: the file that is written.

    Args:
        path: need not exist; its directory must.
        secret: the guards'.
    """

    def __init__(self, path: str | os.PathLike[str], secret: bytes) -> None:
        self.path = Path(path)
        self._key = key_of(secret)

    @classmethod
    def configured(cls, settings: Settings, beside: str | os.PathLike[str] | None = None) -> Self:
        """The chain the settings name, or the one beside the snapshot of campaigns `beside`.

        Raises:
            SettingsError: there is none, or nobody could verify it after a restart; says what to
                write.
        """
        where = settings.audit_file or (f"{beside}.audit" if beside else None)
        if where is None:
            raise SettingsError(
                "no audit file is named: set GATEWAY_GUARD_AUDIT_FILE, or "
                "GATEWAY_GUARD_CAMPAIGNS_FILE for one beside it"
            )
        if not settings.secret_lasts:
            raise SettingsError(
                "lines of the audit file are written and verified with the guard's secret: set "
                "GATEWAY_GUARD_SECRET or GATEWAY_GUARD_SECRET_FILE, the same for guards and "
                "commands (openssl rand -hex 32 makes one)"
            )
        return cls(where, settings.secret)

    def append(self, review: Review, *, via: str, failed: str = "") -> Entry:
        """Write down a decision, on the disk when this returns; `failed` says why it is not in
        force.

        Raises:
            SourceError: it cannot be written, or what stands there is not what was written last.
        """
        try:
            with self._turn():
                return self._append(review, via, failed)
        except OSError as error:
            remedy = (
                "Make room on its disk" if error.errno in FULL
                else "Name a file in a directory this process may write to"
            )  # fmt: skip
            raise SourceError(
                f"the audit file {self.path} cannot be written: {error.strerror}; nothing was "
                f"changed. {remedy}"
            ) from error

    def verify(self, *, expected: Place | None = None, files: Iterable[Path] = ()) -> Checked:
        """Whether every line is as it was written and none is missing.

        `expected` is a line noted earlier. `files` are the parts of the chain, by default the file
        and what was rotated away from it (the same name and more).

        Raises:
            SourceError: there is no file and none was ever written, or it cannot be read.
        """
        named = list(files)
        try:
            with self._turn() if not named else contextlib.nullcontext():
                parts = _in_order(named, self._key) if named else self.parts()
                if not parts:
                    return self._gone(expected)
                if named:
                    return check(_lines(parts), self._key, head=expected)
                head = self._head()
                if head is None:
                    # A first line that found no room leaves a file, and nothing in it.
                    return self._headless(parts) if _any_bytes(parts) else self._gone(expected)
                if expected is not None:
                    found = check(_lines(parts), self._key, head=expected)
                    if found.broken is not None:
                        return found
                return check(_lines(parts), self._key, head=head)
        except OSError as error:
            raise SourceError(f"{error.filename or self.path}: {error.strerror}") from error

    def begun(self) -> bool:
        """Whether anything was ever written, so that there is something to verify."""
        return _any_bytes(self.parts()) or Path(f"{self.path}{_HEAD}").exists()

    def parts(self) -> list[Path]:
        """The files of the chain, oldest first: those rotated away that lie beside it, and it."""
        found = [self.path] if self.path.exists() else []
        name = self.path.name
        found += [
            path
            for path in self.path.parent.glob(f"{name}*")
            if path.suffix not in (_HEAD, _LOCK, ".gz") and path != self.path and path.is_file()
            and path.name.startswith((f"{name}.", f"{name}-"))
        ]  # fmt: skip
        return _in_order(found, self._key)

    def entries(self, skipped: Callable[[str], object] = _nobody) -> Iterator[Entry]:
        """Everything that can be read and bears its digest, oldest first; `skipped` is told where
        (`file:line`) anything else stands.

        Raises:
            SourceError: a file cannot be read.
        """
        try:
            for where, line in _lines(self.parts()):
                try:
                    entry = entry_of(line.removesuffix(b"\n"), self._key)[0]
                except ValueError:
                    skipped(where)
                else:
                    yield entry
        except OSError as error:
            raise SourceError(f"{error.filename or self.path}: {error.strerror}") from error

    def latest(
        self,
        most: int,
        *,
        account: str | None = None,
        campaign: str | None = None,
        skipped: Callable[[str], object] = _nobody,
    ) -> list[Entry]:
        """The last `most` entries, oldest first; only those about `account` or `campaign` if named.
        `skipped` as in `entries`.

        Raises:
            SourceError: a file cannot be read.
        """
        found = (
            entry
            for entry in self.entries(skipped)
            if account in (None, entry.account) and campaign in (None, entry.campaign)
        )
        return list(deque(found, maxlen=most))

    def _gone(self, expected: Place | None) -> Checked:
        """What is said where no file is left.

        Raises:
            SourceError: nothing says that there ever was one.
        """
        last = self._head() or expected
        if last is None or last.n == 0:
            raise SourceError(absent(self.path))
        why = f"it is gone: entries 1 to {last.n} were written, and are in no file beside it"
        return Checked(entries=0, last=Place(), broken=str(self.path), why=why)

    def _headless(self, parts: list[Path]) -> Checked:
        found = check(_lines(parts), self._key)
        if found.broken is not None:
            return found
        why = "it is missing: whether lines were cut off the end cannot be told"
        return Checked(entries=found.entries, last=found.last,
                       broken=f"{self.path}{_HEAD}", why=why)  # fmt: skip

    def _append(self, review: Review, via: str, failed: str) -> Entry:
        head = self._head()
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            at, torn = self._end(handle, head)
            entry = Entry(
                n=at.n + 1, at=review.at, action="failed" if failed else review.ruling.value,
                account=review.account, campaign=review.campaign, reason=failed or review.reason,
                by=review.by, via=via, prev=at.mac,
                torn=hashlib.sha256(torn).hexdigest() if torn else None,
            )  # fmt: skip
            line, mac = line_of(entry, self._key)
            if len(line) > LONGEST:
                # Nobody could read it, nor write anything behind it.
                raise SourceError(
                    f"an entry of {len(line):,} bytes is too long for the audit file "
                    f"({LONGEST:,} at most); nothing was changed. Shorten the reason or the name"
                )
            self._write(handle, (b"\n" if torn else b"") + line, Place(entry.n, mac))
        finally:
            os.close(handle)
        return entry

    def _write(self, handle: int, line: bytes, place: Place) -> None:
        """Add `line`, and note that it is at `place`; both, or neither: what could not be written
        down is not done, and must not stand there.
        """
        size = os.fstat(handle).st_size
        append_whole(handle, line)
        try:
            self._note(place)
        except OSError:
            # Where the note is there all the same, and only might not outlast a power cut, the line
            # must not go: to the note before, it is one line more, and nothing is wrong with that.
            if self._head() != place:
                os.ftruncate(handle, size)
                raise

    def _end(self, handle: int, head: Place | None) -> tuple[Place, bytes]:
        """The last line, and what a dying process left behind it."""
        size = os.fstat(handle).st_size
        start = max(size - 2 * LONGEST, 0)
        before, newline, torn = os.pread(handle, size - start, start).rpartition(b"\n")
        at = head or Place()
        if newline:
            try:
                entry, mac = entry_of(before.rpartition(b"\n")[2], self._key)
            except ValueError as error:
                raise self._refused(f"its last line does not verify: {error}") from None
            last = Place(entry.n, mac)
            if last.n < at.n or (last.n == at.n and last != at):
                raise self._refused("its last line is not the one that was written last")
            at = last
        return at, torn

    def _refused(self, why: str) -> SourceError:
        return SourceError(
            f"{self.path}: {why}; nothing was changed. `gateway-guard audit verify` says where; to "
            f"begin a new chain, move it and {self.path}{_HEAD} away"
        )

    def _head(self) -> Place | None:
        """The last line, as it was noted beside the file; None when nothing is.

        Raises:
            SourceError: the note is not as it was written.
        """
        try:
            text = Path(f"{self.path}{_HEAD}").read_text("ascii", "replace")
        except FileNotFoundError:
            return None
        place, _, mac = text.strip().rpartition(" ")
        if not hmac.compare_digest(
            mac.encode(), mac_of(self._key, b"head " + place.encode()).encode()
        ):
            raise SourceError(
                f"{self.path}{_HEAD} was changed, or written with another secret: set "
                "GATEWAY_GUARD_SECRET or GATEWAY_GUARD_SECRET_FILE as there"
            )
        return Place.parse(place)

    def _note(self, last: Place) -> None:
        line = f"{last} {mac_of(self._key, b'head ' + str(last).encode())}\n"
        write_whole(Path(f"{self.path}{_HEAD}"), line.encode())

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """One process at a time."""
        handle = os.open(f"{self.path}{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with alone(handle):
                yield
        finally:
            os.close(handle)


def _lines(parts: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    for path in parts:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LONGEST + 2):
                number += 1
                yield f"{path}:{number}", line


def _any_bytes(parts: Iterable[Path]) -> bool:
    return any(path.stat().st_size for path in parts)


def _in_order(parts: Iterable[Path], key: bytes) -> list[Path]:
    """By the number of the first line that bears its digest; what has none comes last."""
    return sorted(parts, key=lambda path: (_first(path, key), str(path)))


def _first(path: Path, key: bytes) -> int | float:
    for _, line in _lines([path]):
        with contextlib.suppress(ValueError):
            return entry_of(line.removesuffix(b"\n"), key)[0].n
    return float("inf")
