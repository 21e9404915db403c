"""What a client may know of its limits, as response headers.

Two forms, both on every enforced response:

* `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10), one item for each
  limit. Tokens are counted under `qu="tokens"`, `"input-tokens"` and `"output-tokens"`. These units
  are not registered; without one the draft's default would read 400,000 *requests*.
* the dialect's own: `x-ratelimit-*` (OpenAI; resets as durations, `6m0s`) or
  `anthropic-ratelimit-*` (resets in RFC 3339), each kind showing the tightest limit in force.

Quotas are those in force, after adaptation. A limit per campaign is never shown: it would tell
accounts that they have been linked.

Where the upstream sends such headers itself, nothing gets looser: its `RateLimit` lines stay beside
ours (together they are one list), and of two families for the same kind (`x-ratelimit-…-tokens`)
the one with less remaining stays, whole.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from gateway_guard.types import Dialect, Exchange, Grant

Headers = list[tuple[bytes, bytes]]

_UNITS: Final = {
    "requests": "",
    "concurrent": ';qu="concurrent-requests"',
    "tokens": ';qu="tokens"',
    "input-tokens": ';qu="input-tokens"',
    "output-tokens": ';qu="output-tokens"',
}

#: Largest integer of a structured field (RFC 9651 §3.3.1).
_LARGEST: Final = 999_999_999_999_999

#: From this limit on Anthropic's remaining tokens are rounded to thousands, as the original does.
_ROUNDED_FROM: Final = 10_000


def rate_limit_headers(exchange: Exchange) -> Headers:
    """The headers for this exchange's grants, lower-case names; empty when no limit applied."""
    decision = exchange.decision
    grants: Sequence[Grant] = decision.grants
    if not grants:
        return []
    campaign = exchange.facts.campaign
    if campaign is not None:
        grants = shown(grants, campaign.id)
        if not grants:
            return []
    wait = decision.retry_after
    policies: list[str] = []
    states: list[str] = []
    tightest: dict[str, Grant] = {}
    for grant in grants:
        charge = grant.charge
        unit = charge.unit
        policies.append(_policy_item(charge.limit, unit, charge.quota, charge.window))
        remaining = grant.remaining
        if unit == "concurrent":
            states.append(f'"{charge.limit}";r={int(remaining)}')
            continue
        reset = grant.reset
        if wait is not None and reset > wait:
            reset = wait  # Retry-After should not be earlier than `t`
        states.append(
            f'"{charge.limit}";r={int(remaining) if remaining < _LARGEST else _LARGEST}'
            f";t={-int(-reset // 1) if reset < _LARGEST else _LARGEST}"
        )
        other = tightest.get(unit)
        if other is None or remaining < other.remaining:
            tightest[unit] = grant
    headers = [
        (b"ratelimit-policy", ",".join(policies).encode("latin-1")),
        (b"ratelimit", ",".join(states).encode("latin-1")),
    ]
    dialect = exchange.request.dialect
    if dialect is Dialect.OPENAI:
        for unit in ("requests", "tokens"):
            tight = tightest.get(unit)
            if tight is not None:
                limit, left, reset_name = _OPENAI_NAMES[unit]
                headers.append((limit, b"%d" % tight.charge.quota))
                headers.append((left, b"%d" % tight.remaining))
                headers.append((reset_name, duration(tight.reset)))
    elif dialect is Dialect.ANTHROPIC:
        at = exchange.request.at
        for unit, tight in tightest.items():
            limit, left, reset_name = _ANTHROPIC_NAMES[unit]
            quota = int(tight.charge.quota)
            remaining = int(tight.remaining)
            if unit != "requests" and quota >= _ROUNDED_FROM:
                remaining = min(quota, (remaining + 500) // 1000 * 1000)
            headers.append((limit, b"%d" % quota))
            headers.append((left, b"%d" % remaining))
            headers.append((reset_name, rfc3339(math.ceil(at + min(tight.reset, 1e9)))))
    return headers


def shown(grants: Sequence[Grant], campaign: str) -> list[Grant]:
    """The grants a client may hear of: all but those counted per campaign."""
    return [grant for grant in grants if campaign not in grant.charge.key]


def merge(upstream: Headers, ours: Headers) -> Headers:
    """The upstream's headers with ours, never looser than either."""
    if not ours:
        return upstream
    for name, _ in upstream:
        if len(name) >= 22 and name.lower() in _FAMILY_OF:
            return _tighter(upstream, ours)
    return upstream + ours


def _tighter(upstream: Headers, ours: Headers) -> Headers:
    theirs = {
        _FAMILY_OF[name.lower()]: value for name, value in upstream if name.lower() in _REMAINING
    }
    mine = {_FAMILY_OF[name]: value for name, value in ours if name in _REMAINING}
    # What cannot be compared is kept as the upstream sent it.
    dropped_mine = {
        family for family, left in mine.items()
        if family in theirs and not _less(left, theirs[family])
    }  # fmt: skip
    dropped_theirs = mine.keys() - dropped_mine
    merged = [pair for pair in upstream if _FAMILY_OF.get(pair[0].lower()) not in dropped_theirs]
    merged.extend(pair for pair in ours if _FAMILY_OF.get(pair[0]) not in dropped_mine)
    return merged


def _less(ours: bytes, theirs: bytes) -> bool:
    return theirs.strip().isdigit() and int(ours) < int(theirs)


def duration(seconds: float) -> bytes:
    """A wait as OpenAI writes it: `0s`, `12ms`, `1.5s`, `6m0s`, `2h0m3s`; rounded up to 1 ms."""
    if seconds >= _LARGEST:
        seconds = _LARGEST
    milliseconds = int(seconds * 1000 + 0.999)
    if milliseconds < 1000:
        return b"%dms" % milliseconds if milliseconds > 0 else b"0s"
    if milliseconds < 60_000:
        return b"%gs" % (milliseconds / 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    tail = b"%gs" % (rest / 1000)
    if minutes < 60:
        return b"%dm" % minutes + tail
    return b"%dh%dm" % divmod(minutes, 60) + tail


@lru_cache(maxsize=1024)
def rfc3339(second: int) -> bytes:
    """A moment in Unix seconds as `2026-03-02T12:00:00Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second)).encode("ascii")


@lru_cache(maxsize=4096)
def _policy_item(limit: str, unit: str, quota: float, window: float) -> str:
    text = f'"{limit}";q={min(int(quota), _LARGEST)}{_UNITS[unit]}'
    return f"{text};w={max(1, round(window))}" if window > 0 else text


def _names(prefix: str, kind: str, *, kind_last: bool) -> tuple[bytes, bytes, bytes]:
    limit, left, reset = (
        (f"{prefix}-{part}-{kind}" if kind_last else f"{prefix}-{kind}-{part}").encode("ascii")
        for part in ("limit", "remaining", "reset")
    )
    return limit, left, reset


_OPENAI_NAMES: Final = {
    kind: _names("x-ratelimit", kind, kind_last=True) for kind in ("requests", "tokens")
}
_ANTHROPIC_NAMES: Final = {
    kind: _names("anthropic-ratelimit", kind, kind_last=False)
    for kind in ("requests", "tokens", "input-tokens", "output-tokens")
}
_TRIPLES: Final = (*_OPENAI_NAMES.values(), *_ANTHROPIC_NAMES.values())
#: header name → the `remaining` header of its family
_FAMILY_OF: Final = {name: triple[1] for triple in _TRIPLES for name in triple}
_REMAINING: Final = frozenset(triple[1] for triple in _TRIPLES)

__all__ = ["duration", "merge", "rate_limit_headers", "rfc3339", "shown"]
