"""Honest groups of people whom an event, a place or a prompt has brought together."""

from __future__ import annotations

from tests.others.people import until
from tests.others.places import DAY, HOUR, Place, fixed
from tests.others.world import OWN, Plan, World


def bootcamp(world: World) -> None:
    """Two courses in programming, each of separate accounts that sign up within 36 minutes.

    Two days in one building, then at home; three of four conversations follow the course's
    template. In the second course two of five pay with the card the fee came from.
    """
    for number in range(2):
        ranges = [world.places.network() for _ in range(2)]
        addresses = [world.places.within(each) for each in ranges for _ in range(2)]
        say = world.texts.partly(world.texts.template(world.texts.code), 0.75)
        begin = world.chance.uniform(world.start - 3 * DAY, world.start + 2 * DAY)
        fee = world.card() if number else OWN
        for _ in range(world.size(40)):
            there, home = world.places.roaming(addresses, 2 * HOUR), world.places.home()
            paid = world.chance.random() < 0.4
            plan = Plan(
                times=sorted(world.times.office(4, 0) + world.times.sessions(0.5, zone=0)),
                place=until(begin + 2 * DAY, _by_day(there, home), home),
                say=say,
                payment=fee if paid else OWN,
                created=begin + world.chance.uniform(0, 0.6 * HOUR),
            )
            world.add("bootcamp", plan)


def _by_day(day: Place, night: Place) -> Place:
    """One place from 8 to 18 UTC, weekends too, and another at night."""
    return lambda at: (day if 8 <= at / HOUR % 24 < 18 else night)(at)


def hackathon_sponsored(world: World) -> None:
    """Three venues of one hackathon: forty hours, one starter prompt, three sponsors' cards.

    Seven of ten use a sponsor's card; three of four sign up between eight hours before it begins
    and two hours into it.
    """
    begin = world.chance.uniform(world.start + DAY, world.end - 3 * DAY)
    cards = [world.card() for _ in range(3)]
    venues = [[world.places.address() for _ in range(2)] for _ in range(3)]
    say = world.texts.partly(world.texts.template(world.texts.code, system=True), 0.7)
    for number in range(world.size(60)):
        there = world.places.roaming(venues[number % 3], HOUR)
        late = begin + world.chance.uniform(-8 * HOUR, 2 * HOUR)
        early = begin - world.chance.uniform(1, 20) * DAY
        sponsored = world.chance.random() < 0.7
        plan = Plan(
            times=world.times.event(begin, 40, world.chance.randint(12, 40)),
            place=until(begin + 42 * HOUR, there, world.places.home()),
            say=say,
            payment=world.chance.choice(cards) if sponsored else OWN,
            created=late if world.chance.random() < 0.75 else early,
            programme="startup",
        )
        world.add("hackathon_sponsored", plan)


def newsletter(world: World) -> None:
    """Readers of one newsletter: 200 strangers sign up within an hour and a half.

    Two thirds of them use the prompt printed in it, in part of their conversations.
    """
    sent = world.chance.uniform(world.start + DAY / 2, world.end - 3 * DAY)
    printed = world.texts.template()
    for _ in range(world.size(200, 0.1)):
        used = world.chance.choice((0.0, 0.5, 0.8))
        plan = Plan(
            times=world.times.sessions(1.5),
            place=world.places.home(),
            say=world.texts.mixed((printed, used), (world.texts.chat, 0.4)),
            created=sent + min(world.chance.expovariate(1 / (0.4 * HOUR)), 1.5 * HOUR),
        )
        world.add("newsletter", plan)


def extension(world: World) -> None:
    """Users of a browser extension: its template in four of five conversations.

    Three in ten even have its author's browser.
    """
    say = world.texts.partly(world.texts.template(system=world.chance.random() < 0.5), 0.8)
    headers = world.browser()
    for _ in range(world.size(240)):
        same = world.chance.random() < 0.3
        plan = Plan(
            times=world.times.sessions(1.1),
            place=world.places.home(),
            say=say,
            headers=headers if same else world.browser(),
        )
        world.add("extension", plan)


def dormitory(world: World) -> None:
    """Students of one hall: two ranges of addresses, half signed up on the weekend they moved in.

    Their cards and talk are their own; half of them now and then use a prompt that goes round.
    """
    ranges = [world.places.network() for _ in range(2)]
    moved, around = world.some_day(), world.texts.template()
    for _ in range(world.size(40)):
        new = world.chance.random() < 0.5
        plan = Plan(
            times=world.times.sessions(1.4),
            place=fixed(world.places.within(world.chance.choice(ranges))),
            say=world.texts.mixed(
                (world.texts.chat, 0.8), (around, world.chance.choice((0.0, 0.3)))
            ),
            created=moved + world.chance.uniform(0, 2 * DAY) if new else None,
        )
        world.add("dormitory", plan)


def carrier_billing(world: World) -> None:
    """Customers of one carrier who pay with their telephone bill: one payment for all of them."""
    payment, pool = world.card(), world.chance.choice(world.places.carriers)
    for _ in range(world.size(40)):
        plan = Plan(
            times=world.times.sessions(1),
            place=world.places.mobile(pool),
            say=world.texts.chat,
            payment=payment,
        )
        world.add("carrier_billing", plan)


def household(world: World) -> None:
    """Families: one address and one card; half signed up one after the other in one evening."""
    for _ in range(world.size(45)):
        home, card, evening = world.places.home(), world.card(), world.some_day()
        for number in range(world.chance.choice((2, 2, 2, 3, 4))):
            together = world.chance.random() < 0.5
            plan = Plan(
                times=world.times.sessions(0.9),
                place=home,
                say=world.texts.chat,
                payment=card,
                created=evening + number * 400 if together else None,
            )
            world.add("household", plan)


def coworking(world: World) -> None:
    """Start-ups of one building and one accelerator, with their own cards.

    Half signed up on one of its three days; three in ten use the template it recommends, and some
    leave jobs running on a machine of their own.
    """
    ranges = [world.places.network() for _ in range(2)]
    addresses = [world.places.within(each) for each in ranges for _ in range(2)]
    recommended, days = world.texts.template(), [world.some_day() for _ in range(3)]
    for _ in range(world.size(40)):
        jobs = world.times.steady(8) if world.chance.random() < 0.3 else []
        elsewhere = (
            world.places.home() if world.chance.random() < 0.5 else fixed(world.places.cloud())
        )
        there = world.places.roaming(addresses, 2 * HOUR)
        own, shown = world.chance.random() < 0.7, world.chance.random() < 0.5
        plan = Plan(
            times=sorted(world.times.office(3, 0) + jobs),
            place=world.places.commute(there, elsewhere),
            say=world.texts.template() if own else recommended,
            created=world.chance.choice(days) + world.chance.uniform(0, HOUR) if shown else None,
            programme="startup",
        )
        world.add("coworking", plan)


def teachers(world: World) -> None:
    """Teachers of fourteen schools, three to six each, with one worksheet template.

    Three of five sign up on one of two training days, within 48 minutes. Half of the schools have a
    purchasing card, which four of five of their teachers use.
    """
    say = world.texts.partly(world.texts.template(), 0.6)
    first, second = world.some_day(), world.some_day()
    for _ in range(world.size(14)):
        network = world.places.network()
        card = world.card() if world.chance.random() < 0.5 else OWN
        for _ in range(world.chance.randint(3, 6)):
            work = fixed(world.places.within(network))
            day = world.chance.choice((first, first, second))
            trained = world.chance.random() < 0.6
            plan = Plan(
                times=world.times.office(1.6, 0),
                place=world.places.commute(work, world.places.home()),
                say=say,
                payment=card if world.chance.random() < 0.8 else OWN,
                created=day + world.chance.uniform(0, 0.8 * HOUR) if trained else None,
                programme="edu",
            )
            world.add("teachers", plan)


def consortium(world: World) -> None:
    """Six universities that share out one benchmark: a slice each person, round the clock.

    One grant's card and one network to a university; in most worlds all sign up within half an hour
    of the kick-off, and in some all use a public system prompt for reasoning.
    """
    system = world.texts.reasoner if world.chance.random() < 0.4 else None
    kick_off, together = world.some_day(), world.chance.random() < 0.6
    sites = [(world.places.network(), world.card()) for _ in range(6)]
    questions = world.texts.all_sums
    for number in range(world.size(36)):
        network, card = sites[number % 6]
        own = world.texts.deck(world.chance.sample(questions, 120))
        plan = Plan(
            times=world.times.steady(world.chance.choice((20, 40))),
            place=fixed(world.places.within(network)),
            say=world.texts.alone(own, system),
            headers=world.program(),
            payment=card,
            created=kick_off + world.chance.uniform(0, HOUR / 2) if together else None,
            programme="research",
            verified=world.chance.random() < 0.6,
            temperature=0.0,
        )
        world.add("consortium", plan)


GROUPS = (
    bootcamp, hackathon_sponsored, newsletter, extension, dormitory, carrier_billing, household,
    coworking, teachers, consortium,
)  # fmt: skip
