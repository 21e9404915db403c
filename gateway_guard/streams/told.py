"""What one guard has been told: verdicts, with people's decisions above them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from gateway_guard.campaigns.casebook import BANNED, banned_in
from gateway_guard.campaigns.reviews import MEMBERSHIP, Review, Ruling
from gateway_guard.streams.keys import order
from gateway_guard.streams.wire import as_told
from gateway_guard.types import CampaignFacts

_HEEDED: Final = MEMBERSHIP | {Ruling.RELEASE}
#: Most decisions remembered that no linker has taken up; the oldest goes first.
_MOST: Final = 100_000


class Told:
    """Verdicts by account. A decision of a person counts from when it is heard, whether or not a
    linker lives, until the linker's own verdicts have it in them.

    Everything may be told twice.

    Attributes:
        facts: account → what the guard is to believe. Replaced entry by entry or as a whole, so
            that another thread may read it at any time; take it anew for every question.
    """

    def __init__(self) -> None:
        self.facts: dict[str, CampaignFacts] = {}
        self._verdicts: dict[str, CampaignFacts] = {}
        #: account → (when, what a person decided).
        self._rulings: dict[str, tuple[tuple[int, int], Ruling]] = {}
        #: campaign → when a person released it.
        self._released: dict[str, tuple[int, int]] = {}
        #: The last review that is in the verdicts.
        self._settled = (0, 0)

    def __len__(self) -> int:
        return len(self.facts)

    def load(self, table: Mapping[str, CampaignFacts], reviews: bytes) -> None:
        """Believe `table` and nothing else; reviews up to that id are in it."""
        self._settled = order(reviews)
        self._verdicts = dict(table)
        self._rulings = {a: r for a, r in self._rulings.items() if r[0] > self._settled}
        self._released = {c: at for c, at in self._released.items() if at > self._settled}
        facts = {}
        for account in self._verdicts.keys() | self._rulings.keys():
            found = self._of(account)
            if found is not None:
                facts[account] = found
        self.facts = facts

    def change(self, accounts: Iterable[tuple[str, str | None, float]], reviews: bytes) -> None:
        """Believe what changed: (account, campaign or None, confidence); as `load` otherwise."""
        touched = set()
        for account, campaign, sure in accounts:
            if campaign is None:
                self._verdicts.pop(account, None)
            else:
                self._verdicts[account] = as_told(campaign, sure)
            touched.add(account)
        settled = order(reviews)
        if settled > self._settled:
            self._settled = settled
            over = {a for a, (at, _) in self._rulings.items() if at <= settled}
            for account in over:
                del self._rulings[account]
            free = {c for c, at in self._released.items() if at <= settled}
            for campaign in free:
                del self._released[campaign]
            touched |= over | self._members(free)
        for account in touched:
            self._tell(account)

    def review(self, id: bytes, review: Review) -> None:
        """Heed a person's decision, the entry `id` of the stream of reviews."""
        at = order(id)
        if at <= self._settled or review.ruling not in _HEEDED:
            return
        if review.campaign is not None:
            self._released[review.campaign] = at
            if len(self._released) > _MOST:
                del self._released[next(iter(self._released))]
            for account in self._members({review.campaign}):
                self._tell(account)
        elif review.account is not None:
            known = self._rulings.pop(review.account, None)
            self._rulings[review.account] = max(known or (at, review.ruling), (at, review.ruling))
            if len(self._rulings) > _MOST:
                oldest = next(iter(self._rulings))
                del self._rulings[oldest]
                self._tell(oldest)
            self._tell(review.account)

    def _members(self, campaigns: set[str]) -> set[str]:
        if not campaigns:
            return set()
        return {account for account, told in self._verdicts.items() if told.id in campaigns}

    def _tell(self, account: str) -> None:
        found = self._of(account)
        if found is None:
            self.facts.pop(account, None)
        else:
            self.facts[account] = found

    def _of(self, account: str) -> CampaignFacts | None:
        verdict = self._verdicts.get(account)
        _, ruling = self._rulings.get(account, (None, None))
        if verdict is not None and verdict.id in self._released:
            verdict = None
        if ruling is Ruling.ALLOW:
            return None
        if ruling is Ruling.BAN:
            return banned_in(verdict.id if verdict is not None else BANNED)
        if ruling is Ruling.CLEAR and verdict is not None and verdict.banned:
            # What the evidence alone says is told in a moment.
            return None
        return verdict
