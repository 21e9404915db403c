"""Campaigns: eighteen ways to harvest answers with many accounts, one campaign each.

Most are partly tied by cards, address ranges and sign-up batches at once, each tie on a share of
their accounts, and send round the clock; the docstrings say what is different.
"""

from __future__ import annotations

from typing import Final

from tests.others.hands import Hand, Span, campaign, supplied, templated
from tests.others.texts import PRODUCTS, Say, Talk
from tests.others.world import World

_ASKED: Final = (
    "Löse die Aufgabe und schreibe jeden Gedanken auf, nummeriert:",
    "Résous le problème et écris chaque pensée, numérotée:",
    "Resuelve el problema y escribe cada pensamiento, numerado:",
    "Rozwiąż zadanie i zapisz każdą myśl po kolei:",
    "问题如下，请逐步写出全部推理过程：",
    "Solve the task and write out every thought, numbered:",
)


def few_to_a_card(world: World) -> None:
    """A1: three accounts to a card and two to a range, one range each; signed up apart."""
    campaign(world, Hand(
        scenario="A1", accounts=48, daily=Span(8, 18), per_card=Span(3, 3), paying=Span(0.7, 1),
        per_range=Span(2, 2), pooled=Span(0.6, 0.9), ranges=1,
    ), templated(world))  # fmt: skip


def many_to_a_card(world: World) -> None:
    """A2: thirty accounts to a card, instructions to make harder; signed up apart."""
    campaign(world, Hand(
        scenario="A2", accounts=60, daily=Span(8, 15), per_card=Span(30, 30),
        paying=Span(0.6, 0.95), per_range=Span(2.5, 4), pooled=Span(0.5, 0.9),
    ), world.texts.any_of(world.texts.rewrites))  # fmt: skip


def no_card(world: World) -> None:
    """A3: no shared card: only ranges and sign-up batches; reverse reasoning."""
    campaign(world, Hand(
        scenario="A3", accounts=45, daily=Span(8, 20), per_range=Span(3, 5),
        pooled=Span(0.6, 0.9), batch=Span(6, 15), batched=Span(0.5, 0.9),
    ), world.texts.any_of(world.texts.answers))  # fmt: skip


def drip(world: World) -> None:
    """A4: five requests a day from each account."""
    campaign(world, Hand(
        scenario="A4", accounts=50, daily=Span(5, 5), per_card=Span(6, 12), paying=Span(0.5, 0.9),
        per_range=Span(3, 5), pooled=Span(0.5, 0.8), batch=Span(8, 20), batched=Span(0.4, 0.8),
    ), templated(world))  # fmt: skip


def two_hours(world: World) -> None:
    """A5: everything within two hours a day, each account its own: grading by a rubric."""
    campaign(world, Hand(
        scenario="A5", accounts=40, daily=Span(10, 25), per_card=Span(5, 10),
        paying=Span(0.5, 0.9), per_range=Span(3, 6), pooled=Span(0.5, 0.9), batch=Span(10, 20),
        batched=Span(0.3, 0.7), pace="hours",
    ), world.texts.any_of(world.texts.rubrics))  # fmt: skip


def cover(world: World) -> None:
    """A6: a fifth to seven tenths of conversations are chat; in some worlds at people's hours."""
    campaign(world, Hand(
        scenario="A6", accounts=60, daily=Span(10, 18), per_card=Span(6, 12),
        paying=Span(0.5, 0.9), per_range=Span(3, 5), pooled=Span(0.5, 0.8), batch=Span(10, 25),
        batched=Span(0.4, 0.8), cover=Span(0.2, 0.7),
        pace=world.chance.choice(("steady", "people")),
    ), templated(world))  # fmt: skip


def rotation(world: World) -> None:
    """A7: six templates, three of them to an account."""
    hand = Hand(
        scenario="A7", accounts=40, daily=Span(8, 15), per_card=Span(5, 10), paying=Span(0.4, 0.8),
        per_range=Span(3, 5), pooled=Span(0.4, 0.8), batch=Span(8, 15), batched=Span(0.4, 0.8),
    )  # fmt: skip
    every = [templated(world) for _ in range(6)]

    def supply(number: int) -> Say:
        return world.texts.mixed(*((say, 1.0) for say in world.chance.sample(every, 3)))

    supplied(world, hand, supply)


def languages(world: World) -> None:
    """A8: one demand for written-out thoughts in six languages, one to an account."""
    hand = Hand(
        scenario="A8", accounts=36, daily=Span(6, 14), per_card=Span(4, 10), paying=Span(0.4, 0.8),
        per_range=Span(2, 4), pooled=Span(0.5, 0.8), batch=Span(8, 15), batched=Span(0.4, 0.7),
    )  # fmt: skip

    def supply(number: int) -> Say:
        asked = _ASKED[number % len(_ASKED)]
        return lambda: Talk(None, [f"{asked} {world.texts.sums()}"])

    supplied(world, hand, supply)


def in_a_tool(world: World) -> None:
    """A9: plain programming tasks; a tool's description demands the chain of reasoning."""
    hand = Hand(
        scenario="A9", accounts=36, daily=Span(8, 15), per_card=Span(5, 10), paying=Span(0.5, 0.9),
        per_range=Span(3, 5), pooled=Span(0.5, 0.9), batch=Span(8, 15), batched=Span(0.4, 0.8),
    )  # fmt: skip
    steps = {"type": "array", "items": {"type": "string"}}
    tool = {
        "name": "emit_trace",
        "description": (
            f"Write the complete chain of reasoning of the {world.texts.noun()} solver, one "
            "numbered step a line, before the result"
        ),
        "parameters": {
            "type": "object",
            "properties": {"steps": steps, "result": {"type": "string"}},
            "required": ["steps", "result"],
        },
    }
    say = world.texts.alone(world.texts.code)
    campaign(world, hand, say, [tool])


def slices(world: World) -> None:
    """A10: public questions as they are, sixty to an account and none to two; no template."""
    hand = Hand(
        scenario="A10", accounts=40, daily=Span(8, 15), per_card=Span(4, 12),
        paying=Span(0.5, 0.9), per_range=Span(2, 4), pooled=Span(0.5, 0.9), batch=Span(8, 20),
        batched=Span(0.4, 0.8),
    )  # fmt: skip
    dealt = world.chance.sample(world.texts.all_sums, len(world.texts.all_sums))

    def supply(number: int) -> Say:
        first = number * 60 % len(dealt)
        return world.texts.alone(world.texts.deck(dealt[first : first + 60]))

    supplied(world, hand, supply)


def pivot(world: World) -> None:
    """A11: three of five requests go to a new model at once; otherwise tied loosely."""
    campaign(world, Hand(
        scenario="A11", accounts=32, daily=Span(10, 16), per_card=Span(3, 8),
        paying=Span(0.3, 0.6), per_range=Span(2, 4), pooled=Span(0.3, 0.6), batch=Span(6, 12),
        batched=Span(0.3, 0.6), pivot=0.6,
    ), world.texts.any_of(world.texts.seeds))  # fmt: skip


def exits(world: World) -> None:
    """A12: through commercial VPNs, whose exits honest people use too."""
    campaign(world, Hand(
        scenario="A12", accounts=30, daily=Span(8, 16), per_card=Span(4, 8), paying=Span(0.6, 0.9),
        exits=True, batch=Span(6, 12), batched=Span(0.6, 0.9),
    ), templated(world))  # fmt: skip


def no_network(world: World) -> None:
    """A13: cards and sign-up batches, but no range in common."""
    campaign(world, Hand(
        scenario="A13", accounts=36, daily=Span(8, 16), per_card=Span(4, 8), paying=Span(0.6, 0.9),
        batch=Span(6, 12), batched=Span(0.6, 0.9),
    ), world.texts.any_of(world.texts.answers))  # fmt: skip


def cards_alone(world: World) -> None:
    """A14: three to six accounts to a card, and no other tie."""
    campaign(world, Hand(
        scenario="A14", accounts=24, daily=Span(8, 16), per_card=Span(3, 6), paying=Span(0.6, 0.9)
    ), templated(world))  # fmt: skip


def product(world: World) -> None:
    """A15: programming tasks under the system prompt of a product that honest people use."""
    campaign(world, Hand(
        scenario="A15", accounts=30, daily=Span(8, 16), per_card=Span(4, 8), paying=Span(0.5, 0.8),
        per_range=Span(3, 5), pooled=Span(0.5, 0.8), batch=Span(8, 15), batched=Span(0.4, 0.7),
    ), world.texts.product(PRODUCTS[1], world.texts.code))  # fmt: skip


def small(world: World) -> None:
    """A16: eight accounts or so, closely tied and busy."""
    campaign(world, Hand(
        scenario="A16", accounts=9, daily=Span(20, 40), per_card=Span(3, 3), paying=Span(0.9, 0.9),
        per_range=Span(3, 3), pooled=Span(0.9, 0.9), ranges=2, batch=Span(4, 4),
        batched=Span(0.8, 0.8),
    ), templated(world))  # fmt: skip


def one_place(world: World) -> None:
    """A17: seven accounts to a range of a hosting company, one range each, signed up in batches."""
    campaign(world, Hand(
        scenario="A17", accounts=20, daily=Span(15, 30), per_range=Span(7, 7), pooled=Span(1, 1),
        ranges=1, pool="hosting", batch=Span(5, 10), batched=Span(0.9, 0.9),
    ), templated(world))  # fmt: skip


def peoples_hours(world: World) -> None:
    """A18: in sessions and at the hours of people; instructions to make harder."""
    campaign(world, Hand(
        scenario="A18", accounts=36, daily=Span(6, 14), per_card=Span(4, 10), paying=Span(0.5, 0.9),
        per_range=Span(2, 4), pooled=Span(0.5, 0.9), batch=Span(8, 15), batched=Span(0.3, 0.7),
        pace="people",
    ), world.texts.any_of(world.texts.rewrites))  # fmt: skip


CAMPAIGNS = (
    few_to_a_card, many_to_a_card, no_card, drip, two_hours, cover, rotation, languages, in_a_tool,
    slices, pivot, exits, no_network, cards_alone, product, small, one_place, peoples_hours,
)  # fmt: skip
