"""When a dependency is left alone: counts and moments."""

from __future__ import annotations

import pytest

from gateway_guard.core.breaker import Breaker, State


def test_a_breaker_opens_at_five_in_a_row_or_ten_of_twenty() -> None:
    def opened(outcomes: str) -> bool:
        breaker = Breaker()
        for outcome in outcomes:
            ticket = breaker.admit(0.0)
            if ticket is None:
                return True
            if outcome == "x":
                breaker.failed(ticket, 0.0)
            else:
                breaker.succeeded(ticket)
        return breaker.state is State.OPEN

    assert not opened("xxxx")
    assert opened("xxxxx")
    assert not opened("xxxx.xxxx.")
    assert opened("xx." * 5)
    assert opened("x." * 9 + "x")
    assert not opened("x." * 9)
    # Of the last twenty: the first failure is past when the last one comes.
    assert not opened("x" + "." * 3 + "x." * 8 + "x")
    assert opened("x" + "." * 2 + "x." * 8 + "x")


def test_a_breaker_rests_a_quarter_of_a_second_then_a_half_and_a_second_at_most() -> None:
    breaker = Breaker()
    for _ in range(5):
        ticket = breaker.admit(100.0)
        assert ticket is not None
        breaker.failed(ticket, 100.0)

    now, rests = 100.0, []
    for _ in range(4):
        rests.append(breaker.rests(now))
        assert breaker.admit(now + rests[-1] - 0.001) is None
        now += rests[-1]
        ticket = breaker.admit(now)
        assert ticket is not None
        assert breaker.state is State.HALF_OPEN
        assert breaker.admit(now) is None
        breaker.failed(ticket, now)

    assert rests == pytest.approx([0.25, 0.5, 1.0, 1.0])
    assert (breaker.opened, breaker.since) == (1, 100.0)
    # A probe nobody reports of counts as failed after two seconds.
    ticket = breaker.admit(now + 1.0)
    assert ticket is not None
    assert breaker.admit(now + 2.9) is None
    assert breaker.admit(now + 3.0) not in (None, ticket)


@pytest.mark.parametrize(
    "wrong",
    [{"in_a_row": 0}, {"window": 0}, {"of_window": 0}, {"first_rest": 0.0}, {"first_rest": 2.0}],
)
def test_a_breaker_of_nothing_is_none(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="breaker"):
        Breaker(**wrong)  # type: ignore[arg-type]
    Breaker(in_a_row=1, window=1, of_window=1, first_rest=1.0, longest_rest=1.0)


def test_a_probe_nobody_reports_of_doubles_the_rest_as_one_that_fails_does() -> None:
    breaker = Breaker(in_a_row=1, first_rest=0.5, longest_rest=8.0)
    ticket = breaker.admit(0.0)
    assert ticket is not None
    breaker.failed(ticket, 0.0)

    # Asked at 0.5, 2.5 and 4.5: two of these probes are never heard of again.
    for now in (0.5, 2.5, 4.5):
        assert breaker.admit(now - 0.01) is None
        ticket = breaker.admit(now)
        assert ticket is not None
    breaker.failed(ticket, 5.0)

    # Half a second, doubled by two that were lost and one that failed.
    assert breaker.rests(5.0) == 4.0
    assert (breaker.opened, breaker.since) == (1, 0.0)


def test_the_rest_grows_no_further_than_the_longest_and_is_the_first_again_after_an_answer() -> (
    None
):
    breaker = Breaker(in_a_row=1, first_rest=0.5, longest_rest=3.0)

    def fail(now: float) -> float:
        ticket = breaker.admit(now)
        assert ticket is not None
        breaker.failed(ticket, now)
        return breaker.rests(now)

    assert [fail(10.0 * number) for number in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    ticket = breaker.admit(60.0)
    assert ticket is not None
    breaker.succeeded(ticket)
    assert (breaker.state, breaker.rests(60.0), breaker.since) == (State.CLOSED, 0.0, None)
    assert fail(70.0) == 0.5
    assert (breaker.opened, breaker.since) == (2, 70.0)


def test_a_probe_that_was_given_up_makes_room_for_another_at_once() -> None:
    breaker = Breaker(in_a_row=1, first_rest=0.5, longest_rest=3.0)
    first = breaker.admit(0.0)
    assert first is not None
    breaker.dropped(first, 0.0)
    breaker.failed(first, 0.0)
    probe = breaker.admit(0.5)
    assert probe is not None

    # A call from before says nothing of the probe.
    breaker.dropped(first, 0.6)
    assert breaker.rests(0.6) == pytest.approx(1.9)
    breaker.dropped(probe, 0.6)
    assert breaker.rests(0.6) == 0.0
    again = breaker.admit(0.6)

    assert again not in (None, probe)
    breaker.succeeded(probe)
    breaker.failed(probe, 0.6)
    assert breaker.state is State.HALF_OPEN


def test_an_answer_ends_a_row_of_failures_and_stays_in_the_window() -> None:
    breaker = Breaker(in_a_row=2, window=4, of_window=3)

    def after(outcomes: str) -> State:
        for outcome in outcomes:
            ticket = breaker.admit(0.0)
            assert ticket is not None
            if outcome == "x":
                breaker.failed(ticket, 0.0)
            else:
                breaker.succeeded(ticket)
        return breaker.state

    assert after("x.x..x.x.") is State.CLOSED
    assert after("xx") is State.OPEN
