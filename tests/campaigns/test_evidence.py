"""The arithmetic of conviction: what raises it, what cannot, and how often chance convicts."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway_guard.campaigns.evidence import (
    EXPLANATIONS,
    FIRM,
    ORDINARY,
    TIES,
    USUAL,
    Burden,
    Kind,
    Tied,
    Verdict,
    by_chance,
    judge,
    log_ratio,
)
from tests.campaigns import build

_chances = st.floats(0.01, 0.95)
_ties = st.lists(st.tuples(st.booleans(), _chances), max_size=30)


@st.composite
def _members(draw: st.DrawFn, least: int = 0) -> list[Tied]:
    """Members with any ties of any kinds at any chance, and kinds nobody could look at."""
    of = draw(st.sets(st.sampled_from(list(Kind))))
    chance = draw(st.fixed_dictionaries(dict.fromkeys(of, _chances)))
    row = st.sets(st.sampled_from(sorted(of))) if of else st.just(set())
    rows = draw(st.lists(st.tuples(row, row), min_size=least, max_size=30))
    return [
        Tied(
            has={kind: kind in row for kind in of},
            chance=chance,
            lasting={kind: kind in row and kind in lasts for kind in of},
        )
        for row, lasts in rows
    ]


def ratio(ties: Sequence[tuple[bool, float]]) -> float:
    return log_ratio([has for has, _ in ties], [p for _, p in ties])


def guilty(size: int = 20) -> list[Tied]:
    """A group with ties of every kind."""
    return [build.tied(*Kind) for _ in range(size)]


def without(kind: Kind, group: Sequence[Tied]) -> list[Tied]:
    """The same members, none of them with a tie of this kind."""
    return [
        Tied(
            has={k: has and k is not kind for k, has in one.has.items()},
            chance=one.chance,
            lasting={k: has and k is not kind for k, has in one.lasting.items()},
        )
        for one in group
    ]


def worth(verdict: Verdict, kind: Kind) -> float:
    """What a kind says for a campaign; 0 when it says nothing or the contrary."""
    return max([0.0, *(w.log_ratio for w in verdict.weights if w.kind is kind)])


# One kind.


def test_nothing_seen_says_nothing() -> None:
    assert log_ratio([], []) == 0.0


def test_as_many_ties_as_chance_gives_speak_against_a_campaign() -> None:
    assert log_ratio([True] * 10 + [False] * 90, [0.1] * 100) < 0.0


def test_ties_and_chances_of_unequal_number_are_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        log_ratio([True], [0.1, 0.2])


@given(_ties, st.data())
def test_one_more_tied_member_never_lowers_it(
    ties: list[tuple[bool, float]], data: st.DataObject
) -> None:
    untied = [i for i, (has, _) in enumerate(ties) if not has]
    assume(untied)
    i = data.draw(st.sampled_from(untied))

    more = [*ties[:i], (True, ties[i][1]), *ties[i + 1 :]]

    assert ratio(more) >= ratio(ties) - 1e-9


@given(_ties, st.floats(0.01, 0.85))
def test_one_more_member_raises_it_when_tied_and_lowers_it_when_not(
    ties: list[tuple[bool, float]], chance: float
) -> None:
    before = ratio(ties)

    assert ratio([*ties, (True, chance)]) > before - 1e-9
    assert ratio([*ties, (False, chance)]) < before + 1e-9


@given(_ties, st.data(), _chances)
def test_a_tie_that_is_likelier_by_chance_says_less(
    ties: list[tuple[bool, float]], data: st.DataObject, chance: float
) -> None:
    held = [i for i, (has, p) in enumerate(ties) if has and p <= chance]
    assume(held)
    i = data.draw(st.sampled_from(held))

    commoner = [*ties[:i], (True, chance), *ties[i + 1 :]]

    assert ratio(commoner) <= ratio(ties) + 1e-9


@given(_ties, st.data(), _chances)
def test_a_missing_tie_that_chance_would_have_given_says_less_against(
    ties: list[tuple[bool, float]], data: st.DataObject, chance: float
) -> None:
    missing = [i for i, (has, p) in enumerate(ties) if not has and p <= chance]
    assume(missing)
    i = data.draw(st.sampled_from(missing))

    commoner = [*ties[:i], (False, chance), *ties[i + 1 :]]

    assert ratio(commoner) >= ratio(ties) - 1e-9


@given(_ties, st.randoms(use_true_random=False))
def test_the_order_of_members_changes_nothing(
    ties: list[tuple[bool, float]], rng: random.Random
) -> None:
    shuffled = rng.sample(ties, len(ties))

    assert ratio(shuffled) == pytest.approx(ratio(ties), abs=1e-9)


@given(st.floats(0.05, 0.9), st.integers(1, 8))
def test_its_mean_by_chance_is_one(chance: float, size: int) -> None:
    """What makes Ville's bound hold: no bet on chance gains, on average over all outcomes."""
    mean = 0.0
    for outcome in range(2**size):
        tied = [bool(outcome >> i & 1) for i in range(size)]
        likely = math.prod(chance if has else 1.0 - chance for has in tied)
        mean += likely * math.exp(log_ratio(tied, [chance] * size))

    assert mean == pytest.approx(1.0)


def test_chance_exceeds_odds_of_twenty_less_often_than_once_in_twenty_however_often_one_looks() -> (
    None
):
    """Measured: 2.0 % (10 of 500 groups, looked at after each of 60 members); the bound is 5 %."""
    rng = random.Random(3)
    exceeded = 0
    for _ in range(200):
        tied = [rng.random() < 0.1 for _ in range(60)]
        chance = [0.1] * 60
        exceeded += any(log_ratio(tied[:n], chance[:n]) >= math.log(20) for n in range(1, 61))

    assert exceeded <= 0.05 * 200


@given(st.floats(-1.0, 2.0), st.integers(-3, 10_000))
def test_the_chance_of_company_is_a_probability(share: float, others: int) -> None:
    assert 0.0 <= by_chance(share, others) <= 1.0


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.integers(0, 500), st.integers(0, 500))
def test_company_is_likelier_the_commoner_a_value_and_the_larger_a_group(
    share: float, commoner: float, others: int, more: int
) -> None:
    share, commoner = sorted((share, commoner))

    assert by_chance(commoner, others + more) >= by_chance(share, others)


# All kinds together.


def test_ties_of_every_kind_convict() -> None:
    assert judge(guilty(), examined=1).convicted


def test_nobody_is_never_convicted() -> None:
    verdict = judge([], examined=1)

    assert not verdict.convicted
    assert (verdict.weights, verdict.total, verdict.members) == ((), 0.0, 0)


def test_a_kind_nobody_could_look_at_is_no_evidence() -> None:
    verdict = judge([build.tied(of=(Kind.ADDRESSES,)) for _ in range(9)], examined=1)

    assert [weight.kind for weight in verdict.weights] == [Kind.ADDRESSES]


@settings(max_examples=40)
@given(_members())
def test_weights_count_who_was_looked_at_and_who_was_tied(group: list[Tied]) -> None:
    verdict = judge(group, examined=1)

    for weight in verdict.weights:
        assert weight.looked == sum(weight.kind in one.has for one in group)
        assert weight.tied == sum(one.has.get(weight.kind, False) for one in group)
    ratios = [weight.log_ratio for weight in verdict.weights]
    assert ratios == sorted(ratios, reverse=True)
    assert verdict.total == pytest.approx(sum(max(one, 0.0) for one in ratios))


@settings(max_examples=40)
@given(_members(), st.integers(1, 10**9), st.integers(1, 10**9))
def test_the_more_groups_are_examined_the_more_must_be_shown(
    group: list[Tied], few: int, many: int
) -> None:
    few, many = sorted((few, many))

    early, late = judge(group, examined=few), judge(group, examined=many)

    assert late.needed >= early.needed
    assert early.convicted or not late.convicted


@settings(max_examples=40)
@given(_members(), st.randoms(use_true_random=False))
def test_the_order_of_members_does_not_change_the_verdict(
    group: list[Tied], rng: random.Random
) -> None:
    verdict, other = judge(group, examined=9), judge(rng.sample(group, len(group)), examined=9)

    assert other.total == pytest.approx(verdict.total, abs=1e-9)
    assert other.left == pytest.approx(verdict.left, abs=1e-9)
    assert (other.core, other.convicted) == (verdict.core, verdict.convicted)


#: Kinds that `FIRM` is not reckoned with for: more of them only ever speak against a group.
_plain = st.sampled_from([kind for kind in Kind if kind is not Kind.SIGN_UP])


@settings(max_examples=40)
@given(_members(), _plain)
def test_without_its_ties_of_one_kind_a_group_is_never_more_suspect(
    group: list[Tied], kind: Kind
) -> None:
    before, after = judge(group, examined=1), judge(without(kind, group), examined=1)

    assert after.total <= before.total + 1e-9
    assert after.left <= before.left + 1e-9
    assert before.convicted or not after.convicted


@settings(max_examples=40)
@given(_members(), st.data())
def test_one_more_tie_never_acquits(group: list[Tied], data: st.DataObject) -> None:
    """But for sign-ups: where nearly everybody signed up together, it may be an event."""
    open_to = [
        (i, k) for i, one in enumerate(group) for k, has in one.has.items()
        if not has and k is not Kind.SIGN_UP
    ]  # fmt: skip
    assume(open_to)
    i, kind = data.draw(st.sampled_from(open_to))

    more = [*group]
    more[i] = Tied(
        has=group[i].has | {kind: True}, chance=group[i].chance,
        lasting=group[i].lasting | {kind: True},
    )  # fmt: skip
    before, after = judge(group, examined=1), judge(more, examined=1)

    assert after.total >= before.total - 1e-9
    assert after.left >= before.left - 1e-9
    assert after.convicted or not before.convicted


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("size", [4, 50, 5000])
def test_one_kind_alone_never_convicts(kind: Kind, size: int) -> None:
    verdict = judge([build.tied(kind) for _ in range(size)], examined=1)

    assert not verdict.convicted


@settings(max_examples=40)
@given(_members(least=4))
def test_whoever_is_convicted_has_two_kinds_of_ties_and_a_core(group: list[Tied]) -> None:
    """Half of the groups drawn are given the ties of a campaign, so that many are convicted."""
    for case in (group, [*group, *guilty(12)]):
        verdict = judge(case, examined=1)
        if verdict.convicted:
            strong = [kind for kind in TIES if worth(verdict, kind) >= USUAL.kinds]
            assert len(strong) >= 2
            assert verdict.core >= max(USUAL.core, USUAL.core_share * len(case))
            assert verdict.total >= verdict.needed


@settings(max_examples=40)
@given(_members(least=4))
def test_whoever_is_convicted_is_so_after_every_innocent_explanation(group: list[Tied]) -> None:
    for case in (group, [*group, *guilty(12)]):
        verdict = judge(case, examined=1)
        for explained in EXPLANATIONS.values():
            left = sum(worth(verdict, kind) for kind in Kind if kind not in explained)

            assert verdict.left <= left + 1e-9
            assert left >= USUAL.left - 1e-9 or not verdict.convicted


@pytest.mark.parametrize("name", EXPLANATIONS)
def test_each_explanation_alone_acquits_a_group_that_it_explains(name: str) -> None:
    group = [build.tied(*EXPLANATIONS[name]) for _ in range(50)]

    verdict = judge(group, examined=1)

    assert (verdict.convicted, verdict.left) == (False, 0.0)
    assert verdict.explanation in (*EXPLANATIONS, FIRM)


def test_ties_that_a_firm_would_have_too_are_explained_by_one() -> None:
    kinds = (Kind.PAYMENT, Kind.ADDRESSES, Kind.SIGN_UP)
    firm = [build.tied(*kinds, lasting=False) for _ in range(50)]
    ring = [build.tied(*kinds) for _ in range(50)]

    explained, proved = judge(firm, examined=1), judge(ring, examined=1)

    assert (explained.convicted, explained.explanation, explained.left) == (False, FIRM, 0.0)
    assert proved.convicted
    assert proved.total == pytest.approx(explained.total)


def of_a_firm(*, paying: int, signed_up: int, size: int = 40, lasting: int = 0) -> list[Tied]:
    """Accounts tied by their addresses, of which so many pay with cards of several, signed up
    together, and have ties that no firm explains."""
    return [
        build.tied(
            Kind.ADDRESSES,
            *([Kind.PAYMENT] if n < max(paying, 20) else []),
            *([Kind.SIGN_UP] if n < signed_up else []),
            lasting=n < lasting,
            paid=n < paying,
        )
        for n in range(size)
    ]


@pytest.mark.parametrize(
    ("paying", "signed_up", "explained"),
    [(40, 20, True), (20, 40, True), (34, 20, True), (20, 34, True), (33, 33, False),
     (30, 30, False), (20, 20, False)],
)  # fmt: skip
def test_a_firm_explains_a_group_only_when_nearly_everybody_is_paid_for_or_signed_up_together(
    paying: int, signed_up: int, explained: bool
) -> None:
    """One member is given away: 85 % of 41 is 34.85."""
    verdict = judge(of_a_firm(paying=paying, signed_up=signed_up), examined=1)

    assert (verdict.explanation == FIRM) is explained
    assert verdict.convicted is not explained


def test_a_payer_nobody_knows_is_not_counted_among_those_who_are_not_paid_for() -> None:
    known = of_a_firm(paying=20, signed_up=20, size=20)
    unknown = [build.tied(Kind.ADDRESSES, Kind.PAYMENT, lasting=False) for _ in range(20)]
    unpaid = [build.tied(Kind.ADDRESSES, Kind.PAYMENT, lasting=False, paid=False)] * 20

    assert judge([*known, *unknown], examined=1).explanation == FIRM
    assert judge([*known, *unpaid], examined=1).explanation != FIRM


def test_whoever_knows_no_payments_and_no_sign_ups_cannot_suppose_a_firm() -> None:
    group = [build.tied(Kind.ADDRESSES, of=(Kind.ADDRESSES,), lasting=False) for _ in range(40)]

    assert judge(group, examined=1).explanation != FIRM


@pytest.mark.parametrize(("lasting", "convicted"), [(0, False), (4, False), (20, True)])
def test_ties_beyond_those_of_a_firm_convict_where_there_are_enough_of_them(
    lasting: int, convicted: bool
) -> None:
    verdict = judge(of_a_firm(paying=40, signed_up=40, lasting=lasting), examined=1)

    assert verdict.convicted is convicted


@pytest.mark.parametrize(
    ("kinds", "what_is_left"),
    [
        ((Kind.PAYMENT, Kind.SIGN_UP, Kind.PACE), False),
        ((Kind.PAYMENT, Kind.ADDRESSES, Kind.SIGN_UP, Kind.PACE), True),
    ],
    ids=["a connection each", "through shared ranges"],
)
def test_a_firms_steady_services_count_against_it_only_where_they_share_ranges(
    kinds: tuple[Kind, ...], what_is_left: bool
) -> None:
    firm = [build.tied(*kinds, of=Kind, lasting=False, paid=True) for _ in range(40)]

    verdict = judge(firm, examined=1)

    assert verdict.explanation == FIRM
    assert (verdict.left > 0.0) is what_is_left


@pytest.mark.parametrize(("unknown", "what_is_left"), [(0, True), (4, True), (5, False)])
def test_a_firms_steady_services_count_against_it_only_once_the_pace_of_nearly_all_is_known(
    unknown: int, what_is_left: bool
) -> None:
    """Those who ask the most are known first: of a firm with services and people, the services."""
    kinds = (Kind.PAYMENT, Kind.ADDRESSES, Kind.SIGN_UP)
    service = build.tied(*kinds, Kind.PACE, of=(*kinds, Kind.PACE), lasting=False, paid=True)
    other = build.tied(*kinds, of=kinds, lasting=False, paid=True)

    verdict = judge([service] * (40 - unknown) + [other] * unknown, examined=1)

    assert verdict.explanation == FIRM
    assert (verdict.left > 0.0) is what_is_left


def test_the_first_group_examined_is_held_against_as_much_as_the_hundredth() -> None:
    group = [build.tied(*TIES) for _ in range(20)]

    first, without = judge(group, examined=1), judge(group, examined=1, burden=Burden(before=0))

    assert first.needed == pytest.approx(judge(group, examined=101, burden=Burden(before=0)).needed)
    assert first.needed > without.needed + 8


@pytest.mark.parametrize(("alike", "convicted"), [(0.0, False), (0.39, False), (0.4, True)])
def test_a_group_that_says_nothing_alike_is_acquitted_where_only_two_kinds_tie_it(
    alike: float, convicted: bool
) -> None:
    group = [build.tied(Kind.PAYMENT, Kind.ADDRESSES) for _ in range(20)]

    assert judge(group, examined=1, alike=alike).convicted is convicted


@pytest.mark.parametrize("kinds", [TIES, (Kind.PAYMENT, Kind.ADDRESSES, Kind.PACE)])
def test_all_three_ties_or_one_pace_convict_a_group_that_says_nothing_alike(
    kinds: tuple[Kind, ...],
) -> None:
    assert judge([build.tied(*kinds) for _ in range(20)], examined=1, alike=0.0).convicted


@settings(max_examples=40)
@given(_members(least=4), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_being_alike_never_acquits(group: list[Tied], one: float, other: float) -> None:
    little, much = sorted((one, other))
    for case in (group, [*group, *guilty(12)]):
        before = judge(case, examined=1, alike=little)

        assert judge(case, examined=1, alike=much).convicted or not before.convicted


@settings(max_examples=40)
@given(_members())
def test_a_tie_that_a_firm_explains_never_leaves_more_standing(group: list[Tied]) -> None:
    explained = [
        Tied(has=one.has, chance=one.chance, lasting=dict.fromkeys(one.has, False)) for one in group
    ]

    before, after = judge(group, examined=1), judge(explained, examined=1)

    assert after.left <= before.left + 1e-9
    assert before.convicted or not after.convicted


@pytest.mark.parametrize("name", EXPLANATIONS)
def test_what_an_explanation_leaves_is_held_against_the_burden(name: str) -> None:
    """Only what is left stands between this group and conviction: everything else is proved."""
    lax = Burden(left=0.0, kinds=0.0, core=0, core_share=0.0)
    strict = Burden(left=1000.0, kinds=0.0, core=0, core_share=0.0)
    group = [build.tied(*EXPLANATIONS[name], Kind.PAYMENT, Kind.SIGN_UP) for _ in range(50)]

    assert judge(group, examined=1, burden=lax).convicted
    assert not judge(group, examined=1, burden=strict).convicted


def test_a_crowd_around_a_few_tied_accounts_is_not_convicted() -> None:
    """Twenty tied by everything, among thousands who share nothing with them but the group."""
    crowd = [build.tied(chance=0.01) for _ in range(2000)]

    verdict = judge([*guilty(20), *crowd], examined=1)

    assert not verdict.convicted


def test_two_accounts_are_no_campaign_whatever_ties_them() -> None:
    sure = [build.tied(*Kind, chance=1e-9) for _ in range(2)]

    assert not judge(sure, examined=1).convicted


# How often chance convicts.


def _ordinary(rng: random.Random, size: int) -> list[Tied]:
    """Accounts with the ties of ordinary life, each kind by itself."""
    return _by_chance(rng, size, lambda kind: ORDINARY[kind])


def _unlucky(rng: random.Random, size: int) -> list[Tied]:
    """Accounts in a place where such ties are common, and known to be."""
    rates = {kind: max(rng.uniform(0.0, 0.6), ORDINARY[kind]) for kind in Kind}
    return _by_chance(rng, size, rates.__getitem__)


def _by_chance(rng: random.Random, size: int, rate: Callable[[Kind], float]) -> list[Tied]:
    chance = {kind: rate(kind) for kind in Kind}
    return [
        Tied(has={kind: rng.random() < p for kind, p in chance.items()}, chance=chance)
        for _ in range(size)
    ]


@pytest.mark.parametrize("drawn", [_ordinary, _unlucky])
def test_chance_convicts_less_often_than_the_budget_says(
    drawn: Callable[[random.Random, int], list[Tied]],
) -> None:
    """Groups of 4 to 60 accounts whose ties are drawn at the very rates they are held against.

    Measured on 20,000 of each: none convicted, and 19 (ordinary) and 16 (unlucky) reached the
    threshold on the total alone, 0.1 %, where the first group has 0.5 %. Kinds are independent, and
    the groups are not chosen for their ties, as those that the linker examines are: this is the
    arithmetic, not the false-alarm rate on traffic.
    """
    rng = random.Random(1)
    groups = 2000

    verdicts = [judge(drawn(rng, rng.choice((4, 6, 10, 20, 60))), examined=1)
                for _ in range(groups)]  # fmt: skip

    assert sum(v.total >= v.needed for v in verdicts) <= USUAL.false_alarms / 2 * groups
    assert sum(v.convicted for v in verdicts) <= USUAL.false_alarms * groups / 10


def test_all_groups_ever_examined_share_one_budget() -> None:
    """`Burden.false_alarms` is promised for all groups together: the n-th has 1 / n(n + 1)."""
    spent = sum(math.exp(-judge([], examined=n).needed) for n in range(1, 10_001))

    assert spent <= USUAL.false_alarms
