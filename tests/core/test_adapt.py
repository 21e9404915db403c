"""Quotas that shrink at once and grow back slowly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.adapt import Adapt, factor, held_risk, hold
from gateway_guard.types import Facts, Held
from tests import build

NOW = build.NOW
HOUR = 3600.0
DAY = 86_400.0

_unit = st.floats(0.0, 1.0)
_bands = st.lists(st.tuples(_unit, _unit), max_size=4).map(
    lambda pairs: tuple(
        zip(sorted(f for f, _ in pairs), sorted((s for _, s in pairs), reverse=True), strict=True)
    )
)
_adapts = st.builds(
    Adapt,
    risk=_bands,
    region=st.dictionaries(st.sampled_from(["NO", "KP", "unknown"]), _unit),
    age=_bands.map(lambda bands: tuple((floor * DAY, 1.0 - share) for floor, share in bands)),
    tier=st.dictionaries(st.sampled_from(["free", "pro", "unknown"]), st.floats(0.0, 5.0)),
    unknown_age=_unit,
    recover=st.floats(0.0, 7200.0),
)
_facts = st.builds(
    lambda country, created, tier, held: build.facts(
        network=build.network(country=country),
        account=build.account(created_at=created, tier=tier),
        held=held,
    ),
    st.sampled_from([None, "NO", "KP"]),
    st.one_of(st.none(), st.floats(NOW - 2 * DAY, NOW + DAY)),
    st.sampled_from([None, "free", "pro", "gold"]),
    st.one_of(st.none(), st.builds(Held, risk=_unit, at=st.floats(NOW - HOUR, NOW + HOUR))),
)


@given(_adapts, _facts, _unit)
def test_the_share_stays_within_nothing_and_the_largest_tier(
    adapt: Adapt, facts: Facts, risk: float
) -> None:
    most = max([1.0, *adapt.tier.values()])

    assert 0.0 <= factor(adapt, facts, risk, NOW) <= most


@given(_adapts, _facts, _unit, _unit)
def test_more_risk_never_gives_more(adapt: Adapt, facts: Facts, one: float, other: float) -> None:
    low, high = sorted((one, other))

    assert factor(adapt, facts, high, NOW) <= factor(adapt, facts, low, NOW)


@given(_adapts, _facts, _unit)
def test_what_is_remembered_never_gives_more(adapt: Adapt, facts: Facts, risk: float) -> None:
    forgetful = build.facts(network=facts.network, account=facts.account)

    assert factor(adapt, facts, risk, NOW) <= factor(adapt, forgetful, risk, NOW)


@given(st.lists(st.tuples(_unit, st.floats(-60.0, 600.0)), max_size=20), st.floats(1.0, 7200.0))
def test_the_risk_felt_is_never_below_the_latest_and_falls_no_faster_than_promised(
    visits: list[tuple[float, float]], recover: float
) -> None:
    held = Held()
    now = NOW
    felt = 0.0
    for risk, pause in visits:
        now += pause
        before = felt
        felt = held_risk(held, risk, now, recover)
        hold(held, risk, now, recover)

        assert felt >= risk
        assert felt >= before - max(0.0, pause) / recover - 1e-6


@pytest.mark.parametrize(("risk", "share"), [(0.3, 0.9), (0.29, 1.0)])
def test_a_risk_that_is_held_counts_from_the_first_band_on(risk: float, share: float) -> None:
    held = Held()
    hold(held, risk, NOW, HOUR)
    adapt = Adapt(risk=((0.3, 0.9),), recover=HOUR)

    assert factor(adapt, build.facts(held=held), 0.0, NOW) == share


def test_the_quota_falls_at_once_and_recovers_over_the_time_given() -> None:
    adapt = Adapt(risk=((0.3, 0.5), (0.6, 0.25), (0.9, 0.05)), recover=HOUR)
    held = Held()
    facts = build.facts(held=held)

    before = factor(adapt, facts, 0.0, NOW)
    fallen = factor(adapt, facts, 0.95, NOW)
    hold(held, 0.95, NOW, HOUR)
    later = [factor(adapt, facts, 0.0, NOW + part * HOUR) for part in (0.0, 0.1, 0.5, 0.7, 1.0)]

    assert (before, fallen) == (1.0, 0.05)
    assert later == [0.05, 0.25, 0.5, 1.0, 1.0]


def test_a_smaller_risk_does_not_shorten_the_recovery() -> None:
    held = Held()
    hold(held, 0.9, NOW, HOUR)

    hold(held, 0.5, NOW + 60.0, HOUR)

    assert held_risk(held, 0.0, NOW + 0.3 * HOUR, HOUR) == pytest.approx(0.6)


def test_an_equal_risk_starts_the_recovery_anew() -> None:
    held = Held()
    hold(held, 0.9, NOW, HOUR)
    hold(held, 0.9, NOW + HOUR / 2, HOUR)

    assert held_risk(held, 0.0, NOW + HOUR / 2, HOUR) == 0.9


def test_a_clock_going_backwards_recovers_nothing() -> None:
    held = Held()
    hold(held, 0.9, NOW, HOUR)
    hold(held, 0.95, NOW - HOUR, HOUR)

    assert held_risk(held, 0.0, NOW, HOUR) == 0.95


def test_without_a_recovery_time_only_this_request_counts() -> None:
    held = Held(risk=0.9, at=NOW)

    assert held_risk(held, 0.2, NOW, 0.0) == 0.2


@pytest.mark.parametrize(
    ("days", "expected"), [(0.0, 0.2), (6.9, 0.2), (7.0, 0.6), (29.9, 0.6), (30.0, 1.0)]
)
def test_younger_accounts_get_less(days: float, expected: float) -> None:
    adapt = Adapt(age=((7 * DAY, 0.2), (30 * DAY, 0.6)))
    facts = build.facts(account=build.account(created_at=NOW - days * DAY))

    assert factor(adapt, facts, 0.0, NOW) == expected


def test_an_account_from_the_future_is_a_young_one() -> None:
    adapt = Adapt(age=((7 * DAY, 0.2),))
    facts = build.facts(account=build.account(created_at=NOW + DAY))

    assert factor(adapt, facts, 0.0, NOW) == 0.2


def test_an_unknown_age_gets_its_own_share() -> None:
    assert factor(Adapt(age=((DAY, 0.2),), unknown_age=0.4), build.facts(), 0.0, NOW) == 0.4


def test_an_unknown_age_gets_its_own_share_also_where_known_ages_change_nothing() -> None:
    adapt, known = Adapt(unknown_age=0.4), build.facts(account=build.account(created_at=NOW - DAY))

    assert factor(adapt, build.facts(), 0.0, NOW) == 0.4
    assert factor(adapt, known, 0.0, NOW) == 1.0


def test_regions_and_tiers_multiply_and_unknown_is_a_value() -> None:
    adapt = Adapt(region={"NO": 0.5, "unknown": 0.1}, tier={"pro": 3.0, "unknown": 0.5})
    known = build.facts(account=build.account(tier="Pro"))
    stranger = build.facts(network=build.network(country=None))
    other = build.facts(network=build.network(country="SE"), account=build.account(tier="gold"))

    shares = [factor(adapt, facts, 0.0, NOW) for facts in (known, stranger, other)]

    assert shares == [1.5, 0.05, 1.0]
