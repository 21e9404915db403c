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
