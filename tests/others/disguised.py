"""Campaigns among look-alikes: sixteen ways to hide what ties many accounts, one campaign each.

Unless the docstring says otherwise they send twelve requests a day, round the clock and with one
template; eight accounts share a card and four a range of the pool, and a dozen sign up at once,
each tie on two thirds to three quarters of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from tests.others.hands import Hand, Span, campaign, recruit, supplied, templated
from tests.others.people import resold
from tests.others.places import DAY, HOUR
from tests.others.texts import Say
from tests.others.world import OWN, Plan, World

_USUAL: Final = Hand(
    scenario="", accounts=45, daily=Span(12, 12), per_card=Span(8, 8), paying=Span(0.75, 0.75),
    per_range=Span(4, 4), pooled=Span(0.75, 0.75), batch=Span(12, 12), batched=Span(0.65, 0.65),
)  # fmt: skip


def slow(world: World) -> None:
    """B1: three requests a day from each of sixty accounts."""
    hand = replace(_USUAL, scenario="B1", accounts=60, daily=Span(3, 3))
    campaign(world, hand, templated(world))


def aged(world: World) -> None:
    """B2: signed up four to seven months ago and left alone since; no card in common."""
    months = Span(120, 210)
    hand = replace(_USUAL, scenario="B2", per_card=None, batch_age=months, age=months)
    campaign(world, hand, templated(world))


def bought(world: World) -> None:
    """B3: bought accounts, of any age and with any card; one pool of homes' ranges."""
    hand = replace(
        _USUAL, scenario="B3", per_card=None, batch=None, per_range=Span(3, 3),
        pooled=Span(0.9, 0.9),
    )  # fmt: skip
    campaign(world, hand, templated(world))


def half_idle(world: World) -> None:
    """B4: half of them hardly ever send."""
    say = templated(world)
    supplied(
        world, replace(_USUAL, scenario="B4", accounts=50), lambda _: say,
        timed=lambda number: world.times.steady(14 if number % 2 else 0.4),
    )  # fmt: skip


def paraphrased(world: World) -> None:
    """B5: every account has the template in words of its own."""
    hand = replace(_USUAL, scenario="B5")
    supplied(world, hand, lambda _: world.texts.template(world.texts.code))


def teams(world: World) -> None:
    """B6: five teams take turns of a day, with forty requests then."""
    say = templated(world)

    def timed(number: int) -> list[float]:
        return [at for at in world.times.steady(40) if int(at // DAY) % 5 == number % 5]

    hand = replace(_USUAL, scenario="B6", accounts=50)
    supplied(world, hand, lambda _: say, timed=timed)


def fifteen(world: World) -> None:
    """B7: fifteen accounts, somewhat busier; four to a card, three to a range, five at once."""
    hand = replace(
        _USUAL, scenario="B7", accounts=15, daily=Span(18, 18), per_card=Span(4, 4),
        per_range=Span(3, 3), batch=Span(5, 5),
    )  # fmt: skip
    campaign(world, hand, templated(world))


def in_reseller(world: World) -> None:
    """B8: among a reseller's honest customers, with its two cards and its four machines.

    Signed up on three occasions; only what they send, and when, is their own.
    """
    cards, egress = [world.card() for _ in range(2)], world.places.egress(4, 1, "hosting")
    for _ in range(world.size(35)):
        resold(world, cards, egress, 1.1)
    say = templated(world)
    occasions = [world.start - world.chance.uniform(1, 20) * DAY for _ in range(3)]
    for number in range(world.size(28)):
        plan = Plan(
            times=world.times.steady(15),
            place=world.places.roaming(egress, 8 * HOUR),
            say=say,
            headers=world.program(),
            payment=world.chance.choice(cards),
            created=occasions[number % 3] + world.chance.uniform(0, HOUR / 2),
        )
        recruit(world, "B8", plan)


def two(world: World) -> None:
    """B9: two halves of one operator's: the same eight cards, but other ranges, prompts and days.

    Three of five pay with one of the cards; half signed up with others.
    """
    cards = [world.card() for _ in range(8)]
    for _ in range(2):
        pool, say = [world.places.network() for _ in range(18)], templated(world)
        days = [world.start - world.chance.uniform(1, 25) * DAY for _ in range(3)]
        for _ in range(world.size(26)):
            signed = _signed(world, days, 0.5)
            plan = Plan(
                times=world.times.steady(world.chance.uniform(8, 16)),
                place=world.places.across(world.chance.sample(pool, 3), 8 * HOUR),
                say=say,
                headers=world.program(),
                payment=_paid(world, cards, 0.6),
                created=signed,
            )
            recruit(world, "B9", plan)


def waves(world: World) -> None:
    """B10: a wave of eleven every other day, dropped after two; old cards, new ranges."""
    cards, say = [world.card() for _ in range(6)], templated(world)
    for wave in range(int((world.end - world.start) / DAY) // 2):
        begin = world.start + wave * 2 * DAY
        pool = [world.places.network() for _ in range(8)]
        for _ in range(world.size(11)):
            plan = Plan(
                times=[at for at in world.times.steady(24) if at < begin + 2 * DAY],
                place=world.places.across(world.chance.sample(pool, 2), 8 * HOUR),
                say=say,
                headers=world.program(),
                payment=_paid(world, cards, 0.8),
                created=begin + world.chance.uniform(0, HOUR),
            )
            recruit(world, "B10", plan)


def pairs(world: World) -> None:
    """B11: no more than two accounts to a card."""
    hand = replace(_USUAL, scenario="B11", per_card=Span(2, 2), paying=Span(0.9, 0.9))
    campaign(world, hand, templated(world))


def runners(world: World) -> None:
    """B12: from ranges of a cloud's test runners, nightly, public questions without a template."""
    questions = world.chance.sample(world.texts.all_sums, 300)
    hand = replace(_USUAL, scenario="B12", accounts=36, per_card=Span(5, 5), pool="microsoft")

    def supply(number: int) -> Say:
        return world.texts.alone(world.texts.shuffled(questions))

    supplied(world, hand, supply, timed=lambda _: world.times.batches(20, 4, hour=1))


def farm(world: World) -> None:
    """B13: a farm of telephones behind the addresses that two carriers' customers share.

    Seven cards for four of five; seven of ten signed up on one of four occasions.
    """
    carriers = world.chance.sample(world.places.carriers, 2)
    cards, say = [world.card() for _ in range(7)], templated(world)
    occasions = [world.start - world.chance.uniform(1, 20) * DAY for _ in range(4)]
    for _ in range(world.size(42)):
        signed = _signed(world, occasions, 0.7)
        plan = Plan(
            times=world.times.steady(world.chance.uniform(8, 16)),
            place=world.places.mobile(world.chance.choice(carriers)),
            say=say,
            headers=world.browser(),
            payment=_paid(world, cards, 0.8),
            created=signed,
        )
        recruit(world, "B13", plan)


def like_people(world: World) -> None:
    """B14: people's hours, three fifths chat, and each tie on half of them; four to a card."""
    hand = replace(
        _USUAL, scenario="B14", daily=Span(9, 9), per_card=Span(4, 4), paying=Span(0.55, 0.55),
        pooled=Span(0.55, 0.55), batched=Span(0.5, 0.5), cover=Span(0.6, 0.6), pace="people",
    )  # fmt: skip
    campaign(world, hand, templated(world))


def crowd(world: World) -> None:
    """B15: a hundred and sixty accounts, each tie on two fifths of them."""
    hand = replace(
        _USUAL, scenario="B15", accounts=160, daily=Span(8, 8), per_card=Span(10, 10),
        paying=Span(0.4, 0.4), pooled=Span(0.4, 0.4), batched=Span(0.4, 0.4),
    )  # fmt: skip
    campaign(world, hand, templated(world))


def proxies(world: World) -> None:
    """B16: through VPNs' ranges, two each; five to a card, signed up apart."""
    hand = replace(
        _USUAL, scenario="B16", accounts=40, per_card=Span(5, 5), paying=Span(0.8, 0.8),
        per_range=Span(3, 3), ranges=2, pool="vpn", batch=None,
    )  # fmt: skip
    campaign(world, hand, templated(world))


def _signed(world: World, occasions: Sequence[float], share: float) -> float | None:
    """When an account signed up: so many within half an hour of an occasion, others apart."""
    batched = world.chance.random() < share
    signed = world.chance.choice(occasions) + world.chance.uniform(0, HOUR / 2)
    return signed if batched else None


def _paid(world: World, cards: Sequence[str], share: float) -> str:
    """By what an account pays: so many by one of the cards."""
    return world.chance.choice(cards) if world.chance.random() < share else OWN


CAMPAIGNS = (
    slow, aged, bought, half_idle, paraphrased, teams, fifteen, in_reseller, two, waves, pairs,
    runners, farm, like_people, crowd, proxies,
)  # fmt: skip
