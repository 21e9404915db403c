"""Lines of the journal of reviews: read strictly, and put in force so that twice is harmless."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.errors import UNDECODABLE

#: Longest line, bytes: whoever writes more has not written a review.
LONGEST: Final = 16_384


class Applied(msgspec.Struct, frozen=True, gc=False):
    """How much of the journal is in force in a snapshot.

    Attributes:
        size: bytes read from its start.
        digest: BLAKE2b of these bytes: whether it is still the same journal; empty for none.
    """

    size: int = 0
    digest: bytes = b""


#: No moment at or after this can be shown.
_YEAR_10000: Final = 253_402_300_800

_decode = msgspec.json.Decoder(Review).decode
_encode = msgspec.json.Encoder().encode


def line_of(review: Review) -> bytes:
    """`review` as one line, its end included."""
    return _encode(review) + b"\n"


def review_of(line: bytes) -> Review:
    """The review in one line.

    Raises:
        ValueError: it holds none; says why in one sentence, without quoting the line.
    """
    if len(line) > LONGEST:
        raise ValueError(f"longer than {LONGEST:,} bytes")
    try:
        review = _decode(line)
    except UNDECODABLE as error:
        raise ValueError(f"not a review: {error}") from None
    if not 0 <= review.at < _YEAR_10000 or not 0 <= (review.until or 0) < _YEAR_10000:
        raise ValueError("`at` and `until` are Unix seconds, not milliseconds")
    if (review.account is None) is (review.campaign is None):
        raise ValueError("names both an account and a campaign, or neither")
    if review.ruling is Ruling.RELEASE and review.campaign is None:
        raise ValueError("releases an account: campaigns are released, accounts allowed")
    if review.campaign is not None and review.ruling not in (Ruling.RELEASE, Ruling.NOTE):
        raise ValueError(f"a campaign cannot be given the ruling {review.ruling.value!r}")
    return review


def apply(linker: Linker, review: Review) -> bool:
    """Put a review in force. False when it is about a campaign that is not held (any more).

    Names begin anew when a linker does, so a release is for campaigns that were known by then.
    """
    if review.campaign is not None:
        held = linker.held.get(review.campaign)
        if held is None or held.alarm_at > review.at:
            return False
    return linker.review(review)
