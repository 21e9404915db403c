"""Turns: what is looked at next, and that noise keeps nobody waiting for long."""

from __future__ import annotations

from gateway_guard.campaigns import turns as module
from gateway_guard.campaigns.turns import Turns
from gateway_guard.campaigns.webs import Webs


def _spend(turns: Turns, webs: Webs, effort: float) -> int | None:
    turn = turns.next(webs)
    if turn is None:
        return None
    number, hourly = turn
    turns.spend(effort, webs.of(number), hourly=hourly)
    return number


def test_of_two_webs_the_one_that_cost_less_is_next() -> None:
    turns, webs = Turns(), Webs()
    for number in (1, 2, 3):
        turns.add(number, webs.link(1, {2, 3}))
    assert _spend(turns, webs, 500.0) == 1

    turns.add(9, webs.of(9))

    assert [_spend(turns, webs, 100.0) for _ in range(3)] == [9, 2, 3]


def test_a_web_that_begins_to_wait_is_no_further_ahead_for_having_waited_for_nothing() -> None:
    turns, webs = Turns(), Webs()
    webs.link(1, {2, 3, 4})
    for number in (1, 2):
        turns.add(number, webs.of(number))
    _spend(turns, webs, 1000.0)
    _spend(turns, webs, 1000.0)

    for number in (8, 3, 9):
        turns.add(number, webs.of(number))

    assert [_spend(turns, webs, 700.0) for _ in range(3)] == [8, 9, 3]


def test_those_whose_turn_came_with_the_hour_are_given_as_much_as_the_others() -> None:
    turns, webs = Turns(), Webs()
    webs.link(1, set(range(2, 40)))
    for number in range(1, 40):
        turns.add(number, webs.of(number))
    assert turns.every(dict.fromkeys(range(100, 140)))

    order = [_spend(turns, webs, 10.0) for _ in range(20)]

    assert sum(number is not None and number >= 100 for number in order) == 10


def test_nothing_is_begun_on_credit_and_each_exchange_earns_some() -> None:
    turns, webs = Turns(), Webs()
    turns.add(1, webs.of(1))
    turns.spend(module._SAVED + module._GIVEN / 2, None, hourly=False)

    assert turns.next(webs) is None
    turns.begin()
    assert turns.next(webs) == (1, False)


def test_in_one_call_there_is_an_end() -> None:
    turns, webs = Turns(), Webs()
    turns.add(1, webs.of(1))
    turns.use(module._CALL)

    assert turns.next(webs) is None
    turns.begin()
    assert turns.next(webs) == (1, False)


def test_whoever_was_looked_at_with_another_does_not_wait() -> None:
    turns, webs = Turns(), Webs()
    web = webs.link(1, {2})
    turns.add(1, web)
    turns.add(2, web)
    turns.every({1: None, 7: None})

    for number in (1, 2):
        turns.done(number, web)

    assert turns.next(webs) == (7, True)
    assert turns.next(webs) is None
    assert not turns.waiting


def test_webs_that_become_one_wait_once_for_all_their_accounts() -> None:
    turns, webs = Turns(), Webs()
    turns.add(1, webs.of(1))
    turns.add(2, webs.of(2))

    webs.link(1, {2})

    assert [turns.next(webs) for _ in range(3)] == [(1, False), (2, False), None]


def test_those_of_the_hour_before_come_first() -> None:
    turns = Turns()
    turns.every({1: None})

    assert not turns.every({2: None})


def test_when_webs_are_forgotten_nobody_waits() -> None:
    turns, webs = Turns(), Webs()
    turns.add(1, webs.of(1))
    turns.every({2: None})

    turns.clear()

    assert not turns.waiting
    assert turns.next(Webs()) is None
