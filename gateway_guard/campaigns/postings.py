"""Who shares a value: an inverted index that stays bounded however many values are invented."""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

import msgspec

V = TypeVar("V", bound=Hashable)


class Posting(msgspec.Struct, gc=False):
    """The accounts seen with one value.

    Attributes:
        count: how many accounts ever came with it (each counted once by the caller's own memory).
        latest: numbers of the latest of them, newest last; at most the index's `most`.
        first_at: Unix seconds of the first.
        last_at: Unix seconds of the latest.
        first: number of the first account; 0 when nobody remembers.
    """

    count: int
    latest: array[int]
    first_at: float
    last_at: float
    first: int = 0


class Lone(msgspec.Struct, gc=False):
    """What is kept of a value while one account alone came with it: nearly all of them.

    A fifth of a `Posting` and its array.

    Attributes:
        number: the account's number.
        at: Unix seconds.
    """

    number: int
    at: float


class Postings(Generic[V]):
    """value → accounts. Two generations: what was not used for a whole generation is forgotten.

    At most `2 x values` values of at most `most` accounts each. What it tells is for reading; only
    `add`, `put` and `leave` change it.
    """

    def __init__(self, *, values: int, most: int) -> None:
        self._size = values
        self._most = most
        self._young: dict[V, Posting | Lone] = {}
        self._old: dict[V, Posting | Lone] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, value: V) -> Posting | None:
        """The posting of `value`; None when nobody (remembered) came with it."""
        found = self._young.get(value)
        if found is None:
            found = self._found(value)
            if found is None:
                return None
        return _told(found) if isinstance(found, Lone) else found

    def add(self, value: V, number: int, at: float) -> None:
        """Note that account `number` came with `value`; call it once per pair."""
        found = self._found(value)
        if found is None:
            self._put(value, Lone(number, at))
            return
        if isinstance(found, Lone):
            found = self._young[value] = _told(found)
        found.count += 1
        found.last_at = at
        found.latest.append(number)
        if len(found.latest) > self._most:
            del found.latest[0]

    def put(self, value: V, posting: Posting | Lone) -> None:
        """Take over the posting of a value as it was, e.g. before a restart."""
        self._old.pop(value, None)
        if value in self._young:
            self._young[value] = posting
        else:
            self._put(value, posting)

    def leave(self, value: V, number: int) -> None:
        """Account `number`, which came with `value`, is to be in no posting: as if it never had."""
        values = self._young if value in self._young else self._old
        found = values.get(value)
        if found is None:
            return
        if isinstance(found, Lone) or found.count <= 1:
            del values[value]
            return
        found.count -= 1
        found.latest = array("Q", [one for one in found.latest if one != number])
        if found.first == number:
            found.first = 0

    def items(self) -> Iterable[tuple[V, Posting]]:
        """Every value remembered."""
        for values in (self._old, self._young):
            for value, found in values.items():
                yield value, _told(found) if isinstance(found, Lone) else found

    def _found(self, value: V) -> Posting | Lone | None:
        """What is kept of `value`, which counts as use."""
        found = self._young.get(value)
        if found is None:
            found = self._old.pop(value, None)
            if found is not None:
                self._put(value, found)
        return found

    def _put(self, value: V, posting: Posting | Lone) -> None:
        if len(self._young) >= self._size:
            self._old = self._young
            self._young = {}
        self._young[value] = posting


def _told(lone: Lone) -> Posting:
    number, at = lone.number, lone.at
    return Posting(1, array("Q", (number,)), at, at, number)
