"""How long a client may let others wait."""

from __future__ import annotations

from typing import TypedDict, Unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.frontends.patience import Late, Limits, late

LIMITS = Limits(head=10.0, body=30.0, idle=75.0, write=60.0)


class State(TypedDict, total=False):
    since: float
    head_since: float
    stalled_since: float
    in_head: bool
    answering: bool
    fresh: bool
    awaits_body: bool
    received: int


def verdict(now: float, limits: Limits = LIMITS, **state: Unpack[State]) -> Late | None:
    settled: State = {
        "since": 1.0,
        "head_since": 1.0,
        "stalled_since": 0.0,
        "in_head": False,
        "answering": False,
        "fresh": False,
        "awaits_body": False,
        "received": 0,
    }
    settled.update(state)
    return late(limits, now, **settled)


@pytest.mark.parametrize(
    ("state", "allowed", "what"),
    [
        (State(fresh=True), 10.0, Late.REQUEST),
        (State(in_head=True, fresh=True), 10.0, Late.HEAD),
        (State(in_head=True), 10.0, Late.HEAD),
        (State(answering=True, awaits_body=True), 30.0, Late.BODY),
        (State(), 75.0, Late.REQUEST),
        (State(answering=True, stalled_since=1.0), 60.0, Late.READING),
    ],
)
def test_each_wait_has_its_limit(state: State, allowed: float, what: Late) -> None:
    assert verdict(1.0 + allowed, **state) is None
    assert verdict(1.001 + allowed, **state) is what


def test_progress_within_a_head_does_not_win_time() -> None:
    assert verdict(12.0, in_head=True, head_since=1.0, since=11.9) is Late.HEAD


@pytest.mark.parametrize(
    ("state", "what"),
    [
        (State(fresh=True), Late.REQUEST),
        (State(in_head=True), Late.HEAD),
        (State(), Late.REQUEST),
        (State(answering=True, awaits_body=True), Late.BODY),
    ],
)
def test_where_all_connections_are_taken_nobody_is_waited_for_long(
    state: State, what: Late
) -> None:
    assert verdict(4.0, LIMITS.hurried, **state) is None
    assert verdict(4.001, LIMITS.hurried, **state) is what


def test_a_body_that_drips_is_late_there_however_often_something_comes() -> None:
    drips = State(answering=True, awaits_body=True, since=10.0, received=4999)
    flows = State(answering=True, awaits_body=True, since=10.0, received=5001)

    assert verdict(11.0, LIMITS.hurried, **drips) is Late.BODY
    assert verdict(11.0, LIMITS.hurried, **flows) is None
    assert verdict(11.0, **drips) is None


def test_an_answer_takes_as_long_there_too() -> None:
    assert verdict(1e6, LIMITS.hurried, answering=True) is None


def test_an_answer_may_take_as_long_as_it_takes() -> None:
    assert verdict(1e6, answering=True) is None


def test_the_next_head_on_a_busy_connection_waits_for_the_answer_before_it() -> None:
    assert verdict(1e6, answering=True, in_head=True) is None


@given(now=st.floats(0.0, 1e6), since=st.floats(0.0, 1e6), fresh=st.booleans())
def test_nobody_is_late_before_the_shortest_limit(now: float, since: float, fresh: bool) -> None:
    if now - since <= 10.0:
        assert verdict(now, since=since, head_since=since, fresh=fresh) is None
