"""How each gateway is told what was decided. Pure.

An allowed request is answered with 200 and `X-Guard-*` fields to hand to the upstream. A refusal is
the client's answer as it is, except for nginx: its `auth_request` passes on 401 and 403 only, makes
a 500 of everything else and shows no field, so the real status, wait and body travel in fields that
its configuration reads.
"""

from __future__ import annotations

import math
from typing import Final

from gateway_guard.frontends.extauth.original import Gateway
from gateway_guard.frontends.headers import rate_limit_headers
from gateway_guard.frontends.refusals import Answer, refusal
from gateway_guard.types import Exchange, Restrictions

#: Longest body that travels in a header field; nginx reads a head into 4 KiB by default.
_MOST_BODY: Final = 2048
#: The answer to a question nobody should have asked: refused whatever the gateway does with errors.
MISASKED: Final[Answer] = (
    403,
    [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store"),
     (b"x-guard-status", b"403"), (b"x-guard-action", b"deny")],
    b"This request was refused.\n",
)  # fmt: skip


def answer(gateway: Gateway, exchange: Exchange, *, tells: bool, accept: bytes = b"") -> Answer:
    """Status, headers and body for the gateway.

    `tells`: whether clients may hear of their limits (the policy's `headers`, enforced); `accept`
    is the client's `Accept`, empty when absent.
    """
    if exchange.decision.forwards:
        told = _facts(exchange)
        if tells:
            told += rate_limit_headers(exchange)
        return 200, told, b""
    status, headers, body = refusal(exchange, accept=accept)
    if gateway is not Gateway.NGINX:
        # The client reads every field of it: nothing of what was found may be among them.
        return status, headers, body
    told = [*_facts(exchange), (b"x-guard-status", b"%d" % status)]
    wait = exchange.decision.retry_after
    if wait is not None:
        told.append((b"x-guard-retry-after", b"%d" % max(1, math.ceil(wait))))
    if len(body) <= _MOST_BODY and all(0x20 <= byte < 0x7F for byte in body):
        told.append((b"x-guard-body", body))
    return 401 if status == 401 else 403, told + headers, body


def _facts(exchange: Exchange) -> list[tuple[bytes, bytes]]:
    """What the upstream may be told of the decision. Every name is there, known or not: a gateway
    that copies them overwrites what a client sent under the same name."""
    request, decision = exchange.request, exchange.decision
    restrictions = decision.restrictions if decision.acted else None
    facts = [
        (b"x-guard-request-id", request.id),
        (b"x-guard-action", decision.action.word),
        (b"x-guard-account", request.account or ""),
        (b"x-guard-country", exchange.facts.network.country or ""),
        (b"x-guard-risk", f"{exchange.assessment.risk:.2f}"),
        (b"x-guard-restrict", _restrict(restrictions) if restrictions is not None else ""),
    ]
    return [(name, value.encode("ascii", "replace")) for name, value in facts]


def _restrict(restrictions: Restrictions) -> str:
    """What to take away, as a structured-field dictionary (RFC 9651)."""
    parts = []
    if restrictions.max_output_tokens is not None:
        parts.append(f"max-output-tokens={restrictions.max_output_tokens}")
    if restrictions.logprobs is False:
        parts.append("logprobs=?0")
    if restrictions.n is not None:
        parts.append(f"n={restrictions.n}")
    return ", ".join(parts)
