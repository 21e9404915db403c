from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core import assess as module
from gateway_guard.core.policy import Weighted
from gateway_guard.types import Assessment, Facts, Request, Signal
from tests import build

shares = st.floats(0.0, 1.0)


class Says:
    """A detector that answers what it was made with, or raises it."""

    name: ClassVar[str] = "says"

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def look(self, request: Request, facts: Facts) -> Signal | None:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


def said(score: float, weight: float = 1.0, name: str = "says") -> Weighted:
    return Weighted(detector=Says(build.signal(name, score)), weight=weight)


def assess(
    weighted: Sequence[Weighted], request: Request, facts: Facts, heard: list[str] | None = None
) -> Assessment:
    broke = [] if heard is None else heard
    assessment = module.assess(
        weighted, request, facts, lambda name, error: broke.append(f"{name} {error}")
    )
    assert heard is not None or not broke
    return assessment


def test_nobody_asked_nothing_seen() -> None:
    assessment = assess((), build.request(), build.facts())

    assert assessment.risk == 0.0
    assert assessment.signals == ()


def test_what_could_not_look_and_what_saw_nothing_leave_no_trace() -> None:
    blind = Weighted(detector=Says(None), weight=1.0)

    assessment = assess((blind, said(0.0)), build.request(), build.facts())

    assert assessment.risk == 0.0
    assert assessment.signals == ()


def test_one_signal_is_a_risk_of_weight_times_score() -> None:
    assessment = assess((said(0.5, 0.6),), build.request(), build.facts())

    assert assessment.risk == pytest.approx(0.3)


def test_signals_combine_as_independent_causes_strongest_contribution_first() -> None:
    weighted = (said(0.9, 0.1, "weak"), said(0.5, 0.8, "strong"))

    assessment = assess(weighted, build.request(), build.facts())

    assert [signal.name for signal in assessment.signals] == ["strong", "weak"]
    assert assessment.risk == pytest.approx(1 - (1 - 0.09) * (1 - 0.4))


def test_equal_contributions_stay_in_the_policy_s_order() -> None:
    weighted = tuple(said(0.5, 0.5, name) for name in ("c", "a", "b"))

    assessment = assess(weighted, build.request(), build.facts())

    assert [signal.name for signal in assessment.signals] == ["c", "a", "b"]


@given(st.lists(st.tuples(shares, shares), max_size=8))
def test_risk_stays_in_bounds_and_no_signal_lowers_it(pairs: list[tuple[float, float]]) -> None:
    weighted = tuple(said(score, weight) for score, weight in pairs)

    assessment = assess(weighted, build.request(), build.facts())

    assert 0.0 <= assessment.risk <= 1.0
    assert assessment.risk >= max((s * w for s, w in pairs), default=0.0) - 1e-12


@pytest.mark.parametrize("answer", [RuntimeError("bug"), 0.7, "no signal", [1]])
def test_a_broken_detector_is_told_of_and_does_not_hide_the_others(answer: object) -> None:
    broken = Weighted(detector=Says(answer), weight=1.0)
    heard: list[str] = []

    assessment = assess((broken, said(0.5)), build.request(), build.facts(), heard)

    assert [signal.score for signal in assessment.signals] == [0.5]
    assert [one.split()[0] for one in heard] == ["says"]
    if isinstance(answer, Exception):
        assert heard == ["says bug"]
