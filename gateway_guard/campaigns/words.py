"""A group's evidence in sentences an investigator can check."""

from __future__ import annotations

import math
from typing import Final

from gateway_guard.campaigns.evidence import Kind, Verdict, Weight

_TIED: Final = {
    Kind.PAYMENT: "pay with an instrument that two other organisations of the group use",
    Kind.ADDRESSES: "come from an address range of others they share no payment with",
    Kind.SIGN_UP: "signed up within half an hour of others they share no payment or address with",
    Kind.PACE: "spread their requests evenly over the hours instead of coming in sessions",
    Kind.PIVOT: "moved a quarter of their requests to a new model within a day of its release",
}


def times(log_ratio: float) -> str:
    """A likelihood ratio given as natural logarithm, as odds: `20 to 1`, `1 to 3`, `10^12 to 1`."""
    power = abs(log_ratio) / math.log(10)
    odds = f"{math.exp(abs(log_ratio)):,.0f}" if power < 6 else f"10^{power:.0f}"
    return f"{odds} to 1" if log_ratio >= 0 else f"1 to {odds}"


def sentence(weight: Weight) -> str:
    """One kind of evidence: who, how many, what chance would give, and what it is worth."""
    verb = "speaks" if weight.log_ratio > 0 else "does not speak"
    return (
        f"{weight.kind}: {weight.tied} of {weight.looked} {_TIED[weight.kind]} "
        f"({weight.chance:.0%} expected of accounts that have nothing to do with each other); "
        f"{verb} for one hand, {times(weight.log_ratio)}"
    )


def sentences(verdict: Verdict) -> tuple[str, ...]:
    """The whole case: each kind, the core, who was left out, and what the best innocent explanation
    leaves.
    """
    left_out = f"left out: {verdict.at_places} that hang together with them as people at a place do"
    return (
        *(sentence(weight) for weight in verdict.weights),
        f"core: {verdict.core} of {verdict.members} are tied by two kinds or more",
        *((left_out,) if verdict.at_places else ()),
        f"explanations: '{verdict.explanation}' accounts for most and leaves {times(verdict.left)}",
        f"together {times(verdict.total)}, where {times(verdict.needed)} is asked for",
    )
