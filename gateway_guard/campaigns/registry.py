"""Every template seen: how popular, since when, who came first. Digests only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway_guard.campaigns.postings import Postings

#: Packs the first user of a key and the time into one integer: most keys are never seen again.
_TIME_BITS: Final = 34
_TIME: Final = (1 << _TIME_BITS) - 1
#: As much of a key of one account as is kept: in CPython 60 bits take two thirds of the memory of
#: 64, and among a million keys two are alike in them by chance once in two million times.
_KEPT: Final = (1 << 60) - 1


class Templates:
    """Content keys, and the accounts of different organisations that share them.

    A key used by one account costs one dictionary entry; only one that a second organisation uses
    becomes a `Posting`. Bounded: unused keys are forgotten by generations.
    """

    def __init__(self, *, keys: int, shared: int, most: int) -> None:
        self._size = keys
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}
        self.shared: Postings[int] = Postings(values=shared, most=most)
        #: One exchange comes with several new keys: what is kept of them is one object.
        self._claimed: tuple[int, float, int] = (0, 0.0, 0)

    def __len__(self) -> int:
        return len(self._young) + len(self._old) + len(self.shared)

    def first(self, key: int) -> tuple[int, float] | None:
        """The only account that came with `key` so far and when; None for a new or shared key."""
        key &= _KEPT
        packed = self._young.get(key)
        if packed is None:
            packed = self._old.get(key)
            if packed is None:
                return None
        return packed >> _TIME_BITS, float(packed & _TIME)

    def claims(self) -> Iterator[tuple[int, tuple[int, float]]]:
        """Every key of one account only, as far as it is kept, longest known first, as `first`
        tells of it."""
        for packed in (self._old, self._young):
            for key, value in packed.items():
                yield key, (value >> _TIME_BITS, float(value & _TIME))

    def claim(self, key: int, number: int, at: float) -> None:
        """Note the first account that came with `key`."""
        if len(self._young) >= self._size:
            self._old = self._young
            self._young = {}
        claimed = self._claimed
        if claimed[0] != number or claimed[1] != at:
            packed = number << _TIME_BITS | min(int(at), _TIME)
            claimed = self._claimed = (number, at, packed)
        self._young[key & _KEPT] = claimed[2]

    def share(self, key: int, number: int, at: float) -> None:
        """Note that a second organisation came with `key`: it is shared from now on."""
        first = self.first(key)
        self._young.pop(key & _KEPT, None)
        self._old.pop(key & _KEPT, None)
        if first is not None:
            self.shared.add(key, first[0], first[1])
        self.shared.add(key, number, at)
