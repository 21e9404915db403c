"""The breaker, driven through every order of outcomes by a model that only counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.breaker import (
    FIRST_REST,
    IN_A_ROW,
    LONGEST_REST,
    OF_WINDOW,
    PROBE,
    WINDOW,
    Breaker,
    State,
)


def opened(now: float = 100.0) -> Breaker:
    breaker = Breaker()
    for _ in range(IN_A_ROW):
        ticket = breaker.admit(now)
        assert ticket is not None
        breaker.failed(ticket, now)
    assert breaker.state is State.OPEN
    return breaker


def test_it_opens_after_so_many_failures_in_a_row_and_not_before() -> None:
    breaker = Breaker()

    states = []
    for _ in range(IN_A_ROW):
        breaker.failed(breaker.admit(1.0) or 0, 1.0)
        states.append(breaker.state)

    assert states == [State.CLOSED] * (IN_A_ROW - 1) + [State.OPEN]
    assert (breaker.opened, breaker.since) == (1, 1.0)


def test_half_of_the_latest_outcomes_failing_opens_it_too() -> None:
    breaker = Breaker()

    calls = 0
    while breaker.state is State.CLOSED:
        ticket = breaker.admit(1.0) or 0
        calls += 1
        if calls % 2:
            breaker.failed(ticket, 1.0)
        else:
            breaker.succeeded(ticket)

    assert calls == 2 * OF_WINDOW - 1 < WINDOW


def test_a_third_failing_for_ever_leaves_it_closed() -> None:
    breaker = Breaker()

    for number in range(1_000):
        ticket = breaker.admit(1.0)
        assert ticket is not None
        if number % 3:
            breaker.succeeded(ticket)
        else:
            breaker.failed(ticket, 1.0)

    assert breaker.opened == 0


def test_after_its_rest_one_probe_goes_and_its_success_closes_it() -> None:
    breaker = opened(100.0)
    probe_at = 100.0 + FIRST_REST

    early = breaker.admit(probe_at - 0.001)
    tickets = [breaker.admit(probe_at) for _ in range(10)]

    assert early is None
    assert [ticket is not None for ticket in tickets] == [True] + [False] * 9
    assert breaker.state is State.HALF_OPEN
    breaker.succeeded(tickets[0] or 0)
    assert (breaker.state, breaker.since) == (State.CLOSED, None)
    assert breaker.rests(probe_at) == 0.0


def test_each_probe_that_fails_doubles_the_rest_up_to_the_longest() -> None:
    breaker = opened(now := 100.0)

    rests = []
    for _ in range(6):
        rests.append(breaker.rests(now))
        now += breaker.rests(now)
        ticket = breaker.admit(now)
        assert ticket is not None
        breaker.failed(ticket, now)

    assert rests[:3] == pytest.approx([FIRST_REST, 2 * FIRST_REST, 4 * FIRST_REST])
    assert max(rests) == pytest.approx(LONGEST_REST)


def test_outcomes_of_calls_from_before_it_opened_say_nothing() -> None:
    breaker = Breaker()
    slow = [breaker.admit(1.0) or 0 for _ in range(50)]
    for ticket in slow[:IN_A_ROW]:
        breaker.failed(ticket, 1.0)
    rests = breaker.rests(1.0)

    for ticket in slow[IN_A_ROW:30]:
        breaker.failed(ticket, 1.0)
    for ticket in slow[30:]:
        breaker.succeeded(ticket)

    assert (breaker.state, breaker.opened, breaker.rests(1.0)) == (State.OPEN, 1, rests)


def test_a_probe_nobody_reports_of_makes_way_for_another() -> None:
    breaker = opened(100.0)
    lost = breaker.admit(101.0)

    blocked = breaker.admit(101.0 + PROBE - 0.001)
    another = breaker.admit(101.0 + PROBE)

    assert lost is not None
    assert blocked is None
    assert another is not None
    breaker.succeeded(lost)
    assert breaker.state is State.HALF_OPEN


def test_a_probe_given_up_by_its_caller_makes_way_at_once() -> None:
    breaker = opened(100.0)
    ticket = breaker.admit(101.0)
    assert ticket is not None

    breaker.dropped(ticket, 101.0)

    assert breaker.state is State.OPEN
    assert breaker.admit(101.0) is not None


def test_giving_up_a_call_while_closed_says_nothing() -> None:
    breaker = Breaker()
    for _ in range(100):
        breaker.dropped(breaker.admit(1.0) or 0, 1.0)

    assert breaker.state is State.CLOSED


@pytest.mark.parametrize(
    "wrong", [{"in_a_row": 0}, {"window": 0}, {"first_rest": 0.0}, {"first_rest": 3.0}]
)
def test_sizes_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="breaker"):
        Breaker(**wrong)  # type: ignore[arg-type]


@given(
    steps=st.lists(
        st.tuples(st.floats(0.0, 3.0), st.sampled_from(["succeeded", "failed", "dropped", "lost"])),
        max_size=200,
    )
)
def test_whatever_happens_it_probes_one_at_a_time_and_never_stays_shut(
    steps: list[tuple[float, str]],
) -> None:
    breaker, now = Breaker(), 0.0
    for pause, outcome in steps:
        now += pause
        before = breaker.state
        ticket = breaker.admit(now)
        if ticket is None:
            assert before is not State.CLOSED
            assert 0.0 < breaker.rests(now) <= max(LONGEST_REST, PROBE) + 1e-9  # rounding
            continue
        if before is not State.CLOSED:
            assert breaker.state is State.HALF_OPEN
            assert breaker.admit(now) is None
        if outcome == "succeeded":
            breaker.succeeded(ticket)
            assert breaker.state is State.CLOSED
        elif outcome == "failed":
            breaker.failed(ticket, now)
            assert before is State.CLOSED or breaker.state is State.OPEN
        elif outcome == "dropped":
            breaker.dropped(ticket, now)

    # The fault has ended: the next probe is never further away, and it closes the breaker.
    ticket = breaker.admit(now + max(LONGEST_REST, PROBE) + 1e-9)
    assert ticket is not None
    breaker.succeeded(ticket)
    assert breaker.state is State.CLOSED
    assert (breaker.since is None) == (breaker.state is State.CLOSED)
