"""One threshold of the linker varied: chosen on one set, reported on the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from tests.evaluate.child import number
from tests.evaluate.runs import Run, Variation, in_parallel
from tests.evaluate.scores import Score
from tests.evaluate.sets import CannotWorkError, LabelledSet
from tests.evaluate.table import counted, percent, table
from tests.evaluate.vary import resolve, thresholds

#: Largest share of benign accounts contained that a chosen value may cost.
BUDGET: Final = 0.001


class Sweep(msgspec.Struct, frozen=True):
    """A threshold, the value it has as it is written, and those to try."""

    name: str
    written: str
    values: tuple[float, ...]


def asked(text: str) -> Sweep:
    """`NAME=v1,v2,…`.

    Raises:
        CannotWorkError: it has another form, or there is no such threshold.
    """
    name, equals, values = text.partition("=")
    try:
        numbers = tuple(number(value) for value in values.split(","))
    except ValueError:
        numbers = ()
    if not equals or not numbers:
        raise CannotWorkError(f"--sweep {text}: write NAME=v1,v2,… with numbers")
    known = thresholds()
    whole = resolve(name, list(known))
    return Sweep(whole, known[whole], numbers)


def report(
    sets: Sequence[LabelledSet],
    sweep: Sweep,
    replay: Callable[[LabelledSet, Variation], Run],
) -> str:
    """A line for each value, and what choosing on each set gives on the others."""
    jobs = [(one, value) for value in sweep.values for one in sets]
    scores: dict[str, dict[float, Score]] = {one.name: {} for one in sets}
    for (one, value), run in in_parallel(
        jobs, lambda job: replay(job[0], Variation(thresholds={sweep.name: job[1]}))
    ):
        scores[one.name][value] = run.score
    return of_scores(sweep, scores)


def of_scores(sweep: Sweep, scores: Mapping[str, Mapping[float, Score]]) -> str:
    """The table and the choices, from scores by set and value."""
    headings = [f"{sweep.name} (now {sweep.written})"]
    for name in scores:
        headings += [f"{name}: contained, macro", f"{name}: benign contained",
                     f"{name}: harvested"]  # fmt: skip
    rows = []
    for value in sweep.values:
        row = [f"{value:g}"]
        for by_value in scores.values():
            row += [_macro(by_value[value]), counted(by_value[value].fpr.overall),
                    percent(by_value[value].harvested.overall.share)]  # fmt: skip
        rows.append(row)
    return "\n\n".join([table(headings, rows), "\n".join(_choices(scores))])


def best(scores: Mapping[float, Score]) -> float | None:
    """The first value that contains most within `BUDGET`; None when none keeps to it."""
    within = [
        value for value, score in scores.items() if (score.fpr.overall.share or 0.0) <= BUDGET
    ]
    return max(within, key=lambda value: scores[value].tpr.macro or 0.0, default=None)


def _choices(scores: Mapping[str, Mapping[float, Score]]) -> list[str]:
    lines = []
    for name, by_value in scores.items():
        value = best(by_value)
        if value is None:
            lines.append(
                f"* chosen on {name}: no value keeps to {percent(BUDGET)} of benign accounts"
            )
            continue
        elsewhere = [
            f"on {other}: {_macro(found[value])}, benign {counted(found[value].fpr.overall)}"
            for other, found in scores.items()
            if other != name
        ]
        lines.append(f"* chosen on {name}: {value:g}; {'; '.join(elsewhere) or 'no other set'}")
    return lines


def _macro(score: Score) -> str:
    return percent(score.tpr.macro)
