"""Groups that were held and turned out innocent when more of them was known."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator
from typing import Final

#: A group is another one when it is so many times as large, or as small.
GROWN: Final = 1.5
#: How long an acquittal protects, seconds.
_LASTS: Final = 7 * 86400.0


class Acquittals:
    """Accounts of acquitted groups: a smaller part of one is not convicted for a week.

    The part of a firm, a class or a reseller's customers that happens to look like one hand is
    found again with every account that comes. Bounded by the accounts remembered: `expire`.
    """

    def __init__(self) -> None:
        #: Account number → members of the group it was last acquitted in, and when (Unix seconds).
        self._groups: dict[int, tuple[int, float]] = {}

    def add(self, members: Collection[int], at: float) -> None:
        """Acquit a group at `at`, Unix seconds."""
        for number in members:
            self._groups[number] = len(members), at

    def covers(self, part: Collection[int], at: float) -> bool:
        """Whether most of `part` was acquitted lately, in groups at least half as large again."""
        if not self._groups:
            return False
        of = (self._groups.get(number, (0, 0.0)) for number in part)
        return 2 * sum(size >= GROWN * len(part) and at - when <= _LASTS for size, when in of) > (
            len(part)
        )

    def expire(self, known: Container[int], at: float) -> None:
        """Forget acquittals that are over at `at`, and accounts that are not `known` any more."""
        self._groups = {
            number: (size, when)
            for number, (size, when) in self._groups.items()
            if number in known and at - when <= _LASTS
        }

    def rows(self) -> Iterator[tuple[int, int, float]]:
        """(account number, members, when) of every account, for a snapshot."""
        return ((number, *group) for number, group in self._groups.items())

    def restore(self, number: int, size: int, at: float) -> None:
        """Take back one row."""
        self._groups[number] = size, at
