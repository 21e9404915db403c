"""What the linker remembers of accounts, and who is near whom. Bounded in every direction."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Container, Iterable
from typing import Final

import msgspec

from gateway_guard.campaigns.membership import BURST
from gateway_guard.campaigns.postings import Postings
from gateway_guard.campaigns.registry import Templates
from gateway_guard.campaigns.releases import Releases
from gateway_guard.campaigns.sighting import Sighting
from gateway_guard.campaigns.signups import SignedUp
from gateway_guard.campaigns.telling import Payments, SignUps, instrument, taken_over
from gateway_guard.campaigns.traces import MOST_PLACES, MOST_SHARED, Trace

#: A content key that more accounts use than this, and than this share of all, ties nobody to
#: anybody: it is a public template or a product. Not fitted.
_POPULAR: Final = 300
_POPULAR_SHARE: Final = 0.05
#: An address range of more accounts is a carrier, a VPN exit or a product's egress.
_CROWDED: Final = 256
#: A range is of others' proxies when this share of those who came from it came through one.
_PROXIED: Final = 1 / 3
#: Share of the accounts forgotten at once when there are too many: the longest unseen.
_FORGET: Final = 0.1
#: Paces are counted for the population when they are first known, up to this many exchanges.
_FIRST_PACE: Final = 40

#: What it costs to ask who is near one account, and to compare it with one other; `effort`.
_ASKED: Final = 20.0
_COMPARED: Final = 0.2
#: Accounts whose content keys are held as sets as well, up to 3 KB each.
_SETS: Final = 8192
_EMPTY: Final = frozenset[int]()

#: What an address is flagged with that is somebody else's way out.
_HIDDEN: Final = frozenset({"proxy", "vpn", "tor", "residential"})
_NOT_STRAIGHT: Final = _HIDDEN | {"hosting"}


class Bounds(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How much may be remembered.

    Attributes:
        accounts: accounts; the longest unseen are forgotten beyond it.
        idle: seconds unseen after which an account in no campaign is forgotten.
        keys: content keys of one account only, in each of two generations.
        shared: content keys several organisations share, likewise.
        values: payments, address ranges and half hours of sign-up, likewise, each.
        most: accounts remembered with one value; the latest ones.
        web: accounts examined together; of a web of more, those around the news.
    """

    accounts: int = 1_000_000
    idle: float = float("inf")
    keys: int = 500_000
    shared: int = 200_000
    values: int = 500_000
    most: int = 64
    web: int = 300


#: The bounds where none others are asked for.
ROOMY: Final = Bounds()


class Memory:
    """Accounts by number, and indexes from what they share to those numbers.

    Numbers are never used again, so an index may hold numbers of accounts long forgotten.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.traces: dict[int, Trace] = {}
        self.numbers: dict[str, int] = {}
        self.templates = Templates(keys=bounds.keys, shared=bounds.shared, most=bounds.most)
        self.payments: Postings[str] = Postings(values=bounds.values, most=bounds.most)
        self.subnets: Postings[int] = Postings(values=bounds.values, most=bounds.most)
        #: Ranges from which accounts came through somebody's proxy, VPN or home, and who did.
        self.hidden: Postings[int] = Postings(values=bounds.values, most=bounds.most)
        self.clients: Postings[int] = Postings(values=bounds.values, most=1)
        self.signups: Postings[int] = Postings(values=bounds.values, most=4 * bounds.most)
        self.signed_up_at = SignedUp(self.signups, self.traces)
        #: Times that are no times of sign-up.
        self.at_once = SignUps()
        self.paying = Payments()
        self.releases = Releases()
        #: Accounts whose pace was found uneven, even.
        self.paces = [0, 0]
        self.next = 1
        #: Accounts forgotten last, the members of campaigns; and who is told before that happens.
        self.kept: Container[int] = ()
        self.dropped: Callable[[int], None] = lambda _: None
        #: How many members of campaigns held have a content key.
        self.held_with: Callable[[int], int] = lambda _: 0
        #: Accounts forgotten since somebody last set this to 0.
        self.forgotten = 0
        #: What looking for ties has cost so far, about a microsecond each: for whoever keeps it
        #: within bounds.
        self.effort = 0.0
        #: Account number → its content keys as a set, of those compared lately.
        self._sets: dict[int, frozenset[int]] = {}

    def note(self, seen: Sighting) -> tuple[int, bool]:
        """Remember a sighting: the account's number, and whether it may have a new link."""
        number = self.numbers.get(seen.account)
        news = number is None
        if number is None:
            number, trace = self._meet(seen)
        else:
            trace = self.traces[number]
            if not (trace.payment and trace.created_at) or trace.organisation == trace.account:
                news = self._fill_in(number, trace, seen)
        at = seen.at
        trace.last_at = max(trace.last_at, at)
        trace.exchanges += 1
        trace.refused += seen.refused
        trace.tokens += seen.tokens
        trace.country, trace.asn = seen.country, seen.asn
        trace.straight = not seen.flags or _NOT_STRAIGHT.isdisjoint(seen.flags)
        if seen.model is not None:
            self.releases.note(trace, seen.model, at)
        if trace.pace_count < _FIRST_PACE:
            before = trace.even()
            trace.paced(at)
            if before is None:
                after = trace.even()
                if after is not None:
                    self.paces[after] += 1
                    # What it is linked to is worth another look.
                    trace.linked = 0
                    news = True
        else:
            trace.paced(at)
        if seen.subnet and seen.subnet not in trace.subnets:
            _remember(trace.subnets, seen.subnet)
            _came(self.subnets, seen.subnet, number, at)
            if seen.flags and not _HIDDEN.isdisjoint(seen.flags):
                _came(self.hidden, seen.subnet, number, at)
            news = True
        if seen.address and seen.address not in trace.addresses:
            _remember(trace.addresses, seen.address)
        full = len(trace.shared) >= MOST_SHARED
        for key in seen.keys:
            if key in trace.shared:
                if full:
                    # The keys an account goes on using are the ones to remember.
                    trace.shared.remove(key)
                    trace.shared.append(key)
            elif self._shares(key, number, trace, at):
                news = True
        return number, news

    def _meet(self, seen: Sighting) -> tuple[int, Trace]:
        if len(self.traces) >= self.bounds.accounts:
            self._forget()
        number = self.next
        self.next += 1
        trace = Trace(
            account=seen.account,
            organisation=seen.organisation or seen.account,
            payment=seen.payment or "",
            created_at=seen.created_at or 0.0,
            first_at=seen.at,
            last_at=seen.at,
            client=seen.client,
            verified=seen.verified,
            declared=seen.declared,
            pace_start=int(seen.at // 3600),
        )
        self.numbers[seen.account] = number
        self.traces[number] = trace
        if trace.client:
            self.clients.add(trace.client, number, seen.at)
        if trace.payment:
            self._pay(number, trace, seen.at)
        if trace.created_at:
            self._sign_up(number, trace.created_at, seen.at)
        return number, trace

    def _fill_in(self, number: int, trace: Trace, seen: Sighting) -> bool:
        """Take over what is known of an account only now; True when that may tie it to others."""
        news = False
        if trace.organisation == trace.account and seen.organisation:
            trace.organisation = seen.organisation
        if not trace.payment and seen.payment:
            trace.payment = seen.payment
            self._pay(number, trace, seen.at)
            news = True
        if not trace.created_at and seen.created_at:
            trace.created_at = seen.created_at
            self._sign_up(number, trace.created_at, seen.at)
            news = True
        return news

    def _pay(self, number: int, trace: Trace, at: float) -> None:
        posting, traces = self.payments.get(trace.payment), self.traces
        latest = posting.latest if posting is not None else ()
        others = (traces[n].organisation for n in latest if n in traces)
        self.paying.note(trace.organisation, others)
        self.payments.add(trace.payment, number, at)

    def _sign_up(self, number: int, created: float, at: float) -> None:
        slot, traces = int(created // BURST), self.traces
        posting = self.signups.get(slot)
        if posting is not None:
            self.at_once.note(
                created, (traces[n].created_at for n in posting.latest if n in traces)
            )
        self.signups.add(slot, number, at)

    def _forget(self) -> None:
        oldest = sorted(self.traces, key=lambda n: (n in self.kept, self.traces[n].last_at))
        # Taken over from a roomier process there may be more than one too many.
        surplus = len(oldest) - self.bounds.accounts + 1
        for number in oldest[: max(int(len(oldest) * _FORGET), surplus, 1)]:
            if number in self.kept:
                self.dropped(number)
            del self.numbers[self.traces.pop(number).account]
            self.forgotten += 1
        self.signed_up_at.forget()
        self._sets.clear()

    def left(self, number: int) -> None:
        """Account `number` was taken out of `traces`: nothing made of what it was stays."""
        self.forgotten += 1
        self.signed_up_at.forget()
        self._sets.pop(number, None)

    def _shares(self, key: int, number: int, trace: Trace, at: float) -> bool:
        """Note a content key; True when it newly ties the account to other organisations."""
        templates = self.templates
        posting = templates.shared.get(key)
        if posting is None:
            first = templates.first(key)
            other = self.traces.get(first[0]) if first is not None else None
            if first is None or other is None:
                templates.claim(key, number, at)
                return False
            if other is trace or other.organisation == trace.organisation:
                return False
            templates.share(key, number, at)
            other.first(key, first[0])
            other.share(key)
            self._sets.pop(first[0], None)
            self._sets.pop(number, None)
            trace.first(key, number)
            trace.share(key)
            return True
        if trace.first(key, number) and number not in posting.latest:
            templates.shared.add(key, number, at)
        trace.share(key)
        self._sets.pop(number, None)
        return posting.count - self.held_with(key) <= self.popular()

    def popular(self) -> float:
        """Accounts in no campaign held beyond which a content key ties nobody to anybody.

        Those in one are not counted: else a campaign would hide behind its own size.
        """
        return max(_POPULAR, _POPULAR_SHARE * len(self.traces))

    def common(self, trace: Trace) -> set[int]:
        """The content keys of `trace` that are rare enough to tie it to others."""
        get, held_with, limit = self.templates.shared.get, self.held_with, self.popular()
        kept = set()
        for key in trace.shared:
            posting = get(key)
            if posting is not None and posting.count - held_with(key) <= limit:
                kept.add(key)
        return kept

    def signed_up(self, trace: Trace) -> float:
        """When `trace` signed up, Unix seconds, where that may bring it together with others.

        0 where it is unknown, a date, or the time of an import.
        """
        created = trace.created_at
        if not created or not self.at_once.tells(created):
            return 0.0
        slot, get = int(created // BURST), self.signups.get
        about_then = [get(at) for at in (slot - 1, slot, slot + 1)]
        count = sum(posting.count for posting in about_then if posting is not None)
        return 0.0 if taken_over(count, len(self.traces)) else created

    def paid_with(self, trace: Trace) -> str:
        """What `trace` pays with, where that may bring it together with others; else empty."""
        if trace.payment:
            if not self.paying.tell:
                return ""
            posting = self.payments.get(trace.payment)
            if posting is not None and not instrument(posting.count, len(self.traces)):
                return ""
        return trace.payment

    def near(self, number: int) -> set[int]:
        """Accounts of other organisations that may belong together with account `number`.

        They share its payment; or an address range and either the half hour of sign-up or a rare
        content key; or both of the latter. Content alone brings nobody together.
        """
        traces = self.traces
        trace = traces[number]
        organisation, created = trace.organisation, self.signed_up(trace)
        found: set[int] = set()
        if payment := self.paid_with(trace):
            posting = self.payments.get(payment)
            if posting is not None:
                found.update(n for n in posting.latest if n in traces)
        keys = self.common(trace)
        self.effort += _ASKED
        if not (created or keys):
            return {n for n in found if traces[n].organisation != organisation}
        # In sets, not one by one: whoever wants to keep us busy has hundreds share everything.
        ranges: set[int] = set()
        for subnet in trace.subnets:
            posting = self.subnets.get(subnet)
            if posting is not None and 1 < posting.count <= _CROWDED:
                ranges.update(posting.latest)
        ranges -= found
        if created:
            beside, all_of_them = self.signed_up_at.about(created)
            self.effort += _COMPARED * len(beside)
            close = (
                ranges.intersection(beside)
                if all_of_them
                else {
                    n
                    for n in ranges
                    if n in traces and abs(traces[n].created_at - created) <= BURST
                }
            )
            found |= close
            ranges -= close
            if keys:
                ranges.update(beside)
                ranges -= found
        self.effort += _COMPARED * len(ranges)
        if keys:
            # Both bound: this is the innermost loop of all.
            get, apart = self._sets.get, keys.isdisjoint
            found.update([n for n in ranges if not apart(get(n) or self._set(n))])
        return {n for n in found if traces[n].organisation != organisation}

    def _set(self, number: int) -> frozenset[int]:
        """The content keys of an account as a set: five times faster to compare than `shared`.
        Empty for one that is forgotten."""
        trace = self.traces.get(number)
        if trace is None or not trace.shared:
            return _EMPTY
        if len(self._sets) >= _SETS:
            del self._sets[next(iter(self._sets))]
        found = self._sets[number] = frozenset(trace.shared)
        return found

    def place(self, people: Iterable[int], at: float) -> None:
        """Note that `people` were taken for people at a place, as of `at` (Unix seconds)."""
        for number in people:
            self.traces[number].placed_at = at

    def proxied(self, subnet: int) -> bool:
        """Whether a range is of proxies, VPNs, Tor or homes that are let: nobody's office."""
        hidden = self.hidden.get(subnet)
        if hidden is None:
            return False
        posting = self.subnets.get(subnet)
        return posting is None or hidden.count >= _PROXIED * posting.count

    def touching(self, number: int) -> set[int]:
        """Accounts that share a payment or an uncrowded address range with account `number`."""
        trace = self.traces[number]
        found: set[int] = set()
        if payment := self.paid_with(trace):
            posting = self.payments.get(payment)
            if posting is not None:
                found.update(posting.latest)
        for subnet in trace.subnets:
            posting = self.subnets.get(subnet)
            if posting is not None and 1 < posting.count <= _CROWDED:
                found.update(posting.latest)
        return found


def _came(ranges: Postings[int], subnet: int, number: int, at: float) -> None:
    """Note an account in a range. Back in one it has been in before, it is no other account."""
    posting = ranges.get(subnet)
    if posting is None or number not in posting.latest:
        ranges.add(subnet, number, at)


def _remember(values: array[int], value: int) -> None:
    values.append(value)
    if len(values) > MOST_PLACES:
        del values[0]
