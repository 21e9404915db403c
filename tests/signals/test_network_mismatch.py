from __future__ import annotations

import pytest

from gateway_guard.signals.network_mismatch import NetworkMismatch
from gateway_guard.types import AccountFacts, Client, NetworkFacts, Signal
from tests import build
from tests.signals.history import NOON, facts, request


def opinion(
    address: str | None,
    *flags: str,
    declared: str | None = None,
    languages: tuple[str, ...] = (),
    offset: int | None = None,
    detector: NetworkMismatch | None = None,
) -> Signal | None:
    one = request(NOON, client=Client(languages=languages, utc_offset=offset))
    known = facts(None, build.network(country=address, flags=flags), AccountFacts(country=declared))

    return (detector or NetworkMismatch()).look(one, known)


def score(address: str, **claims: object) -> float:
    signal = opinion(address, **claims)  # type: ignore[arg-type]

    assert signal is not None
    return signal.score


def test_with_nothing_to_compare_it_cannot_look() -> None:
    assert opinion("NO") is None


@pytest.mark.parametrize("flag", ["hosting", "proxy", "relay", "tor", "vpn"])
def test_an_address_that_places_nobody_cannot_be_looked_at(flag: str) -> None:
    assert opinion("NO", flag, declared="CN") is None
    assert opinion(None, declared="CN") is None


def test_an_address_nobody_knows_cannot_be_looked_at() -> None:
    known = facts(None, NetworkFacts(country="NO", known=False), AccountFacts(country="CN"))

    assert NetworkMismatch().look(request(NOON), known) is None


def test_clouds_count_when_the_policy_says_so() -> None:
    signal = opinion("NO", "hosting", declared="CN", detector=NetworkMismatch(hosting=True))

    assert signal is not None
    assert signal.score > 0.0


def test_a_customer_at_home_shows_nothing() -> None:
    assert score("NO", declared="NO") == 0.0
    assert score("NO", declared="NO", languages=("NO",), offset=60) == 0.0


def test_each_disagreement_adds() -> None:
    scores = [
        score("NO", declared="NO", languages=("NO",), offset=60),
        score("NO", declared="CN", languages=("NO",), offset=60),
        score("NO", declared="CN", languages=("CN",), offset=60),
        score("NO", declared="CN", languages=("CN",), offset=480),
    ]

    assert scores == pytest.approx([0.0, 0.25, 0.5, 0.8])


def test_the_evidence_names_what_disagrees() -> None:
    signal = opinion("NO", declared="CN", languages=("CN",), offset=480)

    assert signal is not None
    assert signal.evidence == (
        "address in NO, but signed up in CN and languages of CN and a clock 5.7 h off the sun"
        " (at most 3)"
    )


def test_a_travelling_customer_alone_scores_little() -> None:
    assert score("JP", declared="NO", languages=("US",), offset=540) <= 0.25


@pytest.mark.parametrize(
    ("address", "region"),
    [("AT", "DE"), ("MX", "ES"), ("BR", "PT"), ("TW", "CN"), ("KZ", "RU"), ("MA", "FR"),
     ("NO", "US"), ("VN", "GB"), ("SE", "DK"), ("EG", "SA")],
)  # fmt: skip
def test_a_language_at_home_in_the_country_or_everywhere_is_no_mismatch(
    address: str, region: str
) -> None:
    assert score(address, languages=(region,)) == 0.0


def test_one_fitting_language_of_several_is_enough() -> None:
    assert score("NO", languages=("CN", "NO")) == 0.0
    assert score("NO", languages=("CN", "VN")) == 0.25


@pytest.mark.parametrize(
    ("address", "minutes"),
    [("ES", 120), ("CN", 480), ("IN", 330), ("US", -240), ("US", -480), ("RU", 180), ("RU", 720),
     ("NZ", 780), ("KI", 840), ("IS", 0), ("AR", -180)],
)  # fmt: skip
def test_legal_clocks_of_a_country_are_right(address: str, minutes: int) -> None:
    assert score(address, offset=minutes) == 0.0


def test_a_country_off_the_map_has_no_clock() -> None:
    assert score("ZZ", offset=480) == 0.0


@pytest.mark.parametrize(
    "fields",
    [{"declared": 2.0}, {"languages": -1.0}, {"offset": "x"}, {"clock": 13.0}, {"hosting": 1}],
)
def test_parameters_that_make_no_sense_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"declared|languages|offset|clock|hosting"):
        NetworkMismatch(**fields)  # type: ignore[arg-type]
