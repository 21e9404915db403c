from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway_guard.signals.reasoning_elicit import (
    PATTERNS,
    WEIGHTS,
    ReasoningElicitation,
    strength,
)
from gateway_guard.types import Request
from tests import build
from tests.signals.history import DAY, NOON, facts, lived, look, request

TRACE = ("hidden-reasoning", "trace-format")
STEPS = ("worked-steps",)


def asked(count: int, kinds: tuple[str, ...], **fields: object) -> list[Request]:
    return [
        request(NOON + i * 60.0, prompt=build.prompt(elicitation=kinds, **fields))
        for i in range(count)
    ]


def score(past: Sequence[Request], after: float = 60.0) -> float:
    at = (past[-1].at if past else NOON) + after

    return look(ReasoningElicitation(), request(at), facts(lived(past))).score


def test_without_an_account_or_a_prompt_it_cannot_look() -> None:
    detector = ReasoningElicitation()

    assert detector.look(request(NOON), facts(None)) is None
    assert detector.look(request(NOON, prompt=None), facts(lived([]))) is None


def test_one_request_for_a_hidden_trace_says_nothing() -> None:
    assert score(asked(1, TRACE)) == 0.0


def test_a_habit_of_asking_for_traces_scores_and_rises() -> None:
    scores = [score(asked(n, TRACE)) for n in (5, 10, 20, 80)]

    assert scores[0] == 0.0
    assert scores == sorted(set(scores))
    assert scores[-1] > 0.5


def test_a_student_who_always_asks_for_worked_steps_scores_next_to_nothing() -> None:
    assert score(asked(300, STEPS)) < 0.1


def test_a_developer_who_asks_for_several_completions_now_and_then_stays_silent() -> None:
    past = sorted(asked(200, ()) + asked(10, (), n=3), key=lambda one: one.at)

    assert score(past) == 0.0


def test_among_ordinary_requests_the_same_number_counts_less() -> None:
    alone = score(asked(40, TRACE))

    covered = score(sorted(asked(40, TRACE) + asked(160, ()), key=lambda one: one.at))

    assert 0.0 < covered < alone


def test_a_habit_given_up_is_forgotten_in_days() -> None:
    past = asked(80, TRACE)

    scores = [score(past, after) for after in (60.0, DAY, 2 * DAY, 4 * DAY)]

    assert scores == sorted(scores, reverse=True)
    assert scores[-1] == 0.0


def test_a_request_counts_at_most_once_in_full() -> None:
    assert strength(tuple(PATTERNS), 8, True) == 1.0
    assert strength((), 1, False) == 0.0
    assert strength(("of another version",), 1, False) == 0.0
    assert strength((), 2, False) > 0.0
    assert strength((), 1, True) > 0.0


def test_every_category_has_phrases_and_a_weight() -> None:
    assert set(PATTERNS) == set(WEIGHTS)
    assert all(0.0 < weight <= 1.0 for weight in WEIGHTS.values())


def test_phrases_are_lower_case_single_spaced_long_enough_and_in_one_category_only() -> None:
    every = [phrase for phrases in PATTERNS.values() for phrase in phrases]

    assert len(every) == len(set(every))
    for phrase in every:
        assert phrase == phrase.lower()
        assert phrase == " ".join(phrase.split())
        assert len(phrase) >= (3 if not phrase.isascii() else 5)


@pytest.mark.parametrize("kind", ["hidden-reasoning", "rubric-grading", "training-data"])
def test_the_kinds_are_known_in_several_scripts(kind: str) -> None:
    text = " ".join(PATTERNS[kind])

    assert any("a" <= c <= "z" for c in text)
    for first, last in (("\u0400", "\u04ff"), ("\u4e00", "\u9fff"), ("\uac00", "\ud7af")):
        assert any(first <= c <= last for c in text)


@pytest.mark.parametrize(
    "fields", [{"floor": 0.0}, {"rate_full": 0.0}, {"rate_full": 1.5}, {"ceiling": 2.0}]
)
def test_parameters_that_make_no_sense_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"floor|rate_full|ceiling"):
        ReasoningElicitation(**fields)
