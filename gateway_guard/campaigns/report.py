"""One campaign as an investigator gets it: figures and labels, nothing that betrays a customer.

No address, payment instrument, organisation's name or credential is in a report, and no text of a
prompt unless the policy says `keep_samples`: what members share is named by labels that mean
nothing outside of it (`P1`, `A1`, …).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable
from typing import Final

import msgspec

from gateway_guard.campaigns.evidence import Verdict
from gateway_guard.campaigns.held import Held
from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.reviews import Review
from gateway_guard.campaigns.roster import Member, Roster, active_hours, of_the_day
from gateway_guard.campaigns.sharing import Template, Tie, shared
from gateway_guard.campaigns.traces import Trace

#: Most members and networks listed; the rest is only counted.
MOST_MEMBERS: Final = 1000
MOST_NETWORKS: Final = 50
#: Hours of the timeline: the 45 days a campaign's hours are kept, and the week watched before.
MOST_HOURS: Final = (45 + 7) * 24
_HOUR: Final = 3600


class Hour(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One hour of the timeline.

    Attributes:
        at: its start, Unix seconds.
        active: members known to have been active in it. Only a member's latest week is
            remembered, so this is the least there can have been.
        exchanges, refused, tokens: of members, counted from the alarm on; None before it. Refused
            exchanges are among `exchanges`, their tokens are not among `tokens`.
    """

    at: int
    active: int
    exchanges: int | None = None
    refused: int | None = None
    tokens: int | None = None


class Network(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where members were last seen.

    Attributes:
        asn, country: the network and its country; None when unknown.
        members: members last seen there.
        exchanges: all their exchanges, wherever made.
        elsewhere: those of the members who declared another country at sign-up.
    """

    asn: int | None
    country: str | None
    members: int
    exchanges: int
    elsewhere: int


class Report(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of one campaign at one time.

    Attributes:
        id: its name, `c_0001`, ….
        made_at: Unix seconds this is true at.
        policy: digest of the policy in force; empty when not known.
        first_seen, alarm_at, last_at: Unix seconds of the first exchange of any member, the first
            conviction, and the latest exchange.
        examined_at: Unix seconds at which the evidence was last weighed.
        size, organisations: number of members, and of who pays for them.
        confidence: of the group as a whole, in (0, 1).
        evidence: the case in sentences; `verdict` is the same in figures.
        members: the surest first, at most `MOST_MEMBERS`; `size` counts all.
        ties: what they share, by kind, the most shared first; at most 100 of a kind.
        hours: the timeline, oldest first; hours in which nothing is known to have happened are
            left out.
        active: for each hour of the day (UTC, from 0), the sum of `Member.active` of all members.
        networks: the most members first, at most `MOST_NETWORKS`.
        elsewhere: members last seen in another country than they declared at sign-up.
        templates: the most members first, at most 100.
        absorbed: names of campaigns that turned out to be this one.
        exchanges, refused, tokens: totals of all members since each was first seen.
        before: of the exchanges, those before the account was held to be a member; the least there
            can have been, where some that were members are none any more.
        share, token_share: of all exchanges and tokens of the accounts remembered, in [0, 1].
        reviews: what people decided on it and on the members listed, oldest first, with their names
            and reasons; none unless that is asked for.
    """

    id: str
    made_at: float
    policy: str
    first_seen: float
    alarm_at: float
    last_at: float
    examined_at: float
    size: int
    organisations: int
    confidence: float
    evidence: tuple[str, ...]
    verdict: Verdict
    members: tuple[Member, ...]
    ties: tuple[Tie, ...]
    hours: tuple[Hour, ...]
    active: tuple[int, ...]
    networks: tuple[Network, ...]
    elsewhere: int
    templates: tuple[Template, ...]
    absorbed: tuple[str, ...]
    exchanges: int
    refused: int
    tokens: int
    before: int
    share: float
    token_share: float
    reviews: tuple[Review, ...] = ()


def report_of(
    linker: Linker, campaign_id: str, *, made_at: float | None = None, policy: str = ""
) -> Report:
    """All there is to say about one campaign held; looks at every account remembered once.

    `made_at` (Unix seconds) defaults to the campaign's latest exchange. `policy` is the digest of
    the policy in force.

    Raises:
        LookupError: no campaign of that name is held.
    """
    return told_of(linker, campaign_id, made_at=made_at, policy=policy)[0]


def told_of(
    linker: Linker, campaign_id: str, *, made_at: float | None = None, policy: str = ""
) -> tuple[Report, Roster]:
    """As `report_of`, and its roster: for whoever looks for members that a report leaves out.

    Raises:
        LookupError: no campaign of that name is held.
    """
    held = linker.held.get(campaign_id)
    if held is None:
        raise LookupError(f"no campaign is held by the name {campaign_id!r}")
    campaign = next(one for one in linker.campaigns() if one.id == campaign_id)
    known = linker.memory.traces
    made = held.last_at if made_at is None else made_at
    ties, templates = shared(held, linker.memory, lambda key: linker.samples.of(key, made))
    roster = Roster(linker, held, campaign.members, ties)
    members = roster.members(range(1, min(len(roster), MOST_MEMBERS) + 1))
    listed = {member.account for member in members}
    traces = roster.traces
    exchanges = sum(trace.exchanges for trace in traces)
    tokens = sum(trace.tokens for trace in traces)
    networks = _networks(traces)
    counted = sum(hour.exchanges for hour in held.hours.values())
    report = Report(
        id=campaign_id,
        made_at=made,
        policy=policy,
        first_seen=campaign.first_seen,
        alarm_at=held.alarm_at,
        last_at=held.last_at,
        examined_at=held.examined_at,
        size=len(roster),
        organisations=roster.organisations,
        confidence=campaign.confidence,
        evidence=campaign.evidence,
        verdict=held.verdict,
        members=members,
        ties=tuple(_of(tie, listed) for tie in ties),
        hours=_timeline(held, traces),
        active=of_the_day(hour for trace in traces for hour in active_hours(trace)),
        networks=tuple(networks[:MOST_NETWORKS]),
        elsewhere=sum(network.elsewhere for network in networks),
        templates=templates,
        absorbed=tuple(held.absorbed),
        exchanges=exchanges,
        refused=sum(trace.refused for trace in traces),
        tokens=tokens,
        before=max(exchanges - counted, 0),
        share=_share(exchanges, sum(trace.exchanges for trace in known.values())),
        token_share=_share(tokens, sum(trace.tokens for trace in known.values())),
    )
    return report, roster


def _of(tie: Tie, listed: Container[str]) -> Tie:
    """A tie that names no others than those `listed`."""
    named = tuple(account for account in tie.members if account in listed)
    return tie if len(named) == len(tie.members) else msgspec.structs.replace(tie, members=named)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _timeline(held: Held, members: Iterable[Trace]) -> tuple[Hour, ...]:
    active = Counter(hour for trace in members for hour in active_hours(trace))
    hours = sorted(held.hours.keys() | active.keys())[-MOST_HOURS:]
    alarm = int(held.alarm_at // _HOUR)
    timeline = []
    for number in hours:
        did = held.hours.get(number)
        counts: tuple[int | None, int | None, int | None]
        if did is not None:
            counts = did.exchanges, did.refused, did.tokens
        else:
            # From the alarm on nothing was counted because nothing happened.
            counts = (0, 0, 0) if number > alarm else (None, None, None)
        timeline.append(
            Hour(
                at=number * _HOUR, active=active[number],
                exchanges=counts[0], refused=counts[1], tokens=counts[2],
            )
        )  # fmt: skip
    return tuple(timeline)


def _networks(members: Iterable[Trace]) -> list[Network]:
    seen: dict[tuple[int | None, str | None], list[Trace]] = defaultdict(list)
    for trace in members:
        seen[trace.asn, trace.country].append(trace)
    networks = [
        Network(
            asn=asn,
            country=country,
            members=len(there),
            exchanges=sum(trace.exchanges for trace in there),
            elsewhere=sum(
                None not in (trace.declared, country) and trace.declared != country
                for trace in there
            ),
        )
        for (asn, country), there in seen.items()
    ]
    networks.sort(key=lambda n: (-n.members, -n.exchanges, n.asn or 0, n.country or ""))
    return networks
