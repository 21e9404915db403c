"""Worse accounts files and addresses: whom does poor data accuse?

The sets again with dates for sign-ups, words for payments or few addresses, as operators have them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from gateway_guard.campaigns.sighting import Sighting
from tests.evaluate.leave_out import Caught, by_group
from tests.evaluate.recording import contained, read
from tests.evaluate.runs import in_parallel, recorded
from tests.evaluate.sets import LabelledSet, groups_of
from tests.evaluate.table import counted, percent, table

_DAY: Final = 86400.0
#: Half a year before the traffic of the sets, in no round second.
_IMPORT: Final = 1_755_000_001.0

_with = msgspec.structs.replace


def _one_in(count: int, name: str) -> bool:
    """The same one in `count` of all names each time."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % count == 0


def _signed_up_in_units_of(seconds: float) -> Callable[[Sighting], Sighting]:
    return lambda seen: (
        _with(seen, created_at=seen.created_at // seconds * seconds) if seen.created_at else seen
    )


def _imported(one_in: int) -> Callable[[Sighting], Sighting]:
    return lambda seen: (
        _with(seen, created_at=_IMPORT) if _one_in(one_in, f"import {seen.account}") else seen
    )


def _taken_over(seen: Sighting) -> Sighting:
    """Two thirds one by one, in twenty minutes."""
    name = f"taken over {seen.account}"
    if _one_in(3, name):
        return seen
    within = int.from_bytes(hashlib.sha256(name.encode()).digest()[4:8], "big") / 2**32 * 1200.0
    return _with(seen, created_at=_IMPORT + within)


def _paying_in_words(count: int) -> Callable[[Sighting], Sighting]:
    def change(seen: Sighting) -> Sighting:
        if not seen.payment:
            return seen
        digest = hashlib.sha256(seen.payment.encode()).digest()
        return _with(seen, payment=f"word {int.from_bytes(digest[:4], 'big') % count}")

    return change


def _from_few_ranges(count: int) -> Callable[[Sighting], Sighting]:
    return lambda seen: _with(seen, subnet=1 + seen.subnet % count, address=1 + seen.subnet % count)


#: What is wrong with the data → what that makes of each exchange.
WAYS: Final[dict[str, Callable[[Sighting], Sighting]]] = {
    "nothing": lambda seen: seen,
    "sign-ups to the hour": _signed_up_in_units_of(3600.0),
    "sign-ups to the day": _signed_up_in_units_of(_DAY),
    "sign-ups to the month": _signed_up_in_units_of(30 * _DAY),
    "half of the accounts imported in one second": _imported(2),
    "a tenth of the accounts imported in one second": _imported(10),
    "two thirds of the accounts imported in twenty minutes": _taken_over,
    "no sign-ups": lambda seen: _with(seen, created_at=None),
    "a third pays by `invoice`": lambda seen: (
        _with(seen, payment="invoice") if _one_in(3, f"invoice {seen.account}") else seen
    ),
    "payments are twelve words": _paying_in_words(12),
    "payments are a hundred words": _paying_in_words(100),
    "no payments": lambda seen: _with(seen, payment=None),
    "no organisations": lambda seen: _with(seen, organisation=None),
    "all come from six proxies of the operator": _from_few_ranges(6),
    "no addresses": lambda seen: _with(seen, subnet=0, address=0),
    "no lists of proxies and VPNs": lambda seen: _with(seen, flags=frozenset()),
}


class Job(msgspec.Struct, frozen=True):
    """One linker over one recording made worse in one way."""

    name: str
    recording: Path
    labels: Path
    way: str


def caught(job: Job) -> Caught:
    """One run, counted by group."""
    return by_group(groups_of(job.labels), contained(read(job.recording), shown=WAYS[job.way]))


def report(sets: Sequence[LabelledSet], record: Callable[[LabelledSet, Path], Path]) -> str:
    """A table for each set. `record` is as in `leave_out.report`."""
    with recorded(sets, record) as paths:
        jobs = [Job(one.name, paths[one.name], one.labels, way) for one in sets for way in WAYS]
        runs: dict[str, dict[str, Caught]] = {one.name: {} for one in sets}
        for job, found in in_parallel(jobs, caught, processes=True):
            runs[job.name][job.way] = found
    return "\n\n".join(
        of_set(name, {way: found[way] for way in WAYS}) for name, found in runs.items()
    )


def of_set(name: str, runs: dict[str, Caught]) -> str:
    """One set's table, from its runs by what was wrong."""
    headings = (f"{name}: what is wrong", "attack contained, macro", "benign contained")
    return table(
        headings,
        [(way, percent(found.macro), counted(found.benign)) for way, found in runs.items()],
    )
