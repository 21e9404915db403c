"""Each scenario and benign class left out in turn: does the result hang on one group?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from tests.evaluate.runs import Run, Variation, in_parallel
from tests.evaluate.scores import Score, benign_without, macro_without
from tests.evaluate.sets import Groups, LabelledSet, by_number, groups_of
from tests.evaluate.table import NONE, counted, percent, table


class Left(msgspec.Struct, frozen=True):
    """One group left out of one set; all of it when neither is named."""

    scenario: str | None = None
    kind: str | None = None

    def accounts(self, groups: Groups) -> frozenset[str]:
        """Whose exchanges are left out."""
        if self.scenario is not None:
            return groups.scenarios[self.scenario]
        return groups.classes[self.kind] if self.kind is not None else frozenset()


def everything(groups: Groups) -> list[Left]:
    """Nothing, then every scenario and every benign class."""
    return [
        Left(),
        *(Left(scenario=name) for name in groups.scenarios),
        *(Left(kind=name) for name in groups.classes),
    ]


def report(sets: Sequence[LabelledSet], replay: Callable[[LabelledSet, Variation], Run]) -> str:
    """A table for each set."""
    groups = {one.name: groups_of(one.labels) for one in sets}
    jobs = [(one, left) for one in sets for left in everything(groups[one.name])]
    scores: dict[str, list[tuple[Left, Score]]] = {one.name: [] for one in sets}

    def work(job: tuple[LabelledSet, Left]) -> Run:
        one, left = job
        return replay(one, Variation(without=left.accounts(groups[one.name])))

    for (one, left), run in in_parallel(jobs, work):
        scores[one.name].append((left, run.score))
    return "\n\n".join(of_set(name, found) for name, found in scores.items())


def of_set(name: str, scores: Sequence[tuple[Left, Score]]) -> str:
    """One set's table; the first score is that of the whole set."""
    (_, whole), *parts = scores
    headings = (f"{name}: left out", "rest contained, macro", "with it there",
                "benign rest contained", "with it there", "changed most")  # fmt: skip
    rows = []
    for left, score in parts:
        rows.append(
            (
                left.scenario or left.kind or "",
                percent(macro_without(score, left.scenario)),
                percent(macro_without(whole, left.scenario)),
                counted(benign_without(score, left.kind)),
                counted(benign_without(whole, left.kind)),
                _most_changed(whole, score, left.scenario),
            )
        )
    return table(headings, rows)


def _most_changed(whole: Score, part: Score, left: str | None) -> str:
    """The scenario whose contained share differs most, and how."""
    changes = [
        (abs((part.tpr.scenarios[name].share or 0.0) - (share.share or 0.0)), name)
        for name, share in sorted(whole.tpr.scenarios.items(), key=lambda item: by_number(item[0]))
        if name != left and name in part.tpr.scenarios
    ]
    most, name = max(changes, key=lambda change: change[0], default=(0.0, ""))
    if not most:
        return NONE
    before, after = whole.tpr.scenarios[name].share, part.tpr.scenarios[name].share
    return f"{name}: {percent(before)} → {percent(after)}"
