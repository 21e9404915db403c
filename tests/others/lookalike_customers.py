"""Honest look-alikes whom a seller, a carrier, a promotion or a move has brought here."""

from __future__ import annotations

from tests.others.places import DAY, HOUR, fixed
from tests.others.world import OWN, Plan, World


def family_plan(world: World) -> None:
    """Families of three to six who follow one evening's promotion: an address and a card each.

    All sign up within the same two hours, each family one after the other.
    """
    evening = world.some_day()
    for _ in range(world.size(16)):
        card, home = world.card(), world.places.home()
        first = evening + world.chance.uniform(0, 2 * HOUR)
        for number in range(world.chance.randint(3, 6)):
            plan = Plan(
                times=world.times.sessions(0.9),
                place=home,
                say=world.texts.chat,
                payment=card,
                created=first + number * world.chance.uniform(100, 400),
            )
            world.add("family_plan", plan)


def prepaid(world: World) -> None:
    """Customers of eleven shops that sell access with prepaid cards, three to seven to a card.

    All are on one carrier; three of five signed up at the counter, minutes after each other.
    """
    carrier = world.chance.choice(world.places.carriers)
    for _ in range(world.size(11)):
        for _ in range(world.chance.randint(1, 2)):
            card, day = world.card(), world.some_day()
            for number in range(world.chance.randint(3, 7)):
                there = world.chance.random() < 0.6
                queued = day + number * world.chance.uniform(200, 900)
                plan = Plan(
                    times=world.times.sessions(1.3),
                    place=world.places.mobile(carrier),
                    say=world.texts.chat,
                    payment=card,
                    created=queued if there else world.some_day(),
                )
                world.add("prepaid", plan)


def sellers(world: World) -> None:
    """Customers of ten sellers who make the accounts themselves, four to seven in a row.

    Seven of ten are paid with the seller's card; the customers roam two carriers.
    """
    carriers = world.chance.sample(world.places.carriers, 2)
    for _ in range(world.size(10)):
        card, day = world.card(), world.some_day()
        for number in range(world.chance.randint(4, 7)):
            plan = Plan(
                times=world.times.sessions(1.4, zone=6),
                place=world.places.mobile(world.chance.choice(carriers)),
                say=world.texts.chat,
                payment=card if world.chance.random() < 0.7 else OWN,
                created=day + number * world.chance.uniform(100, 300),
            )
            world.add("sellers", plan)


def censored(world: World) -> None:
    """People behind a firewall: one circumvention service's exits, and sellers who pay for them.

    Three to eight have a seller, whose card four of five use; they signed up on any day.
    """
    exits = world.places.egress(7, 4, "vpn")
    for _ in range(world.size(11)):
        card = world.card()
        for _ in range(world.chance.randint(3, 8)):
            plan = Plan(
                times=world.times.sessions(1.4, zone=8),
                place=world.places.mobile(exits, 5, 9 * HOUR),
                say=world.texts.chat,
                payment=card if world.chance.random() < 0.8 else OWN,
            )
            world.add("censored", plan)


def cafes(world: World) -> None:
    """Guests of ten internet cafés of one town, three to six each; signed up there one by one.

    Two lines to a café, of seven ranges of the town; four of five use its owner's prepaid card.
    """
    town = [world.places.network() for _ in range(7)]
    for _ in range(world.size(10)):
        lines, card = world.chance.sample(town, 2), world.card()
        for _ in range(world.chance.randint(3, 6)):
            plan = Plan(
                times=world.times.sessions(1.2, zone=5),
                place=world.places.across(lines, 9 * HOUR),
                say=world.texts.chat,
                payment=card if world.chance.random() < 0.8 else OWN,
                created=world.some_day() if world.chance.random() < 0.6 else None,
            )
            world.add("cafes", plan)


def carrier_app(world: World) -> None:
    """Users of one application on one carrier: its system prompt and its library.

    A third signed up on the day the carrier advertised it, within four hours.
    """
    carrier = world.chance.choice(world.places.carriers)
    system = f"You are Saathi, helper inside the Mobi application. {world.texts.tail()}"
    headers, advertised = world.program(), world.some_day()
    for _ in range(world.size(90)):
        new = world.chance.random() < 0.35
        plan = Plan(
            times=world.times.sessions(1.4),
            place=world.places.mobile(carrier),
            say=world.texts.product(system, world.texts.questions),
            headers=headers,
            created=advertised + world.chance.uniform(0, 4 * HOUR) if new else None,
        )
        world.add("carrier_app", plan)


def refugees(world: World) -> None:
    """Customers of a competitor that is down: all sign up within ten hours of one day.

    Three of five are services on machines of their own, with templates of their own, the others
    people who chat; all have one of its two libraries.
    """
    down = world.chance.uniform(world.start + DAY, world.start + 3 * DAY)
    libraries = [world.program() for _ in range(2)]
    for _ in range(world.size(160)):
        service, delay = world.chance.random() < 0.6, world.chance.expovariate(1 / (2 * HOUR))
        daily = world.chance.choice((10, 20, 30))
        own = world.texts.template(system=world.chance.random() < 0.5)
        plan = Plan(
            times=world.times.steady(daily) if service else world.times.sessions(2),
            place=fixed(world.places.cloud()) if service else world.places.home(),
            say=own if service else world.texts.chat,
            headers=world.chance.choice(libraries),
            created=down + min(delay, 10 * HOUR),
        )
        world.add("refugees", plan)


def migrated(world: World) -> None:
    """Customers whom a partner moves over by a script, some seconds apart; half on its invoice.

    Two of five are services on machines of their own, the others people who chat.
    """
    moved, invoice = world.some_day(), world.card()
    for number in range(world.size(80)):
        service = world.chance.random() < 0.4
        plan = Plan(
            times=world.times.steady(12) if service else world.times.sessions(1.2),
            place=fixed(world.places.cloud()) if service else world.places.home(),
            say=world.texts.template() if service else world.texts.chat,
            payment=invoice if world.chance.random() < 0.5 else OWN,
            created=moved + number * world.chance.uniform(3, 9),
        )
        world.add("migrated", plan)


GROUPS = (
    family_plan, prepaid, sellers, censored, cafes, carrier_app, refugees, migrated
)  # fmt: skip
