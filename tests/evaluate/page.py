"""The tables of an evaluation: three guards over every set, by scenario and by benign class."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import msgspec

from tests.evaluate.runs import Run
from tests.evaluate.scores import Alarm, Score
from tests.evaluate.sets import Groups, by_number
from tests.evaluate.table import NONE, counted, decimal, percent, table, with_interval

#: The guard that is evaluated, and the two baselines beside it.
OURS, LIMIT, WIDTH = "standard.yaml", "60/minute", "width"
GUARDS = (OURS, LIMIT, WIDTH)


class Result(msgspec.Struct, frozen=True):
    """Every guard's run over one set."""

    name: str
    groups: Groups
    runs: Mapping[str, Run]


def overall(results: Sequence[Result]) -> str:
    """One line for each set and guard."""
    headings = (
        "set", "guard", "contained", "benign contained", "organisations", "refused at any time",
        "harvested", "purity", "completeness", "noticed", "exchanges/s",
    )  # fmt: skip
    rows = [
        ("", "goal", "≥ 80 %", "≤ 0.1 %", "", "", "≤ 15 %", "≥ 0.98", "≥ 0.80", "", "≥ 5,000"),
        *(_overall(result, guard) for result in results for guard in GUARDS
          if guard in result.runs),
    ]  # fmt: skip
    return table(headings, rows)


def _overall(result: Result, guard: str) -> tuple[str, ...]:
    run = result.runs[guard]
    score = run.score
    benign = frozenset[str]().union(*result.groups.classes.values())
    organisations = score.fpr.organisations
    attribution, alarm = score.attribution, score.alarm
    return (
        result.name, guard, percent(score.tpr.macro), counted(score.fpr.overall),
        counted(organisations) if organisations is not None else NONE,
        f"{len(run.refused & benign):,} of {len(benign):,}",
        percent(score.harvested.overall.share), decimal(attribution.purity),
        decimal(attribution.completeness_macro) if attribution.clusters else NONE,
        f"{alarm.alarmed} of {alarm.campaigns}",
        f"{run.rate:,}" if run.rate is not None else NONE,
    )  # fmt: skip


def scenarios(result: Result) -> str:
    """One set's attack accounts, by scenario."""
    ours = result.runs[OURS].score
    headings = (
        f"{result.name}: scenario", "accounts", "contained", "harvested", "noticed",
        "exchanges/member", "hours", *GUARDS[1:],
    )  # fmt: skip
    rows = []
    for name in sorted(ours.tpr.scenarios, key=by_number):
        share = ours.tpr.scenarios[name]
        noticed, before, hours = _alarms(ours, result.groups, name)
        rows.append(
            (
                name, f"{share.n:,}", with_interval(share),
                percent(ours.harvested.scenarios[name].share), noticed, before, hours,
                *(percent(run.score.tpr.scenarios[name].share) for run in _baselines(result)),
            )
        )  # fmt: skip
    return table(headings, rows)


def _alarms(score: Score, groups: Groups, scenario: str) -> tuple[str, str, str]:
    """Campaigns noticed, and of those the medians of exchanges a member and hours before."""
    of_it = [(alarm, members) for name, alarm in score.alarm.per_campaign.items()
             for where, members in (groups.campaigns[name],) if where == scenario]  # fmt: skip
    noticed: list[tuple[Alarm, float, int]] = [
        (alarm, alarm.seconds_to_alarm, members)
        for alarm, members in of_it
        if alarm.seconds_to_alarm is not None
    ]
    share = f"{len(noticed)} of {len(of_it)}"
    if not noticed:
        return share, NONE, NONE
    before = statistics.median(a.exchanges_before_alarm / n for a, _, n in noticed)
    hours = statistics.median(seconds / 3600 for _, seconds, _ in noticed)
    return share, f"{before:.1f}", f"{hours:.1f}"


def classes(result: Result) -> str:
    """One set's benign accounts, by class."""
    ours, refused = result.runs[OURS].score, result.runs[OURS].refused
    whose = result.groups.classes
    headings = (
        f"{result.name}: benign class", "contained", "refused at any time", "exchanges refused",
        *GUARDS[1:],
    )  # fmt: skip
    rows = [
        (
            name, counted(share), f"{len(refused & whose.get(name, frozenset())):,}",
            percent(ours.benign_refused.classes[name].share),
            *(percent(run.score.fpr.classes[name].share) for run in _baselines(result)),
        )
        for name, share in ours.fpr.classes.items()
    ]  # fmt: skip
    return table(headings, rows)


def _baselines(result: Result) -> list[Run]:
    return [result.runs[name] for name in GUARDS[1:]]


def losses(result: Result) -> str:
    """What went wrong in one set, in a sentence or two: scenarios lost, benign accounts contained.

    A scenario is lost when fewer than half of its accounts are contained.
    """
    score = result.runs[OURS].score
    lost = [
        f"{name} ({percent(share.share)})"
        for name, share in sorted(score.tpr.scenarios.items(), key=lambda item: by_number(item[0]))
        if (share.share or 0.0) < 0.5
    ]
    wronged = [f"{name} {share.k} of {share.n}" for name, share in score.fpr.classes.items()
               if share.k]  # fmt: skip
    text = f"**{result.name}**: "
    text += f"lost (under half contained): {', '.join(lost)}. " if lost else "no scenario lost. "
    text += f"Benign accounts contained: {', '.join(wronged) or 'none'}."
    trouble = result.runs[OURS].trouble
    return text + (f" Trouble: {trouble}." if trouble else "")


def page(results: Sequence[Result], *, detailed: Sequence[str] | None = None) -> str:
    """Everything: the overall table, then each set (or the `detailed` ones) by group."""
    parts = [overall(results), "\n".join(f"* {losses(result)}" for result in results)]
    for result in results:
        if detailed is None or result.name in detailed:
            parts += [scenarios(result), classes(result)]
    return "\n\n".join(parts)
