from __future__ import annotations

import pytest

from gateway_guard.signals.geo_velocity import GeoVelocity
from gateway_guard.types import NetworkFacts, Signal
from tests import build
from tests.signals.history import DAY, HOUR, NOON, facts, request, travelled


def net(country: str, asn: int = 64500, *flags: str) -> NetworkFacts:
    return build.network(country=country, asn=asn, flags=flags)


def arrives(
    visits: list[tuple[float, NetworkFacts]], at: float, network: NetworkFacts
) -> Signal | None:
    return GeoVelocity().look(request(at), facts(travelled(visits), network))


def score(visits: list[tuple[float, NetworkFacts]], at: float, network: NetworkFacts) -> float:
    signal = arrives(visits, at, network)

    assert signal is not None
    return signal.score


def test_without_an_account_it_cannot_look() -> None:
    assert GeoVelocity().look(request(NOON), facts(None)) is None


@pytest.mark.parametrize(
    "network",
    [
        NetworkFacts(known=False),
        build.network(country=None),
        *(net("VN", 1, flag) for flag in ("hosting", "proxy", "relay", "tor", "vpn")),
    ],
)
def test_an_address_that_places_nobody_cannot_be_looked_at(network: NetworkFacts) -> None:
    assert arrives([(NOON, net("NO"))], NOON + 60.0, network) is None


def test_an_account_that_stays_shows_nothing() -> None:
    visits = [(NOON + i * 60.0, net("NO")) for i in range(50)]

    assert score(visits, NOON + HOUR, net("NO")) == 0.0


def test_another_continent_within_the_hour_scores() -> None:
    signal = arrives([(NOON, net("NO"))], NOON + HOUR, net("VN"))

    assert signal is not None
    assert 0.2 < signal.score < 0.4
    assert signal.evidence.startswith("NO to VN at ")


def test_going_to_and_fro_scores_more_each_time() -> None:
    scores = []
    for journeys in (1, 2, 4, 8):
        visits = [(NOON + i * 600.0, net("NO" if i % 2 else "VN")) for i in range(journeys)]
        scores.append(score(visits, NOON + journeys * 600.0, net("NO" if journeys % 2 else "VN")))

    assert scores == sorted(set(scores))
    assert scores[-1] > 0.6


def test_a_journey_is_still_held_against_the_account_after_it_for_a_day_or_two() -> None:
    visits = [(NOON, net("NO")), (NOON + HOUR, net("VN"))]

    soon, later = (arrives(visits, NOON + after, net("VN")) for after in (2 * HOUR, 2 * DAY))

    assert soon is not None
    assert later is not None
    assert 0.2 < soon.score < 0.4
    assert soon.evidence == "0.9 journeys faster than 1,000 km/h lately"
    assert later.score == 0.0


def test_a_journey_fades_while_the_account_goes_on_working_at_home() -> None:
    visits = [(NOON, net("NO")), (NOON + HOUR, net("VN"))]
    visits += [(NOON + hours * HOUR, net("VN")) for hours in range(7, 55, 6)]

    assert score(visits, visits[-1][0] + 1.0, net("VN")) == 0.0


def test_a_customer_who_flies_makes_no_impossible_journey() -> None:
    home_and_back = [(NOON, net("NO")), (NOON + 16 * HOUR, net("US")), (NOON + 6 * DAY, net("US"))]

    assert score(home_and_back[:1], NOON + 16 * HOUR, net("US")) == 0.0
    assert score(home_and_back, NOON + 6 * DAY + 15 * HOUR, net("NO")) == 0.0


def test_crossing_a_border_on_foot_is_possible() -> None:
    assert score([(NOON, net("DE"))], NOON + 1.0, net("AT")) == 0.0


def test_a_customer_who_switches_a_listed_vpn_on_and_off_stays_silent() -> None:
    visits = [(NOON + i * 60.0, net("NO") if i % 2 else net("US", 9009, "vpn")) for i in range(100)]

    assert score(visits, NOON + 7000.0, net("NO")) == 0.0


def test_a_service_in_several_clouds_is_not_looked_at() -> None:
    visits = [
        (NOON + i, net(country, 16509, "hosting"))
        for i, country in enumerate(["US", "DE", "SG", "JP", "BR"] * 20)
    ]

    assert arrives(visits, NOON + 200.0, net("US", 16509, "hosting")) is None


def test_strangers_behind_one_carrier_address_do_not_see_each_other() -> None:
    carrier = net("IN", 55836)
    one, other = ([(NOON + i * 7.0 + k, carrier) for i in range(50)] for k in (0, 3))

    assert score(one, NOON + 400.0, carrier) == 0.0
    assert score(other, NOON + 400.0, carrier) == 0.0


def test_many_countries_in_a_day_score_even_at_possible_speeds() -> None:
    europe = ["PT", "ES", "FR", "BE", "NL", "DE", "DK", "SE"]
    visits = [(NOON + i * 2 * HOUR, net(country)) for i, country in enumerate(europe)]

    signal = arrives(visits, NOON + 15 * HOUR, net("SE"))

    assert signal is not None
    assert signal.score == pytest.approx(0.8)
    assert signal.evidence == "8 countries in 24 h (floor 3)"


def test_many_networks_of_one_country_score_half() -> None:
    visits = [(NOON + i * 600.0, net("US", 1000 + i)) for i in range(20)]

    signal = arrives(visits, NOON + 5 * HOUR, net("US", 1019))

    assert signal is not None
    assert signal.score == pytest.approx(0.4)
    assert signal.evidence == "8 networks in 24 h (floor 5)"


def test_home_office_and_mobile_networks_are_ordinary() -> None:
    visits = [(NOON + i * 600.0, net("US", 1000 + i % 4)) for i in range(60)]

    assert score(visits, NOON + 11 * HOUR, net("US", 1001)) == 0.0


def test_places_of_days_ago_are_forgotten() -> None:
    europe = ["PT", "ES", "FR", "BE", "NL", "DE", "DK", "SE"]
    visits = [(NOON + i * DAY, net(country)) for i, country in enumerate(europe)]

    assert score(visits, NOON + 8 * DAY, net("NO")) == 0.0


def test_a_ninth_place_takes_the_room_of_the_oldest() -> None:
    visits = [(NOON + i * 60.0, net("US", 1000 + i)) for i in range(9)]

    profile = travelled(visits)

    assert profile.visited is not None
    networks = {entry >> 32 for entry in profile.visited[8:]}
    assert networks == set(range(1001, 1009))


@pytest.mark.parametrize(
    "fields", [{"kmh": 0.0}, {"countries": 8}, {"networks": 0}, {"ceiling": 1.1}]
)
def test_parameters_that_make_no_sense_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"kmh|countries|networks|ceiling"):
        GeoVelocity(**fields)  # type: ignore[arg-type]
