"""Who is taken for people at a place, and what shows that accounts are none."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.campaigns.memory import Memory
from gateway_guard.campaigns.places import at_places
from gateway_guard.campaigns.postings import Postings
from gateway_guard.campaigns.sighting import Sighting
from gateway_guard.campaigns.ties import Base, Group
from tests.campaigns import build
from tests.campaigns.build import DAY, HOUR, NOW

#: A population of people: three of four have no even pace.
ORDINARY = Base([75, 25], [75, 25])
PROXY = frozenset({"proxy"})


def people(name: str, count: int, *ranges: int, **fields: Any) -> list[Sighting]:
    """Accounts of as many organisations, all in all of these ranges; lists are dealt to them."""
    return [
        build.sighting(
            f"a_{name}{n}",
            subnet=subnet,
            **{"organisation": f"o_{name}{n}", "created_at": NOW - (30 + n) * DAY}
            | {k: v[n % len(v)] if isinstance(v, list) else v for k, v in fields.items()},
        )
        for n in range(count)
        for subnet in (ranges or (0,))
    ]


def pool(count: int, each: int = 2, *, width: int = 6, **fields: Any) -> list[Sighting]:
    """Accounts that use `each` of the `width` ranges of a pool, not all the same ones."""
    rng = random.Random(1)
    return [
        one
        for n in range(count)
        for one in people(f"pool{n}_", 1, *rng.sample(range(900, 900 + width), each), **fields)
    ]


def steady(seen: Sequence[Sighting]) -> list[Sighting]:
    """The same, and each account every two hours for a day and a half."""
    each = {one.account: one for one in seen}
    return [
        *seen,
        *(
            msgspec.structs.replace(one, at=NOW + 2 * HOUR * turn)
            for turn in range(18)
            for one in each.values()
        ),
    ]


def found(seen: list[Sighting], base: Base = ORDINARY) -> set[str]:
    """Whom of the accounts in `seen` one takes for people at places."""
    return at(build.remembered(seen), seen, base)


def at(memory: Memory, seen: list[Sighting], base: Base = ORDINARY) -> set[str]:
    members = list(dict.fromkeys(memory.numbers[one.account] for one in seen))
    return at_places(Group(members, memory), base)


def accounts(*seen: Sequence[Sighting]) -> set[str]:
    return {one.account for stream in seen for one in stream}


def test_an_office_is_a_place_whatever_its_people_pay_with_and_whenever_they_came() -> None:
    office = people("office", 12, 1, 2, payment=["p1", "p2", "p3"], created_at=NOW)

    assert found(office) == accounts(office)


def test_several_firms_at_one_event_are_each_at_a_place() -> None:
    firms = [people(f"f{n}_", 5, 10 + n, payment=f"p{n}", created_at=NOW) for n in range(9)]

    assert found([one for firm in firms for one in firm]) == accounts(*firms)


def test_three_venues_whose_guests_have_three_sponsors_cards_are_places() -> None:
    guests = [
        people(f"venue{n}_", 20, 20 + n, 30 + n, payment=["a", "b", "c"], created_at=NOW)
        for n in range(3)
    ]

    assert found([one for venue in guests for one in venue]) == accounts(*guests)


def test_shops_of_one_payer_are_at_places_however_many() -> None:
    shops = [people(f"shop{n}_", 8, 40 + n, payment=["a", "b"]) for n in range(8)]

    assert found([one for shop in shops for one in shop]) == accounts(*shops)


def test_whoever_is_alone_where_he_is_is_at_no_place() -> None:
    alone = [one for n in range(6) for one in people(f"x{n}_", 1, 50 + n, payment="p")]

    assert found(alone) == set()


def test_accounts_of_one_organisation_make_no_place() -> None:
    assert found(people("x", 8, 1, organisation="o")) == set()


def test_the_few_without_a_place_go_with_those_that_they_hang_together_with() -> None:
    office = people("office", 10, 1, payment="p")
    away = people("away", 1, 2, payment="p")

    assert found(office + away) == accounts(office, away)


def test_where_many_have_none_a_place_explains_nobody() -> None:
    office = people("office", 10, 1, payment="p")
    away = [one for n in range(4) for one in people(f"away{n}_", 1, 60 + n, payment="p")]

    assert found(office + away) == set()


@pytest.mark.parametrize(("each", "width"), [(2, 6), (2, 8), (3, 6), (3, 10)])
def test_whoever_moves_over_a_pool_is_at_no_place(each: int, width: int) -> None:
    assert found(pool(24, each, width=width)) == set()


def test_whoever_uses_a_whole_pool_is_at_no_place_either() -> None:
    assert found(people("x", 24, 1, 2, 3)) == accounts(people("x", 24))
    assert found(people("x", 24, 1, 2, 3, 4)) == set()


@pytest.mark.parametrize("travellers", [2, 7])
def test_a_few_travellers_between_two_offices_are_at_places(travellers: int) -> None:
    one, other = people("one", 12, 1, payment="p"), people("other", 12, 2, payment="p")
    between = people("between", travellers, 1, 2, payment="p")

    assert found(one + other + between) == accounts(one, other, between)


def test_where_a_third_travels_it_is_a_pool() -> None:
    fixed = [one for n in range(4) for one in people(f"at{n}_", 6, 1 + n)]
    between = [one for n in range(12) for one in people(f"x{n}_", 1, 1 + n % 4, 1 + (n + 1) % 4)]

    assert found([*fixed, *between]) == set()


def test_the_parts_of_a_campus_have_half_of_their_people_in_common() -> None:
    halls = people("hall", 24, 1) + people("other", 12, 2)
    library = [build.sighting(f"a_hall{n}", subnet=2, organisation=f"o_hall{n}") for n in range(12)]

    assert found(halls + library) == accounts(halls)


def test_two_who_share_a_range_are_at_a_place() -> None:
    assert found(people("x", 2, 1)) == accounts(people("x", 2))


def test_ranges_of_a_home_shared_with_one_other_make_nobody_rove() -> None:
    office = people("office", 12, 1)
    homes = [build.sighting(f"a_office{n}", subnet=70 + n // 2 * 3 + k, organisation=f"o_office{n}")
             for n in range(12) for k in range(3)]  # fmt: skip

    assert found(office + homes) == accounts(office)


@pytest.mark.parametrize("flag", ["proxy", "vpn", "tor", "residential"])
def test_where_people_come_through_proxies_nobody_is_at_a_place(flag: str) -> None:
    assert found(people("x", 9, 1, payment="p", flags=frozenset({flag}))) == set()


@pytest.mark.parametrize("flags", [frozenset({"relay"}), frozenset({"hosting"}), frozenset()])
def test_a_private_relay_or_a_cloud_may_be_a_place(flags: frozenset[str]) -> None:
    seen = people("x", 9, 1, payment="p", flags=flags)

    assert found(seen) == accounts(seen)


@pytest.mark.parametrize(("proxied", "of", "place"), [(3, 10, True), (3, 9, False), (4, 10, False)])
def test_a_range_is_of_proxies_when_a_third_came_through_one(
    proxied: int, of: int, place: bool
) -> None:
    flags = [PROXY] * proxied + [frozenset()] * (of - proxied)

    assert bool(found(people("x", of, 1, payment="p", flags=flags))) is place


def test_a_range_of_which_only_proxies_are_remembered_is_of_proxies() -> None:
    seen = people("x", 9, 1, payment="p", flags=[PROXY] + [frozenset()] * 8)
    memory = build.remembered(seen)
    memory.subnets = Postings(values=9, most=9)

    assert at(memory, seen) == set()


def test_accounts_outside_the_group_say_what_a_range_is_too() -> None:
    seen, others = people("x", 9, 1, payment="p"), people("other", 6, 1, flags=PROXY)

    assert at(build.remembered([*seen, *others]), seen) == set()


def test_many_cards_of_a_few_accounts_each_in_one_unit_are_no_firms() -> None:
    firm = people("x", 36, 1, payment=["a", "b", "c"])
    hand = people("x", 36, 1, payment=["a", "b", "c", "d"])

    assert (found(firm), found(hand)) == (accounts(firm), set())


def test_a_firm_is_one_however_many_accounts_it_has() -> None:
    office = people("office", 8, 1, payment="p")
    remote = people("remote", 6, payment="p", organisation="o_remote")

    assert found(office + remote) == accounts(office, remote)


def test_a_card_of_very_many_is_a_resellers_and_counts_for_no_hand() -> None:
    cards = [f"p{n % 6}" for n in range(72)]

    assert found(people("x", 72, 1, payment=cards)) == accounts(people("x", 72))


def test_who_runs_round_the_clock_is_at_a_place_only_where_all_share_all_of_it() -> None:
    agency = people("x", 15, 1, 2, payment="p") + people("x", 2, 3, payment="p")
    spread = people("x", 15, 1, payment="p") + people("x", 7, 2, payment="p")

    assert found(steady(agency)) == accounts(agency)
    assert found(spread) == accounts(spread)
    assert found(steady(spread)) == set()


def test_where_most_are_steady_pace_says_nothing() -> None:
    spread = people("x", 60, 1, payment="p") + people("x", 30, 2, payment="p")

    assert found(steady(spread), Base([25, 75], [75, 25])) == accounts(spread)


def test_the_pace_of_a_few_says_nothing_of_the_others() -> None:
    spread = people("x", 15, 1, payment="p") + people("x", 7, 2, payment="p")
    of_some = [one for one in steady(spread) if int(one.account.removeprefix("a_x")) < 10]

    assert found([*spread, *of_some]) == accounts(spread)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 6), st.integers(0, 3)), max_size=60))
def test_the_order_does_not_matter_and_all_of_a_unit_go_together(
    rows: list[tuple[int, int, int]],
) -> None:
    seen = [
        build.sighting(
            f"a_{n}", subnet=subnet, organisation=f"o_{n // 2}", payment=f"p{n % 4}",
            flags=PROXY if not flagged else frozenset(),
        )
        for n, subnet, flagged in rows
    ]  # fmt: skip
    memory = build.remembered(seen)

    everyone = at(memory, seen)

    assert everyone == at(memory, seen[::-1])
    for subnet in {one.subnet for one in seen}:
        here = [one for one in seen if one.subnet == subnet]
        if len({one.organisation for one in here}) > 1 and not any(one.flags for one in here):
            assert accounts(here) <= everyone or accounts(here).isdisjoint(everyone)
