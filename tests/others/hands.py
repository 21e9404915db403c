"""What the accounts of one campaign have in common, and how they are made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from tests.others.places import DAY, HOUR, Place
from tests.others.texts import Say
from tests.others.world import OWN, Plan, World

T = TypeVar("T")

#: What the n-th account of a campaign sends.
Supply = Callable[[int], Say]
#: When it does, Unix seconds.
Timed = Callable[[int], list[float]]


class Span(msgspec.Struct, frozen=True):
    """A parameter drawn anew, evenly between two values, for every world."""

    low: float
    high: float

    def drawn(self, world: World) -> float:
        """Its value in this world."""
        return world.chance.uniform(self.low, self.high)


class Hand(msgspec.Struct, frozen=True, kw_only=True):
    """What the accounts of one campaign have in common.

    Attributes:
        scenario, accounts: its name, and how many there are, give or take a quarter.
        daily: requests an account sends a day, give or take two fifths.
        per_card: accounts to a card; None: no card is shared.
        paying: share of accounts that pay with one; the others' payments are their own, or none.
        per_range: accounts to a /24 of the pool; None: there is no pool.
        pooled: share of accounts that come from the pool; others have addresses of their own.
        ranges: ranges of the pool an account uses, one after the other.
        pool: whose ranges these are: a hosting company's, `vpn` or `hosting`; homes' when None.
        exits: all come through commercial VPNs instead.
        batch: accounts signed up within half an hour of each other; None: all apart.
        batched: share of accounts signed up in a batch.
        batch_age, age: days before the traffic at which batches, and others, signed up.
        pace: `steady` (Poisson), `hours` (two a day) or `people` (in sessions, awake).
        cover: bounds of the share of chat among an account's conversations.
        pivot: share of requests that go to the new model once it is out; None: as anybody.
    """

    scenario: str
    accounts: float
    daily: Span
    per_card: Span | None = None
    paying: Span = Span(0.8, 0.8)
    per_range: Span | None = None
    pooled: Span = Span(0.8, 0.8)
    ranges: int = 3
    pool: str | None = None
    exits: bool = False
    batch: Span | None = None
    batched: Span = Span(0.7, 0.7)
    batch_age: Span = Span(0.3, 25)
    age: Span = Span(0, 60)
    pace: str = "steady"
    cover: Span = Span(0.0, 0.0)
    pivot: float | None = None


def campaign(world: World, hand: Hand, say: Say, tools: Sequence[Mapping[str, Any]] = ()) -> None:
    """All accounts of one hand, which all say the same kind of thing."""
    supplied(world, hand, lambda _: say, tools)


def supplied(
    world: World,
    hand: Hand,
    supply: Supply,
    tools: Sequence[Mapping[str, Any]] = (),
    timed: Timed | None = None,
) -> None:
    """All accounts of one hand, each with its own supply of things to say.

    `timed`: when each of them sends; at the hand's pace when None.
    """
    chance = world.chance
    count = world.size(hand.accounts, 0.25, least=4)
    paying, pooled, batched, daily = (
        span.drawn(world) for span in (hand.paying, hand.pooled, hand.batched, hand.daily)
    )
    cards = _of(count, hand.per_card, world, world.card)
    pool = []
    if hand.per_range is not None:
        ranges = max(2, round(count * hand.ranges / hand.per_range.drawn(world)))
        pool = [world.places.network(hand.pool) for _ in range(ranges)]
    batches = _of(
        count, hand.batch, world, lambda: world.start - hand.batch_age.drawn(world) * DAY
    )  # fmt: skip
    clients = [world.client() for _ in range(3)]
    for number in range(count):
        signed = world.start - hand.age.drawn(world) * DAY
        if batches and chance.random() < batched:
            signed = chance.choice(batches) + chance.uniform(0, HOUR / 2)
        payment = OWN if chance.random() < 0.8 else None
        if cards and chance.random() < paying:
            payment = chance.choice(cards)
        cover = hand.cover.drawn(world)
        say = supply(number)
        plan = Plan(
            times=(
                timed(number)
                if timed
                else _times(world, hand.pace, daily * chance.uniform(0.6, 1.4))
            ),
            place=_place(world, hand, pool if chance.random() < pooled else []),
            say=world.texts.partly(say, 1 - cover) if cover else say,
            headers=chance.choice(clients) if chance.random() < 0.5 else world.program(),
            payment=payment,
            created=signed,
            tier=chance.choice(("free", "build", "build")),
            verified=chance.random() < 0.15,
            pivot=hand.pivot,
            tools=tools,
        )
        recruit(world, hand.scenario, plan)


def recruit(world: World, scenario: str, plan: Plan) -> None:
    """One account of the campaign of a scenario."""
    world.add(scenario.lower(), plan, (f"k{scenario[1:]:0>2}", scenario))


def templated(world: World) -> Say:
    """A template nobody has seen before: arithmetic, programming or instructions to make harder."""
    texts = world.texts
    return texts.template(world.chance.choice((texts.sums, texts.code, texts.harder)))


def _of(count: int, each: Span | None, world: World, new: Callable[[], T]) -> list[T]:
    """One `new` for every `each` of `count` accounts; none when None."""
    return [] if each is None else [new() for _ in range(max(1, round(count / each.drawn(world))))]


def _times(world: World, pace: str, daily: float) -> list[float]:
    if pace == "hours":
        return world.times.batches(daily, 2)
    return world.times.sessions(daily / 3) if pace == "people" else world.times.steady(daily)


def _place(world: World, hand: Hand, pool: Sequence[str]) -> Place:
    places = world.places
    if hand.exits:
        return places.mobile(world.chance.choice(places.exits), 4, 8 * HOUR)
    if pool:
        mine = world.chance.sample(pool, min(hand.ranges, len(pool)))
        return places.across(mine, 8 * HOUR)
    return places.roaming([places.address() for _ in range(2)], 12 * HOUR)
