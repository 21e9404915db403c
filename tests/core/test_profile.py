from __future__ import annotations

import math
import tracemalloc
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.profile import ESTABLISHED, Profiles, observe, observe_usage
from gateway_guard.signals.machine_timing import GAPS_KEPT
from gateway_guard.signals.profile import DISTINCT, GAP_BINS, GAPS_AT, Profile
from gateway_guard.types import Held, Request, RoleShape, Usage
from tests import build
from tests.signals.history import DAY, HOUR, NOON, digest, facts, lived, prompt, request


def used(profiles: Profiles, account: str, times: int = ESTABLISHED + 1) -> Profile:
    for i in range(times):
        profile = profiles.get(account)
        observe(profile, request(NOON + i), facts(profile))
    return profile


def test_an_account_keeps_its_profile() -> None:
    profiles = Profiles(10)

    assert profiles.get("a") is profiles.get("a")
    assert profiles.get("a") is not profiles.get("b")
    assert len(profiles) == 2


def test_there_are_never_more_than_the_capacity() -> None:
    for capacity in (1, 2, 3, 4, 7, 100):
        profiles = Profiles(capacity)

        for i in range(500):
            used(profiles, f"a{i % 130}", times=i % 7 + 1)

        assert len(profiles) == capacity


def test_without_room_there_is_no_table() -> None:
    with pytest.raises(ValueError, match="capacity"):
        Profiles(0)


def test_the_account_idle_longest_goes_first() -> None:
    profiles = Profiles(2)
    profiles.get("a")
    profiles.get("b")
    profiles.get("a")

    profiles.get("c")

    assert "a" in profiles
    assert "b" not in profiles
    assert profiles.evicted == 1


def test_an_account_that_is_forgotten_begins_anew_and_the_others_go_on() -> None:
    profiles = Profiles(10)
    before, other = profiles.get("one"), profiles.get("other")

    profiles.forget("one")
    profiles.forget("nobody")

    assert profiles.get("other") is other
    assert "one" not in profiles
    assert profiles.get("one") is not before


def test_a_flood_of_made_up_accounts_evicts_only_made_up_accounts() -> None:
    profiles = Profiles(100)
    offender = used(profiles, "offender")
    offender.held.risk = 0.9

    for i in range(100_000):
        profiles.get(f"made-up-{i}")

    assert profiles.get("offender") is offender
    assert profiles.get("offender").held.risk == 0.9
    assert len(profiles) == 100


def test_an_active_offender_outlives_a_flood_of_established_accounts() -> None:
    profiles = Profiles(100)
    offender = used(profiles, "offender")

    for i in range(1000):
        used(profiles, f"made-up-{i}")
        if i % 50 == 0:
            profiles.get("offender")

    assert profiles.get("offender") is offender


def test_new_accounts_find_room_among_established_ones() -> None:
    profiles = Profiles(100)
    for i in range(200):
        used(profiles, f"old-{i}")

    newcomers = [used(profiles, f"new-{i}", times=1) for i in range(20)]

    assert all(profiles.get(f"new-{i}") is one for i, one in enumerate(newcomers))


@pytest.mark.untraced
def test_a_profile_takes_at_most_two_kilobytes_however_busy_its_account() -> None:
    countries = [build.network(country=c, asn=i) for i, c in enumerate(["NO", "US", "VN"])]
    events = [
        (request(NOON + i * 1999.0, " ".join(f"w{i}-{k}" for k in range(20))), countries[i % 3])
        for i in range(40)
    ]
    profiles = Profiles(200)

    tracemalloc.start()
    for account in range(200):
        profile = profiles.get(f"acct_{account:026}")
        for one, network in events:
            observe(profile, one, facts(profile, network))
            observe_usage(profile, one, Usage(input_tokens=1000, output_tokens=account))
    size = tracemalloc.get_traced_memory()[0] / 200
    tracemalloc.stop()

    assert size <= 2048


def test_an_older_request_moves_no_clock() -> None:
    profile = lived([request(NOON), request(NOON + 60.0)])
    before = (profile.last, profile.hour, profile.hours)

    observe(profile, request(NOON - DAY, "late"), facts(profile))

    assert (profile.last, profile.hour, profile.hours) == before
    assert profile.events == 3


def test_hours_of_activity_are_kept_for_a_week() -> None:
    profile = lived([request(NOON), request(NOON + 2 * HOUR), request(NOON + 3 * HOUR)])

    assert profile.hours == 0b1011

    observe(profile, request(NOON + 400 * HOUR), facts(profile))

    assert profile.hours == 1


def test_sums_lose_half_their_weight_in_twelve_hours() -> None:
    profile = lived([request(NOON, prompt=build.prompt(n=2))])
    elicited = profile.elicited

    observe(profile, request(NOON + 12 * HOUR), facts(profile))

    assert profile.elicited == pytest.approx(elicited / 2)
    assert profile.prompts == pytest.approx(1.5)


def test_usage_counts_in_the_hour_and_what_nobody_counted_stays_out() -> None:
    one = request(NOON, prompt=build.prompt(input_tokens=70))
    profile = lived([one])

    observe_usage(profile, one, Usage(input_tokens=100, output_tokens=20, status=200))
    observe_usage(profile, one, Usage(output_tokens=5, status=200))
    observe_usage(profile, one, Usage())
    observe_usage(profile, request(NOON, prompt=None), Usage(status=200))

    assert profile.tokens == 100 + 20 + 70 + 5


def test_a_new_profile_holds_no_risk_and_no_sketch() -> None:
    profile = Profiles(1).get("a")

    assert profile.held.risk == 0.0
    assert profile.sketch is None
    assert profile.cells is None


def test_estimates_of_distinct_values_rise_with_every_bit() -> None:
    assert len(DISTINCT) == 129
    assert list(DISTINCT) == sorted(set(DISTINCT))
    assert DISTINCT[0] == 0.0
    assert DISTINCT[1] == pytest.approx(1.0, abs=0.01)


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=400))
def test_the_running_entropy_is_that_of_the_bins(gaps: list[float]) -> None:
    profile = Profile(held=Held())
    at = NOON
    observe(profile, request(at, prompt=None), facts(profile))

    for gap in gaps:
        at += gap
        observe(profile, request(at, prompt=None), facts(profile))

    assert profile.sketch is not None
    bins = profile.sketch[GAPS_AT : GAPS_AT + GAP_BINS]
    assert sum(bins) == profile.gaps < GAPS_KEPT
    assert profile.gap_sum == pytest.approx(sum(c * math.log2(c) for c in bins if c), abs=1e-6)


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=40))
def test_the_norm_is_the_median_of_the_last_active_hours(counts: list[int]) -> None:
    profile = Profile(held=Held())
    at = NOON

    for count in counts:
        observe(profile, request(at, prompt=None), facts(profile))
        profile.requests = count
        at += HOUR
    observe(profile, request(at, prompt=None), facts(profile))

    kept = sorted(min(count, 65_535) for count in counts[-24:])
    half = len(kept) // 2
    median = kept[half] if len(kept) % 2 else (kept[half - 1] + kept[half]) / 2
    assert profile.usual_requests == median
    assert isinstance(profile.cells, array)


def test_equal_histories_leave_equal_profiles() -> None:
    past = [request(NOON + i * 700.0, f"one two three {i}") for i in range(50)]

    one, other = lived(past), lived(past)

    assert (one.sketch, one.cells, one.hours, one.repeats) == (
        other.sketch,
        other.cells,
        other.hours,
        other.repeats,
    )


def test_a_template_s_slot_is_not_taken_by_a_passer_by() -> None:
    past = [request(NOON + i, prompt=prompt(f"filling {i}", head="frame")) for i in range(100)]
    profile = lived(past)
    assert profile.cells is not None
    holders = profile.cells[:16]

    observe(profile, request(NOON + 200.0, "one stray question"), facts(profile))

    stayed = sum(1 for one, other in zip(holders, profile.cells[:16], strict=True) if one == other)
    assert stayed >= 13


def test_of_many_fragments_a_quarter_is_remembered_the_same_of_every_prompt() -> None:
    words = tuple(digest("word", number) for number in range(60))
    unsampled = tuple(word | 3 << 50 for word in words)
    profile = Profile(held=Held())

    for shingles in (unsampled, words, words):
        one = request(NOON, prompt=build.prompt(shingles=shingles))
        observe(profile, one, facts(profile))

    assert profile.fragments == 2
    assert profile.repeats == pytest.approx(0.5)


def test_a_template_no_longer_in_use_leaves_its_slot_in_time() -> None:
    def used_template(number: int, at: float, chars: int) -> Request:
        # Both digests fall into slot 0.
        role = RoleShape(role="user", head=number << 32, tail=0, skeleton=0, chars=chars)
        return request(at, prompt=build.prompt(roles=(role,)))

    profile = lived(used_template(1, NOON + i, i) for i in range(300))
    assert profile.cells is not None
    assert profile.cells[0] == 1

    for hour in range(1, 9):
        for _ in range(2):
            observe(profile, used_template(2, NOON + hour * HOUR, hour), facts(profile))

    assert profile.cells[0] == 2
