"""How fast a profile learns what its account repeats."""

from __future__ import annotations

import pytest

from gateway_guard.core.profile import observe
from gateway_guard.signals.profile import Profile
from gateway_guard.types import Held
from tests import build
from tests.signals.history import facts, request


def prompts(profile: Profile, *fragments: int) -> None:
    for one in fragments:
        said = build.prompt(shingles=(one << 32 | one << 20,))
        observe(profile, request(build.NOW, prompt=said), facts(profile))


def test_of_the_first_sixteen_prompts_each_weighs_the_same() -> None:
    profile = Profile(held=Held())

    prompts(profile, *([7] * 8))
    assert profile.repeats == pytest.approx(7 / 8)
    prompts(profile, *range(100, 108))

    assert profile.repeats == pytest.approx(7 / 16)


def test_each_later_one_weighs_a_sixteenth() -> None:
    profile = Profile(held=Held())
    prompts(profile, *([7] * 16))
    before = profile.repeats

    prompts(profile, 200)

    assert before == pytest.approx(15 / 16)
    assert profile.repeats == pytest.approx(before * 15 / 16)
