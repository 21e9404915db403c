"""Limits as the policy compiled them: what each asks of a request, and what it really cost.

A limit is a leaky bucket in units used (`core.buckets`): it holds at most `capacity`, drains at
`rate` units a second, and a request fits when what is used plus its cost does not exceed the
capacity. Because what is kept is *units used*, changing the quota never resets or scales the count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from gateway_guard.core.adapt import Adapt, factor
from gateway_guard.core.buckets import Bucket, Oracle
from gateway_guard.core.rules import Condition, Test, tests_of
from gateway_guard.types import (
    UNKNOWN,
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

UNITS = ("requests", "tokens", "input-tokens", "output-tokens", "concurrent")
PARTS = (
    "account", "organisation", "client_ip", "subnet", "asn", "country", "model", "route",
    "campaign", "everyone",
)  # fmt: skip

#: Output tokens assumed per completion when the client sets no cap. Not measured.
DEFAULT_OUTPUT_TOKENS: Final = 1024
#: Most output tokens reserved per completion: agents send their model's maximum (32,000 to 128,000)
#: as a matter of course and write far less. What they do write beyond it is collected afterwards.
#: Not measured.
MOST_RESERVED_OUTPUT: Final = 16_384
#: Input tokens assumed when a body on a model route cannot be read. Not measured.
DEFAULT_INPUT_TOKENS: Final = 1024

#: Looking up a member of an enumeration costs more than comparing with it.
_UPSTREAM_ERROR: Final = Outcome.UPSTREAM_ERROR

#: Model routes that read tokens and write none: their output estimate is 0.
_WRITES_NOTHING: Final = (
    "/embeddings", "/embed", "/count_tokens", "/input_tokens", "/moderations", "/rerank",
    ":countTokens", ":embedContent", ":batchEmbedContents", ":computeTokens", "/count-tokens",
    "/reranking", "/score", "/classify", "/pooling", "/tokenize", "/detokenize",
    "/embedding", "/embed_all", "/embed_sparse", "/encode",
)  # fmt: skip

#: Longest model or path that stands in a key as it is, characters; a longer one is digested,
#: because the client chooses it and the store keeps it.
_LONGEST_PART: Final = 96

#: What a request is charged under for one limit; None when the limit does not apply to it.
KeyBuilder = Callable[[Request, Facts], str | None]


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
        key: builds the key; always made from `name` and `per`, whatever is given.
        rate: units regained per second before adaptation; always made from `quota` and `window`.
        tests: the tests of `conditions`; always made from them.
        counts: what of a request is charged: 0 the request itself, 1 its tokens, 2 those read, 3
            those written; always made from `unit`.
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
    key: KeyBuilder | None = None
    rate: float = 0.0
    tests: tuple[Test, ...] = ()
    counts: int = 0

    def __post_init__(self) -> None:
        force = msgspec.structs.force_setattr
        force(self, "key", key_builder(self.name, self.per))
        force(self, "rate", self.quota / self.window if self.window > 0.0 else 0.0)
        force(self, "tests", tests_of(self.conditions))
        force(self, "counts", _COUNTS.get(self.unit, 0))


_COUNTS: Final = {"tokens": 1, "input-tokens": 2, "output-tokens": 3}


def _account(request: Request, _facts: Facts) -> str:
    account = request.account
    if account is not None:
        return account
    return "anonymous:" + (request.subnet or request.client_ip or UNKNOWN)


def _organisation(request: Request, facts: Facts) -> str:
    organisation = facts.account.organisation
    return _short(organisation) if organisation is not None else _account(request, facts)


def _client_ip(request: Request, _facts: Facts) -> str:
    address = request.client_ip
    if address is None:
        return UNKNOWN
    return request.subnet or address if ":" in address else address


def _subnet(request: Request, _facts: Facts) -> str:
    return request.subnet or UNKNOWN


def _asn(_request: Request, facts: Facts) -> str:
    asn = facts.network.asn
    return UNKNOWN if asn is None else f"AS{asn}"


def _country(_request: Request, facts: Facts) -> str:
    return facts.network.country or UNKNOWN


def _model(request: Request, _facts: Facts) -> str:
    model = request.model
    # Upstreams ignore case and white space: another spelling is not another quota.
    return UNKNOWN if model is None else _short(model.strip().casefold())


def _route(request: Request, _facts: Facts) -> str:
    path = request.path
    return UNKNOWN if path is None else _short(path.casefold().rstrip("/") or "/")


def _campaign(_request: Request, facts: Facts) -> str | None:
    campaign = facts.campaign
    return None if campaign is None else campaign.id


def _everyone(_request: Request, _facts: Facts) -> str:
    return "everyone"


def _short(text: str) -> str:
    if len(text) <= _LONGEST_PART:
        return text
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{text[:32]}~{digest}"


_PART_OF: Final[dict[str, KeyBuilder]] = {
    "account": _account,
    "organisation": _organisation,
    "client_ip": _client_ip,
    "subnet": _subnet,
    "asn": _asn,
    "country": _country,
    "model": _model,
    "route": _route,
    "campaign": _campaign,
    "everyone": _everyone,
}


def key_builder(name: str, per: Sequence[str]) -> KeyBuilder:
    """The function that says under which key the limit `name` charges a request.

    A part nobody knows is spelled `unknown` (the account: `anonymous:` and the subnet), so that
    nothing goes uncounted. Different tuples of parts never give the same key.

    Raises:
        KeyError: a part is not in `PARTS`.
    """
    prefix = name + ":"
    parts = tuple(_PART_OF[part] for part in per)
    if len(parts) == 1:
        (only,) = parts
        if only is _account:

            def account(request: Request, facts: Facts) -> str | None:
                name = request.account
                return prefix + (name if name is not None else _account(request, facts))

            return account

        def single(request: Request, facts: Facts) -> str | None:
            value = only(request, facts)
            return None if value is None else prefix + value

        return single

    def several(request: Request, facts: Facts) -> str | None:
        values = []
        for part in parts:
            value = part(request, facts)
            if value is None:
                return None
            # The client chooses model and path; a separator in them must not forge another tuple.
            if "|" in value or "%" in value:
                value = value.replace("%", "%25").replace("|", "%7C")
            values.append(value)
        return prefix + "|".join(values)

    return several


def estimates(request: Request) -> tuple[int, int] | None:
    """(Input, output) tokens this request may cost; None when it reaches no model."""
    if not request.model_route:
        return None
    prompt = request.prompt
    if prompt is None:
        # A body that was not read, or a socket: whatever flows there is counted by assumption.
        inspection = request.inspection
        if inspection is not Inspection.NONE or request.method == "WEBSOCKET":
            return DEFAULT_INPUT_TOKENS, DEFAULT_OUTPUT_TOKENS
        return None
    path = request.path
    if path is not None and path.endswith(_WRITES_NOTHING):
        return prompt.input_tokens, 0
    cap = prompt.max_output_tokens
    if cap is None:
        cap = prompt.assumed_output_tokens
    elif cap > MOST_RESERVED_OUTPUT and not prompt.batch:
        # Of a batch nobody reports what it wrote: it pays in advance.
        cap = MOST_RESERVED_OUTPUT
    return prompt.input_tokens, cap * prompt.n if cap > 0 else 0


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
        quota=quota, window=limit.window,
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


def actuals(charges: Sequence[Charge], request: Request, usage: Usage) -> tuple[float, ...]:
    """What each charge really cost, same order, units of the charge.

    Tokens nobody counted stay at the estimate: absent is not 0, and an explicit 0 is 0. Only an
    upstream that failed without counting did no work: then absent tokens are 0. An output estimated
    from what was delivered never exceeds what the client was allowed to receive.
    """
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
        if prompt is not None and prompt.max_output_tokens is not None:
            written = min(written, max(0, prompt.max_output_tokens * prompt.n))
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
    return tuple(costs)
