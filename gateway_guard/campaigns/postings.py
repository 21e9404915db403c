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


class Postings(Generic[V]):
    """value → accounts. Two generations: what was not used for a whole generation is forgotten.

    At most `2 x values` values of at most `most` accounts each.
    """

    def __init__(self, *, values: int, most: int) -> None:
        self._size = values
        self._most = most
        self._young: dict[V, Posting] = {}
        self._old: dict[V, Posting] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, value: V) -> Posting | None:
        """The posting of `value`; None when nobody (remembered) came with it."""
        found = self._young.get(value)
        if found is None:
            found = self._old.pop(value, None)
            if found is not None:
                self._put(value, found)
        return found

    def add(self, value: V, number: int, at: float) -> Posting:
        """Note that account `number` came with `value`; call it once per pair."""
        posting = self.get(value)
        if posting is None:
            posting = Posting(1, array("Q", (number,)), at, at, number)
            self._put(value, posting)
            return posting
        posting.count += 1
        posting.last_at = at
        posting.latest.append(number)
        if len(posting.latest) > self._most:
            del posting.latest[0]
        return posting

    def put(self, value: V, posting: Posting) -> None:
        """Take over the posting of a value as it was, e.g. before a restart."""
        self._old.pop(value, None)
        if value in self._young:
            self._young[value] = posting
        else:
            self._put(value, posting)

    def items(self) -> Iterable[tuple[V, Posting]]:
        """Every value remembered."""
        yield from self._old.items()
        yield from self._young.items()

    def _put(self, value: V, posting: Posting) -> None:
        if len(self._young) >= self._size:
            self._old = self._young
            self._young = {}
        self._young[value] = posting
