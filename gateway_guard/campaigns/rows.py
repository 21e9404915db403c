"""What of a linker is saved: its head, and rows of everything that is remembered one by one.

Rows are msgpack; arrays of 64-bit integers and integers beyond 64 bits travel in extensions of it.
"""

from __future__ import annotations

import heapq
import struct
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from gateway_guard.campaigns.ended import Ended
from gateway_guard.campaigns.indexes import indexes, values_of
from gateway_guard.campaigns.journal import Applied
from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.memory import Memory
from gateway_guard.campaigns.postings import Postings
from gateway_guard.campaigns.traces import Trace

#: The columns of a row of a trace, after the account's number.
COLUMNS: Final = Trace.__struct_fields__

_NUMBERS: Final = 1
_BIG: Final = 2
_LARGEST: Final = (1 << 64) - 1


class Head(msgspec.Struct, kw_only=True):
    """Everything that is not a row.

    `accounts` and `exchanges` are of all accounts remembered, those left out included. `position`
    is what whoever saved it wants back with it.
    """

    saved_at: float
    applied: Applied
    position: bytes = b""
    accounts: int
    exchanges: int
    trace: tuple[str, ...]
    next: int
    examined: int
    named: int
    paces: list[int]
    began: float | None
    models: dict[str, tuple[float, list[str]]]
    latest: str | None
    latest_at: float
    moves: list[int]
    ended: list[Ended] = []


def head_of(linker: Linker, *, saved_at: float, applied: Applied, position: bytes = b"") -> Head:
    """The head of a snapshot made at `saved_at` (Unix seconds)."""
    memory, releases = linker.memory, linker.memory.releases
    return Head(
        saved_at=saved_at,
        applied=applied,
        position=position,
        accounts=len(memory.traces),
        exchanges=sum(trace.exchanges for trace in memory.traces.values()),
        trace=COLUMNS,
        next=memory.next,
        examined=linker.examined,
        named=linker.cases.named,
        paces=memory.paces,
        began=releases.began,
        models=releases.models,
        latest=releases.latest,
        latest_at=releases.latest_at,
        moves=releases.moves,
        ended=list(linker.cases.endings.latest),
    )


def sections(linker: Linker, accounts: int, claims: int) -> Iterator[tuple[str, Iterator[Any]]]:
    """(kind, rows) of at most so many accounts, and of so many content keys of one account only.

    Members of campaigns and whoever the guard was told of always come along.
    """
    memory, cases = linker.memory, linker.cases
    near = {
        memory.numbers[account]
        for account, told in cases.verdicts.items()
        if account in memory.numbers and told.id in cases.held
    }
    numbers = _kept(memory, near.union(cases.member_of), accounts)
    kept = set(numbers)
    traces = [memory.traces[n] for n in numbers]
    yield "traces", (_row(n, t) for n, t in zip(numbers, traces, strict=True))
    whole = len(kept) == len(memory.traces)
    for kind, postings in indexes(memory):
        values = values_of(kind)
        users = Counter(value for trace in traces for value in values(trace))
        yield kind, _postings(postings, users, kept, whole)
    owned = [(key, number, at) for key, (number, at) in memory.templates.claims() if number in kept]
    yield "claims", iter(owned[-claims:])
    webs = (([n for n in w.members if n in kept], w.news, w.examined) for w in linker.webs.all())
    yield "webs", (row for row in webs if len(row[0]) > 1)
    yield "held", iter(list(cases.held.values()))
    yield (
        "told",
        (
            (account, told.id, told.confidence)
            for account, told in cases.verdicts.items()
            if told.id in cases.held and memory.numbers.get(account) not in cases.member_of
        ),
    )
    yield "acquitted", (row for row in cases.acquittals.rows() if row[0] in kept)
    yield "rulings", ((a, ruling, until) for a, (ruling, until) in cases.reviews.rulings.items())


def _kept(memory: Memory, always: set[int], most: int) -> list[int]:
    """The accounts that are saved, in the order in which they were met."""
    traces = memory.traces
    if len(traces) <= most:
        return list(traces)
    room = max(most - len(always), 0)
    others = (n for n in traces if n not in always)
    latest = heapq.nlargest(room, others, key=lambda n: traces[n].last_at)
    return sorted({n for n in always if n in traces}.union(latest))


def _row(number: int, trace: Trace) -> list[Any]:
    # Bit sets outgrow what msgpack calls an integer.
    return [
        number,
        *(
            _big(v) if type(v) is int and v > _LARGEST else v
            for v in msgspec.structs.astuple(trace)
        ),
    ]


def _postings(
    postings: Postings[Any], users: Counter[Any], kept: set[int], whole: bool
) -> Iterator[tuple[Any, ...]]:
    """Rows of an index. What one account alone has follows from the account, and is left out."""
    for value, posting in postings.items():
        mine = users.get(value, 0)
        if mine == 1 and posting.count == 1:
            continue  # nearly all of them
        latest = array("Q", [n for n in posting.latest if n in kept])
        count = posting.count if whole else max(mine, len(latest))
        if (latest or mine) and (count > 1 or not mine):
            first = posting.first if posting.first in kept else 0
            yield value, count, latest, posting.first_at, posting.last_at, first


def _packed(value: Any) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(_NUMBERS, struct.pack(f"<{len(value)}Q", *value))


def _big(value: int) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(_BIG, value.to_bytes((value.bit_length() + 7) // 8, "little"))


_UNPACK: Final[dict[int, Callable[[memoryview], Any]]] = {
    _NUMBERS: lambda data: array("Q", struct.unpack(f"<{len(data) // 8}Q", data)),
    _BIG: lambda data: int.from_bytes(data, "little"),
}

encode = msgspec.msgpack.Encoder(enc_hook=_packed).encode
decode = msgspec.msgpack.Decoder(ext_hook=lambda code, data: _UNPACK[code](data)).decode
