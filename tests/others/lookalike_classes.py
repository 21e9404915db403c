"""Honest look-alikes whom a lesson, an event or a call has brought together."""

from __future__ import annotations

from tests.others.people import until
from tests.others.places import DAY, HOUR, fixed
from tests.others.world import OWN, Plan, World


def wifi_hackathon(world: World) -> None:
    """A hackathon behind one Wi-Fi and one carrier's telephones, 36 hours, then at home.

    All sign up between an hour before it begins and half an hour into it, use its starter prompt
    for four of five conversations, and have credits instead of cards.
    """
    wifi, carrier = world.places.network(), world.chance.choice(world.places.carriers)
    begin = world.chance.uniform(world.start + DAY, world.end - 3 * DAY)
    say = world.texts.partly(world.texts.template(world.texts.code, system=True), 0.8)
    for _ in range(world.size(60)):
        addresses = [world.places.within(wifi), world.chance.choice(carrier)]
        there = world.places.roaming(addresses, 2 * HOUR)
        plan = Plan(
            times=world.times.event(begin, 36, world.chance.randint(10, 40)),
            place=until(begin + 38 * HOUR, there, world.places.home()),
            say=say,
            payment=None,
            created=begin + world.chance.uniform(-HOUR, HOUR / 2),
            programme="startup",
        )
        world.add("wifi_hackathon", plan)


def mooc(world: World) -> None:
    """A class of people from everywhere who run one notebook on machines that a cloud shares out.

    Sixteen ranges, of which everybody meets four; the notebook's library, and its template in 17 of
    20 conversations. Seven of ten signed up in the first lesson, within an hour and a half.
    """
    ranges = [world.places.network("google") for _ in range(16)]
    lesson, headers = world.some_day(), world.program()
    say = world.texts.partly(world.texts.template(), 0.85)
    for _ in range(world.size(80)):
        attended = world.chance.random() < 0.7
        plan = Plan(
            times=world.times.sessions(1.2),
            place=world.places.across(world.chance.sample(ranges, 4), 5 * HOUR),
            say=say,
            headers=headers,
            payment=OWN if world.chance.random() < 0.4 else None,
            created=lesson + world.chance.uniform(0, 1.5 * HOUR) if attended else None,
            programme="edu",
        )
        world.add("mooc", plan)


def students(world: World) -> None:
    """Classes of four universities, two or three each, every student an organisation, no cards.

    Four of five sign up in the class's first lesson, within half an hour; half of their
    conversations follow its template. By day they are on campus, three to six networks, and in the
    evening two of five are in a hall there.
    """
    for _ in range(4):
        campus = [world.places.network() for _ in range(world.chance.randint(3, 6))]
        for _ in range(world.chance.randint(2, 3)):
            lesson, say = world.some_day(), world.texts.partly(world.texts.template(), 0.5)
            for _ in range(world.size(11)):
                seats = world.places.across(world.chance.sample(campus, 3), 3 * HOUR)
                in_hall = world.chance.random() < 0.4
                hall = fixed(world.places.within(world.chance.choice(campus)))
                attended = world.chance.random() < 0.8
                plan = Plan(
                    times=world.times.sessions(1.2),
                    place=world.places.commute(seats, hall if in_hall else world.places.home()),
                    say=say,
                    payment=None,
                    created=lesson + world.chance.uniform(0, HOUR / 2) if attended else None,
                    programme="edu",
                )
                world.add("students", plan)


def mentors(world: World) -> None:
    """Pupils of eight mentors of one course, at home; the mentor's card for three of five.

    Four of five enrol in one stream, within 42 minutes; seven of ten conversations follow the
    course's template.
    """
    stream, say = world.some_day(), world.texts.partly(world.texts.template(), 0.7)
    for _ in range(world.size(8)):
        card = world.card()
        for _ in range(world.chance.randint(5, 8)):
            paid, watched = world.chance.random() < 0.6, world.chance.random() < 0.8
            plan = Plan(
                times=world.times.sessions(1.3),
                place=world.places.home(),
                say=say,
                payment=card if paid else OWN,
                created=stream + world.chance.uniform(0, 0.7 * HOUR) if watched else None,
            )
            world.add("mentors", plan)


def training(world: World) -> None:
    """A trainer's day in five towns, then at home: a venue and a card each, for two of five.

    All sign up within half an hour; four of five conversations follow the trainer's template.
    """
    day = world.chance.uniform(world.start - 2 * DAY, world.start + 2 * DAY)
    say = world.texts.partly(world.texts.template(), 0.8)
    for _ in range(5):
        venue, card = world.places.network(), world.card()
        for _ in range(world.size(10)):
            there = fixed(world.places.within(venue))
            paid = world.chance.random() < 0.4
            plan = Plan(
                times=sorted(world.times.event(day, 9, 8) + world.times.sessions(0.9)),
                place=until(day + 9 * HOUR, there, world.places.home()),
                say=say,
                payment=card if paid else OWN,
                created=day + world.chance.uniform(0, HOUR / 2),
            )
            world.add("training", plan)


def tutoring(world: World) -> None:
    """A brand's twelve tutoring centres, three to five pupils each, with one worksheet template.

    Unlike `teachers`, three of four pay with the centre's card, wherever they are, and outside it
    all are on one carrier. Three of five enrolled on one of three days of term, within 42 minutes.
    """
    terms = [world.some_day() for _ in range(3)]
    carrier = world.chance.choice(world.places.carriers)
    say = world.texts.partly(world.texts.template(), 0.6)
    for _ in range(world.size(12)):
        centre, card = world.places.network(), world.card()
        for _ in range(world.chance.randint(3, 5)):
            there = fixed(world.places.within(centre))
            paid, by_term = world.chance.random() < 0.75, world.chance.random() < 0.6
            enrolled = world.chance.choice(terms) + world.chance.uniform(0, 0.7 * HOUR)
            plan = Plan(
                times=world.times.office(2, 5),
                place=world.places.commute(there, world.places.mobile(carrier), 5),
                say=say,
                payment=card if paid else OWN,
                created=enrolled if by_term else None,
            )
            world.add("tutoring", plan)


def volunteers(world: World) -> None:
    """Volunteers who translate with one prompt; a foundation's two cards for three in ten.

    A third come through one VPN, the others from home. Three of five followed a call on one
    evening, within an hour and a half.
    """
    cards, evening = [world.card() for _ in range(2)], world.some_day()
    exits = world.chance.choice(world.places.exits)
    say = world.texts.partly(world.texts.template(world.texts.captions), 0.8)
    for _ in range(world.size(50)):
        hidden = world.chance.random() < 0.35
        paid, called = world.chance.random() < 0.3, world.chance.random() < 0.6
        plan = Plan(
            times=world.times.sessions(1.3),
            place=world.places.mobile(exits, 4, 8 * HOUR) if hidden else world.places.home(),
            say=say,
            payment=world.chance.choice(cards) if paid else OWN,
            created=evening + world.chance.uniform(0, 1.5 * HOUR) if called else None,
        )
        world.add("volunteers", plan)


def church(world: World) -> None:
    """Twelve parishes of one diocese, two to four people each, at home with one sermon template.

    Two of five pay with the diocese's card, the others with the parish's; three of five signed up
    on one of three evenings of instruction, within 36 minutes.
    """
    diocese, evenings = world.card(), [world.some_day() for _ in range(3)]
    say = world.texts.partly(world.texts.template(), 0.5)
    for _ in range(world.size(12)):
        parish = world.card()
        for _ in range(world.chance.randint(2, 4)):
            instructed = world.chance.random() < 0.6
            evening = world.chance.choice(evenings) + world.chance.uniform(0, 0.6 * HOUR)
            plan = Plan(
                times=world.times.sessions(0.8),
                place=fixed(world.places.house()),
                say=say,
                payment=diocese if world.chance.random() < 0.4 else parish,
                created=evening if instructed else None,
            )
            world.add("church", plan)


GROUPS = (
    wifi_hackathon, mooc, students, mentors, training, tutoring, volunteers, church
)  # fmt: skip
