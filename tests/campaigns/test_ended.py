"""What is remembered of campaigns that are held no longer."""

from __future__ import annotations

import msgspec
import pytest

from gateway_guard.campaigns.ended import MOST, WORDS, Ended, Endings, Why
from gateway_guard.campaigns.held import Held, Hour
from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.campaigns.steps import finish
from tests.campaigns import build
from tests.campaigns.build import DAY, HOUR, NOW
from tests.campaigns.test_casebook import (
    GUILTY,
    NOTHING_LEFT,
    convict,
    convicted,
    joined_by,
    numbers,
    scene,
)


def held(number: int = 1) -> Held:
    return Held(
        id=f"c_{number:04d}", members={1: 4.0, 2: 5.0}, first_seen=NOW - HOUR, alarm_at=NOW,
        last_at=NOW + HOUR, examined_at=NOW, verdict=GUILTY,
        hours={7: Hour(exchanges=5, refused=2), 8: Hour(exchanges=1, refused=1)},
    )  # fmt: skip


def test_a_campaign_let_go_is_remembered_with_what_it_cost() -> None:
    endings = Endings()

    endings.add(held(), Why.INNOCENT, NOW + DAY)

    assert list(endings.latest) == [
        Ended(
            id="c_0001", why=Why.INNOCENT, members=2, alarm_at=NOW, ended_at=NOW + DAY,
            exchanges=6, refused=3,
        )
    ]  # fmt: skip
    assert endings.counts == dict.fromkeys(Why, 0) | {Why.INNOCENT: 1}


def test_the_latest_are_remembered_and_all_are_counted() -> None:
    endings = Endings()

    for number in range(MOST + 5):
        endings.add(held(number), Why.SILENT, NOW + number)

    assert len(endings.latest) == MOST
    assert endings.latest[-1].id == f"c_{MOST + 4:04d}"
    assert endings.counts[Why.SILENT] == endings.counts.total() == MOST + 5


def test_what_was_let_go_before_a_restart_is_remembered_and_not_counted_again() -> None:
    before, after = Endings(), Endings()
    before.add(held(), Why.FADED, NOW)

    after.restore(before.latest)

    assert (after.latest, after.counts.total()) == (before.latest, 0)


def test_every_reason_has_words_of_its_own() -> None:
    assert WORDS.keys() == {*Why}
    assert len({*WORDS.values()}) == len(Why)


def test_a_campaign_remembers_why_it_was_let_go() -> None:
    def why(end: str) -> Why:
        cases = convicted("x")
        (one,) = cases.held.values()
        if end == "grown":
            cases.acquit(one, NOW)
        elif end == "found more of":
            finish(cases.convict(joined_by(cases, 6), GUILTY, NOW, lambda _: None))
        elif end == "few meant":
            few = set(sorted(numbers(cases, "x"))[:2])
            finish(cases.convict(joined_by(cases, 6), GUILTY, NOW, lambda _: (GUILTY, few)))
        elif end == "weighed":
            finish(cases.weigh_again(one, set(), NOTHING_LEFT, NOW))
        else:
            cases.review(Review(at=NOW, ruling=Ruling.RELEASE, campaign=one.id))
        assert not cases.held
        (ended,) = cases.endings.latest
        assert (ended.id, ended.ended_at) == (one.id, NOW)
        return ended.why

    ends = ("grown", "found more of", "few meant", "weighed", "reviewer")
    assert [why(end) for end in ends] == [
        Why.INNOCENT, Why.INNOCENT, Why.FADED, Why.FADED, Why.RELEASED,
    ]  # fmt: skip


def test_one_whose_accounts_turn_out_to_be_at_a_place_was_a_false_alarm() -> None:
    cases = convicted("x")
    (one,) = cases.held.values()

    finish(cases.weigh_again(one, set(), msgspec.structs.replace(GUILTY, at_places=12), NOW))

    assert [ended.why for ended in cases.endings.latest] == [Why.INNOCENT]


def test_one_that_turned_out_to_be_part_of_another_says_so() -> None:
    cases = convicted("x", "y")

    convict(cases, numbers(cases, "x", "y"), GUILTY, NOW + DAY)

    assert [(ended.id, ended.why) for ended in cases.endings.latest] == [("c_0002", Why.MERGED)]
    assert cases.held.keys() == {"c_0001"}


def test_the_longest_silent_that_made_room_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_guard.campaigns.casebook._MOST_HELD", 1)

    cases = scene("x", "y")
    for name in "xy":
        convict(cases, numbers(cases, name), GUILTY, NOW)

    assert [(one.id, one.why) for one in cases.endings.latest] == [("c_0001", Why.ROOM)]


def test_one_that_fell_silent_says_so() -> None:
    linker = build.learnt(build.mixed(build.campaign("x"), build.strangers()))

    linker.learn(build.sighting("a_later", at=NOW + 30 * DAY))

    (ended,) = linker.cases.endings.latest
    assert (ended.why, ended.members) == (Why.SILENT, 24)
    assert 0 < ended.exchanges < 24 * 12
