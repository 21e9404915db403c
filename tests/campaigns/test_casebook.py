"""Campaigns held: members, names and verdicts always agree, and people have the last word."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway_guard.campaigns import belonging, casebook
from gateway_guard.campaigns.casebook import BANNED, Casebook
from gateway_guard.campaigns.evidence import USUAL, Kind, Verdict, judge
from gateway_guard.campaigns.held import Held
from gateway_guard.campaigns.membership import JOIN, LEAVE, confidence
from gateway_guard.campaigns.memory import Bounds, Memory
from gateway_guard.campaigns.reviews import LEFT_ALONE, Review, Ruling
from gateway_guard.campaigns.sighting import Sighting
from gateway_guard.campaigns.steps import finish
from tests.campaigns import build
from tests.campaigns.build import DAY, HOUR, NOW

SIZE = 12


def proof(*kinds: Kind) -> Verdict:
    """A verdict on twenty members tied by these kinds; by all of them when none is named."""
    return judge([build.tied(*(kinds or Kind)) for _ in range(20)], examined=1)


GUILTY = proof()
NOTHING_LEFT = judge([build.tied() for _ in range(20)], examined=1)


def member(n: int, name: str = "x", **fields: Any) -> Sighting:
    """One account of a campaign: one of two cards, one range, one template."""
    base = 1000 * (1 + ord(name))
    return build.sighting(
        f"{name}{n}",
        **{"organisation": f"o_{name}{n}", "payment": f"p_{name}{n % 2}", "subnet": base + n % 2,
           "keys": (base + 7, base + 8)} | fields,
    )  # fmt: skip


def members(name: str) -> list[Sighting]:
    return [member(n, name) for n in range(SIZE)]


def stranger(n: int, **fields: Any) -> Sighting:
    """An account that shares nothing with anybody."""
    return build.sighting(f"s{n}", **{"payment": f"p{n}", "subnet": 10**6 + n} | fields)


def author(name: str) -> Sighting:
    """The victim whose template a campaign uses: the first who did."""
    return build.sighting(f"author-{name}", keys=member(0, name).keys)


def scene(*names: str, strangers: int = 60) -> Casebook:
    """Campaigns of these names are known, and none is held yet."""
    seen = [one for name in names for one in (author(name), *members(name))]
    memory = build.remembered([*seen, *(stranger(n) for n in range(strangers))])
    return Casebook(memory, USUAL)


def numbers(cases: Casebook, *accounts: str) -> set[int]:
    """The numbers of these accounts; of all accounts of a campaign when given by one letter."""
    known = cases._memory.numbers
    return {n for who in accounts for a, n in known.items() if a == who or a[0] == who}


def convict(cases: Casebook, part: set[int], verdict: Verdict, at: float) -> Held | None:
    """Convict a group that looks the same without those who do not belong to it."""
    return finish(cases.convict(part, verdict, at, lambda members: (verdict, members)))


def convicted(*names: str) -> Casebook:
    """The same with every campaign held, in this order, a minute apart."""
    cases = scene(*names)
    for i, name in enumerate(names):
        convict(cases, numbers(cases, name), GUILTY, NOW + 60 * i)
    assert len(cases.held) == len(names)
    return cases


def joined_by(cases: Casebook, more: int) -> set[int]:
    """Campaign x and so many accounts more that share what its members share."""
    for n in range(more):
        cases._memory.note(member(100 + n))
    return numbers(cases, "x")


def review(ruling: Ruling, who: str | None = None, *, at: float = NOW, **more: Any) -> Review:
    return Review(at=at, ruling=ruling, account=who, **more)


def come(cases: Casebook, seen: Sighting) -> int:
    """An account comes, and the casebook considers it; its number."""
    number, _ = cases._memory.note(seen)
    cases.consider(number, cases._memory.near(number), seen.at)
    return number


def suspect(cases: Casebook) -> str:
    """An account that is told more than nothing of a campaign, without being a member."""
    things: list[dict[str, Any]] = [
        {"keys": ()}, {"subnet": 0}, {"payment": None}, {"subnet": 0, "keys": (1108,)},
        {"payment": None, "keys": ()}, {"payment": None, "subnet": 0},
    ]  # fmt: skip
    for i, fields in enumerate(things):
        number = come(cases, member(100 + i, **fields))
        if number not in cases.member_of and f"x{100 + i}" in cases.verdicts:
            return f"x{100 + i}"
    # Half of what the members have in common outside makes it less telling.
    for n in range(40):
        come(cases, build.sighting(f"half{n}", payment="p_x0"))
        if f"half{n}" in cases.verdicts and len(cases.member_of) == SIZE:
            return f"half{n}"
    raise AssertionError("nobody is only suspected")


def assert_consistent(cases: Casebook) -> None:
    """Members, names, verdicts and rulings tell the same story."""
    traces, rulings = cases._memory.traces, cases.reviews.rulings
    listed = {n: held.id for held in cases.held.values() for n in held.members}
    assert listed == cases.member_of
    assert sum(len(held.members) for held in cases.held.values()) == len(listed)
    assert all(name == held.id for name, held in cases.held.items())
    assert cases._signatures.keys() == cases.held.keys()
    banned = {account for account, (ruling, _) in rulings.items() if ruling is Ruling.BAN}
    for number, name in listed.items():
        account = traces[number].account
        told = cases.verdicts[account]
        score = cases.held[name].members[number]
        assert told.id == name
        assert told.confidence == (1.0 if account in banned else confidence(score))
        assert score >= LEAVE
    members = {traces[number].account for number in listed}
    for account in banned:
        assert cases.verdicts[account].confidence == 1.0
        assert account in members or cases.verdicts[account].id == BANNED
    suspects = {traces[number].account: name for number, name in cases._suspects.items()}
    assert not members & suspects.keys()
    assert {*suspects.values()} <= cases.held.keys()
    for account in cases.verdicts.keys() - members - banned:
        assert cases.verdicts[account].id == suspects[account]
        assert cases.verdicts[account].confidence < confidence(JOIN)
    assert cases._kept == cases.member_of.keys() | cases._suspects.keys()


# Holding.


def test_nobody_is_held_before_anything_is_proved() -> None:
    cases = scene("x")

    assert (cases.held, cases.member_of, cases.verdicts) == ({}, {}, {})
    assert_consistent(cases)


def test_a_convicted_group_is_held_and_its_members_are_told() -> None:
    cases = convicted("x")

    (held,) = cases.held.values()
    assert (held.id, held.alarm_at, held.verdict) == ("c_0001", NOW, GUILTY)
    assert held.members.keys() == numbers(cases, "x")
    assert all(cases.verdicts[f"x{n}"].id == "c_0001" for n in range(SIZE))
    assert_consistent(cases)


def test_who_is_in_a_convicted_group_by_accident_is_not_held() -> None:
    cases = scene("x")

    convict(cases, numbers(cases, "x", "s1", "s2"), GUILTY, NOW)

    assert cases.member_of.keys() == numbers(cases, "x")


def test_a_group_whose_members_share_nothing_is_not_held_whatever_the_verdict() -> None:
    cases = scene("x")

    convict(cases, numbers(cases, "s"), GUILTY, NOW)

    assert not cases.held


def test_who_looks_innocent_without_the_rest_of_the_group_is_told_nothing() -> None:
    cases = scene("x")
    judged: list[set[int]] = []
    told: list[int] = []

    def again(members: set[int]) -> None:
        judged.append(members)
        told.append(len(cases.verdicts))

    held = finish(cases.convict(numbers(cases, "x", "s1"), GUILTY, NOW, again))

    assert (held, cases.held, cases.verdicts, cases.named) == (None, {}, {}, 0)
    assert (judged, told) == ([numbers(cases, "x")], [0])
    assert cases.acquittals.covers(set(sorted(numbers(cases, "x"))[:6]), NOW)
    assert_consistent(cases)


def test_a_campaign_that_looks_innocent_with_what_is_found_of_it_is_let_go() -> None:
    cases = convicted("x")

    held = finish(cases.convict(joined_by(cases, 6), GUILTY, NOW + HOUR, lambda _: None))

    assert (held, cases.held, cases.verdicts) == (None, {}, {})
    assert_consistent(cases)


def test_only_those_are_held_that_are_meant_when_judged_by_themselves() -> None:
    cases = scene("x", strangers=600)
    (other,) = numbers(cases, "x0")
    meant = numbers(cases, "x") - {other}

    def again(_: set[int]) -> tuple[Verdict, set[int]]:
        cases._memory.traces[other].placed_at = NOW
        return NOTHING_LEFT, meant

    held = finish(cases.convict(numbers(cases, "x"), GUILTY, NOW, again))

    assert held is not None
    assert set(held.members) == meant
    assert (held.verdict, held.judged) == (NOTHING_LEFT, SIZE - 1)
    assert_consistent(cases)


def test_whoever_is_left_out_of_those_held_is_noted_as_at_a_place() -> None:
    """Else the next request of somebody who works beside them makes it a member."""
    cases = scene("x", strangers=600)
    (other,) = numbers(cases, "x0")
    meant = numbers(cases, "x") - {other}
    traces = cases._memory.traces

    finish(cases.convict(numbers(cases, "x"), GUILTY, NOW, lambda _: (NOTHING_LEFT, meant)))
    noted = {n: traces[n].placed_at for n in numbers(cases, "x")}
    cases.consider(other, meant, NOW + HOUR)

    assert noted == dict.fromkeys(meant, 0.0) | {other: NOW}
    assert other not in cases.member_of


def test_whoever_is_left_out_of_those_acquitted_is_not() -> None:
    cases = scene("x", strangers=600)

    finish(cases.convict(numbers(cases, "x"), GUILTY, NOW, lambda _: None))
    finish(cases.convict(numbers(cases, "x"), GUILTY, NOW, lambda members: (GUILTY, set())))

    assert {cases._memory.traces[n].placed_at for n in numbers(cases, "x")} == {0.0}


def test_whoever_is_no_member_any_more_when_weighed_again_is_noted_as_at_a_place() -> None:
    cases = convicted("x")
    (held,) = cases.held.values()
    other = max(held.members)
    meant = held.members.keys() - {other}

    finish(cases.weigh_again(held, set(meant), GUILTY, NOW + DAY))
    cases.consider(other, meant, NOW + DAY + HOUR)

    assert cases._memory.traces[other].placed_at == NOW + DAY
    assert cases.member_of.keys() == meant


def test_a_campaign_of_which_too_few_are_meant_is_let_go() -> None:
    cases = convicted("x")

    held = finish(
        cases.convict(
            joined_by(cases, 6),
            GUILTY,
            NOW + HOUR,
            lambda members: (GUILTY, set(sorted(members)[:2])),
        )
    )

    assert (held, cases.held, cases.verdicts) == (None, {}, {})
    assert_consistent(cases)


def test_whoever_is_near_is_judged_with_those_found_unless_a_reviewer_spares_it() -> None:
    cases = scene("x", strangers=600)
    cases.review(review(Ruling.ALLOW, "x0"))
    found = set(sorted(numbers(cases, "x") - numbers(cases, "x0"))[:8])
    judged: list[set[int]] = []

    def again(members: set[int]) -> tuple[Verdict, set[int]]:
        judged.append(members)
        return GUILTY, members

    finish(cases.convict(found, GUILTY, NOW, again))

    assert len(found) == 8
    assert judged == [numbers(cases, "x") - numbers(cases, "x0")]
    assert cases.member_of.keys() == judged[0]


def test_one_of_a_class_that_came_near_does_not_bring_its_class() -> None:
    cases = scene("x", strangers=600)
    convict(cases, numbers(cases, "x"), GUILTY, NOW)
    school: dict[str, Any] = {"payment": "p_school", "created_at": NOW - DAY}

    # A guest in a range of the campaign, who says what it says.
    first = come(cases, member(50, **school))
    others = [come(cases, member(51 + n, subnet=777, **school)) for n in range(6)]

    assert first in cases.member_of
    assert not cases.member_of.keys() & set(others)
    assert_consistent(cases)


def test_those_who_joined_count_once_the_campaign_is_weighed_again() -> None:
    cases = scene("x", strangers=600)
    held = convict(cases, numbers(cases, "x"), GUILTY, NOW)
    assert held is not None
    card: dict[str, Any] = {"payment": "p_new"}
    first = [come(cases, member(50 + n, **card)) for n in range(2)]
    later = come(cases, member(60, subnet=777, **card))
    alone = later in cases.member_of

    finish(cases.weigh_again(held, set(held.members), GUILTY, NOW + DAY))
    cases.consider(later, cases._memory.near(later), NOW + DAY)

    assert not alone
    assert held.members.keys() >= {*first, later}


def judged_with(*near: Sighting) -> set[str]:
    """Who of those near twelve accounts, one of which signed up at `NOW`, is judged with them."""
    seen = [author("x"), member(0, created_at=NOW + 1), *members("x")[1:], *near]
    cases = Casebook(build.remembered([*seen, *(stranger(n) for n in range(600))]), USUAL)
    found = numbers(cases, *(f"x{n}" for n in range(SIZE)))
    judged: set[int] = set()

    def again(members: set[int]) -> None:
        judged.update(members)

    finish(cases.convict(found, GUILTY, NOW, again))
    assert judged >= found
    return {cases._memory.traces[number].account for number in judged - found}


def test_whoever_is_near_is_judged_with_those_found_only_if_it_would_be_a_member() -> None:
    surely = member(50, created_at=NOW + 61)
    perhaps = member(51, payment=None, subnet=7, created_at=NOW + 121)

    assert judged_with(perhaps) == set()
    assert judged_with(surely) == {"x50"}
    # The three would be a burst; but one that came near brings nobody along.
    assert judged_with(surely, perhaps) == {"x50"}


def test_a_member_of_another_campaign_is_not_judged_with_those_it_is_near() -> None:
    cases = scene("x", "y", strangers=600)
    convict(cases, numbers(cases, "y"), GUILTY, NOW)
    both = come(cases, member(50, "y", payment="p_x0", keys=(*member(0, "x").keys, 122007, 122008)))
    judged: list[set[int]] = []

    def again(members: set[int]) -> None:
        judged.append(members)

    finish(cases.convict(numbers(cases, "x"), GUILTY, NOW, again))

    assert cases.member_of[both] == "c_0001"
    assert judged == [numbers(cases, "x")]
    assert_consistent(cases)


def test_scoring_ends_after_some_rounds_even_when_members_still_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(belonging, "_ROUNDS", 1)
    cases = scene("x")

    convict(cases, numbers(cases, "x", "s1"), GUILTY, NOW)

    assert cases.member_of.keys() == numbers(cases, "x")
    assert_consistent(cases)


def test_a_campaign_began_with_the_first_exchange_of_any_member() -> None:
    cases = scene("x")
    early = cases._memory.traces[min(numbers(cases, "x"))]
    early.first_at = NOW - 5 * DAY

    convict(cases, numbers(cases, "x"), GUILTY, NOW)

    assert cases.held["c_0001"].first_seen == NOW - 5 * DAY


def test_exchanges_of_members_are_counted_and_those_of_others_are_not() -> None:
    cases = convicted("x")
    (mine,), (other,) = numbers(cases, "x0"), numbers(cases, "s0")

    cases.count(mine, member(0, at=NOW + HOUR, tokens=7))
    cases.count(other, stranger(0, at=NOW + 2 * HOUR))

    held = cases.held["c_0001"]
    assert held.last_at == NOW + HOUR
    assert sum(hour.exchanges for hour in held.hours.values()) == 1


def test_only_content_that_members_have_in_common_is_counted() -> None:
    cases = convicted("x")
    (number,) = numbers(cases, "x0")
    common = cases._memory.traces[number].shared[0]

    cases.count(number, member(0, keys=(common, 123456)))

    assert cases.held["c_0001"].templates.keys() == {common}


def test_a_group_convicted_again_is_the_same_campaign_with_the_new_evidence() -> None:
    cases = convicted("x")
    other = proof(Kind.PAYMENT, Kind.ADDRESSES, Kind.PACE)

    convict(cases, numbers(cases, "x"), other, NOW + HOUR)

    assert list(cases.held) == ["c_0001"]
    held = cases.held["c_0001"]
    assert (held.verdict, held.alarm_at, held.examined_at) == (other, NOW, NOW + HOUR)
    assert_consistent(cases)


def test_two_groups_are_two_campaigns() -> None:
    cases = convicted("x", "y")

    assert list(cases.held) == ["c_0001", "c_0002"]
    assert cases.held["c_0001"].members.keys() == numbers(cases, "x")
    assert_consistent(cases)


def joined(cases: Casebook) -> set[int]:
    """Two campaigns turn out to share everything: a third group proves it. Its accounts."""
    for n in range(SIZE):
        for name in ("x", "y"):
            for fields in (member(n, "x", at=NOW + DAY), member(n, "y", at=NOW + DAY)):
                cases._memory.note(
                    build.sighting(f"{name}{n}", at=fields.at, subnet=fields.subnet,
                                   keys=fields.keys)
                )  # fmt: skip
    return numbers(cases, "x", "y")


def test_campaigns_that_turn_out_to_be_one_keep_the_older_name() -> None:
    cases = convicted("x", "y")

    convict(cases, joined(cases), GUILTY, NOW + DAY)

    assert list(cases.held) == ["c_0001"]
    held = cases.held["c_0001"]
    assert (held.absorbed, held.alarm_at) == (["c_0002"], NOW)
    assert held.members.keys() == numbers(cases, "x", "y")
    assert_consistent(cases)


def test_a_campaign_that_turns_out_to_be_part_of_another_brings_its_timeline_along() -> None:
    cases = convicted("x", "y")
    for name in ("x", "y"):
        (number,) = numbers(cases, f"{name}0")
        cases.count(number, member(0, name, tokens=7))

    convict(cases, joined(cases), GUILTY, NOW + DAY)

    (hour,) = cases.held["c_0001"].hours.values()
    assert (hour.exchanges, hour.tokens) == (2, 14)


def test_the_older_name_is_kept_after_ten_thousand_campaigns_too() -> None:
    cases = scene("x", "y")
    cases.named = 9998
    for name in ("x", "y"):
        convict(cases, numbers(cases, name), GUILTY, NOW)

    convict(cases, joined(cases), GUILTY, NOW + DAY)

    assert list(cases.held) == ["c_9999"]


def test_a_few_accounts_of_another_campaign_do_not_make_two_campaigns_one() -> None:
    cases = convicted("x", "y")

    convict(cases, numbers(cases, "x", "y0", "y1"), GUILTY, NOW + DAY)

    assert list(cases.held) == ["c_0001", "c_0002"]
    assert cases.held["c_0002"].members.keys() == numbers(cases, "y")


def test_the_longest_silent_campaign_makes_room_for_a_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(casebook, "_MOST_HELD", 2)
    cases = scene("x", "y", "z")

    for i, name in enumerate("xyz"):
        convict(cases, numbers(cases, name), GUILTY, NOW + i)

    assert list(cases.held) == ["c_0002", "c_0003"]
    assert "x0" not in cases.verdicts
    assert_consistent(cases)


# Newcomers.


def test_a_newcomer_that_shares_what_members_share_belongs_to_them() -> None:
    cases = convicted("x")

    number = come(cases, member(50))

    assert cases.member_of[number] == "c_0001"
    assert cases.verdicts["x50"].confidence >= confidence(JOIN)
    assert_consistent(cases)


@pytest.mark.parametrize(
    ("strangers", "shares", "joins"),
    [(1_000, {"payment": None}, True), (10_000, {"payment": None}, False), (10_000, {}, True)],
)
def test_the_more_customers_there_are_the_more_a_newcomer_must_share(
    strangers: int, shares: dict[str, Any], joins: bool
) -> None:
    """Among ten thousand somebody comes through the range and says what is said by chance."""
    cases = scene("x", strangers=strangers)
    convict(cases, numbers(cases, "x"), GUILTY, NOW)

    number = come(cases, member(50, **shares))

    assert (number in cases.member_of) is joins
    assert len(cases.member_of) == SIZE + joins
    assert_consistent(cases)


def test_a_newcomer_that_shares_nothing_is_let_be() -> None:
    cases = convicted("x")

    come(cases, stranger(500))

    assert "s500" not in cases.verdicts


@pytest.mark.parametrize(("days", "member_then"), [(0, False), (7, False), (7.1, True)])
def test_whoever_was_left_out_as_at_a_place_is_taken_in_after_a_week_at_the_earliest(
    days: float, member_then: bool
) -> None:
    cases = convicted("x")
    number, _ = cases._memory.note(member(100))
    cases._memory.traces[number].placed_at = NOW

    cases.consider(number, cases._memory.near(number), NOW + days * DAY)

    assert (number in cases.member_of) is member_then
    assert_consistent(cases)


def test_while_no_campaign_is_held_nobody_is_considered() -> None:
    cases = scene("x")

    come(cases, member(50))

    assert not cases.verdicts


def test_an_account_near_a_campaign_by_little_is_no_member() -> None:
    cases = convicted("x")

    number = come(cases, stranger(500, subnet=0, payment="p_x0"))

    assert number not in cases.member_of
    assert_consistent(cases)


def test_a_suspect_is_told_less_than_a_member_and_is_none() -> None:
    cases = convicted("x")

    who = suspect(cases)

    told = cases.verdicts[who]
    assert told.id == "c_0001"
    assert confidence(LEAVE) <= told.confidence < confidence(JOIN)
    assert_consistent(cases)


def test_nothing_is_told_of_a_campaign_that_is_no_longer_held() -> None:
    cases = convicted("x")
    suspect(cases)

    cases.let_go(cases.held["c_0001"])

    assert cases.verdicts == {}


def test_a_suspect_is_remembered_as_long_as_it_is_one() -> None:
    """Else what it was told would outlive the account, and never be taken back."""
    cases = convicted("x")
    who = suspect(cases)
    cases._memory.bounds = Bounds(accounts=20)

    def crowd(at: float) -> None:
        for n in range(200):
            cases._memory.note(stranger(1000 + n, at=at + n))

    crowd(NOW + DAY)
    remembered = who in cases._memory.numbers
    cases.let_go(cases.held["c_0001"])
    crowd(NOW + 2 * DAY)

    assert remembered
    assert who not in cases._memory.numbers
    assert who not in cases.verdicts


@pytest.mark.parametrize(
    "crowd",
    [
        40,
        100,
    ],
)  # fmt: skip
def test_a_suspect_whose_payment_turns_out_to_be_everybodys_is_cleared(crowd: int) -> None:
    cases = convicted("x")
    who = suspect(cases)
    (number,) = numbers(cases, who)
    payment = cases._memory.traces[number].payment
    for n in range(crowd):
        come(cases, stranger(2000 + n, payment=payment))
    assert who in cases.verdicts

    cases.consider(number, (), NOW + DAY)

    assert who not in cases.verdicts
    assert_consistent(cases)


def test_a_suspect_that_has_more_in_common_later_becomes_a_member() -> None:
    cases = convicted("x")
    who = suspect(cases)
    (number,) = numbers(cases, who)

    come(cases, msgspec.structs.replace(member(0, at=NOW + HOUR), account=who, organisation=None))

    assert cases.member_of[number] == "c_0001"
    assert cases._suspects == {}
    assert_consistent(cases)


def test_there_are_never_more_suspects_than_the_bound_and_the_oldest_is_cleared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(casebook, "_MOST_SUSPECTS", 1)
    cases = convicted("x")
    first = suspect(cases)
    (number,) = numbers(cases, first)
    trace = cases._memory.traces[number]
    for n in range(30):
        come(cases, stranger(2000 + n))

    come(cases, build.sighting("like", payment=trace.payment, keys=tuple(trace.shared)))

    assert "like" in cases.verdicts
    assert first not in cases.verdicts
    assert cases._suspects.keys() == numbers(cases, "like")
    assert_consistent(cases)


@pytest.mark.parametrize("ruling", [Ruling.ALLOW, Ruling.BAN])
def test_people_have_the_last_word_on_a_suspect_too(ruling: Ruling) -> None:
    cases = convicted("x")
    who = suspect(cases)

    cases.review(review(ruling, who))
    cases.let_go(cases.held["c_0001"])

    assert (who in cases.verdicts) is (ruling is Ruling.BAN)
    assert_consistent(cases)


def test_whoever_used_the_template_of_a_campaign_first_does_not_imitate_it() -> None:
    cases = convicted("x")
    (author_of_x,) = numbers(cases, "author-x")

    _, found = cases.score(author_of_x, "c_0001")

    assert found["content"] == 0.0
    assert "author-x" not in cases.verdicts


def test_the_colleagues_of_whoever_used_a_template_first_do_not_imitate_it_either() -> None:
    cases = scene("x")
    (first,) = numbers(cases, "author-x")
    firm, keys = cases._memory.traces[first].organisation, member(0).keys
    convict(cases, numbers(cases, "x"), GUILTY, NOW)

    mate = come(cases, build.sighting("mate", organisation=firm, payment="p_x0", keys=keys))
    other = come(cases, build.sighting("other", payment="p_x0", keys=keys))

    assert cases.score(mate, "c_0001")[1]["content"] == 0.0
    assert cases.score(other, "c_0001")[1]["content"] > 0.0


# Evidence goes.


def test_what_was_proved_is_held_until_half_of_the_proof_is_gone() -> None:
    cases = convicted("x")
    held = cases.held["c_0001"]
    weaker = proof(Kind.PAYMENT)

    finish(cases.weigh_again(held, set(held.members), weaker, NOW + DAY))

    assert (held.verdict, held.examined_at) == (weaker, NOW + DAY)
    assert list(cases.held) == ["c_0001"]
    assert_consistent(cases)


def test_members_that_turned_out_not_to_be_meant_are_let_go_and_the_others_held() -> None:
    cases = convicted("x")
    (gone,) = numbers(cases, "x3")

    finish(cases.weigh_again(cases.held["c_0001"], numbers(cases, "x") - {gone}, GUILTY, NOW + DAY))

    assert cases.member_of.keys() == numbers(cases, "x") - {gone}
    assert cases.held["c_0001"].judged == SIZE - 1
    assert "x3" not in cases.verdicts
    assert_consistent(cases)


def test_without_evidence_a_campaign_is_let_go() -> None:
    cases = convicted("x")

    finish(cases.weigh_again(cases.held["c_0001"], numbers(cases, "x"), NOTHING_LEFT, NOW + DAY))

    assert (cases.held, cases.member_of, cases.verdicts) == ({}, {}, {})


def test_members_that_have_nothing_in_common_any_more_are_let_go() -> None:
    cases = convicted("x")
    traces = cases._memory.traces
    (gone,) = numbers(cases, "x3")
    traces[gone].payment = ""
    traces[gone].subnets[:] = traces[gone].shared[:] = traces[gone].subnets[:0]

    finish(cases.weigh_again(cases.held["c_0001"], numbers(cases, "x"), GUILTY, NOW + DAY))

    assert cases.member_of.keys() == numbers(cases, "x") - {gone}
    assert "x3" not in cases.verdicts
    assert_consistent(cases)


# People.


def test_a_review_of_a_campaign_nobody_holds_is_refused() -> None:
    assert not convicted("x").review(review(Ruling.RELEASE, campaign="c_0009"))


@pytest.mark.parametrize("who", ["x0", "s0", "nobody"])
def test_a_note_changes_nothing(who: str) -> None:
    cases = convicted("x")
    before = dict(cases.verdicts)

    assert cases.review(review(Ruling.NOTE, who))
    assert cases.verdicts == before


def test_a_note_on_a_campaign_changes_nothing() -> None:
    cases = convicted("x")

    assert cases.review(review(Ruling.NOTE, campaign="c_0001"))
    assert list(cases.held) == ["c_0001"]


def test_an_allowed_member_is_none_any_more_and_never_becomes_one_again() -> None:
    cases = convicted("x")

    cases.review(review(Ruling.ALLOW, "x0"))
    come(cases, member(0, subnet=99, at=NOW + HOUR))
    convict(cases, numbers(cases, "x"), GUILTY, NOW + 365 * DAY)

    assert cases.member_of.keys() == numbers(cases, "x") - numbers(cases, "x0")
    assert "x0" not in cases.verdicts
    assert_consistent(cases)


def test_an_account_allowed_before_it_ever_came_is_let_be() -> None:
    cases = convicted("x")

    cases.review(review(Ruling.ALLOW, "x50"))
    come(cases, member(50))

    assert "x50" not in cases.verdicts


@pytest.mark.parametrize("who", ["x0", "s0", "nobody"])
def test_a_banned_account_is_certain_whoever_it_is(who: str) -> None:
    cases = convicted("x")

    cases.review(review(Ruling.BAN, who))

    assert cases.verdicts[who].confidence == 1.0
    assert cases.verdicts[who].id == ("c_0001" if who == "x0" else BANNED)
    assert_consistent(cases)


def test_a_ban_outlives_the_campaign() -> None:
    cases = convicted("x")
    cases.review(review(Ruling.BAN, "x0"))

    finish(cases.weigh_again(cases.held["c_0001"], numbers(cases, "x"), NOTHING_LEFT, NOW + DAY))

    assert cases.verdicts["x0"].id == BANNED
    assert cases.verdicts["x0"].confidence == 1.0


def test_a_banned_newcomer_belongs_to_its_campaign_and_is_certain() -> None:
    cases = convicted("x")
    cases.review(review(Ruling.BAN, "x50"))

    come(cases, member(50))

    assert (cases.verdicts["x50"].id, cases.verdicts["x50"].confidence) == ("c_0001", 1.0)
    assert_consistent(cases)


def test_clearing_a_banned_stranger_lets_it_be() -> None:
    cases = convicted("x")
    cases.review(review(Ruling.BAN, "s0"))

    cases.review(review(Ruling.CLEAR, "s0"))

    assert "s0" not in cases.verdicts


def test_clearing_a_banned_member_leaves_it_a_member_by_its_evidence() -> None:
    cases = convicted("x")
    cases.review(review(Ruling.BAN, "x0"))

    cases.review(review(Ruling.CLEAR, "x0"))

    assert confidence(LEAVE) <= cases.verdicts["x0"].confidence < 1.0
    assert_consistent(cases)


def test_the_accounts_of_a_released_campaign_are_left_alone_for_the_stated_time() -> None:
    cases = convicted("x")
    group = numbers(cases, "x")

    assert cases.review(review(Ruling.RELEASE, campaign="c_0001", at=NOW + DAY))
    convict(cases, group, GUILTY, NOW + DAY + LEFT_ALONE - 1)
    early = dict(cases.held)
    convict(cases, group, GUILTY, NOW + DAY + LEFT_ALONE)

    assert early == {}
    assert list(cases.held) == ["c_0002"]
    assert cases.held["c_0002"].members.keys() == group
    assert_consistent(cases)


def test_a_banned_account_stays_banned_when_its_campaign_is_released() -> None:
    cases = convicted("x")
    cases.review(review(Ruling.BAN, "x0"))

    cases.review(review(Ruling.RELEASE, campaign="c_0001"))

    assert cases.reviews.of("x0", NOW + HOUR) is Ruling.BAN
    assert cases.verdicts["x0"].confidence == 1.0


# Restarts.


def held_before() -> tuple[Casebook, list[Held]]:
    """An empty casebook over the same memory, and the campaigns of the one before it."""
    before = convicted("x", "y")
    return Casebook(before._memory, USUAL), list(before.held.values())


def test_campaigns_held_before_a_restart_are_held_after_it() -> None:
    after, held = held_before()

    after.restore(held)

    assert list(after.held) == ["c_0001", "c_0002"]
    assert after.member_of.keys() == numbers(after, "x", "y")
    assert_consistent(after)


def test_members_that_are_no_longer_remembered_are_left_out() -> None:
    after, held = held_before()
    held[0].members[999_999] = 5.0

    after.restore(held)

    assert 999_999 not in after.member_of
    assert_consistent(after)


def test_bans_are_in_force_after_a_restart() -> None:
    after, held = held_before()
    after.reviews.rule("x0", Ruling.BAN)
    after.reviews.rule("s0", Ruling.BAN)
    after.reviews.rule("y0", Ruling.ALLOW)

    after.restore(held)

    assert after.verdicts["x0"].confidence == after.verdicts["s0"].confidence == 1.0


# Whatever happens.


_names = st.sampled_from("xyz")
_some = st.sets(st.integers(0, SIZE - 1), min_size=2)
_who = st.builds("{}{}".format, st.sampled_from("xyzs"), st.integers(0, SIZE + 8))


class Whatever(RuleBasedStateMachine):
    """Convictions, newcomers, reviews and forgetting in any order."""

    @initialize()
    def begin(self) -> None:
        self.now = NOW
        bounds = Bounds(accounts=60, keys=60, shared=40, values=80, most=16, web=40)
        self.memory = Memory(bounds)
        for name in "xyz":
            for seen in (author(name), *members(name)):
                self.memory.note(seen)
        self.cases = Casebook(self.memory, USUAL)

    @rule(seconds=st.sampled_from([-DAY, 0.0, 60.0, DAY, LEFT_ALONE]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(name=_names, other=_names, some=_some, more=_some)
    def convict(self, name: str, other: str, some: set[int], more: set[int]) -> None:
        accounts = {f"{name}{n}" for n in some} | {f"{other}{n}" for n in more if n % 2}
        part = {self.memory.numbers[a] for a in accounts if a in self.memory.numbers}
        convict(self.cases, part, GUILTY, self.now)

    @rule(name=_names, n=st.integers(0, SIZE + 8), other=_names, subnet=st.booleans())
    def an_account_comes(self, name: str, n: int, other: str, subnet: bool) -> None:
        seen = member(n, name, at=self.now)
        if subnet:
            seen = member(n, name, at=self.now, subnet=member(n, other).subnet)
        self.cases.count(come(self.cases, seen), seen)

    @rule(count=st.integers(1, 60))
    def strangers_come(self, count: int) -> None:
        for n in range(count):
            come(self.cases, stranger(n, at=self.now + n))

    @rule(pick=st.integers(0, 9), gone=st.booleans(), fewer=st.integers(0, SIZE))
    def weigh_again(self, pick: int, gone: bool, fewer: int) -> None:
        held = list(self.cases.held.values())
        if held:
            verdict, one = NOTHING_LEFT if gone else GUILTY, held[pick % len(held)]
            rest = set(sorted(one.members)[fewer:])
            finish(self.cases.weigh_again(one, rest, verdict, self.now))

    @rule(pick=st.integers(0, 9))
    def let_go(self, pick: int) -> None:
        held = list(self.cases.held.values())
        if held:
            self.cases.let_go(held[pick % len(held)])

    @rule(who=_who, ruling=st.sampled_from(list(Ruling)))
    def review_an_account(self, who: str, ruling: Ruling) -> None:
        self.cases.review(review(ruling, who, at=self.now))

    @rule(name=st.sampled_from(["c_0001", "c_0002", "c_0003"]))
    def release(self, name: str) -> None:
        known = name in self.cases.held
        accounts = [
            self.memory.traces[n].account for n, held in self.cases.member_of.items()
            if held == name
        ]  # fmt: skip
        banned = {a for a in accounts if self.cases.reviews.of(a, self.now) is Ruling.BAN}

        assert self.cases.review(review(Ruling.RELEASE, campaign=name, at=self.now)) is known
        assert name not in self.cases.held
        for account in accounts:
            ruling = Ruling.BAN if account in banned else Ruling.ALLOW
            assert self.cases.reviews.of(account, self.now) is ruling

    @invariant()
    def everything_agrees(self) -> None:
        assert_consistent(self.cases)

    @invariant()
    def who_is_allowed_is_in_no_campaign(self) -> None:
        for account, (ruling, until) in self.cases.reviews.rulings.items():
            if ruling is Ruling.ALLOW and self.now < until:
                assert account not in self.cases.verdicts

    @invariant()
    def members_are_remembered(self) -> None:
        assert self.cases.member_of.keys() <= self.memory.traces.keys()


Whatever.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
test_whatever_happens_members_names_and_verdicts_agree = Whatever.TestCase


def test_members_that_memory_has_no_room_for_leave_their_campaign() -> None:
    cases = convicted("x")
    (held,) = cases.held.values()
    memory, oldest = cases._memory, min(held.members)

    while len(memory.traces) > SIZE // 2:
        memory._forget()

    assert 0 < len(held.members) <= SIZE // 2
    assert oldest not in held.members
    assert held.members.keys() == cases.member_of.keys() == memory.traces.keys()
    assert_consistent(cases)
