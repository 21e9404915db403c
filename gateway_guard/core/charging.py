"""What limits ask of one account, request after request: worked out once, while nothing changes.

Most limits count an account, at a quota that depends on what is known of it. For such an account
without risk everything in a charge but its tokens stays the same from request to request, so it is
kept. The answer is always that of `limits.charges_for`, only sooner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway_guard.core.adapt import Adapt
from gateway_guard.core.limits import Limit, charge_for, charges_for, estimates
from gateway_guard.core.rules import Test
from gateway_guard.types import AccountFacts, Assessment, Charge, Facts, Request

#: Accounts whose charges are kept, under 1 KB each.
MOST_KEPT: Final = 4096
#: Requests of others after which those are forgotten to make room. Keeping costs twice as much as
#: reckoning once (9 and 4.3 µs, found again 1.8), so where there are many more accounts than room,
#: few of them are kept, and nearly nothing is lost.
MOST_MISSED: Final = 8 * MOST_KEPT
#: Seconds before an account grows out of a band of ages from which on nothing is kept: ages are
#: differences, and a difference rounds otherwise than a sum.
_MARGIN: Final = 1.0

#: Conditions that look at nothing but the account and what is known of it.
_OF_ACCOUNT: Final = frozenset((
    "account", "organisation", "account_tag", "account_country", "tier", "verified", "programme",
    "campaign", "rollout",
))  # fmt: skip


class _Line(NamedTuple):
    """One limit, taken apart.

    Attributes:
        limit: the limit.
        lasting: those of its tests that hold for an account or do not, whatever it asks.
        passing: its other tests.
        own: whether it counts the account and nothing else.
        counts: as in `Limit`.
    """

    limit: Limit
    lasting: tuple[Test, ...]
    passing: tuple[Test, ...]
    own: bool
    counts: int


#: A line that may ask something of the account: its passing tests, what it counts, what it asks at
#: a cost of 1, and, where that differs between requests and the charge is None, the limit.
_Row = tuple[tuple[Test, ...], int, Charge | None, Limit]


class _Kept(NamedTuple):
    """What is asked of one account as long as all of this holds.

    Attributes:
        account: what is known of it.
        since, until: Unix seconds; outside of them its age may count otherwise.
        rows: the limits in policy order.
    """

    account: AccountFacts
    since: float
    until: float
    rows: tuple[_Row, ...]


class Charging:
    """The limits of one policy.

    `limits` are `Policy.limits`. At most `most` accounts are kept, and all of them until `missed`
    requests of others found no room.
    """

    __slots__ = (
        "_calm",
        "_counting",
        "_kept",
        "_lines",
        "_missed",
        "_most",
        "_most_missed",
        "_regional",
        "limits",
    )

    def __init__(
        self, limits: Sequence[Limit], *, most: int = MOST_KEPT, missed: int = MOST_MISSED
    ) -> None:
        self.limits = limits
        self._most = most
        self._most_missed = missed
        self._lines = tuple(
            _Line(
                limit,
                tuple(c.test for c in limit.conditions if c.field in _OF_ACCOUNT),
                tuple(c.test for c in limit.conditions if c.field not in _OF_ACCOUNT),
                limit.per == ("account",),
                limit.counts,
            )
            for limit in limits
        )
        adapts = [limit.adapt for limit in limits if limit.adapt is not None]
        #: The least risk that makes a quota smaller.
        self._calm = min((adapt.risk[0][0] for adapt in adapts if adapt.risk), default=math.inf)
        self._regional = any(adapt.region for adapt in adapts)
        self._counting = any(limit.counts for limit in limits)
        self._kept: dict[str, _Kept] = {}
        self._missed = 0

    def charges(self, request: Request, facts: Facts, assessment: Assessment) -> tuple[Charge, ...]:
        """As `limits.charges_for`."""
        name, held, calm = request.account, facts.held, self._calm
        if (
            name is None or facts.campaign is not None or self._regional
            or held is None or held.risk >= calm or assessment.risk >= calm
        ):  # fmt: skip
            return charges_for(self.limits, request, facts, assessment)
        kept = self._kept.get(name)
        if kept is None:
            if len(self._kept) >= self._most:
                self._missed += 1
                if self._missed < self._most_missed:
                    return charges_for(self.limits, request, facts, assessment)
                self._kept.clear()
                self._missed = 0
            kept = self._keep(name, request, facts, assessment)
        elif (
            (kept.account is not facts.account and kept.account != facts.account)
            or not kept.since <= request.at < kept.until
        ):  # fmt: skip
            kept = self._keep(name, request, facts, assessment)
        charges: list[Charge] = []
        tokens = estimates(request) if self._counting else None
        for tests, counts, same, limit in kept.rows:
            for test in tests:
                if not test(request, facts, assessment):
                    break
            else:
                charge: Charge | None
                if not counts:
                    charge = same or charge_for(limit, 1.0, request, facts, assessment)
                elif tokens is None:
                    continue
                else:
                    cost = float(tokens[0] + tokens[1] if counts == 1 else tokens[counts - 2])
                    if same is None:
                        charge = charge_for(limit, cost, request, facts, assessment)
                    else:
                        charge = Charge(
                            limit=same.limit, key=same.key, unit=same.unit, cost=cost,
                            capacity=same.capacity, rate=same.rate, quota=same.quota,
                            window=same.window,
                        )  # fmt: skip
                if charge is not None:
                    charges.append(charge)
        return tuple(charges)

    def _keep(self, name: str, request: Request, facts: Facts, assessment: Assessment) -> _Kept:
        rows: list[_Row] = []
        at, created, until = request.at, facts.account.created_at, math.inf
        for line in self._lines:
            for test in line.lasting:
                if not test(request, facts, assessment):
                    break
            else:
                limit = line.limit
                charge: Charge | None = None
                if line.own:
                    charge = charge_for(limit, 1.0, request, facts, assessment)
                    if created is not None and limit.adapt is not None:
                        until = min(until, _next_band(limit.adapt, created, at))
                rows.append((line.passing, line.counts, charge, limit))
        kept = _Kept(facts.account, at, until, tuple(rows))
        self._kept[name] = kept
        return kept


def _next_band(adapt: Adapt, created: float, at: float) -> float:
    """When the account grows out of the band of ages it is in, or a little earlier."""
    for ceiling, _ in adapt.age:
        if at - created < ceiling:
            return created + ceiling - _MARGIN
    return math.inf


#: By identity of the limits: they are frozen, and an entry keeps them alive, so an id cannot come
#: to mean others.
_prepared: dict[int, Charging] = {}
_MOST_PREPARED: Final = 16
#: The one used last: a process has one policy in force. Whoever reads it compares the limits.
_latest = Charging(())


def charges_of(
    limits: Sequence[Limit], request: Request, facts: Facts, assessment: Assessment
) -> tuple[Charge, ...]:
    """As `limits.charges_for`, remembering what it can of `limits`, which are never changed."""
    global _latest
    ready = _latest
    if ready.limits is not limits:
        known = _prepared.get(id(limits))
        if known is None:
            if len(_prepared) >= _MOST_PREPARED:
                _prepared.clear()
            known = _prepared[id(limits)] = Charging(limits)
        ready = _latest = known
    return ready.charges(request, facts, assessment)
