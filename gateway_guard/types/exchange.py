"""One request under way, and what it cost in the end."""

from __future__ import annotations

import enum

import msgspec

from gateway_guard.types.assessment import Assessment
from gateway_guard.types.facts import Facts
from gateway_guard.types.judgement import Decision, Plan
from gateway_guard.types.quota import Charge
from gateway_guard.types.request import Request


class Outcome(enum.StrEnum):
    """How an exchange ended."""

    COMPLETED = "completed"
    REFUSED = "refused"
    CLIENT_GONE = "client-gone"
    UPSTREAM_CUT = "upstream-cut"
    UPSTREAM_ERROR = "upstream-error"

    __hash__ = str.__hash__


class Usage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an exchange really cost.

    Attributes:
        input_tokens: tokens read; None when nobody said: the estimate stands, absent is not 0.
        output_tokens: tokens written; None likewise.
        total_tokens: both together, where nobody told them apart; None otherwise. Only until an
            exchange is settled (`core.limits.told_apart`).
        outcome: how it ended.
        status: the upstream's HTTP status; None when it never answered.
        reported: whether the upstream itself counted; False for an estimate of what was delivered.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    outcome: Outcome = Outcome.COMPLETED
    status: int | None = None
    reported: bool = False


class Exchange(msgspec.Struct, kw_only=True, gc=False):
    """One request under way: what each stage left for the next. Written only by `guard.Guard`.

    `settled` turns True exactly once. Nothing it holds may hold it in turn: the garbage collector
    does not see it.

    Attributes:
        rehearsed: what limits that only rehearse granted, to be settled.
        charged: of each of the plan's charges, what was charged while the exchange lasted, beyond
            what was reserved; empty where nothing was.
    """

    request: Request
    facts: Facts = Facts()
    assessment: Assessment = Assessment()
    plan: Plan | None = None
    decision: Decision
    usage: Usage | None = None
    rehearsed: tuple[Charge, ...] = ()
    charged: tuple[float, ...] = ()
    settled: bool = False
