"""What is remembered of one account: enough to link it to others, nothing it said."""

from __future__ import annotations

import math
from array import array
from typing import Final

import msgspec

#: Most address ranges (and addresses), and content keys, remembered of one account: the latest.
MOST_PLACES: Final = 8
MOST_SHARED: Final = 24

#: The pace of an account is judged over at most a week.
_PACE_HOURS: Final = 168
#: Fewest exchanges, fewest hours and most exchanges an hour with which a pace can be judged: with
#: fewer, or saturated hours, sessions and an even spread look alike.
_PACE_EXCHANGES: Final = 10
_PACE_SPAN: Final = 12.0
_PACE_RATE: Final = 2.0
#: An account is even-paced when it is active in this share of the hours a Poisson stream of its
#: rate would be active in; people and jobs come in sessions. Not fitted. Measured over recorded
#: traffic: 0.9 contains what 0.8 does (within half a point), 0.6 nine to twelve points less, and
#: no honest account is held with any of them.
_EVEN: Final = 0.8


def _none() -> array[int]:
    # Not a list: a tenth of the memory, and nothing for the garbage collector to walk.
    return array("Q")


#: Bits of the filter of content keys an account was counted with.
_COUNTED: Final = 509
#: Spreads keys and numbers of accounts over those bits (2^64 over the golden ratio).
_MIX: Final = 0x9E3779B97F4A7C15

#: What most accounts share with others; never changed.
_NOTHING: Final = _none()


class Trace(msgspec.Struct, gc=False):
    """One account over time. Mutable; written by the linker only.

    Attributes:
        account: keyed digest.
        organisation: who pays; the account itself when unknown.
        payment: the instrument's digest; empty when unknown.
        created_at: sign-up, Unix seconds; 0 when unknown.
        first_at, last_at: Unix seconds of the first and the latest exchange.
        exchanges, refused, tokens: totals.
        subnets, addresses: digests of the latest of them, newest last.
        shared: content keys this account has in common with another organisation, newest last.
        client, verified, declared: as in `Sighting`, at the first exchange.
        country, asn: as in `Sighting`, of the latest exchange.
        straight: whether that came from an address that is neither a hoster's nor somebody else's
            way out, as far as is known.
        linked: most accounts it was ever near at once, as far as its web was told of them.
        release_at: the release of a model that the next two are about, Unix seconds; 0 for none.
        released: exchanges on the day after that release.
        pivoted: those of them that asked for the released model.
        pace_start, pace_hours, pace_count: hour (since 1970) at which the account's pace began to
            be watched, the active hours since as a bit set, the exchanges in them.
        pace_known: the judgement of the week before; None when there is none.
        placed_at: when it was last taken for one of the people at a place, beside a group that was
            convicted; Unix seconds, 0 for never.
        counted: a Bloom filter of the content keys it was counted with, of which it may use more
            than `shared` remembers.
    """

    account: str
    organisation: str
    payment: str
    created_at: float
    first_at: float
    last_at: float
    exchanges: int = 0
    refused: int = 0
    tokens: int = 0
    subnets: array[int] = msgspec.field(default_factory=_none)
    addresses: array[int] = msgspec.field(default_factory=_none)
    shared: array[int] = _NOTHING
    client: int = 0
    verified: bool | None = None
    country: str | None = None
    asn: int | None = None
    straight: bool = False
    declared: str | None = None
    linked: int = 0
    release_at: float = 0.0
    released: int = 0
    pivoted: int = 0
    pace_start: int = 0
    pace_hours: int = 0
    pace_count: int = 0
    pace_known: bool | None = None
    placed_at: float = 0.0
    counted: int = 0

    def share(self, key: int) -> None:
        """Remember a content key as the newest of `shared`, which is changed nowhere else but in
        order."""
        if not self.shared:
            self.shared = array("Q", (key,))
            return
        self.shared.append(key)
        if len(self.shared) > MOST_SHARED:
            del self.shared[0]

    def first(self, key: int, salt: int) -> bool:
        """Whether it is to be counted with a content key: not once more for each time it uses it.

        `salt` is another number for each account: what is passed over of one is counted of others.

        One key in forty is not counted where an account has as many; one of an account of hundreds
        is counted again when the filter is half full and begins anew.
        """
        mixed = (key ^ salt) * _MIX
        bits = 1 << mixed % _COUNTED | 1 << (mixed >> 40) % _COUNTED
        if self.counted & bits == bits:
            return False
        if self.counted.bit_count() > _COUNTED // 2:
            self.counted = 0
        self.counted |= bits
        return True

    def paced(self, at: float) -> None:
        """Count an exchange at `at` (Unix seconds) towards the account's pace."""
        hour = int(at // 3600)
        offset = hour - self.pace_start
        if not 0 <= offset < _PACE_HOURS:
            # A new week; the old judgement stands until there is a new one.
            self.pace_known = self.even()
            self.pace_start, self.pace_hours, self.pace_count, offset = hour, 0, 0, 0
        self.pace_hours |= 1 << offset
        self.pace_count += 1

    def even(self) -> bool | None:
        """Whether exchanges are spread evenly over the hours instead of coming in sessions.

        None while that cannot be told. Compares the number of distinct active hours with its
        expectation for a Poisson process, h (1 - exp(-n / h)) for n events in h hours.
        """
        count, hours = self.pace_count, self.pace_hours
        span = hours.bit_length()
        if count < _PACE_EXCHANGES or span < _PACE_SPAN or count > _PACE_RATE * span:
            return self.pace_known
        return hours.bit_count() >= _EVEN * span * (1.0 - math.exp(-count / span))
