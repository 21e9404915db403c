"""Honest look-alikes of products: strangers with one prompt, library, host or launch."""

from __future__ import annotations

from typing import Final

from tests.others.places import DAY, HOUR, fixed
from tests.others.world import OWN, Plan, World

#: What an agent that acts by itself brings along.
_TOOLS: Final = (
    {"name": "shell", "description": "run a command"},
    {"name": "post", "description": "send a message"},
)


def service(world: World) -> None:
    """Firms' services that answer all day: a prompt, a machine and a card each."""
    for _ in range(world.size(70)):
        plan = Plan(
            times=world.times.steady(world.chance.choice((8, 16, 30))),
            place=fixed(world.places.cloud()),
            say=world.texts.template(system=True),
            headers=world.program(),
            payment=world.card(),
        )
        world.add("service", plan)


def nocode(world: World) -> None:
    """Users of a platform for applications without code: its prompt, its library, its egress.

    Unlike those of `byok`, nothing runs by the clock: half of the applications are asked at any
    hour, the others by their makers. A third signed up within five hours of its launch.
    """
    egress = world.places.egress(4, 2, "amazon")
    system = (
        "You are the logic block of an app made with Blockwise. Obey the schema; answer with the "
        f"value alone. {world.texts.tail()}"
    )
    headers, launch = world.program(), world.some_day()
    for _ in range(world.size(70)):
        asked = world.chance.random() < 0.5
        daily = world.chance.choice((6, 12, 24))
        early = world.chance.random() < 0.35
        plan = Plan(
            times=world.times.steady(daily) if asked else world.times.sessions(2),
            place=world.places.roaming(egress, HOUR),
            say=world.texts.product(system),
            headers=headers,
            created=launch + world.chance.uniform(0, 5 * HOUR) if early else None,
        )
        world.add("nocode", plan)


def workflow(world: World) -> None:
    """Those who run a workflow they saw in a video, by the clock, on rented machines of one firm.

    Its template and its library, 22 ranges; all signed up after the video, most within hours.
    """
    ranges = [world.places.network("hosting") for _ in range(22)]
    shown, say, headers = world.some_day(), world.texts.template(), world.program()
    for _ in range(world.size(70)):
        later = min(world.chance.expovariate(1 / (3 * HOUR)), 30 * HOUR)
        plan = Plan(
            times=world.times.regular(world.chance.choice((8, 12, 24))),
            place=fixed(world.places.within(world.chance.choice(ranges))),
            say=say,
            headers=headers,
            created=shown + later,
        )
        world.add("workflow", plan)


def viral_agent(world: World) -> None:
    """An open-source agent that everybody tries: one prompt, its tools and its library.

    Unlike `oss_agent`, four of five signed up in one afternoon, and half run it at home. Three of
    five have it wake up by the clock; two of five move to the new model on the day of its release.
    """
    system = (
        "You are crabwise, a personal agent. Read HEARTBEAT, do what is due, else reply OK. Tools "
        f"are real. {world.texts.tail()}"
    )
    headers = world.program()
    afternoon = world.chance.uniform(world.start - 6 * DAY, world.start + 2 * DAY)
    rented = [world.places.network("digitalocean") for _ in range(30)]
    for _ in range(world.size(220)):
        machine = fixed(world.places.within(world.chance.choice(rented)))
        woken, early = world.chance.random() < 0.6, world.chance.random() < 0.8
        daily = world.chance.choice((12, 24))
        later = min(world.chance.expovariate(1 / (2 * HOUR)), 8 * HOUR)
        plan = Plan(
            times=world.times.regular(daily) if woken else world.times.sessions(2),
            place=machine if world.chance.random() < 0.5 else world.places.home(),
            say=world.texts.product(system, world.texts.commands),
            headers=headers,
            created=afternoon + later if early else None,
            pivot=0.8 if world.chance.random() < 0.4 else None,
            tools=_TOOLS,
        )
        world.add("viral_agent", plan)


def ci(world: World) -> None:
    """Many companies' tests on one cloud's runners: one benchmark in order, another machine a run.

    Half run at changes, some questions each, the others nightly; their own cards. Three in ten
    signed up on the day the harness came out, within two hours.
    """
    ranges = [world.places.network("microsoft") for _ in range(14)]
    benchmark = world.chance.sample(world.texts.benchmark, 250)
    headers, day = world.program(), world.some_day()
    for _ in range(world.size(45)):
        changes = world.chance.random() < 0.5
        daily = world.chance.choice((4, 8))
        times = (
            world.times.regular(daily, jitter=600, calls=4)
            if changes
            else world.times.batches(25, 0.5)
        )
        early = world.chance.random() < 0.3
        plan = Plan(
            times=times,
            place=world.places.across(world.chance.choices(ranges, k=7), 3 * HOUR),
            say=world.texts.alone(world.texts.deck(benchmark)),
            headers=headers,
            payment=world.card(),
            created=day + world.chance.uniform(0, 2 * HOUR) if early else None,
            temperature=0.0,
        )
        world.add("ci", plan)


def telegram(world: World) -> None:
    """Owners of bots made with one kit, always on: its prompt, its library, one free host.

    Six ranges, three addresses to a bot; three in ten pay with one of a shop's four prepaid cards.
    """
    host = world.places.egress(6, 3, "hosting")
    cards, headers = [world.card() for _ in range(4)], world.program()
    system = (
        "You are a bot made with KitBot. Stay in persona, short replies, no links. "
        f"{world.texts.tail()}"
    )
    for _ in range(world.size(50)):
        bought = world.chance.random() < 0.3
        plan = Plan(
            times=world.times.steady(world.chance.choice((8, 15, 25))),
            place=world.places.roaming(world.chance.sample(host, 3), 8 * HOUR),
            say=world.texts.product(system, world.texts.questions),
            headers=headers,
            payment=world.chance.choice(cards) if bought else OWN,
        )
        world.add("telegram", plan)


def partner(world: World) -> None:
    """Tenants of an integration partner: its prompt, its library and its egress, at any hour.

    Its nightly job makes them, five at a time, every other night; they have cards of their own.
    """
    egress = world.places.egress(4, 3, "amazon")
    system = f"Partner flow: map the record to our schema and return it. {world.texts.tail()}"
    headers = world.program()
    for number in range(world.size(50)):
        five, place = divmod(number, 5)
        night = world.start - (2 + 2 * five) * DAY + 2 * HOUR
        plan = Plan(
            times=world.times.steady(world.chance.choice((6, 12, 20))),
            place=world.places.roaming(world.chance.sample(egress, 4), 2 * HOUR),
            say=world.texts.product(system, world.texts.passages),
            headers=headers,
            payment=world.card(),
            created=night + place * world.chance.uniform(20, 100),
        )
        world.add("partner", plan)


def smart_home(world: World) -> None:
    """Users of one integration for homes: its prompt and library, by the clock, from home.

    Half signed up on the weekend of its release.
    """
    system = f"You control the house Haus. Answer with one service call. {world.texts.tail()}"
    headers, release = world.program(), world.some_day()
    for _ in range(world.size(110)):
        early = world.chance.random() < 0.5
        plan = Plan(
            times=world.times.regular(world.chance.choice((12, 24))),
            place=world.places.home(),
            say=world.texts.product(system, world.texts.commands),
            headers=headers,
            created=release + world.chance.uniform(0, 2 * DAY) if early else None,
        )
        world.add("smart_home", plan)


GROUPS = (
    service, nocode, workflow, viral_agent, ci, telegram, partner, smart_home
)  # fmt: skip
