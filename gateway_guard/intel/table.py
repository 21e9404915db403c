"""What was taken in from others: sources and their indicators, bounded, and the file that holds it.

Pure: values in, values out. `intel.file` reads and writes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

import msgspec

from gateway_guard.errors import UNDECODABLE, IntelError
from gateway_guard.intel.indicator import Indicator

_FORMAT: Final = "gateway-guard indicators"
_VERSION: Final = 1
#: Most sources, and longest name of one.
MOST_SOURCES: Final = 64


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Who said something, what, and how far it was read.

    Attributes:
        kind: `guard` (a signed bundle), `stix` (a file), `taxii` or `crowdsec`.
        taken_at: Unix seconds of the latest import.
        key: id of the key that signed the last bundle; empty for other kinds.
        number: of the last bundle; an older one is a replay.
        digest: SHA-256 of the last bundle in hex; the same one again changes nothing.
        cursor: where a poll goes on: TAXII's `added_after`; empty for a first one.
        etag: what the server called its last answer; empty for none.
        indicators: by id.
    """

    kind: str
    taken_at: int
    key: str = ""
    number: int = 0
    digest: str = ""
    cursor: str = ""
    etag: str = ""
    indicators: dict[str, Indicator] = {}


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Everything taken in.

    Attributes:
        sources: by the name the operator gave each.
    """

    sources: dict[str, Source] = {}

    def pairs(self) -> Iterator[tuple[str, Indicator]]:
        """Every indicator with its source's name."""
        for name, source in self.sources.items():
            for one in source.indicators.values():
                yield name, one

    @property
    def size(self) -> int:
        """Indicators of all sources."""
        return sum(len(source.indicators) for source in self.sources.values())


class _File(msgspec.Struct, kw_only=True):
    format: str
    version: int
    sources: dict[str, Source]


def replaced(table: Table, name: str, source: Source, indicators: Iterable[Indicator]) -> Table:
    """`table` with `indicators` as all that source `name` says.

    Raises:
        IntelError: there are too many sources.
    """
    return _with(table, name, source, {one.id: one for one in indicators})


def merged(
    table: Table,
    name: str,
    source: Source,
    indicators: Iterable[Indicator],
    removed: Collection[str] = (),
) -> Table:
    """`table` with what source `name` says newly, and without what it took back, by id.

    Raises:
        IntelError: there are too many sources.
    """
    before = table.sources.get(name)
    kept = dict(before.indicators) if before is not None else {}
    for one in removed:
        kept.pop(one, None)
    kept |= {one.id: one for one in indicators}
    return _with(table, name, source, kept)


def without(table: Table, name: str) -> Table:
    """`table` without source `name` and all it said."""
    return Table(sources={n: s for n, s in table.sources.items() if n != name})


def pruned(table: Table, *, now: float, most: int) -> tuple[Table, int]:
    """`table` without what has expired and with at most `most` indicators; and how many were too
    many.

    No source can push out what smaller ones say: the largest are cut to one common size, of which
    each keeps what it is surest of.
    """
    live: dict[str, list[Indicator]] = {
        name: [one for one in source.indicators.values() if one.until > now]
        for name, source in table.sources.items()
    }
    size = _cap([len(ones) for ones in live.values()], most)
    dropped = 0
    sources: dict[str, Source] = {}
    for name, ones in live.items():
        if len(ones) > size:
            dropped += len(ones) - size
            ones.sort(key=lambda one: (-one.confidence, -one.until, one.id))
            del ones[size:]
        sources[name] = msgspec.structs.replace(
            table.sources[name], indicators={one.id: one for one in ones}
        )
    return Table(sources=sources), dropped


def encode(table: Table) -> bytes:
    """The file that holds `table`."""
    return msgspec.json.encode(_File(format=_FORMAT, version=_VERSION, sources=table.sources))


def decode(data: bytes) -> Table:
    """The table a file holds.

    Raises:
        IntelError: it holds none; says why.
    """
    try:
        file = msgspec.json.decode(data, type=_File)
    except UNDECODABLE as error:
        raise IntelError(f"no table of indicators: {str(error)[:200]}") from None
    if file.format != _FORMAT or file.version != _VERSION:
        raise IntelError(
            f"no table of indicators that this version reads ({_FORMAT}, version {_VERSION})"
        )
    return Table(sources=file.sources)


def _with(table: Table, name: str, source: Source, kept: Mapping[str, Indicator]) -> Table:
    sources = dict(table.sources)
    before = sources.get(name)
    if before is not None and before.kind != source.kind:
        # A file that calls itself like a guard would make its old bundles good again.
        raise IntelError(
            f"{name} is the name of a source of another kind ({before.kind}): choose another"
        )
    if before is None and len(sources) >= MOST_SOURCES:
        raise IntelError(
            f"there are {MOST_SOURCES} sources already; take one out: "
            "gateway-guard intel forget NAME"
        )
    sources[name] = msgspec.structs.replace(source, indicators=dict(kept))
    return Table(sources=sources)


def _cap(sizes: list[int], most: int) -> int:
    """The largest size such that all, cut to it, are `most` together at most."""
    left, many = most, len(sizes)
    for size in sorted(sizes):
        if size * many > left:
            return left // many
        left -= size
        many -= 1
    return max(sizes, default=0)
