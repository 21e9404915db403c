"""One account against a campaign already held: what each shared thing is worth."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway_guard.campaigns import membership
from gateway_guard.campaigns.membership import (
    BURST,
    JOIN,
    LEAST,
    LEAVE,
    MOST,
    PRIOR,
    Outside,
    Signature,
    confidence,
    joining,
)
from gateway_guard.campaigns.traces import Trace
from tests.campaigns import build
from tests.campaigns.build import NOW


def outside(**fields: Any) -> Outside:
    """Ten thousand accounts of which nobody has anything of what is asked about."""
    defaults: dict[str, Any] = {
        "size": 10_000, "payments": Counter(), "subnets": Counter(), "keys": Counter(), "near": 0,
        "clients": 0, "even": 0.35,
    }  # fmt: skip
    return Outside(**defaults | fields)


def points(
    one: Trace, signature: Signature, world: Outside, *, member: bool = False
) -> tuple[float, dict[str, float]]:
    """The points of `one`, of whose keys and payment (only) `world` tells how common they are."""
    keys = {key: world.keys[key] for key in one.shared}
    payments = {one.payment: world.payments[one.payment]} if one.payment else {}
    return membership.points(
        one, signature, msgspec.structs.replace(world, keys=keys, payments=payments), member=member
    )


def account(
    name: str = "a_test", *, payment: str = "", subnets: Iterable[int] = (),
    keys: Iterable[int] = (), created: float = 0.0, client: int = 0, even: bool | None = None,
) -> Trace:  # fmt: skip
    """An account with these things."""
    made = build.trace(
        name, payment=payment, subnets=array("Q", subnets), shared=array("Q", keys),
        created_at=created, client=client,
    )  # fmt: skip
    return made if even is None else build.paced(made, even=even)


def members(count: int = 10, **things: Any) -> list[Trace]:
    """Members that all have the same things."""
    return [account(f"a_{n}", **things) for n in range(count)]


@st.composite
def _accounts(draw: st.DrawFn) -> Trace:
    few = st.integers(1, 4)
    return account(
        f"a_{draw(st.integers(0, 10**9))}",
        payment=draw(st.sampled_from(["", "p1", "p2"])),
        subnets=draw(st.sets(few, max_size=3)),
        keys=draw(st.sets(few, max_size=3)),
        created=draw(st.sampled_from([0.0, NOW, NOW + 900, NOW + 10 * BURST])),
        client=draw(st.integers(0, 2)),
        even=draw(st.sampled_from([None, True, False])),
    )


_groups = st.lists(_accounts(), max_size=8)
_worlds = st.builds(
    lambda size, count, near, even: outside(
        size=size, near=near, even=even, clients=count,
        payments=Counter({"p1": count, "p2": 1}),
        subnets=Counter(dict.fromkeys(range(1, 5), count)),
        keys=Counter(dict.fromkeys(range(1, 5), count)),
    ),
    st.integers(1, 10**6), st.integers(0, 500), st.integers(0, 500), st.floats(0.05, 0.95),
)  # fmt: skip


@given(st.floats(-700, 700), st.floats(-700, 700))
def test_confidence_is_a_probability_that_rises_with_the_points(one: float, other: float) -> None:
    low, high = sorted((one, other))

    assert 0.0 <= confidence(low) <= confidence(high) <= 1.0
    assert confidence(0.0) == 0.5


def test_joining_takes_more_than_staying() -> None:
    assert PRIOR < LEAVE < JOIN


# What the members have in common.


def test_a_signature_counts_what_each_member_has() -> None:
    signature = Signature(
        [*members(2, payment="p", subnets=[1, 2], keys=[7], created=NOW, client=3, even=True),
         account("a_other", subnets=[2], even=False)]
    )  # fmt: skip

    assert signature.size == 3
    assert (signature.payments["p"], signature.subnets[1], signature.subnets[2]) == (2, 2, 3)
    assert (signature.keys[7], signature.clients[3]) == (2, 2)
    assert signature.paces == [1, 2]
    assert signature.created == [NOW, NOW]


@given(_groups, _groups)
def test_whoever_left_leaves_no_trace_in_a_signature(group: list[Trace], left: list[Trace]) -> None:
    assume(not {one.account for one in group} & {one.account for one in left})
    signature = Signature(group)

    signature.count(left)
    signature.count((), left)

    assert vars(signature) == vars(Signature(group))


@given(st.lists(st.floats(1.0, 1e6), max_size=30), st.floats(1.0, 1e6))
def test_neighbours_are_those_signed_up_within_a_burst(times: list[float], at: float) -> None:
    signature = Signature(account(f"a_{n}", created=t) for n, t in enumerate(times))

    assert signature.near(at) == sum(at - BURST <= t <= at + BURST for t in times)


@given(_groups, st.randoms(use_true_random=False))
def test_a_signature_does_not_depend_on_the_order_of_members(group: list[Trace], rng: Any) -> None:
    one, other = Signature(group), Signature(rng.sample(group, len(group)))

    assert vars(one) == vars(other)


# What each thing is worth.


def test_joining_is_the_harder_the_fewer_members_there_are_among_everybody() -> None:
    assert joining(20, 2_000) == 0.0
    assert joining(24_000, 600_000) == 0.0
    assert joining(20, 600_000) == pytest.approx(math.log(20 / 600_000) - PRIOR)
    assert joining(20, 600_000) < joining(20, 60_000) < joining(200, 60_000) < 0.0


def test_an_empty_campaign_has_no_members() -> None:
    assert points(account(payment="p"), Signature(), outside()) == (PRIOR, {})


def test_the_only_member_has_nobody_to_belong_to() -> None:
    alone = account(payment="p")

    assert points(alone, Signature([alone]), outside(), member=True) == (PRIOR, {})


def test_a_stranger_stays_at_the_prior() -> None:
    total, _ = points(account(subnets=[9]), Signature(members(subnets=[1])), outside())

    assert total == PRIOR


@pytest.mark.parametrize(
    ("name", "things"),
    [("payment", {"payment": "p"}), ("addresses", {"subnets": [1]}), ("sign-up", {"created": NOW})],
)
def test_one_thing_in_common_with_all_says_as_much_as_it_may_and_makes_no_member(
    name: str, things: dict[str, Any]
) -> None:
    total, found = points(account(**things), Signature(members(**things)), outside())

    assert found[name] == MOST[name]
    assert total < JOIN


def test_several_things_in_common_make_a_member() -> None:
    things: dict[str, Any] = {"payment": "p", "subnets": [1], "keys": [7]}

    total, found = points(account(**things), Signature(members(**things)), outside())

    assert total >= JOIN
    assert total == PRIOR + sum(found.values())


def test_signing_up_beside_one_member_says_less_than_beside_two() -> None:
    beside_one = Signature([account("a_1", created=NOW), *members(9)])
    beside_two = Signature([*members(2, created=NOW), *members(8)])
    newcomer = account(created=NOW + 60)

    _, one = points(newcomer, beside_one, outside())
    _, two = points(newcomer, beside_two, outside())

    assert one["sign-up"] < two["sign-up"]


def test_what_everybody_outside_has_too_says_nothing() -> None:
    common = outside(payments=Counter(p=10_000), subnets=Counter({1: 10_000}), near=10_000)
    things: dict[str, Any] = {"payment": "p", "subnets": [1], "created": NOW}

    total, found = points(account(**things), Signature(members(**things)), common)

    assert total == PRIOR
    assert found.keys() <= {"content"}


def test_the_rarest_of_several_ranges_counts() -> None:
    world = outside(subnets=Counter({1: 5000, 2: 0}))
    signature = Signature(members(subnets=[1, 2]))

    _, both = points(account(subnets=[1, 2]), signature, world)
    _, common = points(account(subnets=[1]), signature, world)

    assert both["addresses"] > common["addresses"]


def test_content_that_all_others_have_in_common_is_missed_in_an_account() -> None:
    signature = Signature(members(payment="p", keys=[7]))

    _, found = points(account(payment="p"), signature, outside())

    assert found["content"] == LEAST


def test_where_members_have_no_content_in_common_none_is_missed() -> None:
    signature = Signature(account(f"a_{n}", payment="p", keys=[n]) for n in range(10))

    _, found = points(account(payment="p"), signature, outside())

    assert found["content"] == 0.0


def test_content_that_is_common_outside_says_no_more_against_than_none_at_all() -> None:
    """Else filling a public template beside the campaign's own keeps an account out of it."""
    things: dict[str, Any] = {"payment": "p", "subnets": [1], "created": NOW}
    signature = Signature([*members(99, **things), account("a_99", keys=[7], **things)])
    everybodys = outside(keys=Counter({7: 10_000}))

    _, none = points(account(**things), signature, everybodys)
    _, common = points(account(**things, keys=[7]), signature, everybodys)

    assert common["content"] >= LEAST
    assert common["content"] >= none["content"]


def test_content_whose_first_user_an_account_was_says_nothing_either_way() -> None:
    """`Outside` leaves such keys out; without any, sharing it all is not missed either."""
    signature = Signature(members(payment="p", keys=[7]))
    first, late = account(payment="p", keys=[7]), account(payment="p", keys=[7])

    _, found = membership.points(first, signature, outside(keys={}))
    _, imitated = points(late, signature, outside())

    assert found["content"] == 0.0
    assert imitated["content"] == MOST["content"]


def test_the_first_user_of_one_template_is_still_told_by_another() -> None:
    signature = Signature(members(payment="p", keys=[7, 8]))

    _, found = membership.points(account(payment="p", keys=[7, 8]), signature, outside(keys={8: 0}))

    assert found["content"] == MOST["content"]


def test_the_same_rare_client_software_speaks_for_an_account() -> None:
    signature = Signature(members(payment="p", client=3))
    newcomer = account(payment="p", client=3)

    _, rare = points(newcomer, signature, outside())
    _, common = points(newcomer, signature, outside(clients=10_000))
    _, another = points(account(payment="p", client=4), signature, outside())

    assert rare["client"] == MOST["client"]
    assert "client" not in common
    assert "client" not in another


@pytest.mark.parametrize("even", [True, False])
def test_keeping_the_pace_of_the_group_speaks_for_an_account_and_not_keeping_it_against(
    even: bool,
) -> None:
    signature = Signature(members(payment="p", even=even))

    _, keeps = points(account(payment="p", even=even), signature, outside())
    _, differs = points(account(payment="p", even=not even), signature, outside())

    assert 0.0 < keeps["pace"] <= MOST["pace"]
    assert LEAST <= differs["pace"] < 0.0


def test_the_pace_of_a_few_members_says_nothing() -> None:
    signature = Signature([*members(2, payment="p", even=True), *members(8, payment="p")])

    _, found = points(account(payment="p", even=True), signature, outside())

    assert "pace" not in found


@given(_accounts(), _groups, _worlds)
@settings(max_examples=50)
def test_points_are_capped_thing_by_thing(one: Trace, group: list[Trace], world: Outside) -> None:
    total, found = points(one, Signature(group), world)

    assert all(value <= MOST[name] for name, value in found.items())
    assert all(value >= LEAST for name, value in found.items() if name != "content")
    assert total <= PRIOR + sum(found.values()) + 1e-9
    assert math.isfinite(total)


@given(_accounts(), _groups, _worlds)
@settings(max_examples=50)
def test_content_client_and_pace_alone_never_say_more_than_the_prior(
    one: Trace, group: list[Trace], world: Outside
) -> None:
    total, found = points(one, Signature(group), world)
    assume(found.keys() <= {"content", "client", "pace"})

    assert total <= PRIOR


@given(_accounts(), _groups, _worlds)
@settings(max_examples=50)
def test_no_account_joins_for_a_single_thing_it_shares(
    one: Trace, group: list[Trace], world: Outside
) -> None:
    for case in (group, [*group, *[one] * 5]):
        total, found = points(one, Signature(case), world)

        assert total < JOIN or sum(value > 0.0 for value in found.values()) >= 2


@given(_accounts(), _groups, _worlds)
@settings(max_examples=50)
def test_the_commoner_outside_the_less_it_says(
    one: Trace, group: list[Trace], world: Outside
) -> None:
    commoner = Outside(
        size=world.size, near=world.near * 2, clients=world.clients * 2, even=world.even,
        payments={k: 2 * n for k, n in world.payments.items()},
        subnets={k: 2 * n for k, n in world.subnets.items()},
        keys={k: 2 * n for k, n in world.keys.items()},
    )  # fmt: skip

    before, _ = points(one, Signature(group), world)
    after, _ = points(one, Signature(group), commoner)

    assert after <= before + 1e-9


def ties(found: dict[str, float]) -> dict[str, float]:
    return {name: found[name] for name in ("payment", "addresses", "sign-up") if name in found}


@given(_accounts(), _groups, _worlds)
@settings(max_examples=50)
def test_the_ties_of_a_member_are_worth_what_they_would_be_if_it_were_not_counted(
    one: Trace, group: list[Trace], world: Outside
) -> None:
    _, counted = points(one, Signature([*group, one]), world, member=True)
    _, apart = points(one, Signature(group), world)

    assert ties(counted) == pytest.approx(ties(apart))


def test_content_a_member_lacks_is_missed_as_if_it_were_not_counted() -> None:
    group, one = members(3, payment="p", keys=[7]), account(payment="p")

    _, counted = points(one, Signature([*group, one]), outside(), member=True)
    _, apart = points(one, Signature(group), outside())

    assert counted["content"] == pytest.approx(apart["content"])


def test_a_member_does_not_make_the_pace_of_the_group_known_by_its_own() -> None:
    group, one = members(3, payment="p", even=True), account(payment="p", even=True)

    _, counted = points(one, Signature([*group, one]), outside(), member=True)
    _, apart = points(one, Signature(group), outside())

    assert counted.keys() == apart.keys()


@pytest.mark.parametrize("even", [True, False])
def test_a_member_whose_pace_changed_since_it_was_counted_can_be_scored(even: bool) -> None:
    """A report scores members against what was counted at the last weighing."""
    group = members(6, payment="p", even=even)
    signature = Signature(group)
    changed = account(payment="p", even=not even)

    total, _ = points(changed, signature, outside(), member=True)

    assert math.isfinite(total)
