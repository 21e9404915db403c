"""Many accounts, one hand."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """Accounts that act as one.

    Attributes:
        id: stable name, `c_…`.
        members: account → confidence of membership in [0, 1].
        evidence: one sentence per kind of evidence.
        confidence: of the group as a whole, in [0, 1].
        first_seen, alarm_at: Unix seconds; `alarm_at` is None while only a candidate.
    """

    id: str
    members: Mapping[str, float]
    evidence: tuple[str, ...] = ()
    confidence: float = 0.0
    first_seen: float = 0.0
    alarm_at: float | None = None
