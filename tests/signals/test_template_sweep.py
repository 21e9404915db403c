from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from gateway_guard.signals.template_sweep import TemplateSweep
from gateway_guard.types import Request
from tests.signals.history import HOUR, NOON, facts, lived, look, prompt, request

FRAME = "Translate the following sentence into German, please:"


def sweep(fillings: int, *, start: float = NOON, step: float = 1.0, **frame: str) -> list[Request]:
    return [
        request(start + i * step, prompt=prompt(f"sentence number {i}", **frame))
        for i in range(fillings)
    ]


def score(past: Sequence[Request], at: float = NOON + 1000.0, **frame: str) -> float:
    one = request(at, prompt=prompt("one more", **frame))

    return look(TemplateSweep(), one, facts(lived(past))).score


def test_without_an_account_or_a_prompt_it_cannot_look() -> None:
    detector = TemplateSweep()

    assert detector.look(request(NOON), facts(None)) is None
    assert detector.look(request(NOON, prompt=None), facts(lived([]))) is None


def test_an_account_without_a_past_has_swept_nothing() -> None:
    assert score([], head=FRAME) == 0.0


@pytest.mark.parametrize("end", ["head", "tail"])
def test_many_fillings_behind_one_end_score(end: str) -> None:
    past = sweep(400, head=FRAME) if end == "head" else sweep(400, tail=FRAME)

    signal = look(
        TemplateSweep(),
        request(NOON + 500.0, prompt=prompt("one more", **{end: FRAME})),
        facts(lived(past)),
    )

    assert 0.8 < signal.score < 0.95
    # It is an estimate, and says so.
    assert re.fullmatch(r"about \d+ fillings of one template in 1 h \(floor 50\)", signal.evidence)


def test_the_score_rises_with_the_fillings_and_starts_at_the_floor() -> None:
    scores = [score(sweep(n, head=FRAME), head=FRAME) for n in (30, 75, 150, 300, 600)]

    assert scores[0] == 0.0
    assert scores == sorted(set(scores))


def test_one_text_sent_a_thousand_times_is_one_filling() -> None:
    past = [request(NOON + i, prompt=prompt("the same text", head=FRAME)) for i in range(1000)]

    assert score(past, head=FRAME) == 0.0


def test_different_questions_without_a_frame_are_no_sweep() -> None:
    assert score(sweep(1000)) == 0.0


def test_another_template_of_the_same_account_is_judged_by_itself() -> None:
    assert score(sweep(400, head=FRAME), head="Something else entirely") == 0.0


def test_a_product_whose_users_share_a_constant_system_prompt_is_no_sweep() -> None:
    past = [
        request(NOON + i, prompt=prompt(f"question {i}", system="You are a helpful agent."))
        for i in range(600)
    ]

    assert score(past, system="You are a helpful agent.") == 0.0


def test_a_system_text_filled_anew_each_time_is_a_sweep() -> None:
    past = [
        request(NOON + i, prompt=prompt("go on", system=f"You are the {i}th expert. {FRAME}"))
        for i in range(300)
    ]
    framed = []
    for i, one in enumerate(past):
        assert one.prompt is not None
        filled = one.prompt.roles[0]
        role = type(filled)(role="system", head=7, tail=filled.tail, skeleton=0, chars=i)
        framed.append(request(one.at, prompt=type(one.prompt)(roles=(role,))))
    last = framed.pop()

    assert look(TemplateSweep(), last, facts(lived(framed))).score > 0.5


def test_a_template_survives_cover_traffic() -> None:
    past = sweep(200, head=FRAME, step=4.0)
    cover = sweep(600, start=NOON + 0.5, step=4.0 / 3.0)
    mixed = sorted(past + cover, key=lambda one: one.at)

    assert score(mixed, at=NOON + 900.0, head=FRAME) > 0.5


def test_a_small_batch_job_in_the_working_day_stays_silent() -> None:
    past = sweep(200, head=FRAME, step=HOUR / 40)

    assert score(past, at=past[-1].at + 1.0, head=FRAME) == 0.0


def test_fillings_of_the_last_clock_hour_fade_through_the_next() -> None:
    past = sweep(400, head=FRAME)

    scores = [
        score(past, at=NOON + HOUR + minutes * 60.0, head=FRAME) for minutes in (1, 20, 40, 59, 61)
    ]

    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.8
    assert scores[-1] == 0.0


def test_after_an_idle_hour_a_sweep_is_forgotten() -> None:
    past = [*sweep(400, head=FRAME), request(NOON + 2 * HOUR, "good evening")]

    assert score(past, at=NOON + 2 * HOUR + 1.0, head=FRAME) == 0.0


@pytest.mark.parametrize("floor", [0, -1.0, float("nan"), float("inf"), True])
def test_a_floor_that_makes_no_sense_is_refused(floor: float) -> None:
    with pytest.raises(ValueError, match="floor"):
        TemplateSweep(floor=floor)
