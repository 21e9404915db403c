"""What the responses over one WebSocket have cost so far, and what limits are to be charged. Pure.

A handshake reserves the estimate of one response. What the responses cost beyond that is charged as
each of them ends; the settlement at the end of the session charges the rest, so that all together
is charged once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway_guard.core.buckets import taken
from gateway_guard.core.limits import DEFAULT_INPUT_TOKENS, DEFAULT_OUTPUT_TOKENS
from gateway_guard.core.usage_socket import event_in
from gateway_guard.types import Charge, Grant, Outcome, Usage

#: More than any bucket holds: what was delivered is charged, be there room or not.
BOUNDLESS: Final = 2.0**50
#: Units of limits that count tokens.
TOKENS: Final = frozenset(("tokens", "input-tokens", "output-tokens"))


class Tally(msgspec.Struct, gc=False):
    """What the upstream said over one WebSocket.

    Attributes:
        read, written: tokens of what has ended.
        ended: responses that have, and whatever else was counted.
        open: responses that have begun, and not ended.
        events: messages since the last of them began or ended, which deliver a token each, or more.
        reported: whether the upstream counted all that has ended.
    """

    read: int = 0
    written: int = 0
    ended: int = 0
    open: int = 0
    events: int = 0
    reported: bool = True

    def hear(self, text: str) -> bool:
        """A message on its way to the client; whether it says what something cost."""
        event = event_in(text)
        if event is None:
            if self.open:
                self.events += 1
            return False
        if event.begins:
            self.open += 1
            self.events = 0
            return False
        read, written = event.read, event.written
        if event.ends and (read is None or written is None):
            # Absent is not 0, unless the upstream failed.
            self.reported = False
            if read is None:
                read = 0 if event.failed else DEFAULT_INPUT_TOKENS
            if written is None:
                written = 0 if event.failed else self.events
        self.read += read or 0
        self.written += written or 0
        self.ended += 1
        if event.ends:
            self.open = max(0, self.open - 1)
            self.events = 0
        return True

    def usage(self, outcome: Outcome) -> Usage:
        """What the session cost: the estimate of one response where none was seen to begin.

        A response whose end was not seen costs the estimate, or what was delivered of it.
        """
        if not self.ended and not self.open:
            return Usage(outcome=outcome)
        read, written = self.read, self.written
        if self.open:
            read += self.open * DEFAULT_INPUT_TOKENS
            written += max(self.open * DEFAULT_OUTPUT_TOKENS, self.events)
        return Usage(
            input_tokens=read, output_tokens=written, outcome=outcome,
            reported=self.reported and not self.open,
        )  # fmt: skip


def owing(
    charges: Sequence[Charge], charged: Sequence[float], read: int, written: int
) -> tuple[float, ...]:
    """Units still to be charged of each, >= 0, once `read` and `written` tokens have been used.

    `charges` are what the handshake reserved, `charged` what has been charged since, in that order.
    """
    used = {"tokens": read + written, "input-tokens": read, "output-tokens": written}
    return tuple(
        max(0.0, used[charge.unit] - taken(charge) - before) if charge.unit in used else 0.0
        for charge, before in zip(charges, charged, strict=True)
    )


def wait_where_used_up(charge: Charge, grant: Grant) -> float | None:
    """Seconds until a handshake has room again, where its limit is used up; None where it is not.

    `charge` is the handshake's, `grant` the answer to what was charged since. The bucket is full
    when it needs as long to drain as a full one, whatever share of it this worker has.
    """
    if charge.rate <= 0.0 or grant.reset < charge.capacity / charge.rate:
        return None
    return grant.reset - (charge.capacity - taken(charge)) / charge.rate
