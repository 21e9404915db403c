"""Evidence in sentences."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.campaigns.evidence import Kind, Weight, judge
from gateway_guard.campaigns.words import sentence, sentences, times
from tests.campaigns import build


@pytest.mark.parametrize(
    ("log_ratio", "words"),
    [
        (0.0, "1 to 1"),
        (math.log(20), "20 to 1"),
        (-math.log(3), "1 to 3"),
        (math.log(12_345), "12,345 to 1"),
        (math.log(10) * 12, "10^12 to 1"),
        (math.log(10) * -12, "1 to 10^12"),
    ],
)
def test_a_logarithm_is_told_as_odds(log_ratio: float, words: str) -> None:
    assert times(log_ratio) == words


@given(st.floats(-1e6, 1e6))
def test_any_odds_can_be_told_in_few_characters(log_ratio: float) -> None:
    assert len(times(log_ratio)) < 20


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_a_sentence_with_its_figures(kind: Kind) -> None:
    told = sentence(Weight(kind=kind, tied=7, looked=9, chance=0.25, log_ratio=math.log(20)))

    assert told.startswith(f"{kind}: 7 of 9 ")
    assert "(25% expected" in told
    assert told.endswith("speaks for one hand, 20 to 1")


def test_evidence_against_does_not_speak_for_one_hand() -> None:
    told = sentence(Weight(kind=Kind.PACE, tied=0, looked=9, chance=0.25, log_ratio=-1.0))

    assert "does not speak for one hand" in told


def test_a_case_tells_every_kind_the_core_the_explanation_and_what_was_asked_for() -> None:
    verdict = judge([build.tied(Kind.PAYMENT, Kind.ADDRESSES) for _ in range(9)], examined=3)

    told = sentences(verdict)

    assert len(told) == len(verdict.weights) + 3
    assert told[-3] == "core: 9 of 9 are tied by two kinds or more"
    assert f"'{verdict.explanation}'" in told[-2]
    assert f"{times(verdict.needed)} is asked for" in told[-1]


def test_a_case_tells_how_many_were_left_out_as_people_at_a_place() -> None:
    members = [build.tied(Kind.PAYMENT, Kind.ADDRESSES) for _ in range(9)]

    told = sentences(judge(members, examined=3, at_places=12))

    assert told[-3].startswith("left out: 12 that hang together with them ")
