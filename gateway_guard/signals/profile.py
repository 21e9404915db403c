"""What the guard remembers of one account: counters and sketches of fixed size, never text.

Written only by `core.profile.observe`; detectors read it. Everything runs on the time of events
(`Request.at`): replayed traffic gives the same profile as live traffic, and a request that is
older than the newest one seen moves no clock.
"""

from __future__ import annotations

from array import array
from math import log, log2
from typing import Final

import msgspec

from gateway_guard.types import Held

#: Sums over requests lose half their weight in this time, seconds. Not measured.
HALF_LIFE: Final = 12 * 3600.0
FADE: Final = log(2.0) / HALF_LIFE

#: Layout of `Profile.sketch`, in bytes.
FRAGMENTS: Final = 512
SLOTS: Final = 16
SLOT_BYTES: Final = 16
FILLINGS_AT: Final = FRAGMENTS
ONES_AT: Final = FILLINGS_AT + SLOTS * SLOT_BYTES
OLD_ONES_AT: Final = ONES_AT + SLOTS
CREDIT_AT: Final = OLD_ONES_AT + SLOTS
GAPS_AT: Final = CREDIT_AT + SLOTS
GAP_BINS: Final = 24
SKETCH_BYTES: Final = GAPS_AT + GAP_BINS

#: Hours of volume kept for the account's own norm.
VOLUME_HOURS: Final = 24
#: Layout of `Profile.cells`: who holds each template slot (0 nobody), then the ring of requests
#: and the ring of tokens / `TOKEN_UNIT` of past active hours.
REQUESTS_AT: Final = SLOTS
TOKENS_AT: Final = REQUESTS_AT + VOLUME_HOURS
CELLS: Final = TOKENS_AT + VOLUME_HOURS
#: Countries, and as many networks, remembered of an account that moves. Each is one entry of
#: `Profile.visited`, countries first: what it is in the upper 32 bits, the minute it was last
#: seen in the lower; 0 is empty.
VISITED: Final = 8
#: Tokens per unit in `Profile.volumes`; 65,535 units are 6.5 million tokens an hour.
TOKEN_UNIT: Final = 100.0

#: Keeps a system text from being taken for a user's.
SYSTEM: Final = 0x165667B19E3779F9
SLOT_MASK: Final = SLOTS - 1
TAG_MASK: Final = 0xFFFF

#: Shingles of one prompt that are remembered, at most.
SAMPLE: Final = 16

_BITS: Final = SLOT_BYTES * 8

#: Bits set of 128 → distinct values: linear counting, n = -m ln(1 - ones / m); the last entry is
#: the value for a full map. Standard error 14 % at 455. Source: Whang, Vander-Zanden, Taylor
#: 1990, eq. 1.
DISTINCT: Final = (
    *(-_BITS * log(1.0 - ones / _BITS) for ones in range(_BITS)),
    _BITS * log(_BITS) + _BITS,
)

#: c → c log2 c, for entropies kept up to date by differences.
C_LOG_C: Final = (0.0, *(c * log2(c) for c in range(1, 257)))


class Profile(msgspec.Struct, kw_only=True, gc=False):
    """One account's memory, at most 2 KB with everything filled (measured in `tests/core`).

    Attributes:
        held: highest recent risk, for quotas that recover slowly.
        events: requests observed.
        last: newest event time, Unix seconds; -inf before any event.
        prompts, elicited: requests with a readable prompt, and the sum of their elicitation
            strengths, both fading with `HALF_LIFE` as of `last`.
        repeats: smoothed share of a prompt's fragments this account has sent before, in [0, 1].
        fragments: prompts that went into `repeats`, counted up to 255.
        gaps: inter-arrival times counted in the sketch; gap_sum: the sum of c log2 c of their bins.
        hours: bit k is set when the account was active k hours before `hour`; a week.
        hour: hour of the newest event since the epoch.
        requests, tokens: in hour `hour`.
        usual_requests, usual_tokens: medians over the account's last active hours; 0 before any.
        known: past active hours that went into the medians.
        country, asn, placed: the newest place and when it was last seen there.
        visited: the last countries and networks, see `VISITED`; None while there is but one of
            each.
        leaps: journeys faster than an airliner, fading like `elicited`.
        system: hash of the newest system text's digests, so that a constant one costs nothing.
        cells: 16-bit counters, laid out below; None before the first prompt or full hour.
        sketch: see the layout above; None before the first prompt or gap.
    """

    held: Held
    events: int = 0
    last: float = float("-inf")
    prompts: float = 0.0
    elicited: float = 0.0
    repeats: float = 0.0
    fragments: int = 0
    gaps: int = 0
    gap_sum: float = 0.0
    hours: int = 0
    hour: int = 0
    requests: int = 0
    tokens: float = 0.0
    usual_requests: float = 0.0
    usual_tokens: float = 0.0
    known: int = 0
    country: str | None = None
    asn: int | None = None
    placed: float = 0.0
    visited: array[int] | None = None
    leaps: float = 0.0
    system: int = 0
    cells: array[int] | None = None
    sketch: bytearray | None = None
