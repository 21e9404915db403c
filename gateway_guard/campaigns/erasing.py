"""Forgetting one account because somebody asks for it, and with it what nobody else came with."""

from __future__ import annotations

from gateway_guard.campaigns.indexes import indexes, values_of
from gateway_guard.campaigns.memory import Memory


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
