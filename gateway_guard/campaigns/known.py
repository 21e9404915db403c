"""What a linker knows of one account, for whoever reviews it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway_guard.campaigns.casebook import BANNED
from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.postings import Postings
from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.campaigns.roster import Past, past_of
from gateway_guard.campaigns.traces import Trace


class Shared(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One value of an account, and how many other accounts come with it.

    Attributes:
        kind: `payment`, `addresses` (one range), `content` (one digest of a template's part),
            `client` (its software) or `sign-up` (within half an hour of it).
        others: accounts; those long forgotten included.
    """

    kind: str
    others: int


class Membership(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the guard is told of an account.

    Attributes:
        campaign: its name; `banned` when only a reviewer says so.
        member: whether the account is held to belong to it, or only near enough to be watched.
        confidence: that it does belong, in [0, 1].
        points: natural logarithm of the odds, by the evidence; None without a campaign to compare.
        adds: what each thing it shares adds to the points.
    """

    campaign: str
    member: bool
    confidence: float
    points: float | None
    adds: dict[str, float]


class Facts(Past, frozen=True, kw_only=True, gc=False):
    """The account over time. `even_pace` is None while that cannot be told."""

    organisation: str
    even_pace: bool | None


class Known(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What `account show` says. `trace` is None when the account was never seen, or forgotten."""

    account: str
    trace: Facts | None
    membership: Membership | None
    ruling: Ruling | None
    until: float | None
    shares: tuple[Shared, ...]
    reviews: tuple[Review, ...]


def known_of(linker: Linker, reviews: Iterable[Review], account: str) -> Known:
    """All there is about one account (a keyed digest); `reviews` are all that are known, of any."""
    number = linker.memory.numbers.get(account)
    trace = linker.memory.traces[number] if number is not None else None
    facts = None
    if trace is not None:
        facts = Facts(organisation=trace.organisation, even_pace=trace.even(), **past_of(trace))
    ruling, until = linker.cases.reviews.rulings.get(account, (None, None))
    return Known(
        account=account,
        trace=facts,
        membership=_membership(linker, account, number),
        ruling=ruling,
        until=until if until != float("inf") else None,
        shares=tuple(_shares(linker, trace)) if trace is not None else (),
        reviews=tuple(review for review in reviews if review.account == account),
    )


def _membership(linker: Linker, account: str, number: int | None) -> Membership | None:
    told = linker.facts(account)
    if told is None:
        return None
    points: float | None = None
    adds: dict[str, float] = {}
    if number is not None and told.id in linker.held:
        points, adds = linker.cases.score(number, told.id)
    member = number is not None and linker.cases.member_of.get(number) == told.id
    return Membership(
        campaign=told.id, member=member or told.id == BANNED, confidence=told.confidence,
        points=points, adds=adds,
    )  # fmt: skip


def _shares(linker: Linker, trace: Trace) -> list[Shared]:
    memory = linker.memory
    values: list[tuple[str, Postings[Any], Any]] = []
    if trace.payment:
        values.append(("payment", memory.payments, trace.payment))
    values += [("addresses", memory.subnets, subnet) for subnet in trace.subnets]
    if trace.client:
        values.append(("client", memory.clients, trace.client))
    values += [("content", memory.templates.shared, key) for key in trace.shared]
    found = []
    for kind, postings, value in values:
        posting = postings.get(value)
        found.append((kind, posting.count if posting is not None else 1))
    if trace.created_at:
        found.append(("sign-up", memory.signed_up_at.near(trace.created_at)))
    return [Shared(kind=kind, others=max(count - 1, 0)) for kind, count in found]
