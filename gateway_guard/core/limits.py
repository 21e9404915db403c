"""Limits as the policy compiled them: what each asks of a request, and what it really cost.

A limit is a leaky bucket in units used (`core.buckets`): it holds at most `capacity`, drains at
`rate` units a second, and a request fits when what is used plus its cost does not exceed the
capacity. Because what is kept is *units used*, changing the quota never resets or scales the count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway_guard.core.adapt import factor
from gateway_guard.core.buckets import Bucket, Oracle
from gateway_guard.core.caps import WRITES_NOTHING
from gateway_guard.core.limit import PARTS, UNITS, Limit, key_builder
from gateway_guard.types import (
    Assessment,
    Charge,
    Facts,
    Inspection,
    Outcome,
    Request,
    Usage,
)

__all__ = [
    "DEFAULT_INPUT_TOKENS",
    "DEFAULT_OUTPUT_TOKENS",
    "MOST_RESERVED_OUTPUT",
    "PARTS",
    "UNITS",
    "Bucket",
    "Limit",
    "Oracle",
    "actuals",
    "charge_for",
    "charges_for",
    "estimates",
    "key_builder",
]

#: Output tokens assumed per completion when the client sets no cap. Not measured.
DEFAULT_OUTPUT_TOKENS: Final = 1024
#: Most output tokens reserved per completion: agents send their model's maximum (32,000 to 128,000)
#: as a matter of course and write far less. What they do write beyond it is collected afterwards.
#: Not measured.
MOST_RESERVED_OUTPUT: Final = 16_384
#: Input tokens assumed when a body on a model route cannot be read. Not measured.
DEFAULT_INPUT_TOKENS: Final = 1024

#: How far above the cap an estimate may be before it is the cap that is wrong, times and tokens:
#: servers pass over caps they do not know by that name, and to Ollama 0 is none. Tokens of blanks
#: or long words hold several times the bytes of others. Not measured.
_MISCOUNTED: Final = 4
_FEW: Final = 64

#: Looking up a member of an enumeration costs more than comparing with it.
_UPSTREAM_ERROR: Final = Outcome.UPSTREAM_ERROR
_REFUSED: Final = Outcome.REFUSED


def estimates(request: Request) -> tuple[int, int] | None:
    """(Input, output) tokens this request may cost; None when it reaches no model."""
    if not request.model_route:
        return None
    prompt = request.prompt
    if prompt is None:
        # A body that was not read is counted by assumption, and what flows over a socket until
        # the upstream says what did (`core.tally`).
        inspection = request.inspection
        if inspection is not Inspection.NONE or request.method == "WEBSOCKET":
            return DEFAULT_INPUT_TOKENS, DEFAULT_OUTPUT_TOKENS
        return None
    path = request.path
    if path is not None and path.endswith(WRITES_NOTHING):
        return prompt.input_tokens, 0
    cap = prompt.max_output_tokens
    if cap is None:
        # A batch without a cap is one request in the background: as long as models write.
        cap = MOST_RESERVED_OUTPUT if prompt.batch else prompt.assumed_output_tokens
    elif cap > MOST_RESERVED_OUTPUT and not prompt.batch:
        # Of a batch nobody reports what it wrote: it pays in advance.
        cap = MOST_RESERVED_OUTPUT
    return prompt.input_tokens, cap * prompt.n if cap > 0 else 0


def told_apart(usage: Usage, request: Request) -> Usage:
    """`usage` without a total: what is missing of its parts taken from that.

    Both parts together are that total, so limits on tokens are exact. What was read is known before
    anything is written, so its estimate is believed as far as the total goes; the rest was written.
    """
    total = usage.total_tokens
    if total is None:
        return usage
    read, written = usage.input_tokens, usage.output_tokens
    if read is None:
        if written is None:
            asked, answer = estimates(request) or (0, 0)
            read = min(asked, total) if answer else total
        else:
            read = max(0, total - written)
    if written is None:
        written = max(0, total - read)
    return msgspec.structs.replace(
        usage, input_tokens=read, output_tokens=written, total_tokens=None
    )


def charges_for(
    limits: Sequence[Limit], request: Request, facts: Facts, assessment: Assessment
) -> tuple[Charge, ...]:
    """What every limit in scope is asked for, in policy order, sized for this request's risk.

    Token limits charge nothing where no model is reached. A request is indivisible: however small
    a share adaptation leaves, the bucket holds one, only refilled more slowly; a share of 0
    suspends (capacity 0, which no charge fits).
    """
    charges: list[Charge] = []
    estimated = False
    tokens: tuple[int, int] | None = None
    for limit in limits:
        for test in limit.tests:
            if not test(request, facts, assessment):
                break
        else:
            counts = limit.counts
            cost = 1.0
            if counts:
                if not estimated:
                    tokens = estimates(request)
                    estimated = True
                if tokens is None:
                    continue
                cost = float(tokens[0] + tokens[1] if counts == 1 else tokens[counts - 2])
            charge = charge_for(limit, cost, request, facts, assessment)
            if charge is not None:
                charges.append(charge)
    return tuple(charges)


def charge_for(
    limit: Limit, cost: float, request: Request, facts: Facts, assessment: Assessment
) -> Charge | None:
    """What a limit in scope is asked for, at `cost` units; None where it has no key."""
    key = limit.key(request, facts)  # type: ignore[misc]  # set by __post_init__
    if key is None:
        return None
    capacity, rate, quota = limit.burst, limit.rate, limit.quota
    adapt = limit.adapt
    if adapt is not None:
        share = factor(adapt, facts, assessment.risk, request.at)
        if share != 1.0:
            quota *= share
            rate *= share
            capacity = _scaled(capacity, share, limit.unit)
    return Charge(
        limit=limit.name, key=key, unit=limit.unit, cost=cost, capacity=capacity, rate=rate,
        quota=quota, window=limit.window, hidden=limit.hidden,
    )  # fmt: skip


def _scaled(capacity: float, share: float, unit: str) -> float:
    if share <= 0.0:
        return 0.0
    scaled = capacity * share
    if unit == "concurrent":
        return float(max(1, int(scaled + 1e-9)))
    if unit == "requests":
        return max(1.0, scaled)
    return scaled


def actuals(
    charges: Sequence[Charge], request: Request, usage: Usage, charged: Sequence[float] = ()
) -> tuple[float, ...]:
    """What each charge really cost, same order, units of the charge, less what was `charged` since
    it was reserved.

    A request that was refused after all reached nobody, and costs nothing. Otherwise tokens nobody
    counted stay at the estimate: absent is not 0, and an explicit 0 is 0. Only an
    upstream that failed without counting did no work: then absent tokens are 0. An output estimated
    from what was delivered never exceeds what the client was allowed to receive, as long as its
    upstream may have kept to that (`_MISCOUNTED`). A batch that was taken costs no less than its
    estimate, whatever was delivered: it goes on when its client has left.
    """
    if usage.outcome is _REFUSED:
        return (0.0,) * len(charges)
    read, written = usage.input_tokens, usage.output_tokens
    if usage.outcome is _UPSTREAM_ERROR:
        read = 0 if read is None else read
        written = 0 if written is None else written
    if read is None or written is None:
        estimate = estimates(request) or (0, 0)
        if read is None:
            read = estimate[0]
    if written is None:
        written = estimate[1]
    elif not usage.reported:
        prompt = request.prompt
        if prompt is not None and prompt.batch:
            if usage.outcome is not _UPSTREAM_ERROR and (usage.status or 0) < 400:
                written = max(written, (estimates(request) or (0, 0))[1])
        elif prompt is not None and prompt.max_output_tokens is not None:
            allowed = max(0, prompt.max_output_tokens * prompt.n)
            if allowed < written <= _MISCOUNTED * allowed + _FEW:
                written = allowed
    costs: list[float] = []
    for charge in charges:
        unit = charge.unit
        if unit == "requests":
            costs.append(charge.cost)
        elif unit == "tokens":
            costs.append(float(read + written))
        elif unit == "concurrent":
            costs.append(0.0)
        elif unit == "input-tokens":
            costs.append(float(read))
        else:
            costs.append(float(written))
    if charged:
        return tuple([cost - before for cost, before in zip(costs, charged, strict=True)])
    return tuple(costs)
