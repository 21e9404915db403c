"""What happened in the last hour and the last day, in a fixed room: counts, places, who stood out.

Pure: time comes in with each exchange. A window is made of panes (five minutes each for the hour,
an hour each for the day) that are dropped when they are too old, the latest of them still under
way: it reaches back one pane less than it says at the least.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from gateway_guard.record.tally import (
    ACTIONS,
    AccountSeen,
    Bar,
    LimitSeen,
    NetworkSeen,
    Seen,
    Tally,
    Window,
)
from gateway_guard.record.top import Top
from gateway_guard.types import Action, Exchange, Grant

HOUR: Final = 3_600.0
DAY: Final = 86_400.0
#: Seconds of a pane of the hour, and how many make an hour and a day.
_PANE: Final = 300
_PANES: Final = 12
_HOURS: Final = 24
#: Minutes of the timeline.
_MINUTES: Final = 1_440
#: Seconds of a bar of the day's timeline.
DAY_BAR: Final = 900
#: Networks, accounts and limits a pane remembers; up to twice as many between two prunings.
MOST_NETWORKS: Final = 128
MOST_ACCOUNTS: Final = 128
MOST_LIMITS: Final = 256
#: Countries: more than there are.
_MOST_COUNTRIES: Final = 300
#: How many of each are shown.
SHOWN: Final = 20
#: A limit of which less is left is near exhaustion.
_NEAR: Final = 0.5
#: As `Action.refuses` has it.
_REFUSALS: Final = Action.CHALLENGE

UNKNOWN: Final = "unknown"


class _Pane:
    """What happened in one piece of time."""

    __slots__ = ("accounts", "actions", "countries", "flags", "index", "networks", "rehearsed")

    def __init__(self, index: int) -> None:
        self.index = index
        self.actions = [0] * ACTIONS
        self.rehearsed = 0
        self.countries: dict[str, Seen] = {}
        self.networks: Top[tuple[int | None, str]] = Top(MOST_NETWORKS)
        self.flags: dict[str, Seen] = {}
        self.accounts: dict[str, AccountSeen] = {}

    def absorb(self, other: _Pane) -> None:
        for i, count in enumerate(other.actions):
            self.actions[i] += count
        self.rehearsed += other.rehearsed
        for mine, theirs in ((self.countries, other.countries), (self.flags, other.flags)):
            for name, seen in theirs.items():
                _count(mine, name, seen.all, seen.stopped)
        for key, count, stopped in other.networks.found():
            self.networks.add(key, count, stopped)
        for account in other.accounts.values():
            self.stood_out(account)

    def stood_out(self, one: AccountSeen) -> None:
        accounts = self.accounts
        known = accounts.get(one.account)
        if known is None and len(accounts) >= 2 * MOST_ACCOUNTS:
            # A rule about a country or a limit refuses whoever no signal has seen anything of.
            kept = [
                *heapq.nlargest(MOST_ACCOUNTS // 2, accounts.values(), key=_severity),
                *heapq.nlargest(MOST_ACCOUNTS // 2, accounts.values(), key=_stopped),
            ]
            self.accounts = accounts = {seen.account: seen for seen in kept}
        accounts[one.account] = one if known is None else _joined(known, one)


class Windows:
    """Counts exchanges. Memory is bounded, whatever is sent.

    Args:
        since: Unix seconds.
        addresses: whether a limit counted by an address may show it.
    """

    def __init__(self, since: float, *, addresses: bool = True) -> None:
        self.since = since
        self._addresses = addresses
        self._pane = _Pane(int(since // _PANE))
        self._panes: deque[_Pane] = deque(maxlen=_PANES)
        self._hours: deque[_Pane] = deque(maxlen=_HOURS + 1)
        #: minute → decisions by action.
        self._minutes: dict[int, list[int]] = {}
        self._limits: dict[str, LimitSeen] = {}

    def take(self, exchange: Exchange) -> None:
        """Count one exchange; an older one than the latest counts as if it came now."""
        request, decision = exchange.request, exchange.decision
        at, action = request.at, decision.action
        pane = self._pane
        if at // _PANE > pane.index:
            self._turn(int(at // _PANE))
            pane = self._pane
        pane.actions[action] += 1
        # What is answered with less is answered.
        stopped = 1 if action >= _REFUSALS else 0
        if action and not decision.acted:
            pane.rehearsed += 1
        minute = int(at // 60)
        bar = self._minutes.get(minute)
        if bar is None:
            bar = self._bar(minute)
        bar[action] += 1
        network = exchange.facts.network
        known = network.known
        country = (network.country if known else None) or UNKNOWN
        _count(pane.countries, country, 1, stopped)
        pane.networks.add((network.asn if known else None, network.as_org or ""), 1, stopped)
        if known and network.flags:
            for flag in network.flags:
                _count(pane.flags, flag, 1, stopped)
        else:
            _count(pane.flags, "none" if known else UNKNOWN, 1, stopped)
        risk = exchange.assessment.risk
        account = request.account
        if account is not None and (risk > 0.0 or action or account in pane.accounts):
            campaign = exchange.facts.campaign
            pane.stood_out(
                AccountSeen(
                    account, risk, 1, stopped, at, country if country != UNKNOWN else "",
                    campaign.id if campaign is not None else "",
                )
            )  # fmt: skip
        for grant in decision.grants:
            charge = grant.charge
            if grant.remaining < _NEAR * charge.capacity or not grant.allowed:
                self._near(exchange, grant)
            elif charge.key in self._limits:
                del self._limits[charge.key]

    def forget(self, account: str) -> None:
        """Count an account that stood out among the others, and its limits not at all."""
        for pane in (*self._panes, *self._hours, self._pane):
            pane.accounts.pop(account, None)
        for key in [k for k in self._limits if account in k.partition(":")[2].split("|")]:
            del self._limits[key]

    def tally(self, now: float, dropped: int = 0) -> Tally:
        """What is known at `now`."""
        self._turn(int(now // _PANE))
        hour, day = _Pane(0), _Pane(0)
        recent = int(now // _PANE) - _PANES
        for pane in (*self._panes, self._pane):
            if pane.index > recent:
                hour.absorb(pane)
        oldest = int(now // HOUR) - _HOURS
        for pane in self._hours:
            if pane.index > oldest:
                day.absorb(pane)
        day.absorb(self._pane)
        limits = [seen for seen in self._limits.values() if seen.left(now) < _NEAR]
        return Tally(
            now=now, since=self.since, hour=_window(hour, self._bars(now, 60, 60)),
            day=_window(day, self._bars(now, DAY_BAR, 96)),
            limits=_nearest(limits, now), dropped=dropped,
        )  # fmt: skip

    def _turn(self, index: int) -> None:
        """Begin a new pane."""
        pane = self._pane
        if index <= pane.index:
            return
        self._panes.append(pane)
        hour = pane.index * _PANE // int(HOUR)
        if not self._hours or self._hours[-1].index != hour:
            self._hours.append(_Pane(hour))
        self._hours[-1].absorb(pane)
        self._pane = _Pane(index)

    def _bar(self, minute: int) -> list[int]:
        minutes = self._minutes
        while len(minutes) >= 2 * _MINUTES:
            del minutes[min(minutes)]
        bar = minutes[minute] = [0] * ACTIONS
        return bar

    def _bars(self, now: float, seconds: int, count: int) -> tuple[Bar, ...]:
        last = int(now // seconds)
        sums = {number: [0] * ACTIONS for number in range(last - count + 1, last + 1)}
        for minute, actions in self._minutes.items():
            into = sums.get(minute * 60 // seconds)
            if into is not None:
                for i, n in enumerate(actions):
                    into[i] += n
        return tuple(Bar(float(n * seconds), tuple(actions)) for n, actions in sums.items())

    def _near(self, exchange: Exchange, grant: Grant) -> None:
        limits, charge, at = self._limits, grant.charge, exchange.request.at
        key = charge.key
        if key not in limits and len(limits) >= 2 * MOST_LIMITS:
            kept = heapq.nsmallest(
                MOST_LIMITS, limits.items(), key=lambda item: item[1].left(at)
            )  # fmt: skip
            self._limits = limits = dict(kept)
        limits[key] = LimitSeen(
            charge.limit, self._who(exchange, key), charge.unit, grant.remaining,
            charge.capacity, charge.rate, not grant.allowed, at,
        )  # fmt: skip

    def _who(self, exchange: Exchange, key: str) -> str:
        who = key.partition(":")[2]
        request = exchange.request
        found = any(part and part in who for part in (request.client_ip, request.subnet))
        return "" if found and not self._addresses else who


def merged(tallies: Sequence[Tally], now: float) -> Tally:
    """What several guards saw together; `since` is when the last of them began."""
    if not tallies:
        return Tally(now=now, since=now)
    return Tally(
        now=now,
        since=max(one.since for one in tallies),
        hour=_merged([one.hour for one in tallies]),
        day=_merged([one.day for one in tallies]),
        limits=_nearest([seen for one in tallies for seen in one.limits], now),
        dropped=sum(one.dropped for one in tallies),
    )


def _merged(windows: Sequence[Window]) -> Window:
    pane = _Pane(0)
    bars: dict[float, list[int]] = {}
    for window in windows:
        part = _Pane(0)
        part.actions, part.rehearsed = list(window.actions), window.rehearsed
        part.countries, part.flags = window.countries, window.flags
        part.accounts = {one.account: one for one in (*window.accounts, *window.stopped)}
        for one in window.networks:
            part.networks.add((one.asn, one.org), one.all, one.stopped)
        pane.absorb(part)
        for bar in window.bars:
            into = bars.setdefault(bar.at, [0] * ACTIONS)
            for i, count in enumerate(bar.actions):
                into[i] += count
    most = max((len(window.bars) for window in windows), default=0)
    latest = sorted(bars)[-most:] if most else []
    return _window(pane, tuple(Bar(at, tuple(bars[at])) for at in latest))


def _window(pane: _Pane, bars: tuple[Bar, ...]) -> Window:
    networks = sorted(pane.networks.found(), key=lambda one: (-one[1], one[0][0] or 0))
    return Window(
        actions=tuple(pane.actions),
        rehearsed=pane.rehearsed,
        countries=pane.countries,
        networks=tuple(NetworkSeen(asn, org, n, s) for (asn, org), n, s in networks[:SHOWN]),
        flags=pane.flags,
        accounts=tuple(heapq.nlargest(SHOWN, pane.accounts.values(), key=_severity)),
        stopped=tuple(heapq.nlargest(SHOWN, _refused(pane.accounts.values()), key=_stopped)),
        bars=bars,
    )


def _count(counts: dict[str, Seen], name: str, times: int, stopped: int) -> None:
    seen = counts.get(name)
    if seen is None:
        if len(counts) >= _MOST_COUNTRIES:
            name = "other"
        seen = counts.get(name)
        if seen is None:
            seen = counts[name] = Seen()
    seen.all += times
    seen.stopped += stopped


def _severity(one: AccountSeen) -> tuple[float, int, int, str]:
    return one.risk, one.stopped, one.all, one.account


def _stopped(one: AccountSeen) -> tuple[int, float, int, str]:
    return one.stopped, one.risk, one.all, one.account


def _refused(found: Iterable[AccountSeen]) -> list[AccountSeen]:
    return [one for one in found if one.stopped]


def _joined(one: AccountSeen, other: AccountSeen) -> AccountSeen:
    late = other if other.at >= one.at else one
    return AccountSeen(
        one.account, max(one.risk, other.risk), one.all + other.all, one.stopped + other.stopped,
        late.at, late.country, late.campaign,
    )  # fmt: skip


def _nearest(limits: Iterable[LimitSeen], now: float) -> tuple[LimitSeen, ...]:
    """The least left first; of several guards' views of one limit the latest."""
    latest: dict[tuple[str, str], LimitSeen] = {}
    for seen in sorted(limits, key=lambda one: one.at):
        latest[seen.limit, seen.who] = seen
    found = sorted(latest.values(), key=lambda one: (one.left(now), one.limit, one.who))
    return tuple(found[:SHOWN])
