"""Sets of accounts that only ever grow together."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.campaigns.webs import Webs

_numbers = st.integers(1, 30)
_links = st.lists(st.tuples(_numbers, st.sets(_numbers, max_size=4)), max_size=40)


def webs(links: list[tuple[int, set[int]]]) -> Webs:
    made = Webs()
    for number, others in links:
        made.link(number, others)
    return made


def sets(made: Webs) -> set[frozenset[int]]:
    return {frozenset(made.of(number).members) for number in range(1, 31)}


def test_an_account_never_linked_is_a_web_of_its_own() -> None:
    made = Webs()

    web = made.of(7)

    assert (web.members, web.news, web.examined) == ([7], 0, 0)


def test_linked_accounts_are_in_one_web() -> None:
    made = webs([(1, {2}), (3, {4}), (2, {3})])

    assert made.of(1) is made.of(4)
    assert sorted(made.of(1).members) == [1, 2, 3, 4]
    assert len(made) == 1


def test_the_larger_web_takes_in_the_smaller_one_whoever_was_linked() -> None:
    made = webs([(1, {2, 3, 4}), (9, {8})])
    large = made.of(1)

    small_first = made.link(9, {1})

    assert small_first is large


def test_what_was_new_in_either_web_is_new_in_both() -> None:
    made = webs([(1, {2}), (3, {4})])
    made.of(1).news, made.of(3).news = 2, 5

    assert made.link(1, {3}).news == 7


def test_a_web_is_examined_as_often_as_its_parts_were() -> None:
    made = webs([(1, {2}), (3, {4, 5})])
    made.of(1).examined = 2
    made.of(3).examined = 1

    assert made.link(1, {3}).examined == 3


@given(_links, st.randoms(use_true_random=False))
def test_the_order_of_links_makes_no_difference(
    links: list[tuple[int, set[int]]], rng: random.Random
) -> None:
    shuffled = rng.sample(links, len(links))

    assert sets(webs(links)) == sets(webs(shuffled))


@given(_links)
def test_every_account_is_in_one_web_and_in_it_once(links: list[tuple[int, set[int]]]) -> None:
    made = webs(links)
    for number in range(1, 31):
        made.of(number)

    members = [number for web in made.all() for number in web.members]

    assert sorted(members) == list(range(1, 31))
    assert len(made) == len(sets(made))


@given(_links)
def test_accounts_are_together_only_when_a_chain_of_links_joins_them(
    links: list[tuple[int, set[int]]],
) -> None:
    reached = {number: {number} for number in range(1, 31)}
    for number, others in links:
        joined = set.union(reached[number], *(reached[other] for other in others))
        for one in joined:
            reached[one] = joined

    assert sets(webs(links)) == {frozenset(one) for one in reached.values()}
