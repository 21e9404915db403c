"""Which accounts showed who they are, and which have been challenged to. Pure, bounded.

    challenge   a person asks an account to verify itself: every request of it is, until it has
    verify      it has: no challenge stops it until some time, and it counts as verified
    clear       neither any longer, and whoever verified it may verify another in its place
    erase       not verified any longer, as with `clear`; still challenged where a person wants that

Everything may be told twice, and in any order: what happened last counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final, NamedTuple, TypeVar

import msgspec

from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.core.links import LinkFault
from gateway_guard.types import Facts

#: How long an account stays verified where nobody says otherwise, seconds.
LASTS: Final = 30 * 86400.0
#: Most accounts remembered; the one decided about longest ago goes first. It is asked again.
_MOST: Final = 100_000
#: Most subjects and links remembered, likewise.
_MOST_SUBJECTS: Final = 100_000
_MOST_LINKS: Final = 100_000
#: How long a link is remembered that was used, seconds: longer than any can be taken.
LINK_LASTS: Final = 3 * 86400.0
#: Most accounts remembered of one subject: no policy lets one verify more.
MOST_ACCOUNTS: Final = 1_000


K = TypeVar("K")
V = TypeVar("V")


class Place(NamedTuple):
    """Where one account stands.

    Attributes:
        at: when that was decided, Unix seconds.
        until: it is verified before this moment, Unix seconds; 0.0 when it is not.
        challenged: whether somebody asked it to verify itself, and it has not.
    """

    at: float
    until: float
    challenged: bool


class Standing:
    """Where accounts stand.

    Attributes:
        places: account → its place; only those that were decided about. Read it from any thread.
        bound: most accounts, subjects and links remembered.
        erasing: told of each account that people have erased, on whichever thread that is heard;
            must not raise.
    """

    def __init__(
        self,
        *,
        bound: tuple[int, int, int] = (_MOST, _MOST_SUBJECTS, _MOST_LINKS),
    ) -> None:
        self.places: dict[str, Place] = {}
        self.bound = bound
        self.erasing: list[Callable[[str], object]] = []
        #: subject → accounts it verified → until when that counts.
        self._subjects: dict[str, dict[str, float]] = {}
        #: link → until when it could be used again.
        self._links: dict[str, float] = {}

    def verified(self, account: str, at: float) -> bool:
        """Whether `account` counts as verified at `at`, Unix seconds."""
        place = self.places.get(account)
        return place is not None and at < place.until

    def challenged(self, account: str) -> bool:
        """Whether `account` is to verify itself before it goes on."""
        place = self.places.get(account)
        return place is not None and place.challenged

    def on(self, facts: Facts, account: str, at: float) -> Facts:
        """`facts` of `account` at `at`, with where it stands."""
        known = facts.account
        vouched = self.verified(account, at)
        if vouched and not known.verified:
            known = msgspec.structs.replace(known, verified=True)
        return msgspec.structs.replace(
            facts, account=known, vouched=vouched, challenged=self.challenged(account)
        )

    def refuses(
        self, *, link: str, subject: str, account: str, most: int, at: float
    ) -> LinkFault | None:
        """Why `subject` may not verify `account` by `link` at `at`; None when it may.

        One subject verifies at most `most` accounts at a time; the same one again is free.
        """
        until = self._links.get(link)
        if until is not None and at < until:
            return LinkFault.USED
        others = self._subjects.get(subject)
        if others is not None:
            held = sum(1 for who, end in others.items() if at < end and who != account)
            if held >= most:
                return LinkFault.CROWDED
        return None

    def heed(self, review: Review) -> None:
        """Put a decision in force; those about something else change nothing."""
        account = review.account
        if account is None:
            return
        if review.ruling is Ruling.VERIFY:
            until = review.until if review.until is not None else review.at + LASTS
            self._note(account, Place(review.at, until, False))
            if review.link:
                _put(self._links, review.link, review.at + LINK_LASTS, self.bound[2])
            if review.subject and self.places[account].at <= review.at:
                self._vouch(review.subject, account, until)
        elif review.ruling is Ruling.CHALLENGE:
            self._note(account, Place(review.at, 0.0, True))
        elif review.ruling in (Ruling.CLEAR, Ruling.ERASE):
            erased = review.ruling is Ruling.ERASE
            place = self.places.get(account)
            if place is not None and place.at <= review.at:
                # Kept as a place, so that an older decision told later does not come back.
                self._note(account, Place(review.at, 0.0, erased and place.challenged))
                # Rare, and no reason to keep who verified each account.
                for accounts in self._subjects.values():
                    accounts.pop(account, None)
            if erased:
                for forget in self.erasing:
                    forget(account)

    def load(self, places: Mapping[str, Place]) -> None:
        """Believe `places` and nothing else; none at all are no news."""
        if places:
            self.places = dict(islice(places.items(), self.bound[0]))

    def _note(self, account: str, place: Place) -> None:
        known = self.places.get(account)
        if known is not None and known.at > place.at:
            return
        self.places.pop(account, None)
        _put(self.places, account, place, self.bound[0])

    def _vouch(self, subject: str, account: str, until: float) -> None:
        accounts = self._subjects.pop(subject, {})
        accounts.pop(account, None)
        _put(accounts, account, until, MOST_ACCOUNTS)
        _put(self._subjects, subject, accounts, self.bound[1])


def _put(table: dict[K, V], key: K, value: V, most: int) -> None:
    """Add to a table, whose oldest entry makes room."""
    if key not in table and len(table) >= most:
        del table[next(iter(table))]
    table[key] = value
