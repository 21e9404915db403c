"""Campaigns that are held no longer: what they were, and why they were let go."""

from __future__ import annotations

import enum
from collections import Counter, deque
from collections.abc import Iterable
from typing import Final

import msgspec

from gateway_guard.campaigns.held import Held

#: Campaigns let go that are remembered; the latest.
MOST: Final = 256


class Why(enum.StrEnum):
    """Why a campaign is held no longer."""

    INNOCENT = "innocent"
    FADED = "faded"
    SILENT = "silent"
    RELEASED = "released"
    ROOM = "room"
    MERGED = "merged"

    __hash__ = str.__hash__


#: The same for people.
WORDS: Final = {
    Why.INNOCENT: "looked innocent once more of it was known",
    Why.FADED: "its evidence faded",
    Why.SILENT: "no exchange for two weeks",
    Why.RELEASED: "released by a reviewer",
    Why.MERGED: "turned out to be part of another",
    Why.ROOM: "made room for another; the longest silent",
}


class Ended(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One campaign let go.

    Attributes:
        id: its name; decisions made because of it carry that in the decision log.
        why: the reason.
        members: accounts when it was let go.
        alarm_at, ended_at: Unix seconds between which it was held.
        exchanges, refused: of its members since the alarm, as far as hours are kept (45 days).
    """

    id: str
    why: Why
    members: int
    alarm_at: float
    ended_at: float
    exchanges: int
    refused: int

    @property
    def mistaken(self) -> bool:
        """Whether it should not have been held, as the guard itself sees it now."""
        return self.why is Why.INNOCENT


def none_yet() -> Counter[str]:
    """Counts of campaigns let go, of every reason, while there are none.

    To Prometheus what appears with its first count is no increase.
    """
    return Counter(dict.fromkeys(Why, 0))


class Endings:
    """The campaigns let go lately.

    Attributes:
        latest: at most `MOST`, the latest last.
        counts: why → how many ever; every reason is there.
    """

    def __init__(self) -> None:
        self.latest: deque[Ended] = deque(maxlen=MOST)
        self.counts = none_yet()

    def add(self, held: Held, why: Why, at: float) -> None:
        """Note that `held` is let go at `at`, Unix seconds."""
        self.counts[why] += 1
        hours = held.hours.values()
        self.latest.append(
            Ended(
                id=held.id,
                why=why,
                members=len(held.members),
                alarm_at=held.alarm_at,
                ended_at=at,
                exchanges=sum(hour.exchanges for hour in hours),
                refused=sum(hour.refused for hour in hours),
            )
        )

    def restore(self, ended: Iterable[Ended]) -> None:
        """Take over what was let go before a restart; it is not counted again."""
        self.latest.extend(ended)
