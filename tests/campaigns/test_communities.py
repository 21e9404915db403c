"""Where a web of accounts falls into parts."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.campaigns import communities as module

_values = st.dictionaries(
    st.integers(0, 30), st.lists(st.integers(1, 25), min_size=1, max_size=8, unique=True),
    max_size=20,
)  # fmt: skip


def communities(
    values: Mapping[Any, Sequence[int]], weight: Mapping[Any, float] | None = None
) -> list[set[int]]:
    """The parts, whatever pieces they are of."""
    return [set().union(*pieces) for pieces in module.communities(values, weight)]


def clique(first: int, size: int = 6, *, values: int = 4) -> dict[str, list[int]]:
    """Accounts that all share the same values, and nothing with anybody else."""
    members = list(range(first, first + size))
    return {f"v{first}.{n}": members for n in range(values)}


def ring(count: int, size: int = 6) -> dict[str, list[int]]:
    """Cliques of which each shares one value with the next."""
    values: dict[str, list[int]] = {}
    for i in range(count):
        values |= clique(100 * i, size)
        values[f"bridge{i}"] = [100 * i, 100 * ((i + 1) % count)]
    return values


def test_nothing_falls_into_no_parts() -> None:
    assert communities({}) == []


def test_accounts_that_share_everything_are_one_part() -> None:
    assert communities(clique(1)) == [set(range(1, 7))]


def test_cliques_that_share_one_value_are_parts_of_their_own() -> None:
    parts = communities(ring(4))

    assert parts == [set(range(100 * i, 100 * i + 6)) for i in range(4)]


def test_the_largest_part_comes_first() -> None:
    parts = communities(clique(1, 3) | clique(10, 9) | clique(30, 5))

    assert [len(part) for part in parts] == [9, 5, 3]


def test_parts_that_several_values_join_are_put_together() -> None:
    """Alone, the method cuts these two in half: each has more within than between."""
    values = clique(0, values=10) | clique(100, values=10)
    values |= {f"bridge{n}": [n, 100 + n] for n in range(6)}

    joined = module.communities(values)

    assert joined == [[{*range(6)}, {*range(100, 106)}]]


def test_a_value_of_little_weight_holds_less_together() -> None:
    values = clique(0, values=2) | clique(100, values=2)
    values |= {"both": [*range(6), *range(100, 106)]}

    heavy = communities(values, {"both": 50.0})
    light = communities(values, {"both": 0.01})

    assert (len(heavy), len(light)) == (1, 2)


def test_a_long_chain_is_cut_into_pieces_that_hang_together() -> None:
    values = {f"v{n}": [n, n + 1] for n in range(200)}

    parts = communities(values)

    assert len(parts) > 5
    assert all(part == set(range(min(part), max(part) + 1)) for part in parts)


@pytest.mark.parametrize("bound", ["_PASSES", "_LEVELS"])
def test_cut_short_it_still_parts_everybody(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, bound, 1)

    parts = communities(ring(5))

    assert sorted(a for part in parts for a in part) == sorted(
        100 * i + n for i in range(5) for n in range(6)
    )


@given(_values)
def test_the_parts_are_a_partition_of_the_accounts_that_have_a_value(
    values: dict[int, list[int]],
) -> None:
    parts = communities(values)

    every = sorted(account for part in parts for account in part)
    assert every == sorted({a for members in values.values() for a in members})
    assert all(parts)
    assert [len(part) for part in parts] == sorted(map(len, parts), reverse=True)


@given(_values)
def test_accounts_that_no_chain_of_values_joins_are_never_in_one_part(
    values: dict[int, list[int]],
) -> None:
    reached: dict[int, set[int]] = {a: {a} for members in values.values() for a in members}
    for members in values.values():
        joined = set.union(*(reached[a] for a in members))
        for account in joined:
            reached[account] = joined

    for part in communities(values):
        assert part <= reached[min(part)]


@given(st.lists(st.integers(2, 12), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_isolated_cliques_are_never_merged_and_never_cut(
    sizes: list[int], rng: random.Random
) -> None:
    several = (1, 3, 4, 5, 6)  # two values: see the next test
    cliques = [clique(1000 * i, size, values=rng.choice(several)) for i, size in enumerate(sizes)]
    values = [one for each in cliques for one in each.items()]
    rng.shuffle(values)

    parts = communities(dict(values))

    assert sorted(map(sorted, parts)) == [
        list(range(1000 * i, 1000 * i + size)) for i, size in enumerate(sizes)
    ]


@pytest.mark.parametrize(("size", "sizes"), [(3, [3]), (5, [5]), (4, [2, 2]), (12, [6, 6])])
def test_an_even_number_of_accounts_that_share_just_two_values_is_cut_in_halves(
    size: int, sizes: list[int]
) -> None:
    """A limit of the method, not a virtue: so small a web is also judged as a whole."""
    assert [len(part) for part in communities(clique(1, size, values=2))] == sizes


@given(_values)
def test_the_same_input_gives_the_same_parts(values: dict[int, list[int]]) -> None:
    assert communities(values) == communities(dict(values))


def test_a_tie_between_parts_does_not_depend_on_the_order_of_the_input() -> None:
    values = {0: [1], 1: [1, 2, 3], 2: [1, 2, 4]}
    other = {0: [1], 2: [1, 2, 4], 1: [1, 2, 3]}

    assert communities(other) == communities(values)


@given(_values, st.randoms(use_true_random=False))
def test_values_in_another_order_give_the_same_parts(
    values: dict[int, list[int]], rng: random.Random
) -> None:
    shuffled = {value: values[value] for value in rng.sample(list(values), len(values))}

    assert communities(shuffled) == communities(values)


def test_accounts_in_another_order_give_the_same_parts() -> None:
    values = {0: [2], 1: [1, 2, 8], 2: [3], 3: [3], 4: [8]}
    other = {value: members[::-1] for value, members in values.items()}

    assert communities(other) == communities(values)
