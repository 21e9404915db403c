"""Honest groups of firms and machines: separate organisations with one payer, prompt or egress."""

from __future__ import annotations

from tests.others.places import DAY, HOUR, fixed
from tests.others.texts import PRODUCTS
from tests.others.world import OWN, Plan, World


def franchise(world: World) -> None:
    """Sixty shops of one brand, each an organisation: two corporate cards, six branch networks.

    One template for four of five conversations; signed up branch by branch within three hours. In
    half of the worlds half of the shops send by the clock.
    """
    cards, say = (world.card(), world.card()), world.texts.partly(world.texts.template(), 0.8)
    branches = [(world.places.network(), world.some_day()) for _ in range(6)]
    by_clock = world.chance.random() < 0.5
    for number in range(world.size(60)):
        network, day = branches[number % 6]
        clock = by_clock and world.chance.random() < 0.5
        plan = Plan(
            times=world.times.regular(24) if clock else world.times.office(3, 0),
            place=fixed(world.places.within(network)),
            say=say,
            payment=world.chance.choice(cards),
            created=day + world.chance.uniform(0, 3 * HOUR),
        )
        world.add("franchise", plan)


def oss_agent(world: World) -> None:
    """Those who run one open-source agent on two hosting companies' machines.

    Its system prompt and library; a third call by the clock, once each time, the others in runs of
    several calls. All move to the new model when its default changes, on the day of its release.
    """
    name = world.texts.noun()
    system = (
        f"You are opencrate, an autonomous maintenance agent (github.com/{name}/opencrate). Think "
        "about the goal, pick one action, print it as JSON. Actions: read, write, run, done. "
        f"{world.texts.noun()} mode."
    )
    headers = world.program()
    ranges = [
        world.places.network(kind) for kind in ("digitalocean",) * 14 + ("linode",) * 10
    ]  # fmt: skip
    for _ in range(world.size(110)):
        single = world.chance.random() < 1 / 3
        topic = world.chance.choice((world.texts.commands, world.texts.code))
        times = (
            world.times.regular(world.chance.choice((12, 24, 48)))
            if single
            else world.times.regular(world.chance.choice((2, 4, 6)), jitter=600, calls=4)
        )
        plan = Plan(
            times=times,
            place=fixed(world.places.within(world.chance.choice(ranges))),
            say=world.texts.product(system, topic),
            headers=headers,
            payment=world.card() if world.chance.random() < 0.8 else None,
            pivot=0.9,
        )
        world.add("oss_agent", plan)


def msp(world: World) -> None:
    """Three agencies that run the keys of 12 to 18 customers each from one network.

    Prepaid cards for three to five customers at a time; two agencies use one template for all. The
    first runs by the clock and signs customers up in fives within an hour, the second sends all
    day, the third in office hours.
    """
    for agency in range(3):
        network = world.places.network(world.chance.choice((None, "hosting")))
        addresses = [world.places.within(network) for _ in range(6)]
        customers, per_card = world.size(15), world.chance.randint(3, 5)
        cards = [world.card() for _ in range(customers // per_card + 1)]
        shared = world.texts.template()
        for number in range(customers):
            times = (
                world.times.regular(24)
                if agency == 0
                else world.times.steady(18)
                if agency == 1
                else world.times.office(3, 0)
            )
            week = world.start - 20 * DAY + number // 5 * 5 * DAY
            signed = world.some_day() if agency else week + world.chance.uniform(0, HOUR)
            plan = Plan(
                times=times,
                place=world.places.roaming(world.chance.sample(addresses, 2), 9 * HOUR),
                say=shared if agency != 2 else world.texts.template(),
                headers=world.program(),
                payment=cards[number // per_card],
                created=signed,
            )
            world.add("msp", plan)


def byok(world: World) -> None:
    """Tenants of two products who bring their own keys: its prompt, its library, its egress.

    A third signed up within six hours of its launch. The first product runs by the clock for each
    of its tenants; the second serves their staff in office hours or, for a third, their customers
    round the clock.
    """
    for number in range(2):
        ranges = [world.places.network("amazon") for _ in range(3)]
        egress = [world.places.within(world.chance.choice(ranges)) for _ in range(9)]
        headers, launch = world.program(), world.some_day()
        for _ in range(world.size(55)):
            topic = world.chance.choice((world.texts.notes, world.texts.passages))
            early = world.chance.random() < 0.35
            daily = world.chance.choice((8, 16, 24))
            times = (
                world.times.regular(daily)
                if number == 0
                else world.times.steady(daily)
                if world.chance.random() < 1 / 3
                else world.times.office(4)
            )
            plan = Plan(
                times=times,
                place=world.places.roaming(egress, 2 * HOUR),
                say=world.texts.product(PRODUCTS[2 + number], topic),
                headers=headers,
                payment=world.card() if world.chance.random() < 0.9 else None,
                created=launch + world.chance.uniform(0, 6 * HOUR) if early else None,
            )
            world.add("byok", plan)


def automation(world: World) -> None:
    """Users of an automation platform: its egress and library; half use one of three public flows.

    Two of five flows run by the clock, the others when somebody at work does something.
    """
    ranges = [world.places.network("google") for _ in range(3)]
    egress = [world.places.within(network) for network in ranges for _ in range(4)]
    public, headers = [world.texts.template() for _ in range(3)], world.program()
    for _ in range(world.size(80)):
        clock, own = world.chance.random() < 0.4, world.chance.random() < 0.5
        daily = world.chance.choice((12, 24, 48))
        plan = Plan(
            times=world.times.regular(daily) if clock else world.times.office(5),
            place=world.places.roaming(world.chance.sample(egress, 3), 6 * HOUR),
            say=world.texts.template() if own else world.chance.choice(public),
            headers=headers,
        )
        world.add("automation", plan)


def nightly_regions(world: World) -> None:
    """A company's nightly job in four regions, with an organisation for each team.

    One template, one to four cards; two of five accounts were made within an hour.
    """
    cards = [world.card() for _ in range(world.chance.choice((1, 3, 4)))]
    say = world.texts.template()
    regions = [world.places.network("microsoft") for _ in range(4)]
    for number in range(world.size(24)):
        region = number % 4
        rolled_out = world.start - 30 * DAY + world.chance.uniform(0, HOUR)
        plan = Plan(
            times=world.times.batches(30, 3, hour=1 + 6 * region),
            place=fixed(world.places.within(regions[region])),
            say=say,
            headers=world.program(),
            payment=cards[number % len(cards)],
            created=world.some_day() if world.chance.random() < 0.6 else rolled_out,
            temperature=0.0,
        )
        world.add("nightly_regions", plan)


def brokerage(world: World) -> None:
    """Brokers' agents, each an organisation: twelve brokers, three to seven agents each.

    Every broker has two office networks and a card that three of five agents use. All use one
    prompt of their customer system; over half signed up at one of four weekly webinars.
    """
    say = world.texts.partly(world.texts.template(world.texts.notes, system=True), 0.6)
    first = world.some_day(weeks=3)
    webinars = [first + week * 7 * DAY for week in range(4)]
    for _ in range(world.size(12)):
        networks, card = [world.places.network() for _ in range(2)], world.card()
        for _ in range(world.chance.randint(3, 7)):
            work = fixed(world.places.within(world.chance.choice(networks)))
            signed = world.chance.choice(webinars) + world.chance.uniform(0, 0.8 * HOUR)
            plan = Plan(
                times=world.times.office(2, 0),
                place=world.places.commute(work, world.places.home()),
                say=say,
                payment=card if world.chance.random() < 0.6 else OWN,
                created=signed if world.chance.random() < 0.55 else None,
            )
            world.add("brokerage", plan)


def freelancers(world: World) -> None:
    """People who annotate for one contractor: its task template, and ten access ranges of one city.

    Three of five were brought in on one of three weekly days, within 42 minutes; a quarter pay with
    one of the contractor's four virtual cards.
    """
    say = world.texts.partly(world.texts.template(), 0.7)
    city = [world.places.network() for _ in range(10)]
    cards, first = [world.card() for _ in range(4)], world.some_day(weeks=2)
    for _ in range(world.size(36)):
        day = first + world.chance.choice((0, 7, 14)) * DAY
        invited = world.chance.random() < 0.6
        virtual = world.chance.random() < 0.25
        plan = Plan(
            times=world.times.office(5, 3),
            place=fixed(world.places.within(world.chance.choice(city))),
            say=say,
            payment=world.chance.choice(cards) if virtual else OWN,
            created=day + world.chance.uniform(0, 0.7 * HOUR) if invited else None,
        )
        world.add("freelancers", plan)


GROUPS = (
    franchise, oss_agent, msp, byok, automation, nightly_regions, brokerage, freelancers
)  # fmt: skip
