"""Forgetting accounts, because somebody asks for it or nobody has seen them for long, and with them
what nobody else came with.
"""

from __future__ import annotations

from typing import Final

from gateway_guard.campaigns.indexes import indexes, values_of
from gateway_guard.campaigns.memory import Bounds, Memory
from gateway_guard.campaigns.steps import Steps

#: Accounts looked at in one step: some tenths of a millisecond.
_LOOKED_AT: Final = 1_000


def erase(memory: Memory, number: int) -> None:
    """Forget account `number`, which must be in no campaign any more, and its part in every index.

    What others share with it stays theirs. Content keys it alone has used lose their account, and
    run out by generations: they say nothing by themselves.
    """
    trace = memory.traces.pop(number)
    del memory.numbers[trace.account]
    for kind, postings in indexes(memory):
        for value in values_of(kind)(trace):
            postings.leave(value, number)
    for subnet in trace.subnets:
        memory.hidden.leave(subnet, number)
    memory.releases.forget(trace.account)
    memory.left(number)


def expired(memory: Memory, at: float) -> Steps[None]:
    """Forget accounts in no campaign that were not seen for `Bounds.idle` before `at`, Unix
    seconds.
    """
    oldest = at - memory.bounds.idle
    for turn, number in enumerate(list(memory.traces) if oldest > 0.0 else (), 1):
        trace = memory.traces.get(number)
        if trace is not None and trace.last_at < oldest and number not in memory.kept:
            erase(memory, number)
        if not turn % _LOOKED_AT:
            yield


def bounds_of(accounts: int, days: int) -> Bounds:
    """The bounds of a linker that remembers so many accounts, each for so many days after it was
    last seen; 0 days: for as long as there is room.
    """
    return Bounds(accounts=accounts, idle=days * 86_400.0 if days else float("inf"))
