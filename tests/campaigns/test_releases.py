"""New models, and who moves to them within a day."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.campaigns.releases import Releases, pivot
from tests.campaigns import build
from tests.campaigns.build import DAY, NOW

OLD, NEW = "m-1", "m-2"
RELEASE = NOW + 3 * DAY


def released(model: str = NEW, *, at: float = RELEASE, requests: int = 30) -> Releases:
    """A world where `OLD` is in use since `NOW`, and `model` was asked for from `at` on."""
    releases = Releases()
    for hour in range(48):
        releases.note(build.trace("a_old"), OLD, NOW + hour * 3600)
    for n in range(requests):
        releases.note(build.trace(f"a_early{n}"), model, at + n)
    return releases


def test_a_model_many_ask_for_later_than_the_first_day_is_a_release() -> None:
    releases = released()

    assert (releases.latest, releases.latest_at) == (NEW, RELEASE)


def test_a_model_first_asked_for_on_the_first_day_is_none() -> None:
    assert released(at=NOW + 3600).latest is None


def test_a_name_fewer_than_twenty_accounts_ask_for_is_no_model() -> None:
    assert released(requests=19).latest is None
    assert released(requests=20).latest == NEW


def test_a_name_that_few_accounts_ask_for_often_is_no_model() -> None:
    releases = released(requests=19)

    for n in range(1000):
        releases.note(build.trace(f"a_early{n % 19}"), NEW, RELEASE + 60 + n)

    assert releases.latest is None


def test_of_each_model_its_first_request_is_remembered_and_its_accounts_until_it_is_one() -> None:
    first, accounts = released(requests=30).models[NEW]
    _, few = released(requests=19).models[NEW]

    assert first == RELEASE
    assert accounts == [""] * 20
    assert few == [f"a_early{n}" for n in range(19)]


def test_an_older_model_that_becomes_popular_late_does_not_replace_the_latest() -> None:
    releases = Releases()
    releases.note(build.trace(), OLD, NOW)
    releases.note(build.trace(), "m-late", NOW + 2 * DAY)
    for n in range(30):
        releases.note(build.trace(f"a_{n}"), NEW, RELEASE + n)

    for n in range(30):
        releases.note(build.trace(f"a_{n}"), "m-late", RELEASE + 60 + n)

    assert releases.latest == NEW


def test_an_account_that_asks_mostly_for_the_release_has_moved() -> None:
    releases, trace = released(), build.trace()

    for n, model in enumerate((OLD, NEW, NEW, NEW)):
        releases.note(trace, model, RELEASE + 600 + n)

    assert pivot(trace) is True


def test_an_account_that_stays_with_its_model_has_not_moved() -> None:
    releases, trace = released(), build.trace()

    for n in range(8):
        releases.note(trace, OLD, RELEASE + 600 + n)

    assert pivot(trace) is False


def test_with_few_requests_after_a_release_it_cannot_be_told() -> None:
    releases, trace = released(), build.trace()

    releases.note(trace, NEW, RELEASE + 600)

    assert pivot(trace) is None


def test_what_is_asked_later_than_a_day_after_a_release_does_not_count() -> None:
    releases, trace = released(), build.trace()

    for n in range(8):
        releases.note(trace, NEW, RELEASE + 2 * DAY + n)

    assert pivot(trace) is None


def test_whoever_came_for_the_new_model_did_not_move_to_it() -> None:
    releases, trace = released(), build.trace(first_at=RELEASE + 600)

    for n in range(8):
        releases.note(trace, NEW, RELEASE + 600 + n)

    assert pivot(trace) is None


@pytest.mark.parametrize(("before", "told"), [(0.5 * DAY, None), (1.5 * DAY, True)])
def test_only_who_was_there_a_day_before_a_release_can_have_moved_to_it(
    before: float, told: bool | None
) -> None:
    """Whoever came just before did so in expectation of it."""
    releases, trace = released(), build.trace(first_at=RELEASE - before)

    for n in range(8):
        releases.note(trace, NEW, RELEASE + 600 + n)

    assert pivot(trace) is told
    assert sum(releases.moves) == (told is not None)


def test_the_next_release_begins_anew() -> None:
    releases, trace = released(), build.trace()
    for n in range(8):
        releases.note(trace, NEW, RELEASE + 600 + n)
    later = RELEASE + 5 * DAY
    for n in range(30):
        releases.note(build.trace(f"a_next{n}"), "m-3", later + n)

    for n in range(8):
        releases.note(trace, OLD, later + 60 + n)

    assert pivot(trace) is False


def test_accounts_that_moved_and_that_stayed_are_counted() -> None:
    releases = released()
    for i in range(100):
        trace = build.trace(f"a_{i}")
        for n in range(8):
            releases.note(trace, NEW if i < 30 else OLD, RELEASE + 600 + n)

    assert releases.moves == [70, 30]


def test_an_account_that_changes_its_mind_is_counted_once() -> None:
    releases, trace = released(), build.trace()

    for n in range(60):
        releases.note(trace, NEW if n < 4 else OLD, RELEASE + 600 + n)

    assert pivot(trace) is False
    assert sum(releases.moves) == 1


@given(st.lists(st.text(max_size=3), max_size=400))
def test_invented_model_names_do_not_fill_memory(names: list[str]) -> None:
    releases, trace = Releases(), build.trace()

    for n in range(260):
        releases.note(trace, f"m-{n}", NOW + n)
    for n, name in enumerate(names):
        releases.note(trace, name, NOW + n)

    assert len(releases.models) <= 256
    assert all(len(accounts) <= 20 for _, accounts in releases.models.values())


def test_counting_goes_on_for_known_models_when_names_are_full() -> None:
    releases = released(requests=10)
    for n in range(1000):
        releases.note(build.trace(), f"junk-{n}", RELEASE + 60)

    for n in range(15):
        releases.note(build.trace(f"a_late{n}"), NEW, RELEASE + 120 + n)

    assert releases.latest == NEW
