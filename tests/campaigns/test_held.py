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
