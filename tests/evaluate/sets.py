"""Labelled traffic beside the checkout: where it is, and whose accounts are in it."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

ROOT: Final = Path(__file__).resolve().parents[2]
#: Where labelled traffic and its scorer are looked for: they do not come with this repository.
DATA: Final = ROOT.parent / "shared" / "data" / "traffic"
SCORER: Final = ROOT.parent / "shared" / "tools" / "score.py"

_FILES: Final = ("traffic.jsonl.gz", "accounts.jsonl", "labels.csv")


class CannotWorkError(Exception):
    """Something the evaluation needs is missing or broken; the message says what to do."""


class LabelledSet(msgspec.Struct, frozen=True):
    """One recording with its accounts and labels, in a directory of its own."""

    path: Path

    @property
    def name(self) -> str:
        """What the set is called: its directory's name."""
        return self.path.name

    @property
    def traffic(self) -> Path:
        return self.path / "traffic.jsonl.gz"

    @property
    def accounts(self) -> Path:
        return self.path / "accounts.jsonl"

    @property
    def labels(self) -> Path:
        return self.path / "labels.csv"


class Groups(msgspec.Struct, frozen=True):
    """Who is in a set.

    Attributes:
        scenarios: scenario → its attack accounts.
        classes: benign class → its accounts.
        campaigns: true campaign → (its scenario, number of its accounts).
    """

    scenarios: dict[str, frozenset[str]]
    classes: dict[str, frozenset[str]]
    campaigns: dict[str, tuple[str, int]]


def by_number(name: str) -> tuple[int, str]:
    """Sorts S2 before S10, whatever the letter."""
    digits = name[1:]
    return (int(digits) if digits.isascii() and digits.isdigit() else 0), name


def find_sets(data: Path, names: Sequence[str] = ()) -> list[LabelledSet]:
    """The sets under `data` (or `data` itself), by name, or those named; largest first.

    Raises:
        CannotWorkError: there are none, or one that is named is not there.
    """
    data = data.resolve()
    found = {
        path.name: LabelledSet(path)
        for path in (data, *(data.iterdir() if data.is_dir() else ()))
        if all((path / file).is_file() for file in _FILES)
    }
    if not found:
        raise CannotWorkError(
            f"no labelled traffic in {data}: it does not come with this repository.\n"
            f"Name a directory that holds {', '.join(_FILES)}, or directories that do:\n"
            "  make evaluate DATA=DIRECTORY [SCORE=score.py]"
        )
    for name in names:
        if name not in found:
            raise CannotWorkError(f"no set {name!r} in {data}: there are {', '.join(found)}")
    chosen = [found[name] for name in names or sorted(found)]
    return sorted(chosen, key=lambda one: -one.traffic.stat().st_size)


def groups_of(labels: Path) -> Groups:
    """Who is who, from `labels.csv`."""
    scenarios: dict[str, set[str]] = defaultdict(set)
    classes: dict[str, set[str]] = defaultdict(set)
    members: Counter[tuple[str, str]] = Counter()
    with labels.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["label"] == "attack":
                scenarios[row["scenario"]].add(row["account"])
                members[row["campaign"], row["scenario"]] += 1
            else:
                classes[row["class"]].add(row["account"])
    return Groups(
        {name: frozenset(scenarios[name]) for name in sorted(scenarios, key=by_number)},
        {name: frozenset(classes[name]) for name in sorted(classes)},
        {campaign: (scenario, n) for (campaign, scenario), n in sorted(members.items())},
    )
