from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from gateway_guard.signals.machine_timing import MachineTiming
from gateway_guard.types import Signal
from tests.signals.history import DAY, HOUR, NOON, facts, lived, look, request


def after(times: Sequence[float], at: float | None = None) -> Signal:
    past = lived(request(time) for time in times)

    return look(MachineTiming(), request(at or times[-1] + 1.0), facts(past))


def person(days: int, seed: int = 1) -> list[float]:
    """Sessions by day: bursts, breaks of minutes to hours, nights."""
    rng = random.Random(seed)
    times = []
    for day in range(days):
        at = NOON + day * DAY - 4 * HOUR + rng.uniform(0, HOUR)
        while at < NOON + day * DAY + 9 * HOUR:
            times.append(at)
            at += rng.lognormvariate(4.5, 1.8)
    return times


def test_without_an_account_it_cannot_look() -> None:
    assert MachineTiming().look(request(NOON), facts(None)) is None


def test_before_enough_events_it_cannot_look() -> None:
    past = lived(request(NOON + i) for i in range(40))

    assert MachineTiming().look(request(NOON + 41), facts(past)) is None


def test_a_schedule_to_the_second_scores_up_to_the_ceiling() -> None:
    signal = after([NOON + 60.0 * i for i in range(300)])

    assert signal.score == pytest.approx(0.6)
    assert "intervals of 0.0 bits" in signal.evidence


@pytest.mark.parametrize("seed", range(5))
def test_a_person_shows_nothing(seed: int) -> None:
    assert after(person(5, seed)).score == 0.0


def test_the_score_rises_with_regularity() -> None:
    scores = []
    for spread in (1.2, 0.4, 0.2, 0.01):
        rng = random.Random(1)
        at, times = NOON, []
        for _ in range(300):
            at += 48.0 * rng.lognormvariate(0.0, spread)
            times.append(at)
        scores.append(after(times).score)

    assert scores == sorted(scores)
    assert scores[0] == 0.0
    assert scores[-1] > 0.5


def test_agent_loops_of_a_working_person_score_less_than_a_schedule() -> None:
    rng = random.Random(3)
    times = []
    for session in person(3):
        at = session
        for _ in range(rng.randrange(1, 6)):
            times.append(at)
            at += rng.uniform(1.5, 20.0)

    assert after(sorted(times)).score < 0.3


def test_round_the_clock_scores_and_a_night_of_sleep_does_not() -> None:
    rng = random.Random(2)
    ticks = sorted(NOON + rng.random() * 3 * DAY for _ in range(600))
    awake = [at for at in ticks if at % DAY > 8 * HOUR]

    assert after(ticks).score == pytest.approx(0.6)
    assert after(awake, awake[-1]).score == 0.0


def test_hours_of_silence_since_the_last_request_count_as_sleep() -> None:
    rng = random.Random(2)
    ticks = sorted(NOON + rng.random() * 3 * DAY for _ in range(600))

    scores = [after(ticks, ticks[-1] + hours * HOUR).score for hours in (0, 3, 7)]

    assert scores[0] > scores[1] > scores[2] == 0.0


def test_hours_of_a_day_long_past_do_not_count() -> None:
    rng = random.Random(2)
    ticks = sorted(NOON + rng.lognormvariate(9.0, 2.5) % (2 * DAY) for _ in range(800))

    assert after(ticks, ticks[-1] + 30 * DAY).score == 0.0


@pytest.mark.parametrize(
    "fields", [{"events": 1}, {"regular": 2.0}, {"awake": 24}, {"ceiling": -1.0}]
)
def test_parameters_that_make_no_sense_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"events|regular|awake|ceiling"):
        MachineTiming(**fields)  # type: ignore[arg-type]
