"""How large a quota is for this request: risk, region, age and tier shrink it, time restores it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway_guard.types import UNKNOWN, Facts, Held


class Adapt(msgspec.Struct, frozen=True, kw_only=True):
    """The `adapt` mapping of a limit. Factors are shares of the quota, in [0, 1].

    Attributes:
        risk: (risk from which it applies, factor), rising; below the first the factor is 1.
        region: country (or `unknown`) → factor, regions already expanded; 1 for any other.
        age: (age in seconds up to which it applies, exclusive; factor), rising; beyond the last
            the factor is 1.
        tier: tier in small letters (or `unknown`) → factor (may exceed 1); 1 for any other.
        unknown_age: factor when nobody knows the account's age; 1 by default.
        recover: seconds in which a risk of 1 is forgotten, linearly, so that 0.5 takes half of it;
            0 forgets at once.
    """

    risk: tuple[tuple[float, float], ...] = ()
    region: Mapping[str, float] = msgspec.field(default_factory=dict)
    age: tuple[tuple[float, float], ...] = ()
    tier: Mapping[str, float] = msgspec.field(default_factory=dict)
    unknown_age: float = 1.0
    recover: float = 0.0


def held_risk(held: Held | None, risk: float, now: float, recover: float) -> float:
    """The risk that counts: this request's, or what is left of the highest one recently seen."""
    if held is None or recover <= 0.0 or held.risk <= risk:
        return risk
    left = held.risk - (now - held.at) / recover if now > held.at else held.risk
    return left if left > risk else risk


def factor(adapt: Adapt, facts: Facts, risk: float, now: float) -> float:
    """Share of the quota this request's account gets: the product of all parts that apply.

    `risk` is this request's; the account's held risk is taken into account here.
    """
    share = 1.0
    bands = adapt.risk
    if bands:
        held = facts.held
        # What is held only shrinks: below the first band nothing needs to be reckoned.
        if risk >= bands[0][0] or (held is not None and held.risk >= bands[0][0]):
            felt = held_risk(held, risk, now, adapt.recover)
            for floor, part in bands:
                if felt < floor:
                    break
                share = part
    account = facts.account
    if adapt.region:
        share *= adapt.region.get(facts.network.country or UNKNOWN, 1.0)
    created = account.created_at
    if created is None:
        share *= adapt.unknown_age
    elif adapt.age:
        ages, age = adapt.age, now - created
        # Rising, so beyond the last nothing applies.
        if age < ages[-1][0]:
            for ceiling, part in ages:
                if age < ceiling:
                    share *= part
                    break
    if adapt.tier:
        share *= adapt.tier.get((account.tier or UNKNOWN).casefold(), 1.0)
    return share


def hold(held: Held, risk: float, now: float, recover: float) -> None:
    """Remember `risk` if it is at least what is left of the highest seen.

    `recover` is the longest of the policy: limits that recover sooner may forget a smaller, later
    risk sooner than it deserves, never the largest one. A clock that went backwards does not make
    the account recover earlier.
    """
    if risk > 0.0 and risk >= held_risk(held, 0.0, now, recover):
        held.risk = risk
        if now > held.at:
            held.at = now
