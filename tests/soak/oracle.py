"""What each decision should have been, reckoned from the request and the policy alone.

Shares nothing with the guard but the words of the decision log.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec

from tests.soak.asks import EPOCH, Ask, ask, number_of
from tests.soak.policies import BURST, RATE, Rule, Variant, country_in

T = TypeVar("T")

#: Units by which an account's quota may be misjudged from outside: two workers number their
#: requests by one clock each, and write them down in another order than they were counted.
TOLERANCE: Final = 2.0
#: Seconds a request may wait before it is judged, and counted: the log tells when it came.
WAITS: Final = 1.0
#: Seconds after which what was replaced is no longer in force anywhere.
RELOADS: Final = 5.0
#: Epochs after which nothing more is heard of one: a line is written when its request has ended.
LATE: Final = 8
#: Most wrong decisions that are told one by one.
MOST_TOLD: Final = 20


class Line(msgspec.Struct):
    """What is read of a line of the decision log."""

    id: str
    action: str
    acted: bool
    method: str
    path: str
    policy: str
    time: str
    rule: str | None = None
    status: int | None = None
    client_ip: str | None = None
    country: str | None = None
    model: str | None = None
    account: str | None = None
    outcome: str | None = None
    degraded: tuple[str, ...] = ()


class Verdict(NamedTuple):
    """What the rules of a policy say of a request."""

    action: str
    rule: str | None
    status: int | None


@cache
def _network(text: str) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(text)


def holds(rule: Rule, one: Ask, country: str | None) -> bool:
    """Whether every condition of a rule does."""
    if rule.networks is not None:
        address = ipaddress.IPv4Address(one.address)
        if not any(address in _network(network) for network in rule.networks):
            return False
    if rule.countries is not None and country not in rule.countries:
        return False
    if rule.models is not None and one.model not in rule.models:
        return False
    if rule.methods is not None and one.method not in rule.methods:
        return False
    return rule.ending is None or one.path == f"/s/{one.number}/{rule.ending}"


def judge(variant: Variant, one: Ask, country: str | None) -> Verdict:
    """The first rule that holds; the default is to allow."""
    for rule in variant.rules:
        if holds(rule, one, country):
            return Verdict(rule.action, rule.name, rule.status if rule.action == "deny" else None)
    return Verdict("allow", None, None)


class Windows:
    """Times, Unix seconds, in which something was made to fail."""

    def __init__(self) -> None:
        self.spans: list[tuple[float, float]] = []

    def add(self, begin: float, end: float) -> None:
        self.spans.append((begin, end))

    def hold(self, at: float) -> bool:
        return any(begin <= at <= end for begin, end in self.spans)

    def touch(self, begin: float, end: float) -> bool:
        return any(begin <= last and first <= end for first, last in self.spans)


class InForce(Generic[T]):
    """What has been in force, one after the other, and when each may have been."""

    def __init__(self) -> None:
        self._since: list[tuple[float, T]] = []

    def put(self, what: T, since: float) -> None:
        """From then on this, instead of what was before."""
        self._since.append((since, what))

    def at(self, at: float) -> list[T]:
        """What a request that came at `at` may have been judged by; the latest first."""
        found = []
        for since, what in reversed(self._since):
            if since <= at + WAITS:
                found.append(what)
            if since + RELOADS < at:
                break
        return found


class Oracle:
    """Checks lines as they come.

    Attributes:
        variants: digest → every good policy there has been.
        versions: of the network database.
        faults: when the store was made to fail, and a while after.
        kills: when workers were killed, and a while after.
        checked: decisions compared.
        decisions: (action, rule's kind) → how many.
        wrong: kind of mistake → how many.
        told: the first of them in words.
        turned_away: numbers of the requests that there was too much to do for.
        statuses: number of the request → status its client should have seen.
        policies: digests met.
        quotas_checked: accounts whose quota was reckoned request by request.
    """

    def __init__(self, faults: Windows, kills: Windows) -> None:
        self.variants: dict[str, Variant] = {}
        self.versions: InForce[int] = InForce()
        self.faults = faults
        self.kills = kills
        self.checked = 0
        self.decisions: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.told: list[str] = []
        self.turned_away: set[int] = set()
        self.statuses: dict[int, int] = {}
        self.policies: set[str] = set()
        self._policies: InForce[str] = InForce()
        self._hot: dict[str, list[tuple[float, bool]]] = {}
        #: Key → when it was first refused because nothing could be counted.
        self._uncounted: dict[str, float] = {}
        self._accounts: dict[str, str] = {}
        self.quotas_checked = 0

    def add(self, variant: Variant, since: float) -> None:
        """The policy that is in force from `since` on."""
        self.variants[variant.digest] = variant
        self._policies.put(variant.digest, since)

    def check(self, line: Line, at: float) -> None:
        """Compare one decision, made at `at` (Unix seconds)."""
        if line.path.startswith("/crowd/"):
            return
        number = number_of(line.path)
        if number is None:
            self._mistake("no such request", line)
            return
        one = ask(number)
        self.checked += 1
        self.policies.add(line.policy)
        variant = self.variants.get(line.policy)
        if variant is None:
            self._mistake("a policy nobody wrote, or a bad one", line)
            return
        if line.policy not in self._policies.at(at):
            self._mistake("a policy that was replaced", line)
            return
        if line.rule == "guard:overload" and line.status == 503:
            # Nobody looked at it; whether there was too much to do, `report` says.
            self.decisions["turned away (503)"] += 1
            self.turned_away.add(number)
            self.statuses[number] = 503
            return
        if (line.method, line.client_ip, line.model) != (
            one.method,
            one.address,
            one.model,
        ):
            self._mistake("another request than was sent", line)
            return
        if line.country not in {country_in(one_of, one.address) for one_of in self.versions.at(at)}:
            self._mistake("a country that no database in force has for it", line)
            return
        if line.account is None or self._accounts.setdefault(one.key, line.account) != line.account:
            self._mistake("another account than before", line)
            return
        if not one.hot:
            del self._accounts[one.key]
        verdict = judge(variant, one, line.country)
        self._compare(verdict, line, one, variant, at)
        self.statuses[number] = 200 if line.action == "allow" else line.status or 0
        if number % EPOCH == 0 and number:
            self.close_quotas(before=number // EPOCH - LATE)

    def _compare(self, verdict: Verdict, line: Line, one: Ask, variant: Variant, at: float) -> None:
        if not line.acted:
            self._mistake("not acted upon", line)
        elif verdict.action == "deny":
            self.decisions["denied by a rule"] += 1
            if (line.action, line.rule, line.status) != verdict:
                self._mistake(f"{verdict.rule} should have denied it", line)
        elif line.action == "allow":
            self.decisions["allowed"] += 1
            if line.rule != verdict.rule:
                self._mistake(f"{verdict.rule} should have allowed it", line)
            elif one.hot:
                self._hot.setdefault(one.key, []).append((at, True))
        elif line.action == "throttle" and line.rule == "limit:requests" and line.status == 429:
            self.decisions["throttled"] += 1
            if one.hot:
                self._hot.setdefault(one.key, []).append((at, False))
            else:
                self._mistake("its first request of the hour is over the limit", line)
        elif line.rule == "guard:store" and line.status == 503:
            self.decisions["not counted (503)"] += 1
            if one.hot:
                # Perhaps it was, and is being given back.
                self._uncounted[one.key] = min(at, self._uncounted.get(one.key, at))
            if variant.store != "deny" or not self.faults.hold(at):
                self._mistake("not counted, though nothing was made to fail", line)
        else:
            self._mistake(f"{verdict} was to be expected", line)

    def close_quotas(self, before: int) -> None:
        """Check the quotas of accounts that asked often up to an epoch, and forget them."""
        for key in [key for key in self._hot if int(key.split("-")[2]) <= before]:
            asked = sorted(self._hot.pop(key))
            begin = min(asked[0][0], self._uncounted.pop(key, asked[0][0]))
            self._check_quota(key, begin, asked)
            self._accounts.pop(key, None)
        for key in [key for key in self._uncounted if int(key.split("-")[2]) <= before]:
            del self._uncounted[key]

    def _check_quota(self, key: str, begin: float, asked: Sequence[tuple[float, bool]]) -> None:
        end = asked[-1][0]
        allowed = sum(one for _, one in asked)
        # Each worker may let a share through while nothing can be counted together; what a killed
        # one took is lost with it.
        if self.faults.touch(begin - 1.0, end) or self.kills.touch(begin - 1.0, end):
            if allowed > 3 * BURST + RATE * (end - begin) + TOLERANCE:
                self._wrong("quota", f"{key} got {allowed} in {end - begin:.1f} s of faults")
            return
        self.quotas_checked += 1
        granted = [at for at, let in asked if let]
        used, last = 0.0, asked[0][0]
        for at, let in asked:
            used = max(0.0, used - RATE * (at - last))
            last = at
            if let:
                used += 1.0
                if used > BURST + TOLERANCE:
                    self._wrong("quota", f"{key} got {used:.1f} of {BURST} at {at:.3f}")
                    return
            else:
                # Those that came while this one waited may have been counted before it.
                most = used + bisect_right(granted, at + WAITS) - bisect_right(granted, at)
                if most + 1.0 <= BURST - TOLERANCE:
                    self._wrong("quota", f"{key} was refused at {most:.1f} of {BURST}, {at:.3f}")
                    return

    def _mistake(self, kind: str, line: Line) -> None:
        shown = {name: value for name, value in msgspec.structs.asdict(line).items() if value}
        self._wrong(kind, f"{kind}: {shown}")

    def _wrong(self, kind: str, words: str) -> None:
        self.wrong[kind] += 1
        if len(self.told) < MOST_TOLD:
            self.told.append(words)


def unequal(seen: Mapping[int, int], logged: Mapping[int, int]) -> list[tuple[int, int, int]]:
    """(number, status the client saw, status logged) of requests whose two differ."""
    return [
        (number, status, logged[number])
        for number, status in seen.items()
        if number in logged and logged[number] != status
    ]
