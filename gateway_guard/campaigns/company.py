"""Whom an account comes with: what goes together outside a campaign says there what it says once.

`membership.points` adds up what an account shares with a campaign, as if each thing were a chance
of its own. A class signs up in one hour, says one thing and comes through one range: where one of
its sign-ups falls beside a campaign's, and the campaign says the same, all of it would belong. The
larger the population, the more such classes there are.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Final

from gateway_guard.campaigns.membership import Outside, Signature
from gateway_guard.campaigns.memory import Memory
from gateway_guard.campaigns.traces import Trace

#: The things that come together, a bit each; those of `membership.MOST` that tie, and content.
_BITS: Final = {"payment": 1, "addresses": 2, "sign-up": 4, "content": 8}
#: Every set of two or more of them.
_SETS: Final = tuple(some for some in range(16) if some.bit_count() > 1)
#: Several things are counted as one when more accounts have all of them outside the campaign than
#: in it, and at least so many. What it does is in README, What is caught.
_FEWEST: Final = 2


def counted_twice(
    trace: Trace,
    signature: Signature,
    outside: Outside,
    found: Mapping[str, float],
    memory: Memory,
    held: Container[int],
    *,
    member: bool,
) -> float:
    """Points that `found` has too many of, >= 0: what the things that most accounts have together
    outside the campaign say beyond one of them.

    `found` is what `membership.points` said of `trace`; the other arguments are as there. `held`:
    the numbers of all members of campaigns; those not counted in `signature` are left out. Of those
    who share a thing only the latest are remembered and looked at.
    """
    mine = {bit: found[name] for name, bit in _BITS.items() if found.get(name, 0.0) > 0.0}
    if len(mine) < 2:
        return 0.0
    inside, beside = _company(trace, signature, outside, memory, held, mine, member=member)
    most = 0.0
    for some in _SETS:
        said = [points for bit, points in mine.items() if bit & some]
        if len(said) != some.bit_count():
            continue
        ours = sum(count for has, count in inside.items() if has & some == some)
        theirs = sum(count for has, count in beside.items() if has & some == some)
        if theirs < _FEWEST or theirs <= ours:
            continue
        share = (ours + 0.5) / (signature.size - member + 1.0)
        together = math.log(share / ((theirs + 0.5) / outside.size))
        most = max(most, sum(said) - max(together, *said))
    return most


def _company(
    trace: Trace, signature: Signature, outside: Outside, memory: Memory, held: Container[int],
    mine: Mapping[int, float], *, member: bool,
) -> tuple[Counter[int], Counter[int]]:  # fmt: skip
    """How many accounts counted in `signature`, and how many of no campaign, share which things
    with `trace`: of those in `mine`, as a set of bits."""
    traces = memory.traces
    things: dict[int, int] = defaultdict(int)
    for bit, numbers in _sharing(trace, signature, memory, mine, member=member):
        for number in numbers:
            things[number] |= bit
    says = _BITS["content"] in mine
    keys = {key for key in outside.keys if says and signature.keys[key] > member}
    inside, beside = Counter[int](), Counter[int]()
    for number, ties in things.items():
        them = traces.get(number)
        if them is None or them is trace:
            continue
        has = ties | _BITS["content"] if not keys.isdisjoint(them.shared) else ties
        if them.account in signature.accounts:
            inside[has] += 1
        elif number not in held:
            beside[has] += 1
    return inside, beside


def _sharing(
    trace: Trace, signature: Signature, memory: Memory, mine: Mapping[int, float], *, member: bool
) -> Iterator[tuple[int, Iterable[int]]]:
    """A tie of `mine`, and the accounts that share it with `trace`; ranges one by one."""
    if _BITS["payment"] in mine and (posting := memory.payments.get(trace.payment)):
        yield _BITS["payment"], posting.latest
    if _BITS["addresses"] in mine:
        for subnet in trace.subnets:
            if signature.subnets[subnet] > member and (posting := memory.subnets.get(subnet)):
                yield _BITS["addresses"], posting.latest
    if _BITS["sign-up"] in mine:
        yield _BITS["sign-up"], memory.signed_up_at.beside(trace.created_at)
