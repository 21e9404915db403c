"""How a refusal, or an upstream's failure, is said to the client: in its own dialect.

What the client reads is the same for every reason the guard may have had; the exact reason is in
the decision log, found by the request id. Forms: OpenAI's, Anthropic's, Google's, Amazon's and
Ollama's error bodies, and RFC 9457 problem details for whoever speaks none of them or asks for them
in `Accept`.

A 429 is always `quota-exceeded` there, never `abnormal-usage-detected`: that type exists, but would
tell an extractor which of its requests were recognised.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from gateway_guard.frontends.headers import merge, rate_limit_headers, shown
from gateway_guard.frontends.wording import FORMS, Told, form_for, milliseconds, whole
from gateway_guard.types import Action, Dialect, Exchange, Grant, Request

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]

#: Longest wait, seconds, that the vendors' SDKs keep; a longer one makes older releases retry after
#: a backoff of their own, 0.5 to 8 s. Source: their `_calculate_retry_timeout`.
_PATIENCE: Final = 60.0

_INVALID_TOKEN: Final = b'Bearer error="invalid_token"'
_STEP_UP: Final = b'Bearer error="insufficient_user_authentication"'

_VERIFY: Final = "This account must be verified before it can continue."
_TEXTS: Final[Mapping[str, str]] = {
    "invalid": "The request could not be read.",
    "unauthenticated": "The credential of this request is not valid.",
    "unpaid": "Payment is required before this account can continue.",
    "challenged": _VERIFY,
    "unverified": _VERIFY,
    "denied": "This request was refused.",
    "unavailable-here": "Country, region, or territory not supported.",
    "too-large": "The request body is too large.",
    "unreadable": "The type, character set or encoding of the request body is not supported.",
    "failed": "The request could not be processed.",
    "uncounted": "The service is temporarily unable to take this request.",
    "overloaded": "The service has more to do than it can. Please try again shortly.",
}

_KINDS: Final[Mapping[int, str]] = {
    400: "invalid",
    401: "unauthenticated",
    402: "unpaid",
    413: "too-large",
    415: "unreadable",
    429: "throttled",
    451: "unavailable-here",
    500: "failed",
    503: "uncounted",
}

#: What a refusal is called in the decision log that nothing but too much load is the reason for.
OVERLOADED: Final = "guard:overload"

#: Status of a request that could not be forwarded, or came back without an answer → kind.
_FAILURES: Final[Mapping[int, str]] = {
    408: "too-slow",
    413: "too-large",
    415: "unreadable",
    502: "bad-gateway",
    503: "uncounted",
    504: "timeout",
}


def refusal(exchange: Exchange, *, accept: bytes = b"") -> Answer:
    """Status, headers and body of the refusal that `exchange.decision` asks for.

    `accept` is the client's `Accept` header, empty when absent. Headers have lower-case names and
    include the rate-limit headers and `content-length`; the body of a HEAD is the caller's to omit.
    """
    decision, request = exchange.decision, exchange.request
    status = decision.status or 403
    wait = decision.retry_after
    url: str | None = None
    kind = _KINDS.get(status, "denied" if status < 500 else "failed")
    unit = ""
    limits: tuple[str, ...] = ()
    if decision.rule == OVERLOADED:
        kind, text = "overloaded", _TEXTS["overloaded"]
    elif decision.action is Action.CHALLENGE:
        kind = "unverified" if status == 401 else "challenged"
        url = decision.challenge_url
        text = f"{_TEXTS[kind]} Verify at {url}" if url else _TEXTS[kind]
    elif kind == "throttled":
        refusing = [grant for grant in exchange.decision.grants if not grant.allowed]
        if exchange.facts.campaign is not None:
            refusing = shown(refusing)
        unit, limits, text = _throttle(refusing, wait)
    else:
        text = _TEXTS[kind]
    told = Told(
        kind=kind, status=status, text=text, id=request.id, path=request.path, unit=unit,
        limits=limits, url=url, wait=wait,
    )  # fmt: skip
    headers, body = _write(request.dialect, accept, told)
    if wait is not None:
        _retry_headers(headers, wait, precise=FORMS[request.dialect].milliseconds)
    if status < 500 and (unit != "concurrent" if wait is None else wait > _PATIENCE):
        # Refused for good or for long: SDKs otherwise retry a 429 and multiply the load.
        headers.append((b"x-should-retry", b"false"))
    if url is not None:
        target = _url(url)
        headers.append((b"x-guard-challenge-url", target))
        headers.append((b"link", b"<" + target + b'>; rel="help"'))
    if status == 401:
        # RFC 9110 §15.5.2 wants it on every 401; the step-up error is RFC 9470's.
        stepping_up = decision.action is Action.CHALLENGE
        headers.append((b"www-authenticate", _STEP_UP if stepping_up else _INVALID_TOKEN))
    return status, merge(headers, rate_limit_headers(exchange)), body


def upstream_failure(request: Request, status: int, message: str, *, accept: bytes = b"") -> Answer:
    """The answer when the upstream did not give one, in the client's dialect.

    502 and 504 are the upstream's failures; a status below 500 says what of the request could not
    be forwarded. `message` goes to the client as it is: one sentence, no address of the upstream.
    """
    kind = _FAILURES.get(status) or ("invalid" if status < 500 else "failed")
    told = Told(kind=kind, status=status, text=message, id=request.id, path=request.path)
    headers, body = _write(request.dialect, accept, told)
    return status, headers, body


def _write(dialect: Dialect, accept: bytes, told: Told) -> tuple[list[tuple[bytes, bytes]], bytes]:
    form = form_for(dialect, accept, told.path)
    body = msgspec.json.encode(form.render(told))
    headers = [
        (b"content-type", form.content_type),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (FORMS[dialect].id_header, told.id.encode("ascii", "replace")),
        *form.headers(told),
    ]
    return headers, body


def _throttle(refusing: list[Grant], wait: float | None) -> tuple[str, tuple[str, ...], str]:
    """Unit, limit names and text of a 429."""
    unit = ""
    longest = -1.0
    for grant in refusing:
        if grant.retry_after > longest:
            longest, unit = grant.retry_after, grant.charge.unit
    limits = tuple(grant.charge.limit for grant in refusing)
    if unit == "concurrent":
        text = "Too many requests in flight. Please try again when one of them has finished."
    else:
        text = f"Rate limit reached for {unit or 'requests'}."
        if wait is not None:
            text += f" Please try again in {_seconds(wait)}."
    return unit, limits, text


def _seconds(wait: float) -> str:
    exact = math.ceil(round(wait * 1000, 3))
    if exact < 1000:
        return f"{exact}ms"
    return f"{exact / 1000:.3f}".rstrip("0").rstrip(".") + "s"


def _retry_headers(headers: list[tuple[bytes, bytes]], wait: float, *, precise: bool) -> None:
    headers.append((b"retry-after", b"%d" % whole(wait)))
    if precise:
        headers.append((b"retry-after-ms", b"%d" % milliseconds(wait)))


def _url(url: str) -> bytes:
    """An operator's URL as a header value: what has no place in one is percent-encoded."""
    return b"".join(
        bytes((byte,)) if 0x20 < byte < 0x7F and byte not in b'<>"' else b"%%%02X" % byte
        for byte in url.encode("utf-8", "surrogateescape")
    )
