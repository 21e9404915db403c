"""How the object is named that counts in a stream, as its first event tells."""

from __future__ import annotations

from gateway_guard.core.usage_deeper import counts_elsewhere, key_of
from gateway_guard.core.usage_events import counts_in, payload
from gateway_guard.core.usage_pieces import KEY, META, each


def key_in(data: bytes, lines: bool) -> bytes:
    """How the name begins, by the first event in `data`, or line: `usage` nearly everywhere."""
    if META in data:
        counts = counts_in(next(each(data, lines)))
        if counts is not None and counts.answer is not None:
            return META
    elif counts_elsewhere(data):
        return key_of(payload(next(each(data, lines)))) or KEY
    return KEY
