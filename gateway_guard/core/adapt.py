"""How large a quota is for this request: risk, region, age and tier shrink it, time restores it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway_guard.types import Facts, Held


class Adapt(msgspec.Struct, frozen=True, kw_only=True):
    """The `adapt` mapping of a limit. Factors are shares of the quota, in [0, 1].

    Attributes:
        risk: (risk from which it applies, factor), rising; below the first the factor is 1.
        region: country → factor, regions already expanded.
        age: (age in seconds up to which it applies, exclusive; factor), rising; older accounts get 1.
        tier: tier → factor (may exceed 1).
        unknown_age: factor when nobody knows the account's age; 1 by default.
        recover: seconds in which the highest risk seen is forgotten, linearly; 0 forgets at once.
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
    if adapt.risk:
        felt = held_risk(facts.held, risk, now, adapt.recover)
        band = 1.0
        for floor, part in adapt.risk:
            if felt < floor:
                break
            band = part
        share *= band
    account = facts.account
    if adapt.region:
        country = facts.network.country
        if country is not None:
            share *= adapt.region.get(country, 1.0)
    if adapt.age:
        if account.created_at is None:
            share *= adapt.unknown_age
        else:
            age = now - account.created_at
            for ceiling, part in adapt.age:
                if age < ceiling:
                    share *= part
                    break
    if adapt.tier and account.tier is not None:
        share *= adapt.tier.get(account.tier, 1.0)
    return share


def hold(held: Held, risk: float, now: float, recover: float) -> None:
    """Remember `risk` if it is more than what is left of the highest seen."""
    if risk >= held_risk(held, 0.0, now, recover):
        held.risk = risk
        held.at = now
