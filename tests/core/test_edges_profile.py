"""What a profile keeps, at its borders: segments, bins, hours, slots."""

from __future__ import annotations

import math

import pytest

from gateway_guard.core.profile import Profiles, observe, observe_usage
from gateway_guard.signals.profile import GAPS_AT, OLD_ONES_AT, ONES_AT, Profile
from gateway_guard.types import Held, NetworkFacts, Request, RoleShape, Usage
from tests import build
from tests.signals.history import HOUR, NOON, facts, request


def met(profiles: Profiles, account: str, times: int) -> None:
    for number in range(times):
        profile = profiles.get(account)
        observe(profile, request(NOON + number, prompt=None), facts(profile))


def flood(profiles: Profiles, count: int) -> None:
    for number in range(count):
        profiles.get(f"made up {number}")


@pytest.mark.parametrize(("requests", "stays"), [(3, False), (4, True)])
def test_an_account_is_established_by_four_requests(requests: int, stays: bool) -> None:
    profiles = Profiles(4)
    met(profiles, "a", requests)
    profiles.get("a")

    flood(profiles, 20)

    assert ("a" in profiles) is stays
    assert len(profiles) == 4
    assert profiles.evicted == 21 - 4


def test_three_quarters_of_the_room_are_for_the_established() -> None:
    profiles = Profiles(8)
    for name in "abcdefg":
        met(profiles, name, 5)

    # The seventh made the first one young again.
    flood(profiles, 2)

    assert [name for name in "abcdefg" if name in profiles] == list("bcdefg")
    assert profiles.evicted == 1


def test_a_table_of_one_has_no_room_for_the_established() -> None:
    profiles = Profiles(1)
    met(profiles, "a", 9)

    profiles.get("b")

    assert ("a" in profiles, "b" in profiles, len(profiles)) == (False, True, 1)


def test_use_keeps_an_established_account_among_the_established() -> None:
    profiles = Profiles(4)
    for name in "abc":
        met(profiles, name, 5)
    profiles.get("a")

    met(profiles, "d", 5)
    flood(profiles, 3)

    assert [name for name in "abcd" if name in profiles] == ["a", "c", "d"]


@pytest.mark.parametrize(
    ("gap", "place"),
    [(0.0, 0), (0.001, 0), (0.0156, 0), (0.015625, 1), (0.99, 6), (1.0, 7), (1.99, 7), (2.0, 8),
     (65_535.0, 22), (65_536.0, 23), (1e9, 23)],
)  # fmt: skip
def test_a_gap_falls_into_its_octave(gap: float, place: int) -> None:
    profile = Profile(held=Held())
    # Near the epoch, so that the difference of two moments is the gap.
    for at in (1.0, 1.0 + gap):
        observe(profile, request(at, prompt=None), facts(profile))

    assert profile.sketch is not None
    bins = list(profile.sketch[GAPS_AT : GAPS_AT + 24])
    # The first request leaves none, one at the same moment a gap of nothing.
    assert bins == [1 if number == place else 0 for number in range(24)]
    assert profile.gaps == 1


def test_of_two_hundred_gaps_half_are_forgotten() -> None:
    profile = Profile(held=Held())
    for number in range(200):
        observe(profile, request(NOON + number, prompt=None), facts(profile))
    before = profile.gaps

    observe(profile, request(NOON + 200, prompt=None), facts(profile))

    assert (before, profile.gaps) == (199, 100)
    assert profile.gap_sum == pytest.approx(100 * math.log2(100))


@pytest.mark.parametrize(
    ("later", "hours"),
    [(1, 0b11), (2, 0b101), (167, 1 << 167 | 1), (168, 1), (1000, 1)],
)
def test_a_week_of_hours_is_kept(later: int, hours: int) -> None:
    profile = Profile(held=Held())
    for at in (NOON, NOON + later * HOUR):
        observe(profile, request(at, prompt=None), facts(profile))

    assert profile.hours == hours


def test_every_hour_begins_with_nothing_and_the_last_one_becomes_the_norm() -> None:
    profile = Profile(held=Held())
    for number in range(3):
        observe(profile, request(NOON + number, prompt=None), facts(profile))
        observe_usage(profile, request(NOON), Usage(input_tokens=50, output_tokens=40, status=200))
    assert (profile.requests, profile.tokens, profile.usual_requests) == (3, 270, 0.0)

    observe(profile, request(NOON + HOUR, prompt=None), facts(profile))

    # 270 tokens are two units of a hundred.
    assert (profile.requests, profile.tokens) == (1, 0.0)
    assert (profile.known, profile.usual_requests, profile.usual_tokens) == (1, 3.0, 200.0)


def test_an_hour_holds_65535_units_at_most() -> None:
    profile = Profile(held=Held())
    observe(profile, request(NOON, prompt=None), facts(profile))
    profile.requests, profile.tokens = 65_537, 6_553_700.0

    observe(profile, request(NOON + HOUR, prompt=None), facts(profile))

    assert (profile.usual_requests, profile.usual_tokens) == (65_535.0, 6_553_500.0)


def test_two_hours_have_a_norm_halfway_and_the_twenty_fifth_takes_the_place_of_the_first() -> None:
    profile = Profile(held=Held())
    norms = []
    for hour in range(27):
        observe(profile, request(NOON + hour * HOUR, prompt=None), facts(profile))
        profile.requests = 10 * hour
        norms.append(profile.usual_requests)

    assert norms[:5] == [0.0, 0.0, 5.0, 10.0, 15.0]
    assert norms[24:] == [115.0, 125.0, 135.0]


def templated(number: int, chars: int, at: float = NOON) -> Request:
    """A filling of a template whose only digest falls into slot 0."""
    role = RoleShape(role="user", head=number << 32, tail=0, skeleton=0, chars=chars)
    return request(at, prompt=build.prompt(roles=(role,), shingles=()))


def fillings(profile: Profile) -> tuple[int, int, int]:
    """Who holds slot 0, its fillings in this hour and in the one before."""
    assert profile.cells is not None
    assert profile.sketch is not None
    return profile.cells[0], profile.sketch[ONES_AT], profile.sketch[OLD_ONES_AT]


def after(*requests: Request) -> Profile:
    profile = Profile(held=Held())
    for one in requests:
        observe(profile, one, facts(profile))
    return profile


def test_a_slot_changes_hands_when_its_credit_is_spent() -> None:
    held = [templated(1, chars) for chars in range(3)]
    wanted = [templated(2, chars) for chars in range(4)]

    assert fillings(after(*held)) == (1, 3, 0)
    assert fillings(after(*held, *held)) == (1, 3, 0)
    assert fillings(after(*held, *wanted[:3])) == (1, 3, 0)
    assert fillings(after(*held, *wanted)) == (2, 1, 0)
    # Six uses of three fillings take six to outlast.
    assert fillings(after(*held, *held, *wanted[:3], *wanted[:3])) == (1, 3, 0)
    assert fillings(after(*held, *held, *wanted[:3], *wanted[:3], *wanted[:1])) == (2, 1, 0)


def test_a_template_whose_tag_would_be_nobody_s_has_another() -> None:
    assert fillings(after(templated(1 << 16, 1))) == (1, 1, 0)


def test_fillings_of_the_hour_before_are_kept_for_one_and_credit_fades_by_half() -> None:
    held = [templated(1, chars) for chars in range(4)]

    assert fillings(after(*held, templated(1, 9, NOON + HOUR))) == (1, 1, 4)
    assert fillings(after(*held, templated(1, 9, NOON + 2 * HOUR))) == (1, 1, 0)
    # Credit of 4 is 2 an hour later: the third to come takes the slot.
    later = [templated(2, chars, NOON + HOUR) for chars in range(3)]
    assert fillings(after(*held, *later[:2])) == (1, 0, 4)
    assert fillings(after(*held, *later)) == (2, 1, 0)


def test_credit_ends_at_255() -> None:
    held = [templated(1, chars) for chars in range(300)]
    wanted = [templated(2, chars) for chars in range(256)]

    assert fillings(after(*held, *wanted[:255]))[0] == 1
    assert fillings(after(*held, *wanted))[0] == 2


def test_a_constant_system_text_is_one_filling_and_no_user_s() -> None:
    def asked(chars: int) -> Request:
        role = RoleShape(role="system", head=7 << 32, tail=0, skeleton=0, chars=chars)
        return request(NOON, prompt=build.prompt(roles=(role,), shingles=()))

    def total(*requests: Request) -> int:
        profile = after(*requests)
        assert profile.sketch is not None
        return sum(profile.sketch[ONES_AT : ONES_AT + 16])

    assert total(asked(1)) == 1
    assert total(asked(1), asked(1)) == 1
    assert total(asked(1), asked(2)) == 2
    assert total(asked(1), templated(7, 1)) == 2


def test_prompts_and_what_they_elicit_are_summed() -> None:
    def asked(**fields: object) -> Profile:
        return after(request(NOON, prompt=build.prompt(**fields)))

    assert asked().prompts == 1.0
    assert asked().elicited == 0.0
    assert asked(n=1).elicited == 0.0
    assert asked(n=2).elicited > 0.0
    assert asked(logprobs=True).elicited > 0.0
    assert after(request(NOON, prompt=None)).prompts == 0.0


def test_of_a_prompt_sixteen_fragments_are_remembered_all_of_it_where_there_are_no_more() -> None:
    def again(count: int) -> float:
        # Fragments whose place and tag are their number, in no sampled quarter.
        shingles = tuple(3 << 50 | number << 32 | number << 20 for number in range(1, count + 1))
        one = request(NOON, prompt=build.prompt(shingles=shingles))
        return after(one, one).repeats

    assert again(16) == pytest.approx(0.5)
    assert again(17) == 0.0


def test_the_sixteenth_prompt_still_weighs_as_much_as_each_before_it() -> None:
    def one(number: int) -> Request:
        shingles = (number << 32 | number << 20,)
        return request(NOON, prompt=build.prompt(shingles=shingles))

    profile = after(*(one(number) for number in range(1, 16)), one(1))
    assert profile.repeats == pytest.approx(1 / 16)
    observe(profile, one(1), facts(profile))
    assert profile.repeats == pytest.approx(1 / 16 + (1 - 1 / 16) / 16)
    assert profile.fragments == 17


def test_prompts_are_counted_up_to_255() -> None:
    one = request(NOON, prompt=build.prompt(shingles=(1 << 32 | 1 << 20,)))

    assert after(*[one] * 255).fragments == 255
    assert after(*[one] * 300).fragments == 255


def test_where_an_account_always_is_only_the_moment_moves() -> None:
    home = build.network()
    profile = Profile(held=Held())
    for at in (NOON, NOON + 60.0, NOON + 30.0):
        observe(profile, request(at, prompt=None), facts(profile, home))

    assert (profile.country, profile.asn, profile.placed) == ("NO", 64500, NOON + 60.0)
    assert profile.visited is None
    assert profile.leaps == 0.0


def test_a_journey_faster_than_an_airliner_is_a_leap_and_a_slow_one_is_none() -> None:
    def leaps(later: float, network: NetworkFacts) -> float:
        profile = Profile(held=Held())
        observe(profile, request(NOON, prompt=None), facts(profile, build.network()))
        observe(profile, request(NOON + later, prompt=None), facts(profile, network))
        return profile.leaps

    japan = build.network(country="JP", asn=2516)
    assert leaps(60.0, japan) == 1.0
    assert leaps(48 * HOUR, japan) == 0.0
    assert leaps(60.0, build.network(asn=64501)) == 0.0
    # From behind a hiding network nobody has travelled.
    assert leaps(60.0, build.network(country="JP", asn=2516, flags={"vpn"})) == 0.0


def test_usage_nobody_counted_is_the_estimate_of_what_was_read_where_the_upstream_answered() -> (
    None
):
    one = request(NOON, prompt=build.prompt(input_tokens=70))

    def tokens(usage: Usage, asked: Request = one) -> float:
        profile = after(one)
        observe_usage(profile, asked, usage)
        return profile.tokens

    assert tokens(Usage(status=200)) == 70
    assert tokens(Usage()) == 0
    assert tokens(Usage(input_tokens=0, output_tokens=0, status=200)) == 0
    assert tokens(Usage(output_tokens=5, status=200), request(NOON, prompt=None)) == 5
