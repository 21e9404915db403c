from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway_guard.signals.low_variance import LowVariance
from gateway_guard.types import Request
from tests.signals.history import NOON, facts, lived, look, request

FRAME = "classify this review of a hotel as good or bad and answer with one word"


def score(past: Sequence[Request]) -> float:
    return look(LowVariance(), request(NOON + 1e6, "next"), facts(lived(past))).score


def prompts(count: int, fixed: str, new_words: int) -> list[Request]:
    return [
        request(NOON + i, " ".join((fixed, *(f"w{i}-{k}" for k in range(new_words)))))
        for i in range(count)
    ]


def test_without_an_account_or_a_prompt_it_cannot_look() -> None:
    detector = LowVariance()

    assert detector.look(request(NOON), facts(None)) is None
    assert detector.look(request(NOON, prompt=None), facts(lived([]))) is None


def test_an_account_that_never_repeats_itself_shows_nothing() -> None:
    assert score(prompts(200, "", 10)) == 0.0


def test_an_account_that_says_the_same_shows_it() -> None:
    signal = look(LowVariance(), request(NOON + 1e6), facts(lived(prompts(100, FRAME, 0))))

    assert signal.score == pytest.approx(0.4, abs=0.02)
    assert "of its fragments sent before" in signal.evidence


def test_the_score_rises_with_the_repeated_share() -> None:
    scores = [score(prompts(100, FRAME, new)) for new in (30, 8, 4, 2, 0)]

    assert scores[0] == 0.0
    assert scores == sorted(scores)
    assert scores[-1] > scores[1]


def test_a_few_prompts_are_too_few() -> None:
    assert score(prompts(20, FRAME, 0)) == 0.0


def test_short_prompts_without_fragments_say_nothing() -> None:
    assert score([request(NOON + i, "") for i in range(100)]) == 0.0


def test_a_retrieval_product_with_a_short_frame_and_long_passages_stays_silent() -> None:
    assert score(prompts(300, "answer from the passages below", 30)) == 0.0


def test_what_was_said_long_ago_is_forgotten() -> None:
    past = prompts(100, FRAME, 0) + [
        request(NOON + 1000 + i, " ".join(f"new{i}-{k}" for k in range(14))) for i in range(200)
    ]

    assert score(past) == 0.0


@pytest.mark.parametrize(
    "fields",
    [{"prompts": 0}, {"low": 1.0}, {"high": 0.5}, {"low": -0.1}, {"ceiling": 2.0}],
)
def test_parameters_that_make_no_sense_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"prompts|low|high|ceiling"):
        LowVariance(**fields)  # type: ignore[arg-type]
