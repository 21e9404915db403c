"""Whom more than chance ties, and who are innocent: people, neighbours, installations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_guard.campaigns.alibis import ALIBIS, NEIGHBOURS, PEOPLE, PRODUCT, explained
from gateway_guard.campaigns.ended import Why
from gateway_guard.campaigns.evidence import TIES, Kind, Verdict, judge
from gateway_guard.campaigns.steps import finish
from gateway_guard.campaigns.ties import Group
from tests.campaigns import build
from tests.campaigns.build import DAY, HOUR, NOW
from tests.campaigns.test_casebook import convicted

TWO = (Kind.PAYMENT, Kind.ADDRESSES)
HOSTED = frozenset({"hosting"})


def group(size: int = 30, *, alike: int | None = None, **fields: Any) -> Group:
    """Accounts of as many organisations; lists are dealt to them. `alike` of them, or all, say the
    same: what nobody else says."""
    seen = [
        build.sighting(
            f"a_{n}",
            organisation=f"o_{n}",
            keys=(7,) if n < (size if alike is None else alike) else (100 + n,),
            **{k: v[n % len(v)] if isinstance(v, list) else v for k, v in fields.items()},
        )
        for n in range(size)
    ]
    memory = build.remembered([*seen, *build.strangers()])
    return Group([memory.numbers[one.account] for one in seen], memory)


def guilty(
    *kinds: Kind, awake: bool | None = False, size: int = 30, chance: float = 0.1
) -> Verdict:
    """A conviction by ties of these kinds. `awake`: whether an even pace speaks, too; None where
    the pace is not known."""
    of = [kind for kind in Kind if kind is not Kind.PACE or awake is not None]
    more = [Kind.PACE] if awake else []
    verdict = judge([build.tied(*kinds, *more, of=of, chance=chance)] * size, examined=1)
    assert verdict.convicted
    return verdict


def alibi(of: Group, verdict: Verdict) -> str | None:
    """The alibi of a convicted group, or None where it stays convicted."""
    found = explained(of, verdict)
    if found is verdict:
        return None
    assert (found.convicted, found.left) == (False, 0.0)
    assert found.weights == verdict.weights
    return found.explanation


def test_people_are_not_convicted_by_two_kinds_of_ties() -> None:
    """Drivers have their fleet's cards and carriers, and did not start on one morning."""
    assert alibi(group(), guilty(*TWO)) == PEOPLE


def test_nor_by_another_two() -> None:
    """Some of a course have their mentor's card, others began with a friend."""
    of = [build.tied(kind, of=Kind) for _ in range(9) for kind in (Kind.PAYMENT, Kind.SIGN_UP)]
    both = [build.tied(Kind.PAYMENT, Kind.SIGN_UP, of=Kind) for _ in range(12)]
    verdict = judge(of + both, examined=1)

    assert verdict.convicted
    assert alibi(group(), verdict) == PEOPLE


def test_people_who_are_tied_in_all_three_ways_and_say_the_same_stay_convicted() -> None:
    """A campaign that sleeps at night."""
    assert alibi(group(), guilty(*TIES)) is None


@pytest.mark.parametrize(
    ("signed_up", "alike", "found"), [(15, 12, None), (15, 11, PEOPLE), (16, 11, None)]
)
def test_people_who_are_tied_in_all_three_ways_must_say_the_same_or_be_mostly_tied(
    signed_up: int, alike: int, found: str | None
) -> None:
    """Of thirty: a campaign in eight languages says nothing twice, and its every way ties most."""
    ties = [
        build.tied(*TWO, *([Kind.SIGN_UP] if n < signed_up else []), of=Kind) for n in range(30)
    ]

    assert alibi(group(alike=alike), judge(ties, examined=1)) == found


def test_a_tie_that_is_worth_little_is_none_of_three() -> None:
    """Two of thirty signed up together: that happens."""
    few = [build.tied(*TWO, *([Kind.SIGN_UP] if n < 2 else []), of=Kind) for n in range(30)]

    assert alibi(group(), judge(few, examined=1)) == PEOPLE


def test_whatever_never_sleeps_is_not_people() -> None:
    assert alibi(group(), guilty(*TWO, awake=True)) is None


@pytest.mark.parametrize("flag", ["hosting", "proxy", "vpn", "tor", "residential"])
@pytest.mark.parametrize(("through", "found"), [(14, PEOPLE), (15, None)])
def test_who_mostly_comes_through_others_is_not_taken_for_people(
    flag: str, through: int, found: str | None
) -> None:
    """Of thirty. Night clerks at rented machines are a campaign that sleeps by day."""
    flags = [frozenset({flag}) if n < through else frozenset[str]() for n in range(30)]

    assert alibi(group(asn=[1, 2, 3, 4], flags=flags), guilty(*TWO)) == found


def test_whose_hours_are_not_known_are_not_taken_for_people() -> None:
    """A campaign is held before a day has shown its pace."""
    assert alibi(group(), guilty(*TWO, awake=None)) is None


@pytest.mark.parametrize(("even", "found"), [(10, PEOPLE), (11, None)])
def test_a_campaign_with_a_few_sleepers_among_it_is_not_people(
    even: int, found: str | None
) -> None:
    """Of thirty; the pace of eleven in thirty is worth nothing, and does not acquit the others."""
    mixed = [
        build.tied(*TWO, *([Kind.PACE] if n < even else []), of=Kind, chance=0.35)
        for n in range(30)
    ]  # fmt: skip

    assert alibi(group(), judge(mixed, examined=1)) == found


@pytest.mark.parametrize(
    ("asleep", "even", "found"),
    [
        (30, 0, PEOPLE),
        (20, 10, PEOPLE),
        (19, 11, None),
        (0, 30, None),
        (26, 0, PEOPLE),
        (25, 0, None),
    ],
)
def test_where_most_never_sleep_whoever_does_is_people(
    asleep: int, even: int, found: str | None
) -> None:
    """A platform of services: that somebody never sleeps says nothing there."""
    one = group()
    for trace, hours in zip(one.traces, [False] * asleep + [True] * even, strict=False):
        build.paced(trace, even=hours)

    assert alibi(one, guilty(*TWO, awake=None)) == found


# One product.


@pytest.mark.parametrize(("size", "found"), [(21, PRODUCT), (20, None)])
def test_installations_of_one_product_are_not_convicted_by_two_kinds_of_ties(
    size: int, found: str | None
) -> None:
    """A maker's boxes: its cards, its carriers, always on."""
    boxes = group(size, client=77)

    assert alibi(boxes, guilty(*TWO, awake=True, size=size)) == found


@pytest.mark.parametrize(("signed_up", "found"), [(16, None), (15, PRODUCT)])
def test_a_script_that_runs_everywhere_is_convicted_by_three_that_each_tie_most(
    signed_up: int, found: str | None
) -> None:
    """Of thirty. Some of a maker's boxes are switched on in one morning; of a campaign most."""
    awake = (*TWO, Kind.PACE)
    ties = [
        build.tied(*awake, *([Kind.SIGN_UP] if n < signed_up else []), of=Kind) for n in range(30)
    ]

    assert alibi(group(client=77), judge(ties, examined=1)) == found


def test_installations_that_do_not_say_the_same_are_not_one_product() -> None:
    """A library everybody scripts with is no product."""
    assert alibi(group(client=77, alike=11), guilty(*TWO, awake=True)) is None


@pytest.mark.parametrize("clients", [[0], [1, 2], [7, 7, 7, 7, 0]])
def test_software_that_shows_nothing_or_differs_is_not_one_product(clients: list[int]) -> None:
    assert alibi(group(client=clients), guilty(*TWO, awake=True)) is None


def test_one_box_in_seven_may_run_something_else() -> None:
    assert alibi(group(28, client=[7] * 6 + [8]), guilty(*TWO, awake=True, size=28)) == PRODUCT


# Neighbours.


@pytest.mark.parametrize("awake", [False, None])
@pytest.mark.parametrize("networks", [[1], [1, 2, 3], [1, 2, 3, 1, 2, 3, 4]])
def test_people_on_the_same_few_networks_are_neighbours(
    awake: bool | None, networks: list[int]
) -> None:
    """Riders of one town: prepaid cards of one shop, three carriers."""
    assert alibi(group(28, asn=networks), guilty(*TWO, awake=awake, size=28)) == NEIGHBOURS


@pytest.mark.parametrize("awake", [False, None])
@pytest.mark.parametrize(("alike", "found"), [(12, None), (11, NEIGHBOURS)])
def test_neighbours_whom_all_three_tie_and_who_say_the_same_stay_convicted(
    awake: bool | None, alike: int, found: str | None
) -> None:
    assert alibi(group(asn=[1, 2, 3], alike=alike), guilty(*TIES, awake=awake)) == found


@pytest.mark.parametrize(
    "fields",
    [
        {"asn": [1, 2, 3, 4]},
        {"asn": [1, 2, 3, 1, 2, 4]},
        {"asn": 1, "flags": HOSTED},
        {"asn": 1, "flags": [HOSTED, frozenset[str]()]},
        {"asn": 1, "flags": frozenset({"residential"})},
        {"asn": None},
    ],
)
def test_who_comes_from_many_networks_or_through_others_is_nobodys_neighbour(
    fields: dict[str, Any],
) -> None:
    assert alibi(group(24, **fields), guilty(*TWO, awake=None, size=24)) is None


def test_relays_of_a_browser_do_not_make_anybody_less_of_a_neighbour() -> None:
    relayed = group(asn=1, flags=frozenset({"relay"}))

    assert alibi(relayed, guilty(*TWO, awake=None)) == NEIGHBOURS


def test_whatever_never_sleeps_is_nobodys_neighbour() -> None:
    """A rack of phones behind one carrier."""
    assert alibi(group(asn=1), guilty(*TWO, awake=True)) is None


# In general.


@settings(max_examples=60)
@given(
    st.lists(st.sets(st.sampled_from(Kind)), min_size=1, max_size=40),
    st.lists(st.integers(0, 3), min_size=1, max_size=4),
    st.lists(st.none() | st.integers(1, 6), min_size=1, max_size=6),
)
def test_an_alibi_only_ever_acquits(
    has: list[Iterable[Kind]], clients: list[int], networks: list[int | None]
) -> None:
    verdict = judge([build.tied(*kinds, of=Kind) for kinds in has], examined=1)

    found = explained(group(len(has), client=clients, asn=networks), verdict)

    assert not found.convicted or found is verdict
    assert found is verdict or found.explanation in ALIBIS


def test_a_campaign_that_turns_out_to_have_an_alibi_is_let_go_and_left_alone() -> None:
    cases = convicted("x")
    (held,) = cases.held.values()
    members = set(held.members)
    verdict = explained(group(), guilty(*TWO))

    finish(cases.weigh_again(held, members, verdict, NOW + 1))

    assert (cases.held, cases.member_of, cases.verdicts) == ({}, {}, {})
    assert [one.why for one in cases.endings.latest] == [Why.INNOCENT]
    assert cases.acquittals.covers(set(sorted(members)[: len(members) // 2]), NOW + 2)


def test_riders_who_looked_like_one_hand_are_let_go_once_their_nights_are_known() -> None:
    """Their service's cards, ranges and words, and ten requests a shift."""
    riders = [
        msgspec.structs.replace(
            one, at=NOW + (turn // 10 * 24 + turn % 10 / 2) * HOUR + number, created_at=None
        )
        for number, account in enumerate(f"a_x{n:03d}" for n in range(24))
        for turn, one in enumerate(
            one for one in build.campaign("x", exchanges=30) if one.account == account
        )
    ]
    first = [one for one in riders if one.at < NOW + DAY]
    later = [one for one in riders if one.at >= NOW + DAY]
    linker = build.learnt(build.mixed(first, build.strangers()))
    held = len(linker.held)

    build.learnt(build.mixed(later, build.strangers(at=NOW + 3 * DAY)), linker)

    assert held == 1
    assert linker.held == {}
    assert [one.why for one in linker.cases.endings.latest] == [Why.INNOCENT]
