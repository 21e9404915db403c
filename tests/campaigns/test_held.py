"""A campaign under way: its timeline and its templates stay bounded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_guard.campaigns.evidence import judge
from gateway_guard.campaigns.held import Held, Hour
from gateway_guard.campaigns.sighting import Sighting
from tests.campaigns import build
from tests.campaigns.build import HOUR, NOW

DAYS_KEPT = 45


def held(seen: Iterable[Sighting] = (), **fields: Any) -> Held:
    """A campaign convicted at `NOW` that has since done `seen`."""
    defaults: dict[str, Any] = {
        "id": "c_0001", "members": {1: 4.0}, "first_seen": NOW, "alarm_at": NOW, "last_at": NOW,
        "examined_at": NOW, "verdict": judge([], examined=1),
    }  # fmt: skip
    made = Held(**defaults | fields)
    for one in seen:
        made.count(one, one.keys)
    return made


def test_an_hour_holds_exchanges_refusals_and_the_tokens_of_what_was_not_refused() -> None:
    campaign = held(
        [
            build.sighting(tokens=100),
            build.sighting(tokens=20, refused=True),
            build.sighting(tokens=3, at=NOW + 60),
        ]
    )

    assert campaign.hours == {int(NOW // HOUR): Hour(3, 1, 103)}


def test_the_latest_exchange_is_the_latest_whatever_comes_after_it() -> None:
    campaign = held([build.sighting(at=NOW + 60), build.sighting(at=NOW - 60)])

    assert campaign.last_at == NOW + 60


def test_a_template_is_counted_with_the_lengths_it_stood_in() -> None:
    campaign = held([build.sighting(keys=(7,), chars=n) for n in (300, 100, 200)])

    (template,) = campaign.templates.values()
    assert (template.exchanges, template.shortest, template.longest) == (3, 100, 300)


def test_a_template_in_use_outlives_any_number_of_others() -> None:
    campaign = held([build.sighting(keys=(7,)) for _ in range(3)])

    for key in range(1000, 2000):
        campaign.count(build.sighting(), [key])

    assert campaign.templates[7].exchanges == 3


def test_the_oldest_hours_go_when_the_timeline_is_full() -> None:
    campaign = held(build.sighting(at=NOW + n * HOUR) for n in range(2000))

    assert len(campaign.hours) == DAYS_KEPT * 24
    assert max(campaign.hours) == int(NOW // HOUR) + 1999


def test_two_campaigns_share_no_table() -> None:
    one, other = held(), held()

    one.count(build.sighting(), [1])

    assert (other.hours, other.templates, other.absorbed) == ({}, {}, [])


# Campaigns that turn out to be one.


def test_what_an_absorbed_campaign_did_is_added_hour_by_hour() -> None:
    campaign = held([build.sighting(tokens=100), build.sighting(at=NOW + HOUR, tokens=5)])
    other = held([build.sighting(tokens=20), build.sighting(refused=True)], id="c_0002")

    campaign.absorb(other)

    hour = int(NOW // HOUR)
    assert campaign.hours == {hour: Hour(3, 1, 120), hour + 1: Hour(1, 0, 5)}
    assert other.hours == {hour: Hour(2, 1, 20)}


def test_hours_of_an_absorbed_campaign_go_on_by_themselves() -> None:
    campaign, other = held(), held([build.sighting()], id="c_0002")
    campaign.absorb(other)

    campaign.count(build.sighting())

    assert other.hours == {int(NOW // HOUR): Hour(1, 0, 0)}


def test_it_began_and_ended_with_whichever_campaign_did_first_and_last() -> None:
    campaign = held(first_seen=NOW, last_at=NOW + HOUR)

    campaign.absorb(held(id="c_0002", first_seen=NOW - HOUR, last_at=NOW))
    campaign.absorb(held(id="c_0003", first_seen=NOW, last_at=NOW + 2 * HOUR))

    assert (campaign.first_seen, campaign.last_at) == (NOW - HOUR, NOW + 2 * HOUR)


def test_the_names_of_all_it_absorbed_are_kept() -> None:
    campaign, other = held(absorbed=["c_0009"]), held(id="c_0002", absorbed=["c_0003"])

    campaign.absorb(other)

    assert campaign.absorbed == ["c_0009", "c_0002", "c_0003"]
    assert other.absorbed == ["c_0003"]


def test_of_two_full_timelines_the_latest_hours_are_kept() -> None:
    campaign = held(build.sighting(at=NOW + n * HOUR) for n in range(1080))
    other = held((build.sighting(at=NOW + n * HOUR) for n in range(500, 1580)), id="c_0002")

    campaign.absorb(other)

    hours = [number - int(NOW // HOUR) for number in sorted(campaign.hours)]
    assert hours == list(range(500, 1580))
    assert campaign.hours[int(NOW // HOUR) + 600].exchanges == 2


def test_the_templates_of_an_absorbed_campaign_are_counted_too() -> None:
    campaign = held([build.sighting(keys=(7,), chars=100)])
    other = held([build.sighting(keys=(7, 8), chars=300)] * 2, id="c_0002")

    campaign.absorb(other)

    assert campaign.templates[8].exchanges == 2
    assert campaign.templates[7].exchanges == 3


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.floats(-1e10, 1e10), st.lists(st.integers(0, 2**64 - 1), max_size=16)),
        max_size=50,
    )
)
def test_no_stream_makes_it_exceed_its_bounds(
    stream: list[tuple[float, list[int]]],
) -> None:
    campaign = held(build.sighting(at=NOW + n * HOUR, keys=(n,)) for n in range(1100))

    for at, keys in stream:
        campaign.count(build.sighting(at=at), keys)

    assert len(campaign.hours) <= DAYS_KEPT * 24
    assert len(campaign.templates) <= 64
