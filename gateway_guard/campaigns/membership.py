"""Whether one account belongs to a campaign already held: points for what it shares with it.

Points are natural logarithms of likelihood ratios, each capped, added to the prior: no single
thing an account shares makes it a member, and content never does without a tie of another kind.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from gateway_guard.campaigns.releases import pivot
from gateway_guard.campaigns.traces import Trace

#: Two sign-ups belong to one burst when they are no further apart; seconds. Not fitted.
BURST: Final = 1800.0
#: Prior log odds that an account near a campaign belongs to it (1 in 150). Of one that was not
#: found with it, but is near by itself, see `joining`.
PRIOR: Final = -5.0
#: Most each thing can say for membership (4: 55 to 1; 1: 2.7 to 1), so that a member needs several.
MOST: Final = {
    "payment": 4.0,
    "addresses": 4.0,
    "sign-up": 4.0,
    "content": 4.0,
    "client": 2.0,
    "pace": 1.0,
}
#: Most that signing up beside one member alone can say: that may be chance, two are a burst.
_ONE_NEIGHBOUR: Final = 2.0
#: Most that *not* having a trait of the group, or sharing none of its content, says against it.
LEAST: Final = -3.0
#: Points from which an account is a member (3: 95 %), and below which a member is let go (1: 73 %).
JOIN: Final = 3.0
LEAVE: Final = 1.0
#: One in how many accounts is taken to have what none outside the campaign was seen with.
_UNSEEN: Final = 2000
#: Members of whom a trait is known, below which what the group is like says nothing.
_KNOWN: Final = 4


def confidence(score: float) -> float:
    """Probability of membership for log odds `score`, in (0, 1)."""
    return 1.0 / (1.0 + math.exp(-score))


def joining(size: int, outside: int) -> float:
    """Points, <= 0, to be added for an account that was not found with a campaign's members: how
    much fewer members there are among everybody than `PRIOR` has it.

    `size` is that of the campaign, `outside` the number of accounts in none; both >= 1. The more
    customers there are, the more of them share two things with some campaign by chance.
    """
    return min(math.log(size / outside) - PRIOR, 0.0)


class Signature:
    """What a set of accounts has in common: counts over its members, kept up to date.

    Attributes:
        accounts: digests of those counted.
    """

    def __init__(self, members: Iterable[Trace] = ()) -> None:
        self.size = 0
        self.accounts: set[str] = set()
        self.payments: Counter[str] = Counter()
        self.subnets: Counter[int] = Counter()
        self.keys: Counter[int] = Counter()
        self.clients: Counter[int] = Counter()
        self.created: list[float] = []
        #: Members whose pace is uneven, even; that stayed with, moved to the latest release.
        self.paces = [0, 0]
        self.moves = [0, 0]
        self.count(members)

    def add(self, member: Trace) -> None:
        """Count one member more, as it is now."""
        self.count((member,))

    def count(self, joined: Iterable[Trace], left: Iterable[Trace] = ()) -> None:
        """Count members more, as they are now, and some less that have not changed since."""
        for member in joined:
            self._count(member, 1)
            self.accounts.add(member.account)
            if member.created_at:
                insort(self.created, member.created_at)
        for member in left:
            self._count(member, -1)
            self.accounts.discard(member.account)
            if member.created_at:
                del self.created[bisect_left(self.created, member.created_at)]

    def _count(self, member: Trace, by: int) -> None:
        self.size += by
        if member.payment:
            self.payments[member.payment] += by
        for subnet in member.subnets:
            self.subnets[subnet] += by
        for key in member.shared:
            self.keys[key] += by
        if member.client:
            self.clients[member.client] += by
        even, moved = member.even(), pivot(member)
        if even is not None:
            self.paces[even] += by
        if moved is not None:
            self.moves[moved] += by

    def near(self, created: float) -> int:
        """Members signed up within `BURST` of `created` (Unix seconds)."""
        signed_up = self.created
        return bisect_right(signed_up, created + BURST) - bisect_left(signed_up, created - BURST)


class Outside(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How common the things of one account are among accounts in no campaign.

    Attributes:
        size: such accounts, >= 1.
        payments, subnets, keys: of the account's own values, how many of them have each, >= 0;
            without payments that are no instrument (`telling`), and without the content keys its
            organisation was the first to use.
        near: how many of them signed up within `BURST` of it, >= 0.
        clients: how many of them show the same client software, >= 0.
        even: share of them with an even pace, in (0, 1).
    """

    size: int
    payments: Mapping[str, int]
    subnets: Mapping[int, int]
    keys: Mapping[int, int]
    near: int
    clients: int
    even: float


def points(
    trace: Trace, signature: Signature, outside: Outside, *, member: bool = False
) -> tuple[float, dict[str, float]]:
    """Log odds that `trace` belongs to the campaign of `signature`, and what each thing adds.

    `member` says that `trace` is counted in `signature` and must be left out of it. An account
    without any tie but content stays at the prior at most.
    """
    size = signature.size - member
    if size <= 0:
        return PRIOR, {}

    # What no outsider has is taken to be had by one in 2,000 (by one, when there are more).
    unseen = min(max(outside.size / _UNSEEN, 0.05), 1.0)

    def ratio(inside: int, elsewhere: int) -> float:
        share = (inside - member + 0.5) / (size + 1.0)
        return math.log(share / ((elsewhere + unseen) / (outside.size + unseen)))

    found: dict[str, float] = {}
    payment = trace.payment
    if payment in outside.payments and signature.payments[payment] > member:
        found["payment"] = ratio(signature.payments[payment], outside.payments[payment])
    subnets = signature.subnets
    addresses = [
        ratio(subnets[s], outside.subnets[s]) for s in trace.subnets if subnets[s] > member
    ]
    if addresses:
        found["addresses"] = max(addresses)
    if trace.created_at:
        near = signature.near(trace.created_at)
        if near > member:
            sign_up = ratio(near, outside.near)
            found["sign-up"] = sign_up if near - member > 1 else min(sign_up, _ONE_NEIGHBOUR)
    found = {name: min(value, MOST[name]) for name, value in found.items() if value > 0.0}
    tied = bool(found)
    keys = signature.keys
    content = max(
        (ratio(keys[k], outside.keys[k]) for k in outside.keys if keys[k] > member), default=0.0
    )
    if content <= 0.0:
        # Nothing in common: the more telling, the more the others have in common.
        widest = min(max(keys.values(), default=0) / size, 1.0)
        if widest > 0.5 and not any(keys[k] > member for k in trace.shared):
            content = math.log(max(1.0 - widest, math.exp(LEAST)))
        else:
            content = 0.0
    found["content"] = min(content, MOST["content"])
    client = trace.client
    if client and signature.clients[client] > member:
        shown = ratio(signature.clients[client], outside.clients)
        if shown > 0.0:
            found["client"] = min(shown, MOST["client"])
    even = trace.even()
    paced = sum(signature.paces) - member
    if even is not None and paced >= _KNOWN:
        # Its own pace may have changed since it was counted.
        inside = min(max(signature.paces[1] - (member and even), 0), paced)
        share = (inside + 1.0) / (paced + 2.0)
        pace = math.log(share / outside.even if even else (1.0 - share) / (1.0 - outside.even))
        found["pace"] = min(max(pace, LEAST), MOST["pace"])
    total = PRIOR + sum(found.values())
    return (total if tied else min(total, PRIOR)), found
