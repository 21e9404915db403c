"""Bodies that are still coming, and what they take all together.

A body is read before it is known who asks, so anybody may begin many and finish none. What one may
take is bounded by the policy; this bounds them all. Where that is reached, whoever began first is
let go: those who mean it are done within a moment, and those who only hold are the oldest.
"""

from __future__ import annotations

from typing import Final, Protocol

#: Most bytes of unfinished bodies at a time: of the largest that the standard policy reads, 64; of
#: a long conversation, thousands. Not measured on real traffic.
MOST: Final = 512 * 1024 * 1024


class Coming(Protocol):
    """A body that is not complete."""

    def let_go(self) -> None:
        """There is no room for it any more."""


class Holding:
    """What is held of bodies that are still coming.

    Attributes:
        refused: how many were let go.

    Args:
        most: bytes; a single body may take more.
    """

    __slots__ = ("_held", "_most", "_total", "refused")

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._held: dict[Coming, int] = {}  # in the order in which they began
        self._total = 0
        self.refused = 0

    def hold(self, one: Coming, size: int) -> None:
        """`one` has `size` bytes by now. Where that is too much, those that began first go."""
        held = self._held
        self._total += size - held.get(one, 0)
        held[one] = size
        while self._total > self._most and len(held) > 1:
            oldest = next(iter(held))
            self.drop(oldest)
            self.refused += 1
            oldest.let_go()

    def drop(self, one: Coming) -> None:
        """`one` is complete, or comes no more. Nothing happens when it is not held."""
        self._total -= self._held.pop(one, 0)
