from __future__ import annotations

import pytest

from gateway_guard.signals.places import PLACES, SPOKEN, apart, clock_error, speaks


def test_every_place_lies_on_the_globe_and_is_no_larger_than_russia() -> None:
    for code, (latitude, longitude, radius) in PLACES.items():
        assert len(code) == 2
        assert code.isupper()
        assert -90.0 <= latitude <= 90.0, code
        assert -180.0 <= longitude <= 180.0, code
        assert 0 < radius < 4000, code


def test_every_country_of_iso_3166_that_people_live_in_is_there() -> None:
    assert len(PLACES) == 250
    assert all(code in PLACES for group in SPOKEN for code in group)


def test_neighbours_and_a_country_itself_are_no_distance_apart() -> None:
    assert apart("DE", "DE") == 0.0
    assert apart("DE", "AT") == 0.0
    assert apart("US", "CA") == 0.0


@pytest.mark.parametrize(
    ("one", "other", "flight"),
    [("NO", "VN", 8500), ("US", "GB", 5200), ("SG", "HK", 2600), ("BR", "PT", 5600)],
)
def test_distance_never_exceeds_the_shortest_flight(one: str, other: str, flight: int) -> None:
    distance = apart(one, other)

    assert distance is not None
    assert 0.4 * flight < distance <= flight
    assert distance == apart(other, one)


def test_a_place_nobody_knows_has_no_distance_and_no_clock() -> None:
    assert apart("NO", "ZZ") is None
    assert apart("ZZ", "NO") is None
    assert clock_error("ZZ", 0) is None


def test_clocks_wrap_around_the_date_line() -> None:
    error = clock_error("FJ", -12 * 60 + 10)

    assert error is not None
    assert error < 1.0


def test_a_language_is_at_home_where_its_group_says() -> None:
    assert speaks("AT", "DE")
    assert not speaks("AT", "CN")
    assert speaks("AT", "US")
