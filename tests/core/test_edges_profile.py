"""What a profile keeps, at its borders: segments, bins, hours, slots."""

from __future__ import annotations

import math

import pytest

from gateway_guard.core.profile import Profiles, observe, observe_usage
from gateway_guard.signals.geo_velocity import country_key
from gateway_guard.signals.profile import GAPS_AT, OLD_ONES_AT, ONES_AT, SKETCH_BYTES, Profile
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


def in_slot(slot: int, number: int, chars: int, **digests: int) -> Request:
    """A filling of a template whose only digest falls into a slot."""
    role = RoleShape(
        **{"role": "user", "head": 0, "tail": 0, "skeleton": 0, "chars": chars}  # type: ignore[arg-type]
        | (digests or {"head": number << 32 | slot})
    )
    return request(NOON, prompt=build.prompt(roles=(role,), shingles=()))


def counted(profile: Profile, slot: int) -> tuple[int, int]:
    """Who holds a slot, and its fillings in this hour."""
    assert profile.cells is not None
    assert profile.sketch is not None
    return profile.cells[slot], profile.sketch[ONES_AT + slot]


@pytest.mark.parametrize("slot", [0, 1, 5, 14, 15])
def test_who_takes_a_slot_over_begins_with_no_fillings_and_leaves_those_beside_it(
    slot: int,
) -> None:
    beside = [in_slot(other, 7, chars) for other in {slot - 1, slot + 1} & {*range(16)}
              for chars in range(60)]  # fmt: skip
    held = [in_slot(slot, 1, chars) for chars in range(60)]
    wanted = [in_slot(slot, 2, chars) for chars in range(120)]
    before = after(*beside)

    profile = after(*beside, *held, *wanted, *beside)

    # Sixty of them spent the credit of sixty.
    assert counted(profile, slot) == counted(after(*wanted[60:]), slot)
    for other in {slot - 1, slot + 1} & {*range(16)}:
        assert counted(profile, other) == counted(before, other)


@pytest.mark.parametrize("which", ["head", "tail", "skeleton"])
def test_each_of_a_text_s_digests_is_a_template_whichever_others_it_has(which: str) -> None:
    requests = [in_slot(3, 0, chars, **{which: 9 << 32 | 3}) for chars in range(4)]

    assert counted(after(*requests), 3) == (9, 4)


def test_all_three_digests_of_a_text_are_counted_each_in_its_slot() -> None:
    digests = {"head": 1 << 32 | 4, "tail": 2 << 32 | 9, "skeleton": 3 << 32 | 13}

    profile = after(*(in_slot(0, 0, chars, **digests) for chars in range(4)))

    assert [counted(profile, slot) for slot in (4, 9, 13)] == [(1, 4), (2, 4), (3, 4)]


def test_a_template_with_many_fillings_has_room_for_more_than_a_hundred() -> None:
    tag, fillings_seen = counted(after(*(in_slot(2, 1, chars) for chars in range(600))), 2)

    assert tag == 1
    assert 100 < fillings_seen <= 128


def test_an_account_that_was_looked_up_seldom_is_established_by_its_requests() -> None:
    profiles = Profiles(4)
    profile = profiles.get("a")
    for number in range(6):
        observe(profile, request(NOON + number, prompt=None), facts(profile))
    profiles.get("a")

    flood(profiles, 20)

    assert profiles.get("a") is profile


@pytest.mark.parametrize("first", [1, 66, 67, 99])
def test_an_hour_of_a_week_ago_is_forgotten(first: int) -> None:
    profile = Profile(held=Held())
    for hour in (0, first, first + 101):
        observe(profile, request(NOON + hour * HOUR, prompt=None), facts(profile))

    last = {first + 101, 101, 0} & {*range(168)}
    assert profile.hours == sum(1 << hour for hour in last)


def test_what_was_seen_fades_by_half_in_twelve_hours() -> None:
    def seen(hours: float) -> tuple[float, float, float]:
        asked = build.prompt(logprobs=True)
        profile = Profile(held=Held())
        for at, network in ((NOON, HOME), (NOON + 60.0, JAPAN)):
            observe(profile, request(at, prompt=asked), facts(profile, network))
        before = profile.prompts, profile.elicited, profile.leaps
        later = NOON + 60.0 + hours * HOUR
        observe(profile, request(later, prompt=None), facts(profile, JAPAN))
        after = profile.prompts, profile.elicited, profile.leaps
        return tuple(new / old for new, old in zip(after, before, strict=True))  # type: ignore[return-value]

    assert seen(12.0) == pytest.approx((0.5,) * 3)
    assert seen(24.0) == pytest.approx((0.25,) * 3)
    assert seen(0.0) == (1.0,) * 3


def test_a_network_unknown_for_once_is_the_one_it_was() -> None:
    profile = travelled((NOON, HOME), (NOON + 60.0, build.network(asn=None)))

    assert (profile.country, profile.asn, profile.visited) == ("NO", 64500, None)
    assert profile.placed == NOON + 60.0


@pytest.mark.parametrize("asn", [64499, 64501, 1])
def test_every_other_network_is_noted(asn: int) -> None:
    profile = travelled((NOON, HOME), (NOON + 60.0, build.network(asn=asn)))

    assert profile.asn == asn
    assert set(places(profile)[1]) == {64500, asn}


def test_gaps_are_summed_as_their_bins_are_however_they_come() -> None:
    profile = Profile(held=Held())
    at = 1.0
    # Three of a second, two of four, one of sixteen.
    for gap in (0.0, 1.0, 4.0, 1.0, 16.0, 4.0, 1.0):
        at += gap
        observe(profile, request(at, prompt=None), facts(profile))

    assert profile.gaps == 6
    assert profile.gap_sum == pytest.approx(3 * math.log2(3) + 2 * math.log2(2))


def test_forgetting_half_of_the_gaps_leaves_the_rest_of_the_memory_alone() -> None:
    profile = after(*(templated(1, chars) for chars in range(3)))
    for number in range(1, 201):
        gap = 2 if number % 4 else 3
        observe(profile, request(profile.last + gap, prompt=None), facts(profile))
    before = fillings(profile)

    assert profile.sketch is not None
    assert len(profile.sketch) == SKETCH_BYTES
    bins = list(profile.sketch[GAPS_AT : GAPS_AT + 24])
    assert sum(bins) == profile.gaps < 200
    assert profile.gap_sum == pytest.approx(sum(one * math.log2(one) for one in bins if one))
    assert before == (1, 3, 0)


def places(profile: Profile) -> tuple[dict[int, int], dict[int, int]]:
    """Countries and networks of an account that has travelled, each with its minute."""
    assert profile.visited is not None
    halves = profile.visited[:8], profile.visited[8:]
    countries, networks = ({one >> 32: one & 0xFFFFFFFF for one in half if one} for half in halves)
    return countries, networks


def travelled(*stays: tuple[float, NetworkFacts]) -> Profile:
    profile = Profile(held=Held())
    for at, network in stays:
        observe(profile, request(at, prompt=None), facts(profile, network))
    return profile


HOME = build.network()
JAPAN = build.network(country="JP", asn=2516)


def test_a_journey_leaves_both_its_ends_with_the_moment_of_the_last_request_there() -> None:
    profile = travelled((NOON, HOME), (NOON + 120.0, HOME), (NOON + 48 * HOUR, JAPAN))

    minute = int(NOON // 60)
    assert places(profile) == (
        {country_key("NO"): minute + 2, country_key("JP"): minute + 48 * 60},
        {64500: minute + 2, 2516: minute + 48 * 60},
    )
    assert (profile.country, profile.asn, profile.placed) == ("JP", 2516, NOON + 48 * HOUR)


def test_whoever_comes_back_is_seen_there_again() -> None:
    profile = travelled((NOON, HOME), (NOON + 48 * HOUR, JAPAN), (NOON + 96 * HOUR, HOME))

    minute = int(NOON // 60)
    assert places(profile)[0] == {
        country_key("NO"): minute + 96 * 60, country_key("JP"): minute + 48 * 60,
    }  # fmt: skip


def test_a_network_nobody_knows_is_noted_as_none() -> None:
    profile = travelled(
        (NOON, build.network(asn=None)), (NOON + 48 * HOUR, build.network(country="JP", asn=None))
    )

    assert set(places(profile)[0]) == {country_key("NO"), country_key("JP")}
    assert places(profile)[1] == {}


@pytest.mark.parametrize(
    ("at", "minute"), [(-500.0, 0), (0.0, 0), (59.9, 0), (60.0, 1), (1e15, 0xFFFFFFFF)]
)
def test_a_moment_is_noted_by_its_minute(at: float, minute: int) -> None:
    profile = travelled((at - 100.0, HOME), (at, build.network(asn=64501)))

    assert places(profile)[1].get(64501, 0) == minute


def test_of_nine_places_the_one_not_seen_for_longest_is_forgotten() -> None:
    stays = [(NOON + number * HOUR, build.network(asn=64500 + number)) for number in range(8)]
    again = (NOON + 8 * HOUR, build.network(asn=64500))
    ninth = (NOON + 9 * HOUR, build.network(asn=64600))

    assert set(places(travelled(*stays, again))[1]) == set(range(64500, 64508))
    assert set(places(travelled(*stays, again, ninth))[1]) == {
        64500, *range(64502, 64508), 64600,
    }  # fmt: skip


def test_a_network_of_the_whole_world_hides_no_journey() -> None:
    abroad = travelled((NOON, HOME), (NOON + 60.0, build.network(country="JP")))
    beside = travelled((NOON, HOME), (NOON + 60.0, build.network(asn=64501)))
    back = travelled((NOON, HOME), (NOON + 60.0, build.network(country="JP")), (NOON + 120.0, HOME))

    assert (abroad.leaps, abroad.country, abroad.asn) == (1.0, "JP", 64500)
    assert (beside.leaps, beside.country, beside.asn) == (0.0, "NO", 64501)
    assert back.leaps == pytest.approx(2.0, rel=0.01)
    # Where it is not known where somebody is, he is where he was.
    hidden = travelled((NOON, HOME), (NOON + 60.0, build.network(country="JP", flags={"vpn"})))
    assert (hidden.leaps, hidden.country, hidden.placed) == (0.0, "NO", NOON)
