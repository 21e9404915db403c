"""What ties the members of a group, and which ties are one explanation and not two."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.campaigns.evidence import FIRM, ORDINARY, Kind, Tied, judge
from gateway_guard.campaigns.membership import BURST
from gateway_guard.campaigns.memory import Memory
from gateway_guard.campaigns.sighting import Sighting
from gateway_guard.campaigns.ties import Base, Group
from tests.campaigns import build
from tests.campaigns.build import DAY, HOUR, NOW

CREATED = NOW - 30 * DAY


def members(count: int = 8, **fields: Any) -> list[Sighting]:
    """Accounts of as many organisations with these things in common and nothing else.

    A list is dealt out to them in turn.
    """
    return [
        build.sighting(
            f"a_{n}",
            **{"organisation": f"o_{n}", "created_at": CREATED - n * DAY}
            | {k: v[n % len(v)] if isinstance(v, list) else v for k, v in fields.items()},
        )
        for n in range(count)
    ]


def views(seen: list[Sighting], *others: Sighting) -> list[list[Tied]]:
    """The group of the accounts in `seen`, among the accounts of `others`."""
    memory = build.remembered([*seen, *others])
    return Group(group(memory, seen), memory).views(everybody(memory))


def everybody(memory: Memory) -> Base:
    """How common traits are among all accounts."""
    return Base(memory.paces, memory.releases.moves)


def view(seen: list[Sighting], *others: Sighting) -> list[Tied]:
    (only,) = views(seen, *others)
    return only


def group(memory: Memory, seen: list[Sighting]) -> list[int]:
    return list(dict.fromkeys(memory.numbers[one.account] for one in seen))


def tied(ties: list[Tied], kind: Kind) -> int:
    """Members with a tie of that kind."""
    return sum(one.has.get(kind, False) for one in ties)


def test_accounts_with_nothing_in_common_are_not_tied() -> None:
    ties = view(members(payment=[f"p{n}" for n in range(8)], subnet=list(range(1, 9))))

    assert all(tied(ties, kind) == 0 for kind in Kind)


def test_what_is_not_known_of_an_account_is_not_looked_at() -> None:
    (only,) = view(members(1, created_at=None))

    assert only.has.keys() == {Kind.ADDRESSES}


def test_organisations_that_pay_with_one_instrument_are_tied_by_payment() -> None:
    cards = ["p1"] * 5 + ["p2"] * 5 + [f"own{n}" for n in range(10)]

    assert tied(view(members(20, payment=cards)), Kind.PAYMENT) == 10


def test_many_cards_of_a_few_accounts_each_are_not_those_of_a_firm() -> None:
    cards = [f"p{n // 5}" if n < 50 else f"own{n}" for n in range(70)]

    ties = view(members(70, payment=cards))

    assert sum(one.lasting[Kind.PAYMENT] for one in ties) >= 30


def test_a_card_of_two_organisations_is_a_households_and_no_tie() -> None:
    cards = ["couple"] * 2 + ["three"] * 3 + [f"own{n}" for n in range(15)]

    ties = view(members(20, payment=cards))

    assert [one.has[Kind.PAYMENT] for one in ties].count(True) == 3
    assert [one.paid for one in ties].count(True) == 5
    assert not any(one.has[Kind.PAYMENT] for one in ties if not one.paid)


def test_a_card_of_one_organisation_pays_for_no_other_however_many_accounts_it_has() -> None:
    seen = [build.sighting(f"a_{n}", organisation=f"o_{n // 4}", payment=f"p{n // 4}")
            for n in range(16)]  # fmt: skip

    assert [one.paid for one in view(seen)] == [False] * 4


def test_who_pays_for_an_account_of_unknown_payment_is_unknown() -> None:
    ties = views(members(20, payment=["p1", None]))[0]

    assert [one.paid for one in ties].count(None) == 10


def test_seen_from_inside_nobodys_payer_is_known() -> None:
    _, inside = views(members(payment="p"))

    assert {one.paid for one in inside} == {None}


def test_beside_a_firms_three_largest_cards_small_ones_are_not_its_own() -> None:
    cards = (
        ["a"] * 10 + ["b"] * 9 + ["c"] * 8 + ["d"] * 4 + ["e"] * 3 + [f"own{n}" for n in range(20)]
    )

    ties = view(members(len(cards), payment=cards))

    assert tied(ties, Kind.PAYMENT) == 34
    assert [one.lasting[Kind.PAYMENT] for one in ties].count(True) == 7


def test_cards_of_a_dozen_organisations_each_are_resellers_however_many_they_are() -> None:
    cards = [f"p{n // 12}" for n in range(60)] + [f"own{n}" for n in range(20)]

    ties = view(members(80, payment=cards))

    assert tied(ties, Kind.PAYMENT) == 60
    assert not any(one.lasting[Kind.PAYMENT] for one in ties)


@pytest.mark.parametrize(("cards", "convicted"), [(3, False), (12, True)])
def test_an_event_whose_guests_have_many_small_cards_is_no_event(
    cards: int, convicted: bool
) -> None:
    """Sixty accounts that signed up within one hour; forty of them pay with shared cards."""
    seen = members(
        60, payment=[f"p{n % cards}" if n < 40 else f"own{n}" for n in range(60)],
        created_at=[CREATED + 60.0 * n for n in range(60)], keys=(7,),
    )  # fmt: skip

    verdict = judge(view(seen, *(build.sighting(f"s_{n}") for n in range(500))), examined=1)

    assert verdict.convicted is convicted
    assert verdict.explanation == FIRM or convicted


@pytest.mark.parametrize("cards", [1, 2])
def test_one_or_two_cards_of_many_accounts_may_be_those_of_a_firm(cards: int) -> None:
    ties = views(members(40, payment=[f"p{n % cards}" for n in range(40)]))[0]

    assert tied(ties, Kind.PAYMENT) == 40
    assert not any(one.lasting[Kind.PAYMENT] for one in ties)


def test_where_nearly_everybody_pays_with_shared_cards_it_may_be_a_firm_with_many() -> None:
    shared = members(50, payment=[f"p{n // 5}" for n in range(50)], keys=(7,))
    strangers = [build.sighting(f"s_{n}") for n in range(500)]
    ties = view(shared, *strangers)

    assert tied(ties, Kind.PAYMENT) == 50
    assert judge(ties, examined=1).left < 3.5


def test_ranges_whose_very_address_is_shared_may_be_a_firms_ways_out() -> None:
    ranges = [n // 5 + 1 for n in range(100)]

    ties = view(members(100, subnet=ranges, address=ranges))

    assert tied(ties, Kind.ADDRESSES) == 100
    assert not any(one.lasting[Kind.ADDRESSES] for one in ties)


def test_several_ranges_of_others_proxies_are_nobodys_ways_out_but_one_may_be() -> None:
    """A firm may have one hosted or rented way out; whoever has several buys them."""
    ranges, proxy = [n // 10 + 1 for n in range(30)], frozenset({"proxy"})
    flags = [proxy if subnet < 3 else frozenset() for subnet in ranges]

    ties = view(members(30, subnet=ranges, address=ranges, flags=flags))

    lasting = [subnet for subnet, one in by_range(ties, ranges) if one.lasting[Kind.ADDRESSES]]
    assert lasting == [2] * 10


def by_range(ties: list[Tied], ranges: list[int]) -> list[tuple[int, Tied]]:
    """The ties of members that signed up each before the one before it, with their ranges."""
    return sorted(zip(ranges, reversed(ties), strict=True), key=lambda one: one[0])


def test_many_ranges_with_an_address_for_each_account_are_not() -> None:
    ranges = [n // 5 + 1 for n in range(100)]

    ties = view(members(100, subnet=ranges, address=list(range(1, 101))))

    assert sum(one.lasting[Kind.ADDRESSES] for one in ties) >= 50


def test_a_way_out_does_not_hide_a_pool_used_beside_it() -> None:
    seen = [
        build.sighting(f"a_{n}", organisation=f"o_{n}", subnet=subnet, address=address)
        for n in range(100)
        for subnet, address in ((1, 77), (2 + n // 5, 100 + n))
    ]

    ties = view(seen)

    assert sum(one.lasting[Kind.ADDRESSES] for one in ties) >= 50


def test_organisations_in_one_range_are_tied_by_addresses() -> None:
    assert tied(view(members(subnet=[1, 1, 2, 3, 4, 5, 6, 7])), Kind.ADDRESSES) == 2


def test_organisations_that_signed_up_together_are_tied_by_sign_up() -> None:
    times = [CREATED, CREATED + BURST, *(CREATED + n * DAY for n in range(2, 8))]

    assert tied(view(members(created_at=times)), Kind.SIGN_UP) == 2


def test_all_who_signed_up_in_one_burst_are_subtracted_from_the_crowd_however_many() -> None:
    """Only some neighbours are looked at for a tie; the burst itself is counted whole."""
    seen = members(250, created_at=[CREATED + n for n in range(250)])
    strangers = [build.sighting(f"s_{n}") for n in range(1000)]

    ties = view(seen, *strangers)

    assert tied(ties, Kind.SIGN_UP) == 250
    assert {one.chance[Kind.SIGN_UP] for one in ties} == {ORDINARY[Kind.SIGN_UP]}


@given(st.lists(st.floats(0.0, 4 * BURST), min_size=1, max_size=20))
def test_whoever_has_a_neighbour_within_a_burst_is_tied_by_sign_up(offsets: list[float]) -> None:
    times = [CREATED + offset for offset in offsets]

    ties = view(members(len(times), created_at=times))

    assert tied(ties, Kind.SIGN_UP) == sum(
        any(i != j and abs(a - b) <= BURST for j, b in enumerate(times))
        for i, a in enumerate(times)
    )


def test_whoever_shares_payment_range_and_day_is_tied_by_payment_only() -> None:
    ties = view(members(12, payment=["p1", "p2"], subnet=[1, 2],
                        created_at=[CREATED, CREATED - DAY]))  # fmt: skip

    assert tied(ties, Kind.PAYMENT) == 12
    assert (tied(ties, Kind.ADDRESSES), tied(ties, Kind.SIGN_UP)) == (0, 0)


def test_a_pair_in_one_range_that_signed_up_together_is_tied_by_the_range_only() -> None:
    ties = view(members(4, subnet=[1, 1, 2, 2],
                        created_at=[CREATED, CREATED, CREATED - DAY, CREATED - DAY]))  # fmt: skip

    assert (tied(ties, Kind.ADDRESSES), tied(ties, Kind.SIGN_UP)) == (4, 0)


def test_the_accounts_of_one_organisation_count_once() -> None:
    seen = members(organisation="o", payment="p", subnet=1, created_at=CREATED)

    for ties in views(seen):
        assert len(ties) == 1
        assert all(tied(ties, kind) == 0 for kind in Kind)


def test_an_organisation_is_seen_through_the_account_with_the_most_ties() -> None:
    ties = view(
        [
            build.sighting("a_1", organisation="o_1", subnet=7),
            build.sighting("a_2", organisation="o_1", payment="p", subnet=1),
            build.sighting("a_3", organisation="o_1", subnet=8),
            *(build.sighting(f"b_{n}", payment="p", subnet=100 + n) for n in range(5)),
            *(build.sighting(f"c_{n}", subnet=200 + n) for n in range(20)),
            build.sighting("a_4", organisation="o_2", subnet=1),
        ]
    )

    assert len(ties) == 27
    assert (tied(ties, Kind.PAYMENT), tied(ties, Kind.ADDRESSES)) == (6, 2)


def test_the_one_address_of_most_of_a_group_is_its_egress_and_no_tie() -> None:
    ties = view(members(address=77, subnet=1))

    assert tied(ties, Kind.ADDRESSES) == 0


def test_many_addresses_of_one_range_are_a_pool() -> None:
    ties = view(members(address=list(range(1, 9)), subnet=1))

    assert tied(ties, Kind.ADDRESSES) == 8


def test_a_group_that_one_instrument_pays_for_is_looked_at_from_inside_too() -> None:
    outside, inside = views(members(payment="p", subnet=[1, 1, 2, 2]))

    assert (tied(outside, Kind.PAYMENT), tied(outside, Kind.ADDRESSES)) == (8, 0)
    assert (tied(inside, Kind.PAYMENT), tied(inside, Kind.ADDRESSES)) == (0, 8)


def test_a_group_with_two_payers_is_looked_at_once() -> None:
    assert len(views(members(payment=["p1", "p2"]))) == 1


def test_an_even_pace_is_a_trait_of_its_own() -> None:
    seen = [
        *(build.sighting("a_even", at=NOW + n * 2 * HOUR) for n in range(13)),
        *(build.sighting("a_not", at=NOW + n * 60) for n in range(12)),
        build.sighting("a_not", at=NOW + 20 * HOUR),
        build.sighting("a_unknown"),
    ]

    ties = view(seen)

    assert sorted(one.has.get(Kind.PACE, None) is True for one in ties) == [False, False, True]
    assert sum(Kind.PACE in one.has for one in ties) == 2


def pivots(moved: int) -> list[Sighting]:
    """Sixty accounts on the day after a release, of which the first `moved` moved to it."""
    old = [build.sighting(f"a_{i}", model="m-1", at=NOW) for i in range(60)]
    new = [build.sighting(f"a_early{n}", model="m-2", at=NOW + 2 * DAY) for n in range(30)]
    after = [
        build.sighting(f"a_{i}", model="m-2" if i < moved else "m-1", at=NOW + 2 * DAY + HOUR + n)
        for i in range(60)
        for n in range(6)
    ]
    return [*old, *new, *after]


def test_moving_to_a_release_is_a_trait_once_the_population_is_known() -> None:
    memory = build.remembered(pivots(20))

    (ties,) = Group(range(1, memory.next), memory).views(everybody(memory))

    assert sum(Kind.PIVOT in one.has for one in ties) == 60
    assert tied(ties, Kind.PIVOT) == 20


def test_a_trait_that_most_of_the_population_has_is_not_looked_at() -> None:
    memory = build.remembered(pivots(55))

    (ties,) = Group(range(1, memory.next), memory).views(everybody(memory))

    assert not any(Kind.PIVOT in one.has for one in ties)


def test_the_commoner_a_trait_in_the_population_the_less_it_tells() -> None:
    few, many = build.remembered(pivots(20)), build.remembered(pivots(50))

    assert everybody(few).moved == pytest.approx(20 / 60)
    assert everybody(many).moved == pytest.approx(50 / 60)


def test_an_even_pace_is_as_common_as_it_was_seen_to_be() -> None:
    assert Base([30, 40], [0, 0]).even == pytest.approx(40 / 70)
    assert Base([30, 25], [0, 0]).even == pytest.approx(25 / 55)
    assert Base([90, 10], [0, 0]).even == ORDINARY[Kind.PACE]


def test_of_a_small_population_the_ordinary_share_is_assumed() -> None:
    base = everybody(build.remembered([]))

    assert (base.even, base.moved) == (ORDINARY[Kind.PACE], ORDINARY[Kind.PIVOT])


def test_the_more_strangers_have_a_thing_the_likelier_it_is_by_chance() -> None:
    seen = members(payment=["p", "q"], subnet=1, address=list(range(1, 9)), created_at=CREATED)
    crowd = [build.sighting(f"s_{n}", payment="p", subnet=1, created_at=CREATED) for n in range(40)]
    others = [build.sighting(f"t_{n}") for n in range(200)]

    rare, common = view(seen, *others), view(seen, *others, *crowd)

    for kind in (Kind.PAYMENT, Kind.ADDRESSES, Kind.SIGN_UP):
        assert max(one.chance[kind] for one in common) > max(one.chance[kind] for one in rare)


def test_accounts_forgotten_meanwhile_are_left_out() -> None:
    memory = build.remembered(members(3))

    found = Group([1, 2, 3, 999], memory)

    assert len(found.traces) == 3


def test_values_the_indexes_forgot_are_rare() -> None:
    memory = build.remembered(members(4, payment=["p", "q"], subnet=1), build.TINY)
    for n in range(100):
        memory.payments.add(f"other{n}", 1, NOW)
        memory.subnets.add(1000 + n, 1, NOW)

    (ties,) = Group([1, 2, 3, 4], memory).views(everybody(memory))

    assert {one.chance[Kind.PAYMENT] for one in ties} == {ORDINARY[Kind.PAYMENT]}
    assert {one.chance[Kind.ADDRESSES] for one in ties} == {ORDINARY[Kind.ADDRESSES]}


_people = st.lists(
    st.builds(
        lambda organisation, payment, subnet, created: {
            "organisation": f"o_{organisation}", "payment": payment, "subnet": subnet,
            "created_at": created,
        },
        st.integers(0, 12), st.sampled_from([None, "p", "q"]), st.integers(0, 3),
        st.sampled_from([None, CREATED, CREATED + 1000.0, CREATED + DAY]),
    ),
    min_size=1, max_size=15,
)  # fmt: skip


def test_a_group_is_as_much_alike_as_its_commonest_content() -> None:
    seen = [build.sighting(f"a_{n}", keys=(7,) if n < 6 else (100 + n,)) for n in range(8)]
    memory = build.remembered(seen)

    alike = Group(group(memory, seen), memory).alike()

    assert alike == 6 / 8
    assert Group([], memory).alike() == 0.0


def test_content_that_is_common_outside_makes_nobody_alike() -> None:
    """A product's prompt in all members, a template of their own in half of them."""
    seen = [build.sighting(f"a_{n}", keys=(7, 8) if n < 4 else (7,)) for n in range(8)]
    others = [build.sighting(f"s_{n}", keys=(7,) if n < 50 else ()) for n in range(100)]
    memory = build.remembered([*others, *seen])

    assert Group(group(memory, seen), memory).alike() == 4 / 8


@given(_people, st.randoms(use_true_random=False))
def test_ties_do_not_depend_on_the_order_of_members(
    people: list[dict[str, Any]], rng: random.Random
) -> None:
    memory = build.remembered(build.sighting(f"a_{n}", **who) for n, who in enumerate(people))
    numbers = list(memory.traces)

    one = Group(numbers, memory).views(everybody(memory))
    other = Group(rng.sample(numbers, len(numbers)), memory).views(everybody(memory))

    assert one == other


@given(_people)
def test_every_chance_lies_between_the_ordinary_and_the_certain(
    people: list[dict[str, Any]],
) -> None:
    memory = build.remembered(build.sighting(f"a_{n}", **who) for n, who in enumerate(people))

    for ties in Group(list(memory.traces), memory).views(everybody(memory)):
        for one in ties:
            assert one.has.keys() == one.chance.keys()
            assert all(one.has[kind] for kind, lasts in one.lasting.items() if lasts)
            assert all(ORDINARY[kind] <= p < 1.0 for kind, p in one.chance.items())


@given(_people)
def test_organisations_are_counted_once(people: list[dict[str, Any]]) -> None:
    memory = build.remembered(build.sighting(f"a_{n}", **who) for n, who in enumerate(people))

    for ties in Group(list(memory.traces), memory).views(everybody(memory)):
        assert len(ties) == len({who["organisation"] for who in people})


@pytest.mark.parametrize(
    ("theirs", "outside", "same"),
    [
        ((7,) * 4, 0, True),
        ((7, 7, 8, 9), 0, True),
        ((7, 8, 9, 10), 0, False),
        ((7,) * 4, 50, False),
    ],
)
def test_two_parts_of_a_group_say_the_same_when_two_fifths_of_each_say_what_few_others_do(
    theirs: tuple[int, ...], outside: int, same: bool
) -> None:
    seen = [build.sighting(f"a_{n}", keys=(7,)) for n in range(4)]
    seen += [build.sighting(f"b_{n}", keys=(key,)) for n, key in enumerate(theirs)]
    others = [build.sighting(f"s_{n}", keys=(7,) if n < outside else ()) for n in range(100)]
    memory = build.remembered([*others, *seen])
    everyone = group(memory, seen)

    assert Group(everyone, memory).says_the_same(everyone[:4], 0.4) is same


def test_nobody_says_the_same_as_nobody() -> None:
    seen = [build.sighting(f"a_{n}", keys=(7,)) for n in range(4)]
    memory = build.remembered(seen)

    assert not Group(group(memory, seen), memory).says_the_same(group(memory, seen), 0.4)
