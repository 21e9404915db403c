from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway_guard.core.profile import observe, observe_usage
from gateway_guard.signals.profile import Profile
from gateway_guard.signals.volume_shift import VolumeShift
from gateway_guard.types import Held, Signal, Usage
from tests.signals.history import HOUR, NOON, facts, look, request


def hours(counts: Sequence[int], tokens: Sequence[int] | None = None) -> Profile:
    """An account that sent `counts[i]` requests, each of `tokens[i]` tokens, in hour i."""
    profile = Profile(held=Held())
    for hour, count in enumerate(counts):
        for i in range(count):
            one = request(NOON + hour * HOUR + i * HOUR / (count + 1))
            observe(profile, one, facts(profile))
            spent = tokens[hour] if tokens else 100
            observe_usage(profile, one, Usage(input_tokens=spent, output_tokens=0))
    return profile


def after(profile: Profile) -> Signal:
    return look(VolumeShift(), request(profile.last + 0.1), facts(profile))


def test_without_an_account_it_cannot_look() -> None:
    assert VolumeShift().look(request(NOON), facts(None)) is None


def test_without_a_norm_it_cannot_look() -> None:
    profile = hours([10, 10, 500])

    assert VolumeShift().look(request(profile.last), facts(profile)) is None


def test_an_hour_like_the_others_shows_nothing() -> None:
    assert after(hours([40, 50, 60, 40, 50, 60])).score == 0.0


def test_an_hour_of_many_times_the_median_scores() -> None:
    signal = after(hours([10, 12, 8, 10, 11, 200]))

    assert signal.score == pytest.approx(0.5 * (1 - 3 / 20))
    assert signal.evidence == "20.0 × the account's median hour, in requests (floor 3)"


def test_tokens_count_as_well_as_requests() -> None:
    signal = after(hours([40] * 6, [500] * 5 + [20_000]))

    assert signal.score > 0.4
    assert "in tokens" in signal.evidence


def test_the_score_rises_with_the_ratio() -> None:
    scores = [after(hours([10, 10, 10, 10, n])).score for n in (20, 40, 80, 320)]

    assert scores[0] == 0.0
    assert scores == sorted(set(scores))


def test_few_requests_are_no_shift_whatever_the_ratio() -> None:
    assert after(hours([1, 1, 1, 1, 1, 25])).score == 0.0


def test_a_nightly_batch_job_of_constant_size_stays_silent() -> None:
    assert after(hours([300, 0, 0, 0, 310, 0, 0, 0, 290, 0, 0, 0, 305, 0, 0, 0, 300])).score == 0.0


def test_idle_hours_do_not_lower_the_norm() -> None:
    assert hours([40, 0, 0, 0, 0, 60, 0, 0, 50, 1]).usual_requests == 50.0


def test_a_new_hour_begins_at_nothing() -> None:
    profile = hours([10, 12, 8, 10, 11, 200])

    assert look(VolumeShift(), request(profile.last + HOUR), facts(profile)).score == 0.0


@pytest.mark.parametrize("fields", [{"times": 0.5}, {"requests": 0}, {"hours": 25}, {"ceiling": 2}])
def test_parameters_that_make_no_sense_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"times|requests|hours|ceiling"):
        VolumeShift(**fields)  # type: ignore[arg-type]
