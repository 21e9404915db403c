"""What members have is not held to be common because they have it."""

from __future__ import annotations

import pytest

from gateway_guard.campaigns.elsewhere import Elsewhere
from gateway_guard.campaigns.membership import Signature
from gateway_guard.campaigns.memory import Memory
from gateway_guard.campaigns.sighting import Sighting
from tests.campaigns import build
from tests.campaigns.build import HOUR, NOW


def accounts(name: str, count: int, *, even: bool) -> list[Sighting]:
    """Accounts on one card whose pace is even, or comes in one session."""
    hours = range(0, 26, 2) if even else [0] * 12 + [20]
    return [
        build.sighting(f"{name}{i}", at=NOW + hour * HOUR + n, payment=f"p_{name}")
        for i in range(count)
        for n, hour in enumerate(hours)
    ]


def population() -> Memory:
    """Sixty even accounts that are members, and of the others as many even as not."""
    members, even = accounts("x", 60, even=True), accounts("even", 30, even=True)
    return build.remembered([*members, *even, *accounts("not", 30, even=False)])


def numbers(memory: Memory, name: str) -> list[int]:
    return [n for account, n in memory.numbers.items() if account.startswith(name)]


def test_a_trait_is_as_common_as_among_those_who_are_no_members() -> None:
    memory = population()
    elsewhere = Elsewhere(memory, numbers(memory, "x"))

    of_all = elsewhere.base().even
    elsewhere.recount()

    assert of_all == pytest.approx(90 / 120)
    assert elsewhere.base().even == pytest.approx(30 / 60)


def test_those_a_group_is_made_of_are_left_out_once_whether_they_are_members_or_not() -> None:
    memory = population()
    elsewhere = Elsewhere(memory, numbers(memory, "x"))
    group = Signature(memory.traces[n] for n in numbers(memory, "x"))

    before = elsewhere.base(group).even
    elsewhere.recount()
    after = elsewhere.base(group).even

    assert before == after == pytest.approx(30 / 60)


def test_outside_counts_everybody_but_members() -> None:
    memory = build.remembered(
        [build.sighting(f"x{n}", payment="p", subnet=7) for n in range(10)]
        + [build.sighting(f"s{n}", payment="p" if n < 4 else None, subnet=8) for n in range(50)]
    )
    elsewhere = Elsewhere(memory, numbers(memory, "x"))
    elsewhere.recount()
    trace = memory.traces[numbers(memory, "x")[0]]

    outside = elsewhere.outside(trace, Signature(), elsewhere.base())

    assert (outside.size, outside.payments, outside.subnets) == (50, {"p": 4}, {7: 0})
