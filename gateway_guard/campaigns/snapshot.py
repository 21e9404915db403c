"""The linker as bytes that outlive the process, and back: what a restart must not forget.

    magic 8 · version 2 · key 16 · length 8 · check 32 · blocks: (length 4 · msgpack)…

`key` identifies the guard's secret without giving it away, `check` is a BLAKE2b keyed with it over
everything else: whoever has no secret can neither make such a file nor change one. Integers are
big-endian. What is in it is what the linker keeps: keyed digests of accounts, addresses and
content, times, counts, countries, networks, model names, and the operator's own ids of
organisations and payments. No address, credential or prompt.

Bounded: the members of campaigns and whoever the guard was told about, then the accounts seen last,
`MOST_ACCOUNTS` together; at most `MOST_CLAIMS` content keys of one account only. An account takes
80 to 500 bytes. When accounts are left out, what the others share is counted anew over those that
are kept, as if the rest had never been seen.
"""

from __future__ import annotations

import hashlib
import heapq
import hmac
import struct
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final

import msgspec

from gateway_guard.campaigns.casebook import BANNED
from gateway_guard.campaigns.evidence import USUAL, Burden
from gateway_guard.campaigns.held import Held
from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.membership import BURST
from gateway_guard.campaigns.memory import ROOMY, Bounds, Memory
from gateway_guard.campaigns.postings import Posting, Postings
from gateway_guard.campaigns.reviews import Ruling
from gateway_guard.campaigns.traces import Trace
from gateway_guard.core.credentials import subkey
from gateway_guard.errors import SnapshotError
from gateway_guard.types import CampaignFacts

#: Accounts kept besides the members of campaigns and their neighbours, who always are.
MOST_ACCOUNTS: Final = 100_000
#: Content keys that one account alone has used, kept; the latest.
MOST_CLAIMS: Final = 200_000
VERSION: Final = 1

_MAGIC: Final = b"GGCAMPS\n"
_HEADER: Final = struct.Struct(">8sH16sQ32s")
_LENGTH: Final = struct.Struct(">I")
#: Rows encoded in one go, well under a millisecond: the interpreter is free in between.
_ROWS: Final = 500
#: The msgpack extensions in which arrays of 64-bit integers, and larger integers, travel.
_NUMBERS: Final = 1
_BIG: Final = 2
_LARGEST: Final = (1 << 64) - 1
_TRACE: Final = Trace.__struct_fields__


class Applied(msgspec.Struct, frozen=True, gc=False):
    """How much of the journal of reviews is in force in a snapshot.

    Attributes:
        size: bytes read from its start.
        digest: BLAKE2b of these bytes: whether it is still the same journal; empty for none.
    """

    size: int = 0
    digest: bytes = b""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A linker as it was.

    Attributes:
        linker: ready to learn on.
        saved_at: Unix seconds.
        applied: the reviews that are in it.
        accounts, exchanges: of all accounts remembered then, those left out included.
    """

    linker: Linker
    saved_at: float
    applied: Applied
    accounts: int
    exchanges: int


class _Head(msgspec.Struct, kw_only=True):
    """The first block: everything that is not a row."""

    saved_at: float
    applied: Applied
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


def key_id(secret: bytes) -> bytes:
    """16 bytes that tell one guard's secret from another's, and nothing else about it."""
    return hashlib.blake2b(key=subkey(secret, b"campaigns id"), digest_size=16).digest()


def freeze(
    linker: Linker,
    secret: bytes,
    *,
    saved_at: float,
    applied: Applied | None = None,
    accounts: int = MOST_ACCOUNTS,
    claims: int = MOST_CLAIMS,
) -> bytes:
    """`linker` as bytes that only `thaw` with the same `secret` takes.

    `saved_at` is Unix seconds, `applied` what has been read of the journal of reviews. `accounts`
    and `claims` are as the constants of their names.
    """
    memory, cases = linker.memory, linker.cases
    releases = memory.releases
    head = _Head(
        saved_at=saved_at,
        applied=applied or Applied(),
        accounts=len(memory.traces),
        exchanges=sum(trace.exchanges for trace in memory.traces.values()),
        trace=_TRACE,
        next=memory.next,
        examined=linker.examined,
        named=cases.named,
        paces=memory.paces,
        began=releases.began,
        models=releases.models,
        latest=releases.latest,
        latest_at=releases.latest_at,
        moves=releases.moves,
    )
    blocks = [_encode(head)]
    for kind, rows in _sections(linker, accounts, claims):
        while chunk := list(islice(rows, _ROWS)):
            blocks.append(_encode([kind, chunk]))
    body = b"".join(part for block in blocks for part in (_LENGTH.pack(len(block)), block))
    front = _HEADER.pack(_MAGIC, VERSION, key_id(secret), len(body), b"")
    check = _check(secret, front, body)
    return front[: -len(check)] + check + body


def thaw(data: bytes, secret: bytes, *, bounds: Bounds = ROOMY, burden: Burden = USUAL) -> Snapshot:
    """The linker that `freeze` made `data` of.

    Raises:
        SnapshotError: it is none, or damaged, or of another secret or version. Says which.
    """
    body = _body(data, secret)
    linker = Linker(bounds=bounds, burden=burden)
    try:
        blocks = _blocks(body)
        head = msgspec.convert(_decode(next(blocks)), _Head)
        _restore_head(linker, head)
        fill = _Filling(linker, head.trace)
        for block in blocks:
            kind, rows = _decode(block)
            fill.take[kind](rows)
        fill.finish()
    except Exception as error:
        # Only a guard with this secret can have written it: it is of a version that reads alike.
        raise SnapshotError(
            f"its content does not fit this version of the guard ({type(error).__name__})"
        ) from error
    return Snapshot(
        linker=linker, saved_at=head.saved_at, applied=head.applied, accounts=head.accounts,
        exchanges=head.exchanges,
    )  # fmt: skip


def _body(data: bytes, secret: bytes) -> bytes:
    if data[: len(_MAGIC)] != _MAGIC[: len(data)] or not data:
        raise SnapshotError("it is no snapshot of campaigns")
    if len(data) < _HEADER.size:
        raise SnapshotError(f"it is cut off within its first {_HEADER.size} bytes")
    _, version, key, length, check = _HEADER.unpack_from(data)
    if version != VERSION:
        raise SnapshotError(
            f"it has format {version}, and this version of the guard reads format {VERSION}"
        )
    if key != key_id(secret):
        raise SnapshotError(
            "it was written with another GATEWAY_GUARD_SECRET: without that one its digests mean "
            "nothing"
        )
    body = data[_HEADER.size :]
    if len(body) != length:
        raise SnapshotError(f"it should have {length:,} bytes after its head and has {len(body):,}")
    front = data[: _HEADER.size - len(check)] + bytes(len(check))
    if not hmac.compare_digest(check, _check(secret, front, body)):
        raise SnapshotError("it is damaged: its checksum is wrong")
    return body


def _check(secret: bytes, front: bytes, body: bytes) -> bytes:
    hasher = hashlib.blake2b(front, key=subkey(secret, b"campaigns check"), digest_size=32)
    hasher.update(body)
    return hasher.digest()


def _blocks(body: bytes) -> Iterator[memoryview]:
    view, at = memoryview(body), 0
    while at < len(view):
        (length,) = _LENGTH.unpack_from(view, at)
        at += _LENGTH.size
        yield view[at : at + length]
        at += length


def _sections(linker: Linker, most: int, claims: int) -> Iterator[tuple[str, Iterator[Any]]]:
    """(kind, rows) of everything that is remembered one by one."""
    memory, cases = linker.memory, linker.cases
    near = {
        memory.numbers[account]
        for account, told in cases.verdicts.items()
        if account in memory.numbers and told.id in cases.held
    }
    numbers = _kept(memory, near.union(cases.member_of), most)
    kept = set(numbers)
    traces = [memory.traces[n] for n in numbers]
    yield "traces", (_row(n, t) for n, t in zip(numbers, traces, strict=True))
    whole = len(kept) == len(memory.traces)
    for kind, postings in _indexes(memory):
        values = _VALUES.get(kind, _nothing)
        yield kind, _postings(postings, Counter(v for t in traces for v in values(t)), kept, whole)
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
    yield "rulings", ((a, ruling, until) for a, (ruling, until) in cases.reviews.rulings.items())


def _row(number: int, trace: Trace) -> list[Any]:
    # Bit sets outgrow what msgpack calls an integer.
    return [
        number,
        *(
            _big(v) if type(v) is int and v > _LARGEST else v
            for v in msgspec.structs.astuple(trace)
        ),
    ]


def _kept(memory: Memory, always: set[int], most: int) -> list[int]:
    """The accounts that are saved, in the order in which they were met."""
    traces = memory.traces
    if len(traces) <= most:
        return list(traces)
    room = max(most - len(always), 0)
    others = (n for n in traces if n not in always)
    latest = heapq.nlargest(room, others, key=lambda n: traces[n].last_at)
    return sorted({n for n in always if n in traces}.union(latest))


def _indexes(memory: Memory) -> Iterator[tuple[str, Postings[Any]]]:
    """Everything that says who shares a value, by the name of its attribute."""
    for name, value in vars(memory).items():
        if isinstance(value, Postings):
            yield name, value
    yield "shared", memory.templates.shared


#: Index → the values under which an account stands in it. One that is not here is saved whole.
_VALUES: Final[dict[str, Callable[[Trace], Iterable[Any]]]] = {
    "payments": lambda trace: (trace.payment,) if trace.payment else (),
    "subnets": lambda trace: trace.subnets,
    "clients": lambda trace: (trace.client,) if trace.client else (),
    "signups": lambda trace: (int(trace.created_at // BURST),) if trace.created_at else (),
    "shared": lambda trace: trace.shared,
}


def _nothing(_: Trace) -> Iterable[Any]:
    return ()


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
            yield value, count, latest, posting.first_at, posting.last_at


class _Filling:
    """Puts the rows of each kind where they belong."""

    def __init__(self, linker: Linker, fields: tuple[str, ...]) -> None:
        self._linker = linker
        #: Which columns of a trace this version knows.
        self._columns = [(i, name) for i, name in enumerate(fields, 1) if name in _TRACE]
        self._held: list[Held] = []
        self._told: dict[str, CampaignFacts] = {}
        self._indexes = dict(_indexes(linker.memory))
        self.take: dict[str, Callable[[list[Any]], None]] = {
            **{name: _into(postings) for name, postings in self._indexes.items()},
            "traces": self._traces,
            "claims": self._claims,
            "webs": self._webs,
            "held": self._cases,
            "told": self._tell,
            "rulings": self._rulings,
        }

    def finish(self) -> None:
        """Hold what was held, now that its members are known."""
        cases = self._linker.cases
        rulings = dict(cases.reviews.rulings)
        # In force only afterwards: `restore` is about the evidence.
        cases.reviews.rulings.clear()
        cases.restore(self._held)
        cases.reviews.rulings.update(rulings)
        for account, told in self._told.items():
            number = self._linker.memory.numbers.get(account)
            if number is not None and told.id in cases.held:
                cases.suspect(number, told.id, told.confidence)
        for account, (ruling, _) in rulings.items():
            if ruling is Ruling.BAN:
                number = self._linker.memory.numbers.get(account, 0)
                name = cases.member_of.get(number, BANNED)
                cases.verdicts[account] = CampaignFacts(id=name, confidence=1.0)

    def _traces(self, rows: list[Any]) -> None:
        memory = self._linker.memory
        for row in rows:
            number, trace = row[0], Trace(**{name: row[i] for i, name in self._columns})
            memory.traces[number] = trace
            memory.numbers[trace.account] = number
            # Right for whoever is alone with a value; replaced where others have it, too.
            for name, postings in self._indexes.items():
                if name != "shared":
                    for value in _VALUES.get(name, _nothing)(trace):
                        alone = array("Q", (number,))
                        postings.put(value, Posting(1, alone, trace.first_at, trace.first_at))

    def _claims(self, rows: list[Any]) -> None:
        for key, number, at in rows:
            self._linker.memory.templates.claim(key, number, at)

    def _webs(self, rows: list[Any]) -> None:
        for members, news, examined in rows:
            web = self._linker.webs.link(members[0], set(members[1:]))
            web.news, web.examined = news, examined

    def _cases(self, rows: list[Any]) -> None:
        self._held += msgspec.convert(rows, list[Held])

    def _tell(self, rows: list[Any]) -> None:
        for account, name, confidence in rows:
            self._told[account] = CampaignFacts(id=name, confidence=confidence)

    def _rulings(self, rows: list[Any]) -> None:
        for account, ruling, until in rows:
            self._linker.cases.reviews.rulings[account] = Ruling(ruling), until


def _into(postings: Postings[Any]) -> Callable[[list[Any]], None]:
    def take(rows: list[Any]) -> None:
        for value, count, latest, first_at, last_at in rows:
            postings.put(value, Posting(count, latest, first_at, last_at))

    return take


def _restore_head(linker: Linker, head: _Head) -> None:
    memory, releases = linker.memory, linker.memory.releases
    linker.examined = head.examined
    linker.cases.named = head.named
    memory.next, memory.paces = head.next, head.paces
    releases.began, releases.models = head.began, head.models
    releases.latest, releases.latest_at, releases.moves = head.latest, head.latest_at, head.moves


def _packed(value: Any) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(_NUMBERS, struct.pack(f"<{len(value)}Q", *value))


def _big(value: int) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(_BIG, value.to_bytes((value.bit_length() + 7) // 8, "little"))


_UNPACK: Final[dict[int, Callable[[memoryview], Any]]] = {
    _NUMBERS: lambda data: array("Q", struct.unpack(f"<{len(data) // 8}Q", data)),
    _BIG: lambda data: int.from_bytes(data, "little"),
}

_encode = msgspec.msgpack.Encoder(enc_hook=_packed).encode
_decode = msgspec.msgpack.Decoder(ext_hook=lambda code, data: _UNPACK[code](data)).decode
