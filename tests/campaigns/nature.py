"""Where made-up accounts live, when they are awake and what they say: parts of `worlds`.

Digests, times and places only. Everything comes from a seeded generator and virtual time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway_guard.campaigns.sighting import Sighting

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
#: A Monday, 00:00 UTC.
START: Final = 1_772_409_600.0
#: When a new model appears, after `START`.
RELEASE: Final = 2 * DAY


class Place(NamedTuple):
    """An address as the linker sees it."""

    address: int
    subnet: int
    asn: int
    flags: frozenset[str] = frozenset()


#: Where an account is at a time (Unix seconds), and what it says: the content keys of one prompt.
Whereabouts = Callable[[float], Place]
Talk = Callable[[], tuple[int, ...]]

HOSTING: Final = frozenset({"hosting"})
VPN: Final = frozenset({"vpn"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account: who pays, since when, and what it does at which times (Unix seconds)."""

    name: str
    organisation: str
    payment: str | None
    created_at: float
    times: Sequence[float]
    at: Whereabouts
    say: Talk
    pivots: float = 0.15
    client: int = 0


@dataclass(slots=True)
class Group:
    """Accounts of one making. `attack` says whether holding them is right."""

    name: str
    attack: bool
    accounts: list[Account] = field(default_factory=list)


def digest(rng: random.Random) -> int:
    """A 64-bit digest of something never seen before."""
    return rng.getrandbits(63) + 1


def digests(rng: random.Random, count: int) -> tuple[int, ...]:
    """So many of them."""
    return tuple(rng.getrandbits(63) + 1 for _ in range(count))


class Internet:
    """What everybody shares: clouds, carriers, VPN exits, products, public templates, small talk.

    `accounts` is the size of the population it serves; carriers and clouds grow with it.
    """

    def __init__(self, seed: int, accounts: int) -> None:
        rng = self.rng = random.Random(f"internet/{seed}")
        self.clouds = [(digest(rng), 1 + i % 8) for i in range(40 + accounts // 60)]
        self.carriers = [
            [digest(rng) for _ in range(3 + accounts // 1000)] for _ in range(8 + accounts // 1000)
        ]
        self.vpns = [
            [self.fixed(rng, asn=300 + i, flags=VPN) for _ in range(12 + accounts // 400)]
            for i in range(4)
        ]
        self.products = [digests(rng, 6) for _ in range(5)]
        self.templates = [digests(rng, 7) for _ in range(20)]
        self.openers = digests(rng, 60)
        self.benchmarks = [[digests(rng, 8) for _ in range(120)] for _ in range(3)]

    @staticmethod
    def fixed(
        rng: random.Random, subnet: int = 0, *, asn: int = 0, flags: frozenset[str] = frozenset()
    ) -> Place:
        """One address, in a network of its own unless told."""
        return Place(digest(rng), subnet or digest(rng), asn or rng.randrange(1000, 1400), flags)

    def cloud(self, rng: random.Random) -> Place:
        """A machine in some cloud: /24s are shared with strangers by chance."""
        subnet, asn = rng.choice(self.clouds)
        return self.fixed(rng, subnet, asn=asn, flags=HOSTING)

    def vpn(self, rng: random.Random) -> Whereabouts:
        """A subscriber of a commercial VPN: one of its exits every day, shared with many."""
        exits = rng.choice(self.vpns)
        mine = rng.random()
        return lambda at: exits[int((mine + int(at // DAY) * 0.618) % 1.0 * len(exits))]

    def carrier(self, rng: random.Random, number: int | None = None) -> Whereabouts:
        """A mobile subscriber: a few hundred strangers behind an address, a new one every 3 h.

        `number`: whose; by default anybody's.
        """
        number = rng.randrange(len(self.carriers)) if number is None else number
        subnets = self.carriers[number]
        mine = rng.random()

        def where(at: float) -> Place:
            turn = (mine + int(at // (3 * HOUR)) * 0.618) % 1.0 * len(subnets)
            subnet = subnets[int(turn)]
            return Place(subnet ^ (1 + int(turn * 8) % 8), subnet, 500 + number)

        return where

    def home(self, rng: random.Random, *, mobile: float = 0.3) -> Whereabouts:
        """A line at home, and for a share `mobile` of people also a phone."""
        line = self.fixed(rng)
        if rng.random() >= mobile:
            return lambda _: line
        phone = self.carrier(rng)
        out = rng.random()
        return lambda at: phone(at) if (out + int(at // HOUR) * 0.618) % 1.0 < 0.4 else line


def stays(place: Place) -> Whereabouts:
    """Always there."""
    return lambda _: place


def roams(rng: random.Random, places: Sequence[Place], *, every: float = HOUR) -> Whereabouts:
    """At one of `places`, another one each `every` seconds."""
    mine = rng.random()
    return lambda at: places[int((mine + int(at // every) * 0.618) % 1.0 * len(places))]


# What is said.


def chat(rng: random.Random, net: Internet) -> Talk:
    """A person: hardly ever the same as others, but for common openers (2 % of prompts)."""
    openers = net.openers

    def say() -> tuple[int, ...]:
        said = digests(rng, 8)
        if rng.random() < 0.02:
            return (openers[min(int(rng.paretovariate(0.7)) - 1, len(openers) - 1)], *said)
        return said

    return say


def fills(rng: random.Random, frame: tuple[int, ...], *, fresh: int = 4) -> Talk:
    """A template filled in: its keys and some of the filling."""
    return lambda: frame + digests(rng, fresh)


def recites(rng: random.Random, items: Sequence[tuple[int, ...]]) -> Talk:
    """A benchmark: its items one after another, from some place on."""
    turn = rng.randrange(len(items))

    def say() -> tuple[int, ...]:
        nonlocal turn
        turn = (turn + 1) % len(items)
        return items[turn]

    return say


# When.


class Span(NamedTuple):
    """The time a world lasts, Unix seconds."""

    start: float
    end: float

    @property
    def days(self) -> float:
        """Its length."""
        return (self.end - self.start) / DAY


def sessions(rng: random.Random, span: Span, *, daily: float = 0.7, long: int = 5) -> list[float]:
    """A person: some days a session or two between 8 and 23 h of their own, minutes apart."""
    times = []
    noon = rng.choice((-8, -5, 0, 1, 1, 2, 5, 8)) * HOUR
    for day in range(int(span.days)):
        for _ in range(2):
            if rng.random() < daily / 2:
                at = span.start + day * DAY + rng.uniform(8 * HOUR, 23 * HOUR) - noon
                for _ in range(rng.randint(1, 2 * long - 1)):
                    times.append(at)
                    at += rng.lognormvariate(4.5, 0.8)
    return sorted(t for t in times if span.start <= t < span.end)


def steady(rng: random.Random, span: Span, *, daily: float) -> list[float]:
    """A service or a harvester: at random, round the clock, `daily` exchanges a day."""
    times, at = [], span.start
    while (at := at + rng.expovariate(daily / DAY)) < span.end:
        times.append(at)
    return times


def batch(rng: random.Random, span: Span, *, runs: int = 2, each: int = 15) -> list[float]:
    """A job: a few runs of dense exchanges."""
    times = []
    for _ in range(runs):
        at = rng.uniform(span.start, span.end - HOUR)
        for _ in range(rng.randint(each // 2, 2 * each)):
            times.append(at)
            at += rng.expovariate(1 / 40)
    return sorted(t for t in times if t < span.end)


def long_ago(rng: random.Random, span: Span, *, days: float = 500) -> float:
    """A sign-up some time in the past `days`, oftener by day."""
    day = span.start - DAY * int(rng.uniform(1, days))
    return day + rng.triangular(5, 23, 14) * HOUR


def events(group: Group) -> Iterator[tuple[float, int, Account]]:
    """What a group does, not yet in order."""
    for number, account in enumerate(group.accounts):
        for at in account.times:
            yield at, number, account


def sightings(group: Group, rng: random.Random) -> Iterator[tuple[Sighting, Group]]:
    """The group's exchanges in time order."""
    for at, _, account in sorted(events(group), key=lambda event: event[:2]):
        place = account.at(at)
        new = at >= START + RELEASE and rng.random() < account.pivots
        yield (
            Sighting(
                at=at, account=account.name, organisation=account.organisation,
                payment=account.payment, created_at=account.created_at, address=place.address,
                subnet=place.subnet, asn=place.asn, flags=place.flags,
                model="apex-5" if new else "apex-4", keys=account.say(), tokens=900,
                client=account.client,
            ),
            group,
        )  # fmt: skip
