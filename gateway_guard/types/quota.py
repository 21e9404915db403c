"""What a limit is asked for, and what it answers."""

from __future__ import annotations

import msgspec


class Charge(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one limit is asked for, sized for this request's risk.

    A bucket holds `capacity` units, drains `rate` units a second and starts empty (nothing used);
    a concurrency charge has `rate` 0 and counts what is in flight.

    Attributes:
        limit: the limit's name in the policy.
        key: what is charged, namespaced by the limit, and by the tokens it counts where it does:
            `requests:acct_k3v…`, `tokens/input-tokens:acct_k3v…`.
        unit: `requests`, `tokens`, `input-tokens`, `output-tokens` or `concurrent`.
        cost: units asked for, >= 0.
        capacity: most units that may be outstanding at once, > 0.
        rate: units regained per second, >= 0.
        quota: units per `window`, after adaptation.
        window: seconds; 0 for concurrency.
        hidden: whether clients are told nothing of it: it counts a campaign.
    """

    limit: str
    key: str
    unit: str
    cost: float
    capacity: float
    rate: float
    quota: float
    window: float
    hidden: bool = False


class Grant(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One limit's answer.

    Attributes:
        charge: what was asked.
        allowed: whether this limit had room.
        remaining: units left after the charge (before it when refused), >= 0.
        retry_after: seconds until this very charge would fit; 0 when allowed.
        reset: seconds until the bucket is empty again (nothing used).
    """

    charge: Charge
    allowed: bool
    remaining: float
    retry_after: float
    reset: float
