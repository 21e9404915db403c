"""Groups that look like one hand and are none, each a `Making` → its groups: parts of `worlds`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from tests.campaigns.events import (
    accelerator,
    accelerator_sponsored,
    hackathon,
    hackathon_mobile,
    hackathon_sponsored,
    hackathon_venues,
    launch,
    release_day,
    university,
)
from tests.campaigns.making import Making
from tests.campaigns.nature import (
    DAY,
    HOUR,
    Place,
    Talk,
    Whereabouts,
    chat,
    digests,
    fills,
    recites,
    roams,
    sessions,
    stays,
    steady,
)

Maker = Callable[[Making], None]


def _apps(make: Making) -> Callable[[], Talk]:
    """What a reseller's customers do: some chat, some have a template of their own."""
    rng, net = make.rng, make.net
    return lambda: chat(rng, net) if rng.random() < 0.5 else fills(rng, make.frame())


def _resold(
    make: Making, *, cards: int, egress: int, created: Sequence[float] | None = None,
    say: Callable[[], Talk] | None = None,
) -> None:  # fmt: skip
    rng, net = make.rng, make.net
    group = make.group("customers")
    payments = [make.card() for _ in range(cards)]
    places = [net.cloud(rng) for _ in range(egress)]
    talk = say or _apps(make)
    for i in range(make.size):
        make.add(
            group, times=make.times(), at=roams(rng, places), say=talk(),
            created=created[i] if created else None, payment=rng.choice(payments),
        )  # fmt: skip


def reseller(make: Making) -> None:
    """Customers of one reseller: one payment, one egress address."""
    _resold(make, cards=1, egress=1)


def reseller_cards(make: Making) -> None:
    """A larger one: three cards, six egress addresses."""
    _resold(make, cards=3, egress=6)


def reseller_afternoon(make: Making) -> None:
    """One that signs up its customers in one afternoon; one card, three egress addresses."""
    _resold(make, cards=1, egress=3, created=make.within(4, before=3))


def reseller_product(make: Making) -> None:
    """One whose customers all use one agent product; two cards, four egress addresses."""
    product = make.net.products[0]
    _resold(make, cards=2, egress=4, say=lambda: fills(make.rng, product))


def reseller_everything(make: Making) -> None:
    """Three cards, six egress addresses, one product, signed up in one afternoon."""
    product = make.net.products[0]
    _resold(
        make, cards=3, egress=6, created=make.within(4, before=3),
        say=lambda: fills(make.rng, product),
    )  # fmt: skip


def reseller_large(make: Making) -> None:
    """One with eight cards and twenty egress addresses that takes in customers on five days."""
    rng, days = make.rng, [make.span.start - 30 * DAY * i for i in range(1, 6)]
    created = [rng.choice(days) + rng.uniform(9, 12) * HOUR for _ in range(make.size)]
    _resold(make, cards=8, egress=20, created=created)


def agency(make: Making) -> None:
    """An agency sets up customers on two cards, from its office, weeks apart; each runs steadily
    on its own machine with the agency's template."""
    rng, net = make.rng, make.net
    group = make.group("customers")
    cards, office, frame = [make.card(), make.card()], net.fixed(rng), make.frame()
    for i in range(make.size):
        machine, created = net.cloud(rng), make.span.start - (i // 6) * 7 * DAY + i % 6 * 600
        moved = max(created, make.span.start) + 6 * HOUR

        def where(at: float, machine: Place = machine, moved: float = moved) -> Place:
            return office if at < moved else machine

        make.add(
            group, times=steady(rng, make.span, daily=20), at=where, say=fills(rng, frame),
            created=created, payment=cards[i % 2],
        )  # fmt: skip


def _company(make: Making, *, cards: int, steadily: bool) -> None:
    rng, net = make.rng, make.net
    group = make.group("subsidiaries")
    places, payments = make.offices(5), [make.card() for _ in range(cards)]
    created, frame = make.within(2, before=2), make.frame()
    for i in range(make.size):
        office = rng.randrange(5)
        home = net.home(rng)

        def where(at: float, office: Place = places[office], home: Whereabouts = home) -> Place:
            return office if 7 <= at % DAY / HOUR < 18 else home(at)

        make.add(
            group, say=fills(rng, frame) if rng.random() < 0.6 else chat(rng, net),
            times=steady(rng, make.span, daily=20) if steadily else make.times(0.8, 0.1),
            at=stays(places[office]) if steadily else where, created=created[i],
            payment=payments[office % cards],
        )  # fmt: skip


def company(make: Making) -> None:
    """Many organisations of one concern: one payment, five offices, signed up in bulk."""
    _company(make, cards=1, steadily=False)


def company_cards(make: Making) -> None:
    """The same with a card for each of three regions."""
    _company(make, cards=3, steadily=False)


def concern(make: Making) -> None:
    """A large one: eight countries, each with a card, two offices and a day of bulk sign-up."""
    rng = make.rng
    group = make.group("subsidiaries")
    cards, places = [make.card() for _ in range(8)], make.offices(16)
    frame, days = make.frame(), [make.span.start - rng.randrange(2, 200) * DAY for _ in range(8)]
    for i in range(make.size):
        country = i % 8
        make.add(
            group, say=fills(rng, frame), times=make.times(0.6, 0.1, daily=20),
            at=stays(places[country * 2 + rng.randrange(2)]), payment=cards[country],
            created=days[country] + rng.uniform(9, 11) * HOUR,
        )  # fmt: skip


def franchise(make: Making) -> None:
    """Shops of one franchise: cards of three regions, signed up in bulk, a steady service each."""
    rng, net = make.rng, make.net
    group = make.group("shops")
    cards, frame, created = [make.card() for _ in range(3)], make.frame(), make.within(2, before=2)
    for i in range(make.size):
        make.add(
            group, times=steady(rng, make.span, daily=20), at=net.home(rng, mobile=0),
            say=fills(rng, frame), created=created[i], payment=rng.choice(cards),
        )  # fmt: skip


def product_egress(make: Making) -> None:
    """Users of an agent product that calls from its own four addresses."""
    rng, net = make.rng, make.net
    group = make.group("users")
    product, places = digests(rng, 6), [net.cloud(rng) for _ in range(4)]
    for _ in range(make.size):
        make.add(
            group, times=make.times(0.8, 0), at=roams(rng, places), say=fills(rng, product),
            payment=make.card() if rng.random() < 0.6 else None,
        )  # fmt: skip


def evaluations(make: Making) -> None:
    """Teams on one public benchmark: identical items, round the clock, from clouds."""
    rng, net = make.rng, make.net
    group = make.group("teams")
    for _ in range(make.size):
        make.add(
            group, times=steady(rng, make.span, daily=40), at=stays(net.cloud(rng)),
            say=recites(rng, net.benchmarks[0]), payment=make.card(),
        )  # fmt: skip


def template_users(make: Making) -> None:
    """Users of one public template: one in ten behind one VPN, a few signed up together."""
    rng, net = make.rng, make.net
    group = make.group("users")
    frame, exits = make.frame(), net.vpns[0][:3]
    together = make.span.start - 5 * DAY
    for i in range(make.size):
        make.add(
            group, times=make.times(), say=fills(rng, frame), payment=make.card(),
            at=roams(rng, exits) if rng.random() < 0.1 else net.home(rng),
            created=together + rng.uniform(0, 1200) if i % 20 == 0 else None,
        )  # fmt: skip


def cloud_neighbours(make: Making) -> None:
    """Unrelated steady services that share a cloud's networks by chance, some a public template."""
    rng, net = make.rng, make.net
    group = make.group("services")
    subnets = digests(rng, max(make.size // 8, 3))
    for _ in range(make.size):
        where = stays(net.fixed(rng, rng.choice(subnets), asn=3))
        frame = rng.choice(net.templates[:3]) if rng.random() < 0.4 else make.frame()
        make.add(
            group, times=steady(rng, make.span, daily=20), at=where, say=fills(rng, frame),
            payment=make.card(),
        )  # fmt: skip


def families(make: Making) -> None:
    """Couples and families with one card and one line, some signed up the same evening."""
    rng, net = make.rng, make.net
    group = make.group("families")
    while len(group.accounts) < make.size:
        at, card, evening = net.home(rng, mobile=0.5), make.card(), None
        if rng.random() < 0.5:
            evening = make.span.start - rng.randrange(1, 300) * DAY + 20 * HOUR
        for i in range(rng.choice((2, 2, 2, 3, 4))):
            make.add(
                group, times=sessions(rng, make.span, daily=1.0), at=at, say=chat(rng, net),
                created=None if evening is None else evening + i * 300, payment=card,
            )  # fmt: skip


def drivers(make: Making) -> None:
    """Drivers of one service, hired one by one: their depots' cards, three carriers, its app."""
    rng, net = make.rng, make.net
    group, app = make.group("drivers"), make.frame()
    cards = [make.card() for _ in range(make.size // 6)]
    for i in range(make.size):
        make.add(
            group, times=sessions(rng, make.span, daily=1.6), at=net.carrier(rng, i % 3),
            say=fills(rng, app), payment=rng.choice(cards),
        )  # fmt: skip


def meters(make: Making) -> None:
    """What one maker has installed: its customers' few cards, three carriers, always on."""
    rng, net = make.rng, make.net
    group, firmware, client = make.group("meters"), make.frame(), digests(rng, 1)[0]
    cards = [make.card() for _ in range(make.size // 12)]
    for i in range(make.size):
        make.add(
            group, times=steady(rng, make.span, daily=14), at=net.carrier(rng, i % 3),
            say=fills(rng, firmware), payment=rng.choice(cards), client=client,
        )  # fmt: skip


#: name → maker and default size.
BENIGN: Final[dict[str, tuple[Maker, int]]] = {
    "reseller": (reseller, 40),
    "reseller-cards": (reseller_cards, 40),
    "reseller-afternoon": (reseller_afternoon, 30),
    "reseller-product": (reseller_product, 40),
    "reseller-everything": (reseller_everything, 40),
    "reseller-large": (reseller_large, 200),
    "agency": (agency, 30),
    "company": (company, 60),
    "company-cards": (company_cards, 60),
    "concern": (concern, 160),
    "franchise": (franchise, 50),
    "hackathon": (hackathon, 60),
    "hackathon-venues": (hackathon_venues, 90),
    "hackathon-mobile": (hackathon_mobile, 90),
    "hackathon-sponsored": (hackathon_sponsored, 90),
    "accelerator": (accelerator, 40),
    "accelerator-sponsored": (accelerator_sponsored, 40),
    "launch": (launch, 300),
    "launch, none resold": (partial(launch, resold=0), 300),
    "launch, half services": (partial(launch, steadily=0.5), 300),
    "release day": (release_day, 300),
    "product-egress": (product_egress, 150),
    "evaluations": (evaluations, 40),
    "template-users": (template_users, 120),
    "university": (university, 80),
    "university, two grants": (partial(university, grants=2), 80),
    "cloud-neighbours": (cloud_neighbours, 120),
    "families": (families, 80),
    "drivers": (drivers, 60),
    "meters": (meters, 80),
}
