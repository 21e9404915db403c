"""What ties the members of one group to each other, and how likely that is by chance."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Sequence
from typing import Final

from gateway_guard.campaigns.evidence import ORDINARY, Kind, Tied, by_chance
from gateway_guard.campaigns.membership import BURST
from gateway_guard.campaigns.memory import Memory
from gateway_guard.campaigns.releases import pivot
from gateway_guard.campaigns.traces import Trace

#: One address that this share of a group uses is its egress, not a pool; and one payment that this
#: share uses is the group's payer.
_MAIN: Final = 0.5
#: A payment that fewer organisations share is a couple's or a family's.
HOUSEHOLD: Final = 3
#: A firm is taken to have this many cards; and a card that pays for so many organisations is a
#: reseller's, whoever they are. Source: DETECTION A1, D2 (fraudulent accounts share a payment by
#: about ten).
CARDS: Final = 3
RESOLD: Final = 12
#: And it has this many networks: a campus, branches.
NETWORKS: Final = 3
#: An address that so many organisations of a group share is a firm's or a venue's way out.
_WAY_OUT: Final = 3
#: A content key that outsiders have this share as often as members is common.
_COMMON: Final = 0.2
#: A trait that more of the population has says nothing.
TELLING: Final = 0.7
#: How far to either side of an account's sign-up others are looked at.
_BESIDE: Final = 64
#: Accounts that show one trait, below which the share of the population is not known.
_KNOWN: Final = 50


class Base:
    """How common a trait is among accounts that are in no campaign held.

    Attributes:
        even: share with an even pace, in (0, 1).
        moved: share that moved to the latest release within a day, in (0, 1).
    """

    def __init__(self, paces: Sequence[int], moves: Sequence[int]) -> None:
        """`paces`: accounts with an uneven and an even one; `moves`: that stayed, that moved."""
        self.even = _share(paces[1], paces[0], ORDINARY[Kind.PACE])
        self.moved = _share(moves[1], moves[0], ORDINARY[Kind.PIVOT])


def _share(yes: int, no: int, least: float) -> float:
    if yes + no < _KNOWN:
        return least
    return min(max(yes / (yes + no), least), 0.95)


class Group:
    """A set of accounts, and which of them share what."""

    def __init__(self, members: Iterable[int], memory: Memory) -> None:
        traces = memory.traces
        self.memory = memory
        self.traces = sorted(
            (traces[n] for n in members if n in traces), key=lambda t: (t.created_at, t.account)
        )
        self.created = [trace.created_at for trace in self.traces]
        self.by_payment: dict[str, list[Trace]] = defaultdict(list)
        self.by_subnet: dict[int, list[Trace]] = defaultdict(list)
        by_address: dict[int, list[Trace]] = defaultdict(list)
        for trace in self.traces:
            if payment := memory.paid_with(trace):
                self.by_payment[payment].append(trace)
            for subnet in trace.subnets:
                self.by_subnet[subnet].append(trace)
            for address in trace.addresses:
                by_address[address].append(trace)
        most = _MAIN * len(self.traces)
        #: Ranges of addresses that most of the group come from.
        self.egress: set[int] = set()
        #: Ranges in which members share the very address, and the most used ones.
        self.ways_out: set[int] = set()
        for sharing in by_address.values():
            main, way_out = len(sharing) >= most, _organisations(sharing) >= _WAY_OUT
            if main or way_out:
                ranges = set.intersection(*(set(trace.subnets) for trace in sharing))
                if main:
                    self.egress |= ranges
                if way_out:
                    self.ways_out |= ranges
        #: Ranges → organisations that come from them.
        self.users = {s: _organisations(sharing) for s, sharing in self.by_subnet.items()}
        widest = sorted(self.users, key=lambda s: (-self.users[s], s))[:NETWORKS]
        self.ways_out.update(widest)
        # The most used may be the one way out a firm rents; others of proxies are a pool's.
        self.ways_out = {s for s in self.ways_out if s in widest[:1] or not memory.proxied(s)}
        #: Payments shared by more than a household → organisations.
        self.cards = {
            payment: count
            for payment, sharing in self.by_payment.items()
            if (count := _organisations(sharing)) >= HOUSEHOLD
        }
        largest = sorted(self.cards, key=lambda card: (-self.cards[card], card))
        #: Those a firm may have: its largest, and the heavily used.
        self.firms = {c for c in largest if self.cards[c] >= RESOLD} | set(largest[:CARDS])
        shared = [len(sharing) for sharing in self.by_payment.values() if len(sharing) > 1]
        #: Whether one payment stands for most of the group, and there is no other shared one.
        self.one_payer = len(shared) == 1 and shared[0] >= most

    def alike(self) -> float:
        """The largest share of the members that have one content key in common, in [0, 1].

        Without keys that are common outside the group too: what everybody says makes nobody alike.
        """
        keys: Counter[int] = Counter()
        for trace in self.traces:
            keys.update(set(trace.shared))
        for key, count in keys.most_common():
            if not self._common(key, count):
                return count / len(self.traces)
        return 0.0

    def says_the_same(self, part: Container[int], share: float) -> bool:
        """Whether `share` of the members in `part`, and of the others, have a content key in common
        that is not common outside the group too. `part`: account numbers; `share` in (0, 1)."""
        numbers, size = self.memory.numbers, 0
        inside: Counter[int] = Counter()
        others: Counter[int] = Counter()
        for trace in self.traces:
            mine = numbers[trace.account] in part
            size += mine
            (inside if mine else others).update(set(trace.shared))
        rest = len(self.traces) - size
        return any(
            count >= share * size
            and others[key] >= max(share * rest, 1)
            and not self._common(key, count + others[key])
            for key, count in inside.items()
        )

    def _common(self, key: int, count: int) -> bool:
        """Whether a content key of `count` members is as good as common outside the group."""
        size = len(self.traces)
        posting = self.memory.templates.shared.get(key)
        rest = posting.count - count if posting is not None else 0
        return rest / max(len(self.memory.traces) - size, 1) > _COMMON * count / size

    def views(self, base: Base) -> list[list[Tied]]:
        """The members' ties, seen in one or two ways; one member for each organisation.

        A group that one payment pays for is also looked at from inside: payment is then no
        evidence, but hides none either.
        """
        views = [self._view(base, inside=False)]
        if self.one_payer:
            views.append(self._view(base, inside=True))
        return views

    def _view(self, base: Base, *, inside: bool) -> list[Tied]:
        best: dict[str, Tied] = {}
        others = len(self.traces) - 1
        outside = max(len(self.memory.traces) - len(self.traces), 1)
        for place, trace in enumerate(self.traces):
            has: dict[Kind, bool] = {}
            chance: dict[Kind, float] = {}
            lasting: dict[Kind, bool] = {}
            paid = None
            sharing = self.by_payment.get(trace.payment) if trace.payment else None
            if trace.payment and not inside and sharing is None:
                # No instrument: it accuses nobody, but may be how a firm pays.
                paid = True
            elif sharing is not None and not inside:
                paid = any(t.organisation != trace.organisation for t in sharing)
                has[Kind.PAYMENT] = trace.payment in self.cards
                lasting[Kind.PAYMENT] = has[Kind.PAYMENT] and trace.payment not in self.firms
                posting = self.memory.payments.get(trace.payment)
                rest = posting.count - len(sharing) if posting is not None else 0
                chance[Kind.PAYMENT] = by_chance(rest / outside, others)
            has[Kind.ADDRESSES], lasting[Kind.ADDRESSES], crowd = self._addresses(trace, inside)
            chance[Kind.ADDRESSES] = by_chance(crowd / outside, others)
            if trace.created_at:
                has[Kind.SIGN_UP], near = self._sign_up(place, trace, inside)
                rest = self.memory.signed_up_at.near(trace.created_at) - near - 1
                chance[Kind.SIGN_UP] = by_chance(rest / outside, others)
            pace, moved = trace.even(), pivot(trace)
            if pace is not None and base.even <= TELLING:
                has[Kind.PACE], chance[Kind.PACE] = pace, base.even
            if moved is not None and base.moved <= TELLING:
                has[Kind.PIVOT], chance[Kind.PIVOT] = moved, base.moved
            for kind, share in chance.items():
                chance[kind] = min(max(share, ORDINARY[kind]), 0.95)
            tied = Tied(has=has, chance=chance, lasting=lasting, paid=paid)
            known = best.get(trace.organisation)
            if known is None or tied.kinds > known.kinds:
                best[trace.organisation] = tied
        return list(best.values())

    def _addresses(self, trace: Trace, inside: bool) -> tuple[bool, bool, int]:
        """Whether `trace` shares a range with members it shares no payment with, whether it does
        outside a firm's ways out, and how many accounts beside the group come from its ranges."""
        has, lasting, crowd = False, False, 0
        for subnet in trace.subnets:
            sharing = self.by_subnet[subnet]
            posting = self.memory.subnets.get(subnet)
            if posting is not None:
                crowd += max(posting.count - len(sharing), 0)
            if subnet in self.egress or (has and (lasting or subnet in self.ways_out)):
                continue
            if any(_apart(trace, them, inside) for them in sharing):
                has = True
                lasting = lasting or subnet not in self.ways_out
        return has, lasting, crowd

    def _sign_up(self, place: int, trace: Trace, inside: bool) -> tuple[bool, int]:
        """Whether `trace` signed up with members it shares neither payment nor addresses with, and
        how many members signed up within `BURST` of it."""
        near = bisect_right(self.created, trace.created_at + BURST)
        near -= bisect_left(self.created, trace.created_at - BURST) + 1
        mine = set(trace.subnets)
        for step in (-1, 1):
            for at in range(place + step, place + step * _BESIDE, step):
                if not 0 <= at < len(self.traces):
                    break
                them = self.traces[at]
                if abs(them.created_at - trace.created_at) > BURST:
                    break
                if _apart(trace, them, inside) and mine.isdisjoint(them.subnets):
                    return True, near
        return False, near


def _organisations(sharing: list[Trace]) -> int:
    return len({trace.organisation for trace in sharing})


def _apart(trace: Trace, them: Trace, inside: bool) -> bool:
    """Whether a pair is of two organisations and not explained by a shared payment already."""
    return trace.organisation != them.organisation and (
        inside or not trace.payment or trace.payment != them.payment
    )
