"""Each scenario and benign class left out in turn: does the result hang on one group?

With `--fit`, one number of the burden of proof is chosen each time on what is left, and tried on
what was left out and on the other sets.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from gateway_guard.campaigns.evidence import USUAL, Burden
from tests.evaluate.recording import Recording, contained, read
from tests.evaluate.runs import in_parallel, recorded
from tests.evaluate.scores import Share, share_of
from tests.evaluate.sets import CannotWorkError, Groups, LabelledSet, groups_of
from tests.evaluate.table import counted, percent, table

#: Most benign accounts contained that a chosen value may cost.
BUDGET: Final = 2
#: What `--fit` tries when nothing is named: the least odds an explanation must leave standing, 7 to
#: 1, 33 to 1 (today's) and 150 to 1. A value more is 60 runs more over two large sets.
USUAL_FIT: Final = "left=2,3.5,5"


class Fit(msgspec.Struct, frozen=True):
    """A field of `evidence.Burden`, and the values to try."""

    name: str
    values: tuple[float, ...]


class Caught(msgspec.Struct, frozen=True):
    """Contained accounts of those that were in the traffic, by scenario and by benign class."""

    scenarios: dict[str, Share]
    classes: dict[str, Share]

    @property
    def macro(self) -> float:
        """Mean contained share over the scenarios, in [0, 1]; 0 when there is none."""
        shares = [share.share or 0.0 for share in self.scenarios.values()]
        return sum(shares) / len(shares) if shares else 0.0

    @property
    def benign(self) -> Share:
        """Contained benign accounts."""
        return total(self.classes.values())

    def without(self, group: str) -> Caught:
        """The same with one scenario or class not counted."""
        return Caught(
            {name: share for name, share in self.scenarios.items() if name != group},
            {name: share for name, share in self.classes.items() if name != group},
        )

    def of(self, group: str) -> Share:
        """One scenario or class."""
        return (self.scenarios | self.classes)[group]


class Job(msgspec.Struct, frozen=True):
    """One linker over one recording, without one group (all of it when None)."""

    name: str
    recording: Path
    labels: Path
    left_out: str | None
    burden: Burden = USUAL


def fit(text: str) -> Fit:
    """`NAME=v1,v2,…`, a field of `Burden` and numbers.

    Raises:
        CannotWorkError: it has another form, or there is no such field.
    """
    name, _, values = text.partition("=")
    name = name.removeprefix("Burden.")
    if name not in Burden.__struct_fields__:
        known = ", ".join(Burden.__struct_fields__)
        raise CannotWorkError(f"--fit {text}: no {name!r} in Burden (one of: {known})")
    try:
        numbers = tuple(float(value) for value in values.split(","))
    except ValueError:
        raise CannotWorkError(f"--fit {text}: write NAME=v1,v2,… with numbers") from None
    return Fit(name, numbers)


def each(groups: Groups) -> list[str]:
    """Every scenario, then every benign class."""
    return [*groups.scenarios, *groups.classes]


def total(shares: Iterable[Share]) -> Share:
    """All of them together."""
    pairs = [(share.k, share.n) for share in shares]
    return share_of(sum(k for k, _ in pairs), sum(n for _, n in pairs))


def caught(job: Job) -> Caught:
    """One run, counted by group."""
    groups = groups_of(job.labels)
    members = groups.scenarios | groups.classes
    without = members[job.left_out] if job.left_out is not None else frozenset[str]()
    return by_group(groups, contained(_kept(job.recording), without=without, burden=job.burden))


def by_group(groups: Groups, found: Mapping[str, bool]) -> Caught:
    """Whether each account was contained, counted by scenario and class."""
    return Caught(_shares(groups.scenarios, found), _shares(groups.classes, found))


def _shares(groups: Mapping[str, frozenset[str]], found: Mapping[str, bool]) -> dict[str, Share]:
    seen = {name: [found[a] for a in who if a in found] for name, who in groups.items()}
    return {name: share_of(sum(those), len(those)) for name, those in seen.items() if those}


@functools.lru_cache(maxsize=1)
def _kept(recording: Path) -> Recording:
    return read(recording)


def report(
    sets: Sequence[LabelledSet],
    record: Callable[[LabelledSet, Path], Path],
    asked: Fit | None = None,
) -> str:
    """A table for each set, and with `asked` another one.

    `record` replays a set and writes what a linker is shown of it.
    """
    asked = asked or Fit("left", (USUAL.left,))
    burdens = {
        value: msgspec.structs.replace(USUAL, **{asked.name: value}) for value in asked.values
    }
    with recorded(sets, record) as paths:
        jobs = [
            (value, Job(one.name, paths[one.name], one.labels, group, burden))
            for one in sets
            for group in (None, *each(groups_of(one.labels)))
            for value, burden in burdens.items()
        ]
        runs: dict[str, dict[float, dict[str | None, Caught]]] = {}
        for (value, job), found in in_parallel(jobs, _caught, processes=True):
            runs.setdefault(job.name, {}).setdefault(value, {})[job.left_out] = found
    now = getattr(USUAL, asked.name)
    plain = [of_set(name, found[now]) for name, found in runs.items() if now in found]
    if len(asked.values) == 1:
        return "\n\n".join(plain)
    return "\n\n".join([*plain, *(fitted(name, asked, runs) for name in runs)])


def _caught(job: tuple[float, Job]) -> Caught:
    return caught(job[1])


def of_set(name: str, runs: Mapping[str | None, Caught]) -> str:
    """One set's table, from its runs by what was left out."""
    whole = runs[None]
    headings = (f"{name}: left out", "contained, when there", "rest contained, macro",
                "with it there", "benign rest contained")  # fmt: skip
    rows = []
    for group, rest in runs.items():
        if group is None:
            continue
        rows.append(
            (
                group, _itself(whole, group), percent(rest.macro),
                percent(whole.without(group).macro), counted(rest.benign),
            )
        )  # fmt: skip
    return table(headings, rows)


def chosen(runs: Mapping[float, Caught], now: float) -> float | None:
    """The value that contains most with at most `BUDGET` benign accounts; None when none does.

    Of equals the one that contains fewest benign accounts, then the one nearest to the value in
    force `now`: there is no reason to change it.
    """
    within = [value for value, found in runs.items() if found.benign.k <= BUDGET]
    return max(
        within, key=lambda v: (runs[v].macro, -runs[v].benign.k, -abs(v - now)), default=None
    )


def fitted(
    name: str, asked: Fit, runs: Mapping[str, Mapping[float, Mapping[str | None, Caught]]]
) -> str:
    """One set's table: chosen on it without a group; that group and the other sets at that value.

    `runs`: set → value → what was left out → who was contained.
    """
    here = runs[name]
    others = [other for other in runs if other != name]
    headings = [f"{name}: left out", asked.name, "rest contained, macro", "benign rest contained",
                "left out, contained"]  # fmt: skip
    for other in others:
        headings += [f"{other} contained, macro", f"{other} benign contained"]
    rows = []
    for group in next(iter(here.values())):
        by_value = {value: found[group] for value, found in here.items()}
        value = chosen(by_value, getattr(USUAL, asked.name))
        row = [group or "(nothing)"]
        if value is None:
            rows.append([*row, f"none keeps to {BUDGET} benign", *[""] * (len(headings) - 2)])
            continue
        rest, whole = by_value[value], here[value][None]
        row += [f"{value:g}", percent(rest.macro), counted(rest.benign)]
        row.append(_itself(whole, group) if group is not None else "")
        for other in others:
            there = runs[other][value][None]
            row += [percent(there.macro), counted(there.benign)]
        rows.append(row)
    return table(headings, rows)


def _itself(whole: Caught, group: str) -> str:
    share = whole.of(group)
    return f"{percent(share.share)} of {share.n:,}"
