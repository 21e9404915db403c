"""Who signed up when: the accounts of each half hour in order of time, so that nobody is looked for
among hundreds one by one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import Final

from gateway_guard.campaigns.membership import BURST
from gateway_guard.campaigns.postings import Posting, Postings
from gateway_guard.campaigns.traces import Trace

#: Half hours kept in order at once.
_KEPT: Final = 512


class SignedUp:
    """Reads an index of sign-ups by half hour (`BURST`).

    Args:
        index: number of the half hour → accounts. Written by somebody else.
        traces: the accounts remembered, by number. Once one knows its sign-up, that stays.
    """

    def __init__(self, index: Postings[int], traces: Mapping[int, Trace]) -> None:
        self._index = index
        self._traces = traces
        #: Half hour → its posting, the count then, times and numbers of the accounts remembered.
        self._ordered: dict[int, tuple[Posting, int, list[float], list[int]]] = {}

    def forget(self) -> None:
        """Accounts were forgotten: put none in order that is gone."""
        self._ordered.clear()

    def beside(self, created: float) -> list[int]:
        """The accounts remembered that signed up within `BURST` of `created` (Unix seconds)."""
        return self.about(created)[0]

    def about(self, created: float) -> tuple[list[int], bool]:
        """The same, and whether that is all of them: of a half hour only so many are kept."""
        slot, complete = int(created // BURST), True
        found: list[int] = []
        for at in (slot - 1, slot, slot + 1):
            posting = self._index.get(at)
            if posting is not None:
                times, numbers = self._in_order(at, posting)
                low, high = _within(times, created)
                found += numbers[low:high]
                complete = complete and posting.count <= len(posting.latest)
        return found, complete

    def near(self, created: float) -> int:
        """Accounts signed up within `BURST` of `created` (Unix seconds).

        Where more signed up in half an hour than are remembered of it, those stand for all.
        """
        slot, near = int(created // BURST), 0
        for at in (slot - 1, slot, slot + 1):
            posting = self._index.get(at)
            if posting is not None and posting.latest:
                times, _ = self._in_order(at, posting)
                low, high = _within(times, created)
                near += (high - low) * posting.count // len(posting.latest)
        return near

    def _in_order(self, slot: int, posting: Posting) -> tuple[list[float], list[int]]:
        kept = self._ordered.get(slot)
        if kept is not None and kept[0] is posting and kept[1] == posting.count:
            return kept[2], kept[3]
        traces = self._traces
        order = sorted((traces[n].created_at, n) for n in posting.latest if n in traces)
        times, numbers = [at for at, _ in order], [number for _, number in order]
        if posting.count > 1:
            if len(self._ordered) >= _KEPT and slot not in self._ordered:
                del self._ordered[next(iter(self._ordered))]
            self._ordered[slot] = posting, posting.count, times, numbers
        return times, numbers


def _within(times: list[float], created: float) -> tuple[int, int]:
    return bisect_left(times, created - BURST), bisect_right(times, created + BURST)
