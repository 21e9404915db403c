"""Who of a group is simply at a place with others: an office, a school, a branch, an event.

People at one place share its addresses, often a payer and a day of sign-up, and are many kinds of
evidence at once without being one hand. Of a pool of addresses a campaign uses several that have
little to do with each other; not all of its accounts come from where others do; it comes through
others' proxies; and its accounts do not sleep.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from gateway_guard.campaigns.evidence import ORDINARY, USUAL, Burden, Kind, everybody, log_ratio
from gateway_guard.campaigns.ties import CARDS, HOUSEHOLD, NETWORKS, RESOLD, TELLING, Base, Group
from gateway_guard.campaigns.traces import Trace

# Choices, not fits, made with recorded traffic and four generated worlds in view (README, What is
# caught, has what they do there, and in two worlds more).

#: Two ranges are of one place when they have this share of the smaller one's accounts in common.
_SAME: Final = 0.5
#: Share of ordinary people who are at two places of a group.
_ROVING: Final = 0.1
#: A unit is at one place when this share of it is in every range that more than two of it use: what
#: runs there round the clock is a service, of a firm or an agency.
_ONE_PLACE: Final = 0.9
#: The pace of this share of a unit must be known.
_PACE_KNOWN: Final = 0.75


def at_places(group: Group, base: Base, burden: Burden = USUAL) -> set[str]:
    """The accounts of `group` that belong together as people at a place do.

    Whoever hangs together by payments and ranges is a unit. It is at a place when (nearly) all of
    it share a range with others, and neither roving between ranges, nor more cards than a firm's,
    nor an even pace speaks for one hand.
    """
    ranges = {
        subnet: sharing
        for subnet, sharing in group.by_subnet.items()
        if group.users[subnet] > 1 and not group.memory.proxied(subnet)
    }
    placed = {trace.account for sharing in ranges.values() for trace in sharing}
    roving = _roving(group, ranges)
    found: set[str] = set()
    for unit in _units(group, ranges):
        people = list({trace.organisation: trace for trace in unit}.values())
        if not everybody([trace.account in placed for trace in people], burden.everybody):
            continue
        left = max(log_ratio([t.account in roving for t in people], [_ROVING] * len(people)), 0.0)
        left += _of_payments(people, group) + _of_pace(people, base)
        if left < burden.left:
            found.update(trace.account for trace in unit)
    return found


def _roving(group: Group, ranges: Mapping[int, Sequence[Trace]]) -> set[str]:
    """Accounts that use two ranges whose users are mostly not the same, or more than a firm has."""
    users = {
        subnet: {trace.account for trace in sharing}
        for subnet, sharing in ranges.items()
        if group.users[subnet] >= HOUSEHOLD
    }
    apart: dict[tuple[int, int], bool] = {}
    found = set()
    for trace in group.traces:
        mine = sorted(subnet for subnet in set(trace.subnets) if subnet in users)
        if len(mine) > NETWORKS:
            found.add(trace.account)
            continue
        for i, one in enumerate(mine):
            for other in mine[:i]:
                far = apart.get((one, other))
                if far is None:
                    both, fewer = users[one] & users[other], min(len(users[one]), len(users[other]))
                    far = apart[one, other] = len(both) < _SAME * fewer
                if far:
                    found.add(trace.account)
    return found


def _units(group: Group, ranges: Mapping[int, Sequence[Trace]]) -> Iterator[list[Trace]]:
    """The accounts that hang together by payments of several or by `ranges`; not those alone."""
    parent = {trace.account: trace.account for trace in group.traces}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = name = parent[parent[name]]
        return name

    for sharing in (*(group.by_payment[card] for card in group.cards), *ranges.values()):
        first = root(sharing[0].account)
        for trace in sharing:
            parent[root(trace.account)] = first
    units: dict[str, list[Trace]] = defaultdict(list)
    for trace in group.traces:
        units[root(trace.account)].append(trace)
    yield from (unit for unit in units.values() if len(unit) > 1)


def _of_payments(people: Sequence[Trace], group: Group) -> float:
    """What cards say beyond the few, or heavily used, ones of a firm; natural logarithm, >= 0."""
    paying = [trace.payment for trace in people if trace.payment]
    cards = Counter(card for card in paying if card in group.cards)
    firms = sorted(cards, key=lambda card: (-cards[card], card))[:CARDS]
    more = [card in cards and card not in firms and group.cards[card] < RESOLD for card in paying]
    return max(log_ratio(more, [ORDINARY[Kind.PAYMENT]] * len(more)), 0.0)


def _of_pace(people: Sequence[Trace], base: Base) -> float:
    """What it says that they spread their requests evenly; natural logarithm, >= 0."""
    ranges = Counter(subnet for trace in people for subnet in set(trace.subnets))
    widths = [count for count in ranges.values() if count >= HOUSEHOLD]
    if min(widths, default=0) >= _ONE_PLACE * len(people) or base.even > TELLING:
        return 0.0
    paces = [even for trace in people if (even := trace.even()) is not None]
    if len(paces) < _PACE_KNOWN * len(people):
        return 0.0
    return max(log_ratio(paces, [base.even] * len(paces)), 0.0)
