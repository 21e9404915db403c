"""What comes together outside a campaign is counted once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.campaigns.company import counted_twice
from gateway_guard.campaigns.elsewhere import Elsewhere
from gateway_guard.campaigns.membership import JOIN, Signature, points
from gateway_guard.campaigns.memory import Memory
from gateway_guard.campaigns.sighting import Sighting
from tests.campaigns import build
from tests.campaigns.build import DAY, NOW

#: What everybody in the campaign says, and the class too.
TUTORIAL = (71, 72, 73)
#: When the class signed up; and a few of the campaign.
MORNING = NOW - DAY


def class_of(size: int, **fields: Any) -> list[Sighting]:
    """People who signed up in one quarter of an hour, in one room, for one tutorial."""
    return [
        build.sighting(
            f"c{n}",
            **{"created_at": MORNING + 40 * n, "subnet": 500, "keys": TUTORIAL, "at": NOW + n}
            | fields,
        )
        for n in range(size)
    ]


def campaign(beside: int) -> list[Sighting]:
    """Thirty accounts that say one thing, of which so many signed up with the class."""
    return [
        build.sighting(
            f"x{n}", payment=f"p{n % 3}", subnet=n % 4 + 1, keys=TUTORIAL,
            created_at=MORNING + 60 * n if n < beside else NOW - 30 * DAY - n * DAY,
        )
        for n in range(30)
    ]  # fmt: skip


def strangers(count: int = 2000) -> list[Sighting]:
    return [
        build.sighting(f"s{n}", subnet=10**6 + n, created_at=NOW - 40 * DAY - 3600 * n)
        for n in range(count)
    ]


def weighed(memory: Memory, who: str, held: tuple[str, ...] = ("x",)) -> tuple[float, float]:
    """Points of `who` towards the campaign as if all were independent, and those too many."""
    inside = [n for account, n in memory.numbers.items() if account[0] == "x"]
    kept = {n for account, n in memory.numbers.items() if account.startswith(held)}
    elsewhere = Elsewhere(memory, kept)
    elsewhere.recount()
    signature = Signature(memory.traces[n] for n in inside)
    trace = memory.traces[memory.numbers[who]]
    outside = elsewhere.outside(trace, signature, elsewhere.base(signature))
    total, adds = points(trace, signature, outside)
    return total, counted_twice(trace, signature, outside, adds, memory, kept, member=False)


def test_a_class_beside_a_burst_does_not_belong_to_the_campaign_for_saying_the_same() -> None:
    memory = build.remembered([*strangers(12_000), *campaign(8), *class_of(25)])

    total, too_many = weighed(memory, "c7")

    assert total >= JOIN
    assert total - too_many < JOIN


def test_who_comes_alone_is_judged_by_the_sum() -> None:
    memory = build.remembered([*strangers(), *campaign(6), *class_of(1)])

    total, too_many = weighed(memory, "c0")

    assert total >= JOIN
    assert too_many == 0.0


def test_where_as_many_are_in_the_campaign_as_outside_nothing_is_taken_away() -> None:
    memory = build.remembered([*strangers(), *campaign(12), *class_of(6, subnet=0)])

    assert weighed(memory, "c0")[1] == 0.0


def test_members_of_other_campaigns_are_no_company() -> None:
    memory = build.remembered([*strangers(), *campaign(6), *class_of(25)])

    assert weighed(memory, "c7", held=("x", "c"))[1] == 0.0


def test_one_thing_in_common_is_counted_once_anyway() -> None:
    memory = build.remembered([*strangers(), *campaign(6), *class_of(25, keys=())])

    assert weighed(memory, "c7")[1] == pytest.approx(0.0)


@given(st.integers(0, 12), st.integers(1, 20), st.sampled_from([500, 1]), st.booleans())
def test_never_more_is_taken_away_than_all_but_the_strongest(
    beside: int, size: int, subnet: int, pays: bool
) -> None:
    memory = build.remembered(
        [*strangers(60), *campaign(beside),
         *class_of(size, subnet=subnet, payment="p0" if pays else None)]
    )  # fmt: skip
    trace = memory.traces[memory.numbers["c0"]]
    inside = [n for account, n in memory.numbers.items() if account[0] == "x"]
    elsewhere = Elsewhere(memory, inside)
    elsewhere.recount()
    signature = Signature(memory.traces[n] for n in inside)
    outside = elsewhere.outside(trace, signature, elsewhere.base(signature))
    _, adds = points(trace, signature, outside)
    ties = [adds.get(name, 0.0) for name in ("payment", "addresses", "sign-up", "content")]
    said = [tie for tie in ties if tie > 0.0]

    too_many = counted_twice(trace, signature, outside, adds, memory, set(inside), member=False)

    assert 0.0 <= too_many <= sum(said) - max(said, default=0.0) + 1e-9
