"""Limits as the policy compiled them, and the arithmetic of one bucket.

A limit is a leaky bucket in units used: it holds at most `capacity`, drains at `rate` units a second,
and a request fits when what is used plus its cost does not exceed the capacity. Because what is kept
is *units used*, changing the quota never resets or scales the count.
"""

from __future__ import annotations

import msgspec

from gateway_guard.core.adapt import Adapt, factor
from gateway_guard.core.rules import Condition, holds
from gateway_guard.types import Assessment, Charge, Facts, Request

UNITS = ("requests", "tokens", "input-tokens", "output-tokens", "concurrent")
PARTS = (
    "account", "organisation", "client_ip", "subnet", "asn", "country", "model", "route",
    "campaign", "everyone",
)  # fmt: skip


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `limits:`.

    Attributes:
        name: kebab-case, unique in the policy.
        per: which parts make the key, from `PARTS`, one or more.
        unit: from `UNITS`.
        quota: units per `window`; for `concurrent` the most in flight.
        window: seconds; 0 for `concurrent`.
        burst: most units outstanding at once; the quota when not written.
        adapt: how risk, region, age and tier shrink it; None for never.
        conditions: scope (`when:`); the limit is charged only where all hold.
        where: `file:line` of its name.
    """

    name: str
    per: tuple[str, ...]
    unit: str
    quota: float
    window: float
    burst: float
    adapt: Adapt | None = None
    conditions: tuple[Condition, ...] = ()
    where: str = ""
