"""Quantities mean what they say, and nothing else is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.policy import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500 ms", 0.5), ("30s", 30), ("30 s", 30), ("1 second", 1), ("90 seconds", 90),
        ("15 minutes", 900), ("15 min", 900), ("1 hour", 3600), ("1.5 hours", 5400), ("2h", 7200),
        ("7 days", 604800), ("1d", 86400), ("2 weeks", 1209600), ("7 Days", 604800),
    ],
)  # fmt: skip
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert units.duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["7", "days", "7 dayz", "-1 day", "0s", "1h30m", "1e3s", "∞ s", "٧ days", "", "7 days "]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="'"):
        units.duration(text)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("120/minute", (120, 60)), ("1/second", (1, 1)), ("400000/minute", (400_000, 60)),
        ("5 per 10 seconds", (5, 10)), ("5/10 seconds", (5, 10)), ("1000 per hour", (1000, 3600)),
        ("1000000000000/day", (10**12, 86400)), ("120 / minute", (120, 60)),
    ],
)  # fmt: skip
def test_rates_are_units_and_seconds(text: str, rate: tuple[int, int]) -> None:
    assert units.rate(text) == rate


@pytest.mark.parametrize(
    "text",
    [
        "120", "0/minute", "-1/minute", "1.5/second", "1e5/minute", "10/minute;1/second", "60/min",
        "10/minute,20/hour", "1000000000001/day", "9" * 400 + "/minute", "x", "", "5/0 seconds",
        "60/minute\n", "٦٠/minute", "5 per 99999999 years",
    ],
)  # fmt: skip
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match="'"):
        units.rate(text)


@pytest.mark.parametrize(
    ("text", "share"), [("25%", 0.25), ("100 %", 1.0), ("0.5%", 0.005), ("400%", 4.0)]
)
def test_percentages_are_shares(text: str, share: float) -> None:
    assert units.percent(text) == pytest.approx(share)


@pytest.mark.parametrize(
    "text", ["0.25", "25", "%", "nan%", "inf%", "1e999%", "25 percent", "8\x1f%"]
)
def test_what_is_no_percentage(text: str) -> None:
    with pytest.raises(ValueError, match="'"):
        units.percent(text)


@pytest.mark.parametrize(
    ("text", "size"), [("512 KB", 524_288), ("8 MB", 8 << 20), ("8MiB", 8 << 20), ("1 byte", 1)]
)
def test_sizes_are_bytes(text: str, size: int) -> None:
    assert units.size(text) == size


@pytest.mark.parametrize("text", ["8", "8 GB", "0 MB", "-1 MB", "MB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="'"):
        units.size(text)


@pytest.mark.parametrize(("text", "count"), [("200 characters", 200), ("1character", 1)])
def test_lengths_are_characters(text: str, count: int) -> None:
    assert units.length(text) == count


@pytest.mark.parametrize(
    "text", ["200", "2.5 characters", "0 characters", "200 bytes", "characters"]
)
def test_what_is_no_length(text: str) -> None:
    with pytest.raises(ValueError, match="'"):
        units.length(text)


@given(st.text(max_size=40))
def test_any_text_is_a_quantity_or_a_value_error(text: str) -> None:
    for read in (
        units.number, units.integer, units.duration, units.percent, units.size, units.length,
        units.rate,
    ):  # fmt: skip
        try:
            value = read(text)
        except ValueError:
            continue
        assert value == value


@given(st.sampled_from([1, 60, 3600, 86400]), st.integers(1, 400))
def test_a_duration_shown_reads_back(scale: int, count: int) -> None:
    seconds = float(scale * count)

    assert units.duration(units.show_seconds(seconds)) == seconds
