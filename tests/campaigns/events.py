"""Many newcomers at one place or time, each a `Making` → its groups: parts of `worlds`."""

from __future__ import annotations

import random

from tests.campaigns.making import Making
from tests.campaigns.nature import (
    DAY,
    HOUR,
    RELEASE,
    Place,
    Whereabouts,
    chat,
    digests,
    fills,
    roams,
    sessions,
    stays,
    steady,
)


def _weekend(rng: random.Random, opens: float) -> list[float]:
    """A few prompts at a time, half an hour of work between, six hours of sleep a night."""
    times, at, sleep = [], opens + rng.uniform(0, HOUR), 16 * HOUR + rng.uniform(-2, 2) * HOUR
    while at < opens + 1.5 * DAY:
        if (at - opens) % DAY > sleep:
            at = opens + DAY + rng.uniform(0, HOUR)
        for _ in range(rng.randint(1, 4)):
            times.append(at)
            at += rng.lognormvariate(4.5, 0.8)
        at += rng.expovariate(1 / 1800)
    return times


def _hackathon(make: Making, *, venues: int, mobile: float = 0.0, sponsor: bool = False) -> None:
    rng, net, span = make.rng, make.net, make.span
    group = make.group("participants")
    places, tutorial, created = make.offices(venues), make.frame(), make.within(2)
    credit = make.card()
    for i in range(make.size):
        venue = places[i % venues]
        on_phone = rng.random() < mobile
        phone, home = net.carrier(rng), net.home(rng)

        def where(
            at: float, venue: Place = venue, home: Whereabouts = home,
            phone: Whereabouts | None = phone if on_phone else None,
        ) -> Place:  # fmt: skip
            if at >= span.start + 2 * DAY:
                return home(at)
            return phone(at) if phone is not None and int(at // HOUR) % 2 else venue

        # Two days with little sleep; afterwards some play on from home.
        weekend = _weekend(rng, span.start + 9 * HOUR)
        later = sessions(rng, span) if rng.random() < 0.4 else []
        make.add(
            group, times=sorted(weekend + [t for t in later if t > span.start + 2 * DAY]),
            at=where, say=fills(rng, tutorial) if rng.random() < 0.7 else chat(rng, net),
            created=created[i],
            payment=credit if sponsor else make.card() if rng.random() < 0.3 else None,
        )  # fmt: skip


def hackathon(make: Making) -> None:
    """One venue, one tutorial, sign-ups within two hours."""
    _hackathon(make, venues=1)


def hackathon_venues(make: Making) -> None:
    """Three venues at once."""
    _hackathon(make, venues=3)


def hackathon_mobile(make: Making) -> None:
    """Three venues, and half of the people partly on mobile networks."""
    _hackathon(make, venues=3, mobile=0.5)


def hackathon_sponsored(make: Making) -> None:
    """Three venues, some on mobile networks, and a sponsor's credits pay for all."""
    _hackathon(make, venues=3, mobile=0.5, sponsor=True)


def _accelerator(make: Making, *, sponsor: bool) -> None:
    rng, net, span = make.rng, make.net, make.span
    group = make.group("cohort")
    desk, template, created, credit = net.fixed(rng), make.frame(), make.within(1), make.card()
    for i in range(make.size):
        machine, home = net.cloud(rng), net.home(rng)

        def where(at: float, machine: Place = machine, home: Whereabouts = home) -> Place:
            hour = at % DAY / HOUR
            return desk if 8 <= hour < 18 else home(at) if hour < 22 else machine

        times = steady(rng, span, daily=20) if rng.random() < 0.4 else sessions(rng, span, daily=2)
        make.add(
            group, times=times, at=where, say=fills(rng, template), created=created[i],
            payment=credit if sponsor else make.card(),
        )  # fmt: skip


def accelerator(make: Making) -> None:
    """A cohort: sign-ups within an hour, the programme's template, one co-working address."""
    _accelerator(make, sponsor=False)


def accelerator_sponsored(make: Making) -> None:
    """The same, and the programme's credits pay."""
    _accelerator(make, sponsor=True)


def launch(make: Making, *, resold: float = 0.1, steadily: float = 0.0) -> None:
    """A product's launch day: sign-ups within an hour, one system prompt, some of one office, some
    through one reseller."""
    rng, net = make.rng, make.net
    group = make.group("newcomers")
    product, created = digests(rng, 6), make.within(1)
    offices, card = make.offices(12), make.card()
    for i in range(make.size):
        office, service = rng.random() < 0.2, rng.random() < steadily
        times = steady(rng, make.span, daily=20) if service else ()
        make.add(
            group, times=times or sessions(rng, make.span, daily=1.2), say=fills(rng, product),
            at=stays(rng.choice(offices)) if office else net.home(rng), created=created[i],
            payment=card if rng.random() < resold else make.card() if rng.random() < 0.6 else None,
        )  # fmt: skip


def release_day(make: Making) -> None:
    """The day a new model comes out: sign-ups of two hours, many by phone or VPN, some through one
    of two resellers, all ask for that model; a third runs something round the clock at once."""
    rng, net, span = make.rng, make.net, make.span
    group = make.group("curious")
    cards, egress = [make.card(), make.card()], [net.cloud(rng) for _ in range(3)]
    for _ in range(make.size):
        kind, resold = rng.random(), rng.random() < 0.1
        at = net.carrier(rng) if kind < 0.3 else net.vpn(rng) if kind < 0.5 else net.home(rng)
        service = rng.random() < 0.33
        frame = rng.choice(net.templates)
        make.add(
            group, created=span.start + RELEASE + rng.uniform(0, 2 * HOUR), pivots=0.95,
            times=steady(rng, span, daily=20) if service else sessions(rng, span, daily=2),
            at=roams(rng, egress) if resold else at,
            say=fills(rng, frame) if rng.random() < 0.3 else chat(rng, net),
            payment=rng.choice(cards) if resold else make.card() if rng.random() < 0.7 else None,
        )  # fmt: skip


def university(make: Making, *, grants: int = 0) -> None:
    """A class, each student on paper alone: campus network, one assignment, one hour of sign-up;
    with `grants`, so many instruments of the department pay."""
    rng, net = make.rng, make.net
    group = make.group("students")
    subnets = digests(rng, 3)
    campus = [net.fixed(rng, subnet, asn=901) for subnet in subnets for _ in range(8)]
    frame, created = make.frame(), make.within(1)
    funds = [make.card() for _ in range(grants)]
    for i in range(make.size):
        wifi, home = roams(rng, campus), net.home(rng)

        def where(at: float, wifi: Whereabouts = wifi, home: Whereabouts = home) -> Place:
            return wifi(at) if 7 <= at % DAY / HOUR < 18 else home(at)

        make.add(
            group, times=sessions(rng, make.span, daily=1.4), at=where, created=created[i],
            say=fills(rng, frame),
            payment=rng.choice(funds) if funds else make.card() if rng.random() < 0.2 else None,
        )  # fmt: skip
