"""What was delivered of a stream whose upstream did not count it."""

from __future__ import annotations

import math
from typing import Final

from gateway_guard.core.usage_pieces import repeated
from gateway_guard.core.usage_text import delta_bytes

#: Characters per token of ordinary text. Source: the usual rule of thumb, also bitrouter's and
#: open-ace's fallback; not measured here.
_BYTES_PER_TOKEN: Final = 4.0


def tokens(samples: list[bytes], count: int, total: int) -> int:
    """Tokens delivered by `count` events of `total` bytes, `samples` among them.

    They are the bytes of text over four, and at least one for each event with text.

    Sampled events tell how much of an event is not text; that much is taken off every other.
    Events that repeat what was said or asked for count nothing. A stream of which nothing can
    be read counts by its bytes alone.
    """
    text = size = events = speaking = overhead = 0
    for event in samples:
        said = delta_bytes(event)
        if said is None or repeated(event)[0]:
            continue
        events += 1
        size += len(event)
        text += said
        if said:
            speaking += 1
            overhead += len(event) - said
    if not events:
        return math.ceil(total / _BYTES_PER_TOKEN)
    rest = count - events
    rest_bytes = total - size
    said_by_all = float(text)
    spoke = float(speaking)
    if rest > 0 and speaking:
        said_by_all += max(0.0, rest_bytes - rest * overhead / speaking)
        spoke += rest * speaking / events
    return math.ceil(max(said_by_all / _BYTES_PER_TOKEN, spoke))
