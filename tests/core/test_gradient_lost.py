"""Requests that an upstream never answers, and the bound on those who wait for it."""

from __future__ import annotations

from gateway_guard.core.gradient import STALLED, Gradient
from gateway_guard.core.sections import Adaptive
from tests.core.test_gradient import feed

SETTING = Adaptive(floor=5, ceiling=1000, tolerance=1.5, window=1.0)
#: Seconds in which an upstream that is asked ten times a second is seen to hang.
HANGS = STALLED + 1.0


def asked(gradient: Gradient, now: float, seconds: float) -> tuple[float, list[tuple[float, int]]]:
    """Ten requests a second that nobody answers: the time after them, and those let in."""
    let_in = []
    for _ in range(int(10 * seconds)):
        now += 0.1
        if place := gradient.enter(now):
            let_in.append((now, place))
    return now, let_in


def hanging() -> tuple[Gradient, float]:
    """An upstream that has answered nobody for a while, those included who came before."""
    gradient = Gradient(SETTING)
    now = 0.0
    for _ in range(5):
        now = feed(gradient, now, 0.1, 100)
    now, _ = asked(gradient, now, 60.0)
    assert gradient.bound == SETTING.floor
    return gradient, now


def test_an_upstream_that_is_back_is_asked_as_before_although_some_are_never_answered() -> None:
    gradient, now = hanging()
    hung = gradient.waiting
    now, young = asked(gradient, now, HANGS)

    for since, place in young:
        gradient.leave(since, now, place=place, answered=True)
    refused = gradient.refused
    for _ in range(10):
        now = feed(gradient, now, 0.1, 5)

    assert gradient.waiting == hung
    assert gradient.refused == refused
    assert gradient.bound > SETTING.floor


def test_one_that_hangs_is_asked_by_one_more_for_each_stalled_window() -> None:
    gradient, now = hanging()

    now, young = asked(gradient, now, 10 * HANGS)

    assert 8 <= len(young) <= 13
    assert {place for _, place in young} == {SETTING.floor}


def test_one_that_answers_slowly_in_turn_has_lost_nobody() -> None:
    gradient, now = hanging()
    waiting = gradient.waiting
    _, young = asked(gradient, now, HANGS)

    for _ in range(waiting):
        gradient.leave(0.0, now, place=1, answered=True)
    for since, place in young:
        gradient.leave(since, now, place=place, answered=True)

    assert gradient.waiting == 0
    places = [gradient.enter(now) for _ in range(SETTING.floor + 1)]
    assert places == [*range(1, SETTING.floor + 1), 0]


def test_while_somebody_is_answered_nobody_is_taken_for_lost() -> None:
    gradient, now = hanging()
    waiting = gradient.waiting

    for _ in range(20):
        gradient.leave(0.0, now, place=1, answered=True)
        now, young = asked(gradient, now, 1.0)
        # In his place, and nobody else.
        assert len(young) <= 1 + (gradient.waiting > waiting)

    assert gradient.waiting <= waiting + 1
