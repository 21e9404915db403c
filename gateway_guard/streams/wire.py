"""What travels in the streams, as msgpack. Pure.

Every message begins with the version of its form and the fingerprint of the secret that keyed the
digests in it: who has another secret or version is refused by name, not misread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

import msgspec

from gateway_guard.campaigns.journal import line_of, review_of
from gateway_guard.campaigns.reviews import Review
from gateway_guard.campaigns.sighting import MOST_KEYS, Sighting
from gateway_guard.core.minted import ClientSecret
from gateway_guard.errors import UNDECODABLE
from gateway_guard.streams.disguise import Disguise
from gateway_guard.types import CampaignFacts

#: The form of everything here; a change of any of it is a new one.
VERSION: Final = 1
#: Most sightings of one batch, and most changes of one message.
BATCH: Final = 100
CHANGES: Final = 500

#: The fields of a sighting, in the order they travel. Not `sample`: that is text.
_FIELDS: Final = (
    "at", "account", "organisation", "payment", "created_at", "verified", "address", "subnet",
    "country", "asn", "flags", "declared", "client", "model", "keys", "chars", "tokens", "refused",
)  # fmt: skip
_ORGANISATION: Final = _FIELDS.index("organisation")
#: Longest account, and longest of the other words, characters.
_ACCOUNT: Final = 64
_WORD: Final = 512
#: Latest time that makes sense, Unix seconds (the year 5138).
_LATEST: Final = 1e11

T = TypeVar("T")

#: What is known of accounts: (account, verdict or None).
Told = Iterable[tuple[str, CampaignFacts | None]]

_encode: Final = msgspec.msgpack.Encoder().encode


class Refusal(ValueError):  # noqa: N818 - said, not failed
    """A message that is not taken.

    Attributes:
        why: `malformed`, `version` or `secret`.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class _Head(msgspec.Struct, array_like=True, gc=False):
    version: int
    key: bytes
    rest: msgspec.Raw


class Row(Sighting, frozen=True, array_like=True, gc=False, kw_only=True):
    """A sighting as it travels: its fields in order, without their names."""


class Batch(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Some sightings of one guard, in the order it saw them.

    Attributes:
        guard: 8 bytes that name one start of one guard.
        first: how many sightings it had sent before these; so a batch that comes twice, or one that
            never came, shows.
        sightings: 1 to `BATCH`.
    """

    guard: bytes
    first: int
    sightings: list[Row]


class Changes(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Some verdicts that changed.

    Attributes:
        fence: the number of the linker that says so.
        reviews: id of the last review that is in them.
        accounts: (account, campaign, confidence); a campaign of None: in none any longer.
    """

    fence: int
    reviews: bytes
    accounts: list[tuple[str, str | None, float]]


class Beat(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a guard says of itself.

    Attributes:
        label: host and process, for people.
        policy: digest of the policy in force.
        version: of the guard.
        key: fingerprint of its secret.
    """

    label: str
    policy: str
    version: str
    key: bytes


class Order(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What people want of all guards.

    Attributes:
        kind: `review` or `reload`.
        line: the review, as a line of its journal; empty for a reload.
    """

    kind: str
    line: bytes = b""

    def review(self) -> Review:
        """The review in it.

        Raises:
            Refusal: there is none.
        """
        try:
            return review_of(self.line.rstrip(b"\n"))
        except ValueError:
            raise Refusal("malformed") from None


_head: Final = msgspec.msgpack.Decoder(_Head).decode
_batch: Final = msgspec.msgpack.Decoder(Batch).decode
_changes: Final = msgspec.msgpack.Decoder(Changes).decode
_order: Final = msgspec.msgpack.Decoder(Order).decode
_minted: Final = msgspec.msgpack.Decoder(ClientSecret).decode
_beat: Final = msgspec.msgpack.Decoder(Beat).decode
_facts: Final = msgspec.msgpack.Decoder(tuple[str, float]).decode


def pack_batch(
    key: bytes, guard: bytes, first: int, sightings: Iterable[Sighting], disguise: Disguise
) -> bytes:
    """A batch as bytes; `key` is the secret's fingerprint."""
    rows = []
    for seen in sightings:
        row = list(map(seen.__getattribute__, _FIELDS))
        row[_ORGANISATION : _ORGANISATION + 2] = disguise(seen)
        rows.append(row)
    return _encode((VERSION, key, (guard, first, rows)))


def read_batch(data: bytes, key: bytes) -> Batch:
    """The batch in `data`. Each of its sightings is still to be looked at: see `plausible`.

    Raises:
        Refusal: it holds none that makes sense, or of another secret or version.
    """
    batch = _opened(data, key, _batch)
    if not (
        len(batch.guard) == 8 and 0 <= batch.first < 1 << 62 and 1 <= len(batch.sightings) <= BATCH
    ):
        raise Refusal("malformed")
    return batch


def pack_changes(key: bytes, fence: int, reviews: bytes, told: Told) -> bytes:
    """Changes as bytes."""
    accounts = [
        (account, facts.id, facts.confidence) if facts is not None else (account, None, 0.0)
        for account, facts in told
    ]
    return _encode((VERSION, key, (fence, reviews, accounts)))


def read_changes(data: bytes, key: bytes) -> Changes:
    """The changes in `data`.

    Raises:
        Refusal: as `read_batch`.
    """
    changes = _opened(data, key, _changes)
    if not all(0.0 <= sure <= 1.0 for _, _, sure in changes.accounts):
        raise Refusal("malformed")
    return changes


def pack_review(key: bytes, review: Review) -> bytes:
    """A review as bytes."""
    return _encode((VERSION, key, ("review", line_of(review))))


def pack_reload(key: bytes) -> bytes:
    """A call to read the policy again, as bytes."""
    return _encode((VERSION, key, ("reload",)))


def read_order(data: bytes, key: bytes) -> Order:
    """The order in `data`.

    Raises:
        Refusal: as `read_batch`.
    """
    order = _opened(data, key, _order)
    if order.kind == "review":
        order.review()
    elif order.kind != "reload":
        raise Refusal("malformed")
    return order


def pack_minted(key: bytes, made: ClientSecret) -> bytes:
    """A client secret's account, and whose it is, as bytes."""
    return _encode((VERSION, key, made))


def read_minted(data: bytes, key: bytes) -> ClientSecret:
    """The client secret in `data`.

    Raises:
        Refusal: as `read_batch`.
    """
    made = _opened(data, key, _minted)
    if not 0.0 <= made.until <= _LATEST or max(len(made.account), len(made.owner)) > _ACCOUNT:
        raise Refusal("malformed")
    return made


def pack_beat(beat: Beat) -> bytes:
    """A beat as bytes."""
    return _encode(beat)


def read_beat(data: bytes) -> Beat | None:
    """The beat in `data`; None when there is none that this version understands."""
    try:
        return _beat(data)
    except UNDECODABLE:
        return None


def pack_facts(facts: CampaignFacts) -> bytes:
    """A verdict as the table holds it."""
    return _encode((facts.id, facts.confidence))


def as_told(campaign: str, sure: float) -> CampaignFacts:
    """A verdict as it was told: only who is banned is told with all confidence
    (`casebook.banned_in`), and guards of every version say so.
    """
    return CampaignFacts(id=campaign, confidence=sure, banned=sure >= 1.0)


def read_table(table: dict[bytes, bytes]) -> dict[str, CampaignFacts]:
    """The verdicts in the table; what makes no sense is left out."""
    found = {}
    for account, data in table.items():
        try:
            name, sure = _facts(data)
            if 0.0 <= sure <= 1.0:
                found[account.decode()] = as_told(name, sure)
        except UNDECODABLE:
            continue
    return found


def _opened(data: bytes, key: bytes, decode: Callable[[msgspec.Raw], T]) -> T:
    try:
        head = _head(data)
    except UNDECODABLE:
        raise Refusal("malformed") from None
    if head.version != VERSION:
        raise Refusal("version")
    if head.key != key:
        raise Refusal("secret")
    try:
        return decode(head.rest)
    except UNDECODABLE:
        raise Refusal("malformed") from None


def plausible(seen: Sighting) -> bool:
    """Whether a sighting can be one that a guard made; NaN and endless words cannot."""
    words: Sequence[str | None] = (
        seen.organisation, seen.payment, seen.country, seen.declared, seen.model
    )  # fmt: skip
    return (
        0.0 <= seen.at <= _LATEST
        and 0 < len(seen.account) <= _ACCOUNT
        and len(seen.keys) <= MOST_KEYS
        and len(seen.flags) <= MOST_KEYS
        and (seen.created_at is None or -_LATEST <= seen.created_at <= _LATEST)
        and all(word is None or len(word) <= _WORD for word in words)
        and all(0 <= key < 1 << 64 for key in (seen.address, seen.subnet, seen.client, *seen.keys))
        and seen.chars >= 0
        and seen.tokens >= 0
    )
