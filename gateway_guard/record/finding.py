"""Decision logs read from their beginning, one line in memory at a time: for what is looked for."""

from __future__ import annotations

import gzip
import heapq
import io
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec

from gateway_guard.errors import UNDECODABLE, SourceError

#: Longest line read, bytes; a real one has a few thousand. A longer one is none.
LONGEST: Final = 1024 * 1024
_GZIP: Final = b"\x1f\x8b"
#: Lines after which `progress` is told.
_TELL_EVERY: Final = 4096


class _Head(msgspec.Struct, gc=False):
    """What a line is looked for by."""

    time: Annotated[datetime, msgspec.Meta(tz=True)]
    id: str
    action: str
    account: str | None = None


class _Replayed(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What a line of `replay --decisions` has, and none of a decision log."""

    id: str | int
    action: str
    risk: float
    rule: str | None
    campaign: str | None


class Found(NamedTuple):
    """One line.

    Attributes:
        at: arrival of the request.
        place: file and number of the line.
        text: the line itself, without its end.
    """

    at: datetime
    place: str
    text: bytes


class Logs:
    """Decision logs, plain or gzipped (by content, not by name), read once.

    Attributes:
        lines: that were of a decision log.
        broken: that were not; empty ones count as neither.
        first_broken: file and number of the first of them in the order of reading; None before.
        replayed: of the broken ones, those that `replay` wrote.
        earliest, latest: arrivals among `lines`; None before the first.
        damaged: why a file could not be read to its end, each with its name.
    """

    def __init__(
        self, paths: Sequence[Path | None], *, progress: Callable[[int], None] | None = None
    ) -> None:
        """`paths`: None stands for standard input. `progress` is told how many bytes were read from
        a file since the last time.
        """
        self._paths = paths
        self._progress = progress
        self.lines = 0
        self.broken = 0
        self.first_broken: str | None = None
        self.replayed = 0
        self.earliest: datetime | None = None
        self.latest: datetime | None = None
        self.damaged: list[str] = []

    @property
    def name(self) -> str:
        """What is searched, in words."""
        return ", ".join(_name(path) for path in self._paths)

    def __iter__(self) -> Iterator[Found]:
        """Every line, as the files have them."""
        for head, place, text in self._read():
            yield Found(head.time, place, text)

    def decision(self, request: str) -> Found | None:
        """The decision on a request, by its id; what is behind it is not read."""
        for head, place, text in self._read():
            if head.id == request:
                return Found(head.time, place, text)
        return None

    def decisions(self, account: str, most: int) -> list[Found]:
        """The latest decisions on an account, at most `most`, newest first.

        By their times: logs may come in any order.
        """
        kept: list[tuple[datetime, int, Found]] = []
        for head, place, text in self._read():
            if head.account != account:
                continue
            entry = (head.time, self.lines, Found(head.time, place, text))
            if len(kept) < most:
                heapq.heappush(kept, entry)
            else:
                heapq.heappushpop(kept, entry)
        return [found for _, _, found in sorted(kept, reverse=True)]

    def disown(self, found: Found) -> None:
        """Count a line as broken after all: it begins as one of a decision log, and is none."""
        self.lines -= 1
        self._pass_over(found.place)

    def _pass_over(self, place: str) -> None:
        self.broken += 1
        self.first_broken = self.first_broken or place

    def _read(self) -> Iterator[tuple[_Head, str, bytes]]:
        for path in self._paths:
            with _opened(path) as raw:
                yield from self._file(_name(path), raw)

    def _file(self, name: str, raw: io.BufferedReader) -> Iterator[tuple[_Head, str, bytes]]:
        number = told = 0
        try:
            stream = _unpacked(raw)
            while text := stream.readline(LONGEST):
                number += 1
                if len(text) == LONGEST and not text.endswith(b"\n"):
                    _skip(stream)
                    self._pass_over(f"{name}:{number}")
                    continue
                text = text.rstrip(b"\r\n")
                # What was taken out for an erasure is white space (`record.blanking`).
                if not text or text.isspace():
                    continue
                if self._progress is not None and not number % _TELL_EVERY:
                    told, before = raw.tell(), told
                    self._progress(told - before)
                try:
                    head = _decode(text)
                except UNDECODABLE:
                    self._pass_over(f"{name}:{number}")
                    self.replayed += _is_replayed(text)
                    continue
                self._count(head.time)
                yield head, f"{name}:{number}", text
        except (OSError, EOFError, zlib.error) as error:
            why = "it was cut short" if isinstance(error, EOFError) else f"it is damaged ({error})"
            self.damaged.append(f"{name} cannot be read beyond line {number:,}: {why}")

    def _count(self, at: datetime) -> None:
        self.lines += 1
        if self.earliest is None or at < self.earliest:
            self.earliest = at
        if self.latest is None or at > self.latest:
            self.latest = at


_decode: Final = msgspec.json.Decoder(_Head).decode
_decode_replayed: Final = msgspec.json.Decoder(_Replayed).decode


def _is_replayed(text: bytes) -> bool:
    try:
        _decode_replayed(text)
    except UNDECODABLE:
        return False
    return True


def _name(path: Path | None) -> str:
    return "standard input" if path is None else str(path)


def _opened(path: Path | None) -> io.BufferedReader:
    if path is None:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    try:
        return path.open("rb")
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error


def _unpacked(raw: io.BufferedReader) -> io.BufferedReader:
    if raw.peek(2)[:2] != _GZIP:
        return raw
    return io.BufferedReader(gzip.GzipFile(fileobj=raw))


def _skip(stream: io.BufferedReader) -> None:
    """Read on to the end of the line."""
    while (text := stream.readline(LONGEST)) and not text.endswith(b"\n"):
        pass
