"""The accounts around one, and what they have in common."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterable
from typing import Final

from gateway_guard.campaigns.membership import BURST
from gateway_guard.campaigns.memory import Memory
from gateway_guard.campaigns.steps import Steps

#: What it costs to find what one account shares, and to part a web by it; as `Memory.effort`.
_VALUED: Final = 5.0
_PARTED: Final = 8.0


def around(memory: Memory, number: int, most: int) -> Steps[list[int]]:
    """At most about `most` accounts around account `number`, the nearest."""
    found = {number}
    queue = deque([number])
    while queue and len(found) < most:
        for other in sorted(memory.near(queue.popleft()) - found):
            found.add(other)
            queue.append(other)
        yield
    return sorted(found)


def values(memory: Memory, members: Iterable[int]) -> dict[tuple[str, Hashable], list[int]]:
    """What several organisations among `members` share: value → accounts."""
    found: dict[tuple[str, Hashable], list[int]] = defaultdict(list)
    traces = memory.traces
    for number in members:
        trace = traces[number]
        memory.effort += _VALUED
        if payment := memory.paid_with(trace):
            found["payment", payment].append(number)
        for subnet in trace.subnets:
            found["addresses", subnet].append(number)
        if created := memory.signed_up(trace):
            half = created / BURST
            found["signed up", int(half)].append(number)
            found["signed up", int(half + 0.5) + 0.5].append(number)
    shared = {
        value: sharing
        for value, sharing in found.items()
        if len(sharing) > 1 and len({traces[n].organisation for n in sharing}) > 1
    }
    memory.effort += _PARTED * sum(map(len, shared.values()))
    return shared
