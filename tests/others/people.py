"""Honest groups that `dev` has too, in sizes and habits of their own."""

from __future__ import annotations

from collections.abc import Sequence

from tests.others.places import DAY, HOUR, Place, fixed
from tests.others.texts import PRODUCTS, Say, Talk
from tests.others.world import Plan, World


def human(world: World) -> None:
    """People at home who chat."""
    for _ in range(world.size(900, 0.1)):
        times = world.times.sessions(world.chance.choice((0.3, 0.7, 1.2, 2.0)))
        world.add("human", Plan(times=times, place=world.places.home(), say=world.texts.chat))


def cgnat(world: World) -> None:
    """Strangers behind a carrier's few addresses."""
    for _ in range(world.size(220)):
        place = world.places.mobile(world.chance.choice(world.places.carriers))
        world.add("cgnat", Plan(times=world.times.sessions(1), place=place, say=world.texts.chat))


def vpn(world: World) -> None:
    """Strangers behind the exits of a commercial VPN."""
    for _ in range(world.size(140)):
        exits = world.chance.choice(world.places.exits)
        place = world.places.mobile(exits, 6, 12 * HOUR)
        world.add("vpn", Plan(times=world.times.sessions(1), place=place, say=world.texts.chat))


def office(world: World) -> None:
    """Colleagues: one organisation, card and address, in office hours."""
    for _ in range(world.size(20)):
        work, zone = fixed(world.places.address()), world.chance.uniform(-8, 8)
        firm, card = world.name("o_"), world.card()
        for _ in range(world.chance.randint(2, 6)):
            place = world.places.commute(work, world.places.home(), zone)
            times = world.times.office(2, zone)
            world.add(
                "office",
                Plan(
                    times=times, place=place, say=world.texts.chat, organisation=firm, payment=card
                ),
            )


def university(world: World) -> None:
    """Students: one organisation, one sign-up hour, a campus, and an assignment's template."""
    for _ in range(2):
        campus = [world.places.network() for _ in range(3)]
        name, enrolled = world.name("o_"), world.some_day()
        say = world.texts.partly(world.texts.template(), 0.4)
        for _ in range(world.size(35)):
            seats = [world.places.within(world.chance.choice(campus)) for _ in range(4)]
            work = world.places.roaming(seats, 2 * HOUR)
            plan = Plan(
                times=world.times.sessions(1),
                place=world.places.commute(work, world.places.home()),
                say=say,
                organisation=name,
                payment=f"p_{name}",
                created=enrolled + world.chance.uniform(0, HOUR),
                programme="edu",
            )
            world.add("university", plan)


def reseller(world: World) -> None:
    """A reseller's customers: organisations of their own, its one or two cards and its egress."""
    for _ in range(2):
        cards = [world.card() for _ in range(world.chance.randint(1, 2))]
        egress = [world.places.cloud() for _ in range(world.chance.randint(2, 5))]
        for _ in range(world.size(30)):
            resold(world, cards, egress)


def resold(world: World, cards: Sequence[str], egress: Sequence[str], daily: float = 1) -> None:
    """One customer of a reseller; half of them have a template of their own."""
    own = world.chance.random() < 0.5
    plan = Plan(
        times=world.times.sessions(daily),
        place=world.places.roaming(egress, 8 * HOUR),
        say=world.texts.template() if own else world.texts.chat,
        payment=world.chance.choice(cards),
    )
    world.add("reseller", plan)


def hackathon(world: World) -> None:
    """Strangers at one venue for thirty hours: sign up there, and follow a tutorial."""
    for _ in range(2):
        venue = [world.places.address() for _ in range(world.chance.choice((1, 2)))]
        begin = world.chance.uniform(world.start + DAY, world.end - 3 * DAY)
        say = world.texts.partly(world.texts.template(), 0.6)
        for _ in range(world.size(30)):
            there = fixed(world.chance.choice(venue))
            plan = Plan(
                times=world.times.event(begin, 30, world.chance.randint(8, 30)),
                place=until(begin + 34 * HOUR, there, world.places.home()),
                say=say,
                created=begin - world.chance.uniform(0, 2 * HOUR),
                programme="startup",
            )
            world.add("hackathon", plan)


def until(end: float, before: Place, after: Place) -> Place:
    """One place until a time, then another."""
    return lambda at: (before if at < end else after)(at)


def batch(world: World) -> None:
    """Jobs over a template of one's own, once a day mostly, some by the clock all day."""
    for _ in range(world.size(110)):
        count = world.chance.choice((10, 20, 40))
        times = (
            world.times.regular(world.chance.choice((24, 48)))
            if world.chance.random() < 0.15
            else world.times.batches(count, world.chance.choice((0.1, 0.5, 2)))
        )
        machines = [world.places.cloud() for _ in range(world.chance.choice((1, 2)))]
        plan = Plan(
            times=times,
            place=world.places.roaming(machines, DAY),
            say=world.texts.template(system=world.chance.random() < 0.3),
            headers=world.program(),
            payment=world.card(),
            temperature=0.0,
        )
        world.add("batch", plan)


def rag(world: World) -> None:
    """Firms that answer questions over their documents: one prompt each, one machine."""
    for _ in range(world.size(45)):
        at_work = world.chance.random() < 0.7
        plan = Plan(
            times=world.times.office(3) if at_work else world.times.steady(12),
            place=fixed(world.places.cloud()),
            say=world.texts.template(world.texts.passages, system=True),
            headers=world.program(),
            payment=world.card(),
        )
        world.add("rag", plan)


def judge(world: World) -> None:
    """Teams that have answers graded with a public template, in a daily run."""
    for _ in range(world.size(25)):
        plan = Plan(
            times=world.times.batches(25, 1),
            place=fixed(world.places.cloud()),
            say=world.texts.alone(world.texts.shuffled(world.texts.verdicts)),
            headers=world.program(),
            payment=world.card(),
            temperature=0.0,
        )
        world.add("judge", plan)


def evaluation(world: World) -> None:
    """Teams that run one of two public benchmarks, all of them the same questions in order."""
    benchmarks = [world.chance.sample(world.texts.benchmark, 300) for _ in range(2)]
    for _ in range(world.size(40)):
        daily = world.chance.random() < 0.5
        plan = Plan(
            times=world.times.batches(30, 3) if daily else world.times.steady(30),
            place=fixed(world.places.cloud()),
            say=world.texts.alone(world.texts.deck(world.chance.choice(benchmarks))),
            headers=world.program(),
            payment=world.card(),
            temperature=0.0,
        )
        world.add("eval", plan)


def popular_template(world: World) -> None:
    """Strangers who use one of four public templates."""
    public = [world.texts.template() for _ in range(4)]
    for _ in range(world.size(110)):
        by_hand = world.chance.random() < 0.8
        home = world.chance.random() < 0.7
        plan = Plan(
            times=world.times.sessions(1.2) if by_hand else world.times.steady(10),
            place=world.places.home() if home else fixed(world.places.cloud()),
            say=world.texts.partly(world.chance.choice(public), 0.7),
        )
        world.add("popular_template", plan)


def agent_product(world: World) -> None:
    """Users of a product: its system prompt and library, three in ten behind its egress."""
    for system in PRODUCTS[:2]:
        headers = world.program()
        egress = [world.places.cloud() for _ in range(3)]
        for _ in range(world.size(55)):
            behind = world.chance.random() < 0.3
            plan = Plan(
                times=world.times.sessions(1.2),
                place=(world.places.roaming(egress, 5 * HOUR) if behind else world.places.home()),
                say=world.texts.product(system),
                headers=headers,
            )
            world.add("agent_product", plan)


def cot_curious(world: World) -> None:
    """People who want the steps of a calculation."""
    say = world.texts.partly(_worked_out(world), 0.6)
    for _ in range(world.size(30)):
        plan = Plan(times=world.times.sessions(1), place=world.places.home(), say=say)
        world.add("cot_curious", plan)


def _worked_out(world: World) -> Say:
    openings = ("show every step: ", "explain step by step, ", "work through this slowly: ", "")
    return lambda: Talk(None, [world.chance.choice(openings) + world.texts.sums()])


GROUPS = (
    human, cgnat, vpn, office, university, reseller, hackathon, batch, rag, judge, evaluation,
    popular_template, agent_product, cot_curious,
)  # fmt: skip
