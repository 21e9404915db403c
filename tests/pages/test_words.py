"""Figures in words."""

from __future__ import annotations

import pytest

from gateway_guard.pages.words import lasting


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 seconds"), (1.0, "1 second"), (89.0, "89 seconds"), (90.0, "2 minutes"),
        (2400.0, "40 minutes"), (5400.0, "1.5 hours"), (172_800.0, "2.0 days"),
    ],
)  # fmt: skip
def test_a_time_is_told_in_the_unit_people_would_use(seconds: float, words: str) -> None:
    assert lasting(seconds) == words
