"""Tests are dealt to workers so that none is lost and nobody has all that is slow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dealing import dealt


@given(
    st.lists(st.lists(st.integers(), min_size=1, max_size=9), max_size=12),
    st.lists(st.integers(), max_size=60),
    st.integers(1, 5),
)
def test_none_is_lost_and_none_runs_twice(
    slow: list[list[int]], quick: list[int], workers: int
) -> None:
    everything = sorted([*(test for group in slow for test in group), *quick])
    assert sorted(dealt(slow, quick, workers)) == everything


def test_each_worker_begins_with_its_share_of_what_is_slow_and_ends_with_what_is_quick() -> None:
    slow = [[f"slow {group}.{number}" for number in range(2)] for group in range(6)]
    order = dealt(slow, [f"quick {number}" for number in range(48)], 3)
    stretches = [order[start : start + 20] for start in range(0, 60, 20)]
    for number, stretch in enumerate(stretches):
        assert stretch[:2] == slow[number]
        assert set(slow[number + 3]) < set(stretch[:10])
        assert all(test.startswith("quick") for test in stretch[-8:])


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_tests_of_one_group_stay_together_in_their_order(workers: int) -> None:
    slow = [["a", "b", "c"], ["d", "e"]]
    order = "".join(dealt(slow, ["."] * 9, workers))
    assert "abc" in order
    assert "de" in order
