"""Who guesses tokens has to wait."""

from __future__ import annotations

from gateway_guard.frontends.attempts import MOST, WINDOW, Attempts


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_few_mistakes_cost_no_time_and_one_more_a_minute_at_most() -> None:
    clock = Clock()
    attempts = Attempts(clock)

    for _ in range(MOST - 1):
        attempts.failed("192.0.2.1")
    patient = attempts.wait("192.0.2.1")
    clock.now += 10.0
    attempts.failed("192.0.2.1")

    assert patient == 0.0
    assert attempts.wait("192.0.2.1") == WINDOW - 10.0
    assert attempts.wait("192.0.2.2") == 0.0


def test_the_wait_ends_and_the_count_begins_anew() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(2 * MOST):
        attempts.failed("192.0.2.1")

    clock.now += WINDOW
    attempts.failed("192.0.2.1")

    assert attempts.wait("192.0.2.1") == 0.0


def test_guessing_on_slowly_is_ten_a_minute_and_no_more() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    tried = 0

    for _ in range(6_000):
        if not attempts.wait("192.0.2.1"):
            attempts.failed("192.0.2.1")
            tried += 1
        clock.now += 0.1

    assert tried <= 10 * MOST + MOST


def test_addresses_without_number_take_no_more_room() -> None:
    attempts = Attempts(Clock())

    for number in range(10_000):
        attempts.failed(f"2001:db8::{number:x}")

    assert len(attempts._wrong) == 4096
