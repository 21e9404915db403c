"""The most frequent keys of a stream, in a fixed room."""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")


class Top(Generic[K]):
    """The most frequent keys of a stream, in a fixed room.

    Space-saving (Metwally et al. 2005), pruned in batches: a key that comes when there is no room
    any more starts from the highest count that was forgotten, its possible error. `found` gives
    what is certain.
    """

    __slots__ = ("_floor", "_most", "counts")

    def __init__(self, most: int) -> None:
        self._most = most
        self._floor = 0
        #: key → [count, stopped, error]
        self.counts: dict[K, list[int]] = {}

    def add(self, key: K, times: int = 1, stopped: int = 0) -> None:
        """Count `key`."""
        known = self.counts.get(key)
        if known is not None:
            known[0] += times
            known[1] += stopped
            return
        if len(self.counts) >= 2 * self._most:
            self._prune()
        self.counts[key] = [self._floor + times, stopped, self._floor]

    def found(self) -> list[tuple[K, int, int]]:
        """(key, count, stopped), each at least that often."""
        return [(key, n - error, stopped) for key, (n, stopped, error) in self.counts.items()]

    def _prune(self) -> None:
        ranked = sorted(self.counts.items(), key=lambda item: -item[1][0])
        self._floor = ranked[self._most][1][0]
        self.counts = dict(ranked[: self._most])
