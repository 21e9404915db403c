"""What a sample of changes says of all of them. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

#: Of the normal distribution, for 95 %.
_Z = 1.959964


@dataclass(slots=True)
class Count:
    """How changes ended. `equivalent` are those that survived and are argued to be no change."""

    killed: int = 0
    timeout: int = 0
    survived: int = 0
    equivalent: int = 0

    def add(self, outcome: str) -> None:
        """Count one more."""
        setattr(self, outcome, getattr(self, outcome) + 1)

    def __add__(self, other: Count) -> Count:
        return Count(
            self.killed + other.killed,
            self.timeout + other.timeout,
            self.survived + other.survived,
            self.equivalent + other.equivalent,
        )

    @property
    def tried(self) -> int:
        """How many there were, without the equivalent."""
        return self.killed + self.timeout + self.survived

    @property
    def score(self) -> float:
        """The share that was noticed, in [0, 1]; 0 where nothing was tried."""
        return (self.killed + self.timeout) / self.tried if self.tried else 0.0


def interval(noticed: int, tried: int) -> tuple[float, float]:
    """Where the true share lies with 95 % confidence, in [0, 1].

    Source: Wilson (1927), doi:10.1080/01621459.1927.10502953. Drawing without replacement makes it
    a little wider than it need be.
    """
    if not tried:
        return 0.0, 1.0
    share, z2 = noticed / tried, _Z * _Z
    middle = (share + z2 / (2 * tried)) / (1 + z2 / tried)
    half = _Z * math.sqrt(share * (1 - share) / tried + z2 / (4 * tried * tried)) / (1 + z2 / tried)
    return max(0.0, middle - half), min(1.0, middle + half)


def table(counts: Mapping[str, Count]) -> str:
    """A line for each module, and one for all."""
    named = ("tried", "killed", "timeout", "survived", "equivalent", "score")
    lines = [f"{'':40}" + "".join(f"{name:>{len(name) + 2}}" for name in named)]
    rows = [*sorted(counts.items()), ("all", sum(counts.values(), Count()))]
    for name, one in rows:
        low, high = interval(one.killed + one.timeout, one.tried)
        lines.append(
            f"{name:40}{one.tried:7}{one.killed:8}{one.timeout:9}{one.survived:10}"
            f"{one.equivalent:12}{one.score:7.1%}  95 %: {low:.1%} to {high:.1%}"
        )
    return "\n".join(lines)
