"""Honest look-alikes of firms: people and machines with one payer, egress or roll-out."""

from __future__ import annotations

from tests.others.places import DAY, HOUR, Place, fixed
from tests.others.world import OWN, Plan, World


def bank(world: World) -> None:
    """Departments of a bank, each an organisation: three proxies' ranges, then at home.

    A virtual card to three to six of them, for nine of ten; all were invited within two hours of
    one day; seven of ten conversations follow the house template.
    """
    day, say = world.some_day(), world.texts.partly(world.texts.template(), 0.7)
    egress = world.places.egress(3, 4, "hosting")
    departments, per_card = world.size(55), world.chance.randint(3, 6)
    cards = [world.card() for _ in range(departments // per_card + 1)]
    for number in range(departments):
        work = world.places.roaming(world.chance.sample(egress, 4), 3 * HOUR)
        plan = Plan(
            times=world.times.office(3, 0),
            place=world.places.commute(work, world.places.home()),
            say=say,
            payment=cards[number // per_card] if world.chance.random() < 0.9 else OWN,
            created=day + world.chance.uniform(0, 2 * HOUR),
        )
        world.add("bank", plan)


def corporate_vpn(world: World) -> None:
    """Twelve firms' teams behind one provider of corporate VPNs: its six ranges for all of them.

    Three to seven to a team, each an organisation, with the team's card and template; each team
    signed up within an hour.
    """
    kinds = world.chance.choices(("vpn", "hosting"), (1, 2), k=6)
    exits = [address for kind in kinds for address in world.places.egress(1, 4, kind)]
    for _ in range(world.size(12)):
        card, day = world.card(), world.some_day()
        say = world.texts.partly(world.texts.template(), 0.4)
        for _ in range(world.chance.randint(3, 7)):
            plan = Plan(
                times=world.times.office(3),
                place=world.places.roaming(world.chance.sample(exits, 5), 4 * HOUR),
                say=say,
                payment=card,
                created=day + world.chance.uniform(0, HOUR),
            )
            world.add("corporate_vpn", plan)


def consultancy(world: World) -> None:
    """Two consultancies that make an account for each client, and a card for four of them.

    One administrator makes those four in a row. Unlike those of `msp`, they then run on the
    client's own machine, and are seen from the consultancy's office on some mornings only. Three of
    five use its template, and as many send all day, the others in office hours.
    """
    for _ in range(2):
        office, shared = world.places.network(), world.texts.template()
        latest, clients = world.start - world.chance.uniform(3, 7) * DAY, world.size(18)
        cards = [world.card() for _ in range(clients // 4 + 1)]
        for number in range(clients):
            four, place = divmod(number, 4)
            desk = fixed(world.places.within(office))
            all_day = world.chance.random() < 0.6
            own = world.chance.random() < 0.4
            plan = Plan(
                times=world.times.steady(14) if all_day else world.times.office(3, 0),
                place=_some_mornings(desk, fixed(world.places.cloud())),
                say=world.texts.template() if own else shared,
                headers=world.program(),
                payment=cards[four],
                created=latest - 4 * four * DAY + place * 400,
            )
            world.add("consultancy", plan)


def _some_mornings(visited: Place, usual: Place) -> Place:
    """One place from 9 to 11 UTC of every third day, another at all other times."""

    def place(at: float) -> str:
        visiting = 9 <= at / HOUR % 24 < 11 and int(at // DAY) % 3 == 0
        return (visited if visiting else usual)(at)

    return place


def annotators(world: World) -> None:
    """A vendor's annotators in three shifts and two offices, without cards.

    Nine of ten conversations have an answer graded by a rubric. They were taken on on one of
    four days, a week apart, within half an hour; one in five works from home at night.
    """
    offices = [[world.places.network() for _ in range(2)] for _ in range(2)]
    say = world.texts.partly(world.texts.any_of(world.texts.rubrics), 0.9)
    latest = world.start - world.chance.uniform(3, 7) * DAY
    days = [latest - 7 * week * DAY for week in range(4)]
    for number in range(world.size(60)):
        begin = world.chance.choice((0, 8, 16))
        office = world.places.across(offices[number % 2], 4 * HOUR)
        partly = world.places.commute(office, world.places.home())
        plan = Plan(
            times=world.times.sessions(4.5, zone=0, hours=(begin, begin + 8)),
            place=partly if world.chance.random() < 0.2 else office,
            say=say,
            payment=None,
            created=world.chance.choice(days) + world.chance.uniform(0, HOUR / 2),
        )
        world.add("annotators", plan)


def call_centre(world: World) -> None:
    """Seats of a call centre, to which a dispatcher spreads calls evenly day and night.

    Two sites of two networks, four cost centres' cards and one template; taken on in fifteens, a
    week apart, within 36 minutes.
    """
    sites = [[world.places.network() for _ in range(2)] for _ in range(2)]
    cards, say = [world.card() for _ in range(4)], world.texts.template(world.texts.notes)
    latest = world.start - world.chance.uniform(3, 7) * DAY
    for number in range(world.size(60)):
        day = latest - 7 * (number // 15) * DAY
        plan = Plan(
            times=world.times.steady(world.chance.choice((15, 20))),
            place=world.places.across(sites[number % 2], 4 * HOUR),
            say=say,
            headers=world.browser(),
            payment=cards[number % 4],
            created=day + world.chance.uniform(0, 0.6 * HOUR),
        )
        world.add("call_centre", plan)


def seats(world: World) -> None:
    """An enterprise's seats, made by single sign-on within ten minutes, each an organisation.

    One invoice for nearly all, nine offices, of which one in five people visit three, and a house
    prompt for three of five conversations.
    """
    made, invoice = world.some_day(), world.card()
    offices = [world.places.network() for _ in range(9)]
    say = world.texts.partly(world.texts.template(system=True), 0.6)
    for _ in range(world.size(130)):
        visited = world.chance.sample(offices, 3 if world.chance.random() < 0.2 else 1)
        work = world.places.across(visited, 10 * HOUR)
        plan = Plan(
            times=world.times.office(1.6),
            place=world.places.commute(work, world.places.home()),
            say=say,
            payment=invoice if world.chance.random() < 0.95 else None,
            created=made + world.chance.uniform(0, 600),
        )
        world.add("seats", plan)


def lab(world: World) -> None:
    """A laboratory's service accounts that have answers graded by a rubric, day and night.

    A script made them, twenty seconds apart; a grant's two cards and a cluster's two networks.
    """
    cluster = [world.places.network() for _ in range(2)]
    cards, made = [world.card() for _ in range(2)], world.some_day()
    for number in range(world.size(30)):
        plan = Plan(
            times=world.times.steady(25),
            place=world.places.across(cluster, 5 * HOUR),
            say=world.texts.any_of(world.texts.rubrics),
            headers=world.program(),
            payment=cards[number % 2],
            created=made + number * 20 + world.chance.uniform(0, 9),
            programme="research",
            temperature=0.0,
        )
        world.add("lab", plan)


def load_test(world: World) -> None:
    """A firm's tenants in a load test, at an even rate: a script made them, seven seconds apart.

    Two cards, three ranges of one cloud, one template and one library.
    """
    made = world.chance.uniform(world.start, world.start + 2 * DAY)
    cards = [world.card() for _ in range(2)]
    ranges = [world.places.network("amazon") for _ in range(3)]
    say, headers = world.texts.template(), world.program()
    for number in range(world.size(20)):
        plan = Plan(
            times=world.times.steady(30),
            place=world.places.across(ranges, HOUR),
            say=say,
            headers=headers,
            payment=cards[number % 2],
            created=made + number * 7,
        )
        world.add("load_test", plan)


GROUPS = (
    bank, corporate_vpn, consultancy, annotators, call_centre, seats, lab, load_test
)  # fmt: skip
