"""A TAXII collection: STIX objects in the order they were added, and the file that holds it.

Each version of an object has a moment of its own at which it was added, so that `added_after` and
pages neither repeat nor lose one. Of an object the latest two versions are kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from gateway_guard.errors import UNDECODABLE, IntelError
from gateway_guard.intel.sharing import identifier
from gateway_guard.intel.times import fine_stamp, parse_stamp

#: Most versions of objects, and most bytes of the file.
MOST_ENTRIES: Final = 200_000
MAX_BYTES: Final = 256 << 20
_KEPT_VERSIONS: Final = 2
#: Seconds after which an indicator that has expired is taken out: 30 days.
_LINGERS: Final = 30 * 86_400
_FORMAT: Final = "gateway-guard collection"
#: Longest id of an object served.
_LONGEST_ID: Final = 200


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one object.

    Attributes:
        added: microseconds since 1970 at which it was added; no two entries share one.
        id, version: of the object; its version is `modified`, else `created`.
        object: the STIX object.
    """

    added: int
    id: str
    version: str
    object: dict[str, Any]

    @property
    def date_added(self) -> str:
        """As TAXII writes it."""
        return fine_stamp(self.added / 1e6)


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """What is served.

    Attributes:
        id: a UUID.
        title: for people.
        entries: the earliest added first.
    """

    id: str
    title: str
    entries: tuple[Entry, ...] = ()
    format: str = _FORMAT
    version: int = 1


def empty(title: str) -> Collection:
    """A new collection, always the same id for the same title."""
    return Collection(id=identifier("collection", title).partition("--")[2], title=title)


def published(
    collection: Collection, objects: Iterable[Mapping[str, Any]], *, now: float
) -> tuple[Collection, int]:
    """`collection` with what of `objects` is new, and how many that was.

    `now` is Unix seconds.

    Raises:
        IntelError: an object has no id or version; or there are too many.
    """
    have = {(entry.id, entry.version): entry for entry in collection.entries}
    added = max(int(now * 1e6), collection.entries[-1].added + 1 if collection.entries else 0)
    new = 0
    for one in objects:
        name, version = one.get("id"), one.get("modified", one.get("created"))
        if not isinstance(name, str) or not isinstance(version, str) or len(name) > _LONGEST_ID:
            raise IntelError("a STIX object without `id` and `created` cannot be published")
        before = have.get((name, version))
        if before is None or before.object != one:
            have[name, version] = Entry(added=added, id=name, version=version, object=dict(one))
            added, new = added + 1, new + 1
    kept = _kept(have.values(), now)
    if len(kept) > MOST_ENTRIES:
        raise IntelError(f"more than {MOST_ENTRIES:,} versions of objects in one collection")
    return msgspec.structs.replace(collection, entries=tuple(kept)), new


def encode(collection: Collection) -> bytes:
    """The file that holds it."""
    return msgspec.json.encode(collection)


def decode(data: bytes, where: str) -> Collection:
    """The collection a file holds; `where` names it in messages.

    Raises:
        IntelError: it holds none.
    """
    try:
        collection = msgspec.json.decode(data, type=Collection)
    except UNDECODABLE as error:
        raise IntelError(f"{where}: no collection: {str(error)[:200]}") from None
    if collection.format != _FORMAT or collection.version != 1:
        raise IntelError(f"{where}: no collection that this version reads")
    return collection


def _kept(entries: Iterable[Entry], now: float) -> list[Entry]:
    versions: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        until = parse_stamp(entry.object.get("valid_until"))
        if until is None or until > now - _LINGERS:
            versions[entry.id].append(entry)
    kept = [
        entry
        for one in versions.values()
        for entry in sorted(one, key=lambda entry: (entry.version, entry.added))[-_KEPT_VERSIONS:]
    ]
    return sorted(kept, key=lambda entry: entry.added)
