"""Moments and durations as others write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.intel.times import fine_stamp, go, parse_go, parse_stamp, stamp
from tests import build


@pytest.mark.parametrize(
    "text",
    ["2026-03-02T12:00:00Z", "2026-03-02T12:00:00.000Z", "2026-03-02t13:00:00.000000000+01:00",
     "2026-03-02T12:00:00.0z"],
)  # fmt: skip
def test_one_moment_has_many_spellings(text: str) -> None:
    assert parse_stamp(text) == build.NOW


@pytest.mark.parametrize(
    "text",
    ["", "2026-03-02", "2026-03-02T12:00:00", "2026-13-02T12:00:00Z", "2026-03-02T25:00:00Z",
     "0001-01-01T00:00:00Z", "2026-03-02T12:00:00+99:99", None, 7, "x" * 99],
)  # fmt: skip
def test_what_is_no_moment_is_none(text: object) -> None:
    assert parse_stamp(text) is None


@given(st.integers(min_value=0, max_value=4_000_000_000_000_000))
def test_microseconds_come_back_as_they_were_written(microseconds: int) -> None:
    text = fine_stamp(microseconds / 1e6)

    assert round((parse_stamp(text) or 0.0) * 1e6) == microseconds


def test_milliseconds_are_what_stix_has() -> None:
    assert stamp(build.NOW + 0.25) == "2026-03-02T12:00:00.250Z"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3h59m12.5s", 14_352.5), ("-5m", -300.0), ("300ms", 0.3), ("1h", 3_600.0), ("+2s", 2.0),
     ("1µs", 1e-6), ("5", None), ("", None), ("h", None), ("1h-2m", None), ("1d", None),
     (None, None), (5, None), ("1" * 99 + "s", None)],
)  # fmt: skip
def test_go_durations_are_read(text: object, seconds: float | None) -> None:
    assert parse_go(text) == (None if seconds is None else pytest.approx(seconds))


@given(st.integers(min_value=0, max_value=10**9))
def test_whole_seconds_come_back_from_go(seconds: int) -> None:
    assert parse_go(go(seconds)) == seconds
