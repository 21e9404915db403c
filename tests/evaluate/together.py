"""All sets as one population: whom does a crowd accuse?

What is chance among three thousand accounts happens ten times as often among thirty thousand: a
class that signs up beside a campaign, a colleague in one of its ranges. The sets are shown to one
linker as if all of them were customers of one provider in the same week; or, of some sets, only the
customers are: few of real ones attack.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Final

import msgspec

from gateway_guard.campaigns.sighting import Sighting
from tests.evaluate.leave_out import by_group
from tests.evaluate.recording import Asked, Recording, Told, read, told
from tests.evaluate.runs import recorded
from tests.evaluate.sets import CannotWorkError, Groups, LabelledSet, groups_of
from tests.evaluate.table import counted, percent, table

_DAY: Final = 86400.0
#: The midnight at which every set begins, Unix seconds.
_BEGIN: Final = 1_772_323_200.0

_with = msgspec.structs.replace


def merged(recordings: Mapping[str, Recording]) -> Recording:
    """Several sets as one, in time order; an account is called `SET/ACCOUNT`.

    Accounts, organisations and payments of two sets are never the same; addresses, what is said and
    the models may be.
    """
    names = {
        f"{which} {digest}": f"{which}/{name}"
        for which, one in recordings.items()
        for digest, name in one.names.items()
    }
    streams = [_moved(which, one) for which, one in recordings.items()]
    return Recording(names, [asked for _, asked in heapq.merge(*streams, key=itemgetter(0))])


def _moved(which: str, recording: Recording) -> Iterator[tuple[float, Asked]]:
    """One set, moved to begin at `_BEGIN`: each exchange, and when."""
    first = next((seen.at for one in recording.asked for seen in one.learnt), 0.0)
    by = _BEGIN - first // _DAY * _DAY
    at = _BEGIN
    for one in recording.asked:
        learnt = tuple([_seen(which, seen, by) for seen in one.learnt])
        if learnt:
            at = max(at, learnt[-1].at)
        yield at, _with(one, account=f"{which} {one.account}", learnt=learnt)


def _seen(which: str, seen: Sighting, by: float) -> Sighting:
    return _with(
        seen,
        at=seen.at + by,
        account=f"{which} {seen.account}",
        organisation=seen.organisation and f"{which} {seen.organisation}",
        payment=seen.payment and f"{which} {seen.payment}",
        created_at=seen.created_at and seen.created_at + by,
    )


def report(
    sets: Sequence[LabelledSet],
    record: Callable[[LabelledSet, Path], Path],
    attackers: Collection[str] = (),
) -> str:
    """One table: each set by itself and among the others. `record` is as in `leave_out.report`.

    Of the others only the customers are there, where `attackers` names sets: those keep theirs.

    Raises:
        CannotWorkError: it names one that is not among them.
    """
    for name in attackers:
        if name not in (known := [one.name for one in sets]):
            raise CannotWorkError(f"--attackers: no set {name!r} is shown, only {', '.join(known)}")
    with recorded(sets, record) as paths:
        recordings = {one.name: read(paths[one.name]) for one in sets}
    alone = {name: told(one) for name, one in recordings.items()}
    groups = {one.name: groups_of(one.labels) for one in sets}
    away = {
        f"{name}/{account}"
        for name, whose in groups.items()
        if attackers and name not in attackers
        for accounts in whose.scenarios.values()
        for account in accounts
    }
    crowd = told(merged(recordings), without=away)
    rows = []
    for name, whose in groups.items():
        among = {
            account: crowd[f"{name}/{account}"]
            for account in alone[name]
            if f"{name}/{account}" in crowd
        }
        rows.append(_row(name, whose, alone[name], among))
    headings = (
        "set", "attack contained, macro, alone", "among all", "benign contained, alone",
        "among all", "at any time, alone", "among all",
    )  # fmt: skip
    return table(headings, rows)


def _row(
    name: str, groups: Groups, alone: Mapping[str, Told], crowd: Mapping[str, Told]
) -> tuple[str, ...]:
    both = [
        by_group(groups, {account: one.contained for account, one in found.items()})
        for found in (alone, crowd)
    ]
    ever = [
        by_group(groups, {account: one.ever for account, one in found.items()}).benign
        for found in (alone, crowd)
    ]
    return (
        name,
        *(percent(one.macro) if one.scenarios else "–" for one in both),
        *(counted(one.benign) for one in both),
        *(counted(one) for one in ever),
    )
