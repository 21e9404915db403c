"""What was measured, and how it is put into one figure."""

from __future__ import annotations

import statistics

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """Several rounds of one measurement.

    Attributes:
        rounds: what each found, in turn; at least one. Rounds are made in turns with those of all
            others, so that two figures' rounds of one number met the same machine.
    """

    rounds: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.rounds:
            raise ValueError("nothing was measured")

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.rounds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The first and the third; with fewer than three rounds the least and the greatest."""
        if len(self.rounds) < 3:
            return min(self.rounds), max(self.rounds)
        low, _, high = statistics.quantiles(self.rounds, n=4, method="inclusive")
        return low, high

    def over(self, other: Figure) -> Figure | None:
        """How many times the other's this is, round by round; None where they cannot be paired."""
        pairs = list(zip(self.rounds, other.rounds, strict=False))
        if len(self.rounds) != len(other.rounds) or any(below <= 0 for _, below in pairs):
            return None
        return Figure(tuple([above / below for above, below in pairs]))


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One peer.

    Attributes:
        name: of the catalogue.
        version: what was measured; empty when unknown.
        figures: by the name of the column; a column that is not there was not asked for.
        missing: why there is none at all; None when there is.
        notes: of single columns, why they are empty or of what they are.
    """

    name: str
    version: str = ""
    figures: dict[str, Figure] = {}
    missing: str | None = None
    notes: dict[str, str] = {}


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """One run of everything.

    Attributes:
        state: date and commit, one sentence.
        machine: processors, interpreter, one sentence.
        in_process, proxies: their rows, in the order of the catalogue.
    """

    state: str
    machine: str
    in_process: tuple[Row, ...] = ()
    proxies: tuple[Row, ...] = ()
