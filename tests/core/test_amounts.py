"""What is left of a limit, in words."""

from __future__ import annotations

import math

import pytest

from gateway_guard.core.amounts import amount


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.00003, "0"),
        (0.999, "0.99"),
        (0.1, "0.10"),
        (1.0, "1"),
        (99.999, "99.99"),
        (3.0 - 1e-9, "3"),
        (1_234_567.8, "1,234,567"),
        (math.inf, "∞"),
    ],
)
def test_an_amount_is_rounded_down_and_never_a_power_of_ten(value: float, text: str) -> None:
    assert amount(value) == text
