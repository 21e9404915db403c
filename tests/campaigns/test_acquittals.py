"""Who was acquitted in a larger group is not accused in a part of it, for a week."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.campaigns.acquittals import Acquittals
from tests.campaigns.build import DAY, NOW


def acquitted(count: int) -> Acquittals:
    """A group of `count` accounts, numbered from 0, acquitted `NOW`."""
    made = Acquittals()
    made.add(range(count), NOW)
    return made


@pytest.mark.parametrize(
    ("part", "covered"),
    [
        (range(20), True),
        (range(21), False),
        (range(30), False),
        (range(20, 36), True),
        (range(24, 36), False),
        (range(100, 110), False),
    ],
    ids=[
        "two thirds", "more than that", "all of it", "10 of 16 were in it", "6 of 12 were",
        "somebody else",
    ],
)  # fmt: skip
def test_an_acquittal_covers_parts_that_are_mostly_of_the_group_and_much_smaller(
    part: range, covered: bool
) -> None:
    assert acquitted(30).covers(part, NOW) is covered


def test_it_lasts_a_week() -> None:
    made = acquitted(30)

    assert made.covers(range(10), NOW + 7 * DAY)
    assert not made.covers(range(10), NOW + 7 * DAY + 1)


def test_what_is_over_or_forgotten_is_not_kept() -> None:
    made = acquitted(30)
    made.add(range(100, 140), NOW + 6 * DAY)

    made.expire(range(120), NOW + 8 * DAY)

    assert {number for number, *_ in made.rows()} == set(range(100, 120))


@given(st.sets(st.integers(0, 50), min_size=1), st.integers(1, 40))
def test_its_rows_make_an_equal_one(part: set[int], size: int) -> None:
    made, again = acquitted(size), Acquittals()

    for row in made.rows():
        again.restore(*row)

    assert again.covers(part, NOW) is made.covers(part, NOW)
