"""Who shares a value, however many values are invented."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.campaigns.postings import Posting, Postings
from tests.build import NOW

_VALUES = 5
_MOST = 3

#: Values added (True) or only asked for.
_asks = st.lists(st.tuples(st.booleans(), st.integers(0, 40), st.integers(1, 99)), max_size=200)


def postings() -> Postings[int]:
    return Postings(values=_VALUES, most=_MOST)


def test_the_first_account_of_a_value_begins_its_posting() -> None:
    index = postings()

    index.add(1, 7, NOW)

    posting = index.get(1)
    assert posting is not None
    assert (posting.count, list(posting.latest)) == (1, [7])
    assert (posting.first_at, posting.last_at) == (NOW, NOW)
    assert posting.first == 7


def test_later_accounts_are_counted_and_only_the_latest_are_named() -> None:
    index = postings()

    for number in range(1, 6):
        index.add(1, number, NOW + number)

    posting = index.get(1)
    assert posting is not None
    assert (posting.count, list(posting.latest)) == (5, [3, 4, 5])
    assert (posting.first_at, posting.last_at) == (NOW + 1, NOW + 5)


def test_nobody_came_with_an_unknown_value() -> None:
    assert postings().get(1) is None


def test_a_value_not_used_for_a_whole_generation_is_forgotten() -> None:
    index = postings()

    for value in range(2 * _VALUES + 1):
        index.add(value, 1, NOW)

    assert index.get(0) is None
    assert index.get(2 * _VALUES) is not None


def test_a_value_in_use_outlives_any_number_of_others() -> None:
    index = postings()
    index.add(-1, 1, NOW)

    for value in range(1000):
        index.add(value, 2, NOW)
        index.get(-1)

    posting = index.get(-1)
    assert posting is not None
    assert list(posting.latest) == [1]


@pytest.mark.parametrize("known", ["never", "just now", "a generation ago"])
def test_a_posting_taken_over_stands_in_place_of_what_was_known(known: str) -> None:
    index, before = postings(), Posting(2, array("Q", (6, 7)), NOW - 1, NOW, 6)
    if known != "never":
        index.add(1, 8, NOW)
    if known == "a generation ago":
        for value in range(2, _VALUES + 2):
            index.add(value, 9, NOW)

    index.put(1, before)

    assert index.get(1) is before
    assert len(index) == len(dict(index.items())) <= 2 * _VALUES


@given(_asks)
def test_no_sequence_exceeds_the_bounds(asks: list[tuple[bool, int, int]]) -> None:
    index = postings()
    for add, value, number in asks:
        if add:
            index.add(value, number, NOW)
        else:
            index.get(value)

        assert len(index) <= 2 * _VALUES
        assert len(index) == len(dict(index.items()))
        assert all(len(posting.latest) <= _MOST for _, posting in index.items())


@given(_asks)
def test_what_was_just_added_is_found(asks: list[tuple[bool, int, int]]) -> None:
    index = postings()
    for _, value, number in asks:
        index.add(value, number, NOW)

        posting = index.get(value)

        assert posting is not None
        assert posting.latest[-1] == number
        assert posting.count >= len(posting.latest)
