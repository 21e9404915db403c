"""What is said of a decision, whichever way a gateway asked. Pure.

Two readers: the client, who gets its answer or the fields about its limits, and the upstream, which
may know the facts. How either is written is each protocol's own: fields here (`answers`), variables
of HAProxy (`spoe.answers`), messages of Envoy (`envoy.answers`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from gateway_guard.frontends.headers import Headers, rate_limit_headers
from gateway_guard.frontends.refusals import refusal
from gateway_guard.types import Exchange, Restrictions

#: Lets a request through.
ALLOWED: Final = 200
#: What the upstream may be told. Every name is always said, known or not: a gateway that copies
#: them overwrites what a client sent under the same name.
FACTS: Final = ("request-id", "action", "account", "country", "risk", "restrict")


class Told(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is said of one question.

    Attributes:
        status: `ALLOWED`, or the client's.
        headers: for the client, lower-case names: its limits where it is let through and may hear
            of them, all fields of the answer where it is refused.
        body: of the refusal; empty where it is let through.
        facts: by names of `FACTS`; those left out are unknown, as are empty ones. In shadow
            `action` may be `deny` beside `ALLOWED`.
    """

    status: int
    headers: Headers
    body: bytes
    facts: Mapping[str, str]

    def fact(self, name: str) -> bytes:
        """One of `FACTS`; empty when unknown."""
        return self.facts.get(name, "").encode("ascii", "replace")

    def header(self, name: bytes) -> bytes:
        """One of `headers`; empty when there is none."""
        return next((value for known, value in self.headers if known == name), b"")


#: The answer to a question nobody should have asked: refused, whatever a gateway does with errors.
MISASKED: Final = Told(
    status=403,
    headers=[
        (b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store"),
    ],
    body=b"This request was refused.\n",
    facts={"action": "deny"},
)  # fmt: skip


def tell(exchange: Exchange, *, tells: bool, accept: bytes = b"") -> Told:
    """What is said of `exchange`.

    `tells`: whether clients may hear of their limits (the policy's `headers`, enforced); `accept`
    is the client's `Accept`, empty when absent.
    """
    facts = _facts(exchange)
    if exchange.decision.forwards:
        limits = rate_limit_headers(exchange) if tells else []
        return Told(status=ALLOWED, headers=limits, body=b"", facts=facts)
    status, headers, body = refusal(exchange, accept=accept)
    return Told(status=status, headers=headers, body=body, facts=facts)


def _facts(exchange: Exchange) -> dict[str, str]:
    request, decision = exchange.request, exchange.decision
    restrictions = decision.restrictions if decision.acted else None
    return {
        "request-id": request.id,
        "action": decision.action.word,
        "account": request.account or "",
        "country": exchange.facts.network.country or "",
        "risk": f"{exchange.assessment.risk:.2f}",
        "restrict": _restrict(restrictions) if restrictions is not None else "",
    }


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
