"""The whole linker: what it finds, that order and clocks do not matter, that nothing floods it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_guard.campaigns import evidence, turns
from gateway_guard.campaigns import linker as linker_module
from gateway_guard.campaigns.belonging import Belonging
from gateway_guard.campaigns.evidence import AT_PLACES, Tied, Verdict
from gateway_guard.campaigns.held import Held
from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.membership import Signature
from gateway_guard.campaigns.memory import Bounds
from gateway_guard.campaigns.reviews import LEFT_ALONE, Review, Ruling
from gateway_guard.campaigns.sighting import Sighting
from gateway_guard.campaigns.steps import Steps, finish
from tests.campaigns import build
from tests.campaigns.build import DAY, HOUR, NOW, TINY
from tests.campaigns.test_casebook import assert_consistent

SIZE: Final = 24
X: Final = frozenset(f"a_x{i:03d}" for i in range(SIZE))
Y: Final = frozenset(f"a_y{i:03d}" for i in range(SIZE))


def caught(**more: Any) -> Linker:
    """A linker that holds one campaign among strangers."""
    linker = build.learnt(build.mixed(build.campaign("x", **more), build.strangers()))
    assert build.parts(linker) == {X}
    return linker


def worked_off(linker: Linker) -> None:
    """As if exchanges came that teach nothing until there is nothing left to be done."""
    for _ in range(100_000):
        if not linker.behind:
            return
        linker._turns.begin()
        linker._work(NOW)
    raise AssertionError("there is always more to be done")


def told(linker: Linker) -> dict[str, object]:
    """Everything a linker believes, in comparable form."""
    return {
        "campaigns": linker.campaigns(),
        "verdicts": linker.cases.verdicts,
        "examined": linker.examined,
    }


# What it finds.


def test_a_linker_that_learnt_nothing_holds_nobody() -> None:
    linker = Linker()

    assert (linker.campaigns(), linker.facts("a_test")) == ([], None)


def test_a_campaign_among_strangers_is_found_and_only_that() -> None:
    linker = caught()

    (campaign,) = linker.campaigns()
    assert campaign.members.keys() == X
    assert 0.9 < campaign.confidence <= 1.0
    assert campaign.first_seen == NOW
    assert campaign.alarm_at is not None
    assert NOW < campaign.alarm_at < NOW + 12 * HOUR
    assert len(campaign.evidence) > 3
    assert linker.facts("a_stranger00000") is None
    assert_consistent(linker.cases)


def test_members_are_told_their_campaign_and_how_sure_it_is() -> None:
    linker = caught()

    facts = linker.facts("a_x000")

    assert facts is not None
    assert facts.id in linker.held
    assert 0.9 < facts.confidence <= 1.0


def test_strangers_alone_are_never_a_campaign() -> None:
    assert build.learnt(build.strangers(400)).campaigns() == []


def test_three_accounts_are_no_campaign() -> None:
    assert build.learnt(build.campaign("x", size=3, exchanges=40)).campaigns() == []


def test_a_newcomer_of_a_held_campaign_is_caught_by_what_it_shares() -> None:
    linker = caught()
    newcomer = build.campaign("x", size=25, exchanges=1, at=NOW + DAY)[-1]

    linker.learn(newcomer)

    assert linker.facts(newcomer.account) is not None


def test_an_account_that_was_never_answered_may_be_nobodys_and_is_not_remembered() -> None:
    said = build.campaign("x", exchanges=1)[0]
    linker = Linker()

    for number in range(400):
        made_up = f"a_made_up{number}"
        linker.learn(msgspec.structs.replace(said, account=made_up, refused=True))
    remembered = len(linker.memory.traces)
    linker.learn(said)
    linker.learn(msgspec.structs.replace(said, at=said.at + 60.0, refused=True))

    assert remembered == 0
    (trace,) = linker.memory.traces.values()
    assert (trace.exchanges, trace.refused) == (2, 1)


def test_samples_are_kept_of_what_members_say_and_of_nobody_else() -> None:
    linker = caught()
    now = NOW + DAY

    for account in (*sorted(X)[:2], "a_stranger00000", "a_stranger00001"):
        key = 7 if account in X else 8
        linker.learn(build.sighting(account, at=now, keys=(key,), sample="Please grade"))

    assert linker.samples.of(7, now) == "Please grade"
    assert linker.samples.of(8, now) is None


def test_campaigns_are_listed_in_the_order_of_their_alarms() -> None:
    linker = build.learnt(
        build.mixed(build.campaign("y", at=NOW + 2 * DAY), build.campaign("x"), build.strangers())
    )

    first, second = linker.campaigns()

    assert [set(first.members), set(second.members)] == [set(X), set(Y)]
    assert (first.alarm_at or 0.0) < (second.alarm_at or 0.0)


def test_a_reviewers_release_lets_everybody_go_and_is_refused_for_unknown_campaigns() -> None:
    linker = caught()
    (campaign,) = linker.campaigns()

    known = linker.review(Review(at=NOW + DAY, ruling=Ruling.RELEASE, campaign=campaign.id))
    unknown = linker.review(Review(at=NOW + DAY, ruling=Ruling.RELEASE, campaign=campaign.id))

    assert (known, unknown) == (True, False)
    assert linker.campaigns() == []
    assert_consistent(linker.cases)


def test_a_released_campaign_that_goes_on_is_left_alone_for_the_stated_time() -> None:
    linker = caught()
    (campaign,) = linker.campaigns()
    linker.review(Review(at=NOW + DAY, ruling=Ruling.RELEASE, campaign=campaign.id))

    build.learnt(build.campaign("x", at=NOW + 2 * DAY), linker)
    build.learnt(build.campaign("x", at=NOW + LEFT_ALONE), linker)

    assert linker.campaigns() == []


def test_a_few_accounts_that_fall_apart_are_judged_as_a_whole_too() -> None:
    """Eight on three cards in five ranges, in two bursts: as parts too small to prove anything."""
    places = [(1, 4, 1, 1), (0, 1, 1, 0), (0, 0, 0, 2), (1, 2, 1, 1), (2, 3, 1, 1), (0, 1, 0, 2),
              (1, 2, 1, 1), (1, 1, 3, 1)]  # fmt: skip
    seen = [
        build.sighting(
            f"a_x{i:03d}", at=NOW + turn * HOUR + i, organisation=f"o_{i}", payment=f"p_{card}",
            created_at=NOW - 5 * HOUR - burst * 3 * HOUR + 20 * i,
            subnet=500 + (one, other)[turn % 2],
            address=500 + (one, other)[turn % 2] + (i << 40), keys=(70, 71, 72),
        )
        for turn in range(14)
        for i, (card, one, other, burst) in enumerate(places)
    ]  # fmt: skip

    assert build.parts(build.learnt(seen)) == {frozenset(f"a_x{i:03d}" for i in range(8))}


# What grows.


def innocent_from(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of so many look innocent, smaller ones as they are."""

    def judge(view: list[Tied], **known: Any) -> Verdict:
        return evidence.judge([build.tied() for _ in view] if len(view) >= size else view, **known)

    monkeypatch.setattr("gateway_guard.campaigns.judging.judge", judge)


def test_a_group_that_looks_innocent_once_it_has_grown_by_half_is_let_go_and_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    linker = caught()
    innocent_from(30, monkeypatch)
    (held,) = linker.held.values()

    sizes = []
    for size in (int(1.5 * held.judged) - 1, 60):
        build.learnt(build.campaign("x", size=size, exchanges=2, at=NOW + size * HOUR), linker)
        sizes.append(sum(len(one.members) for one in linker.held.values()))
    build.learnt(build.campaign("x", size=12, exchanges=4, at=NOW + 4 * DAY), linker)

    assert sizes == [int(1.5 * 24) - 1, 0]
    assert linker.campaigns() == []
    assert_consistent(linker.cases)


def test_a_find_that_others_join_at_once_is_weighed_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    linker = caught()
    (held,) = linker.held.values()
    number, held.judged, judge = min(held.members), 8, linker._judge
    guilty = iter([True, False])

    def judged(part: Iterable[int], at: float) -> tuple[Verdict, set[int]]:
        verdict, rest = judge(part, at)
        return msgspec.structs.replace(verdict, convicted=next(guilty)), rest

    monkeypatch.setattr(linker, "_judge", judged)

    def convicted(*_: object) -> Steps[Held | None]:
        yield
        return held

    monkeypatch.setattr(linker.cases, "convict", convicted)

    finish(linker._examine(number, linker.webs.of(number), NOW + DAY))

    assert linker.held == {}
    assert_consistent(linker.cases)


@pytest.mark.parametrize(
    ("total", "left", "convicted", "stands"),
    [(20.0, 4.0, True, True), (8.0, 1.75, False, True), (7.9, 1.75, False, False),
     (8.0, 1.74, False, False)],
)  # fmt: skip
def test_half_of_the_proof_will_do_for_those_who_were_proved_together(
    monkeypatch: pytest.MonkeyPatch, total: float, left: float, convicted: bool, stands: bool
) -> None:
    linker = caught()
    (held,) = linker.held.values()
    verdict = msgspec.structs.replace(
        held.verdict, total=total, needed=16.0, left=left, convicted=convicted
    )
    monkeypatch.setattr(linker, "_judge", lambda part, at: (verdict, {1, 2, 3}))

    found = linker._again({1, 2, 3, 4}, NOW)

    assert found == ((verdict, {1, 2, 3}) if stands else None)


@pytest.mark.parametrize(
    ("size", "same", "left_out"), [(12, False, True), (11, False, False), (12, True, False)]
)
def test_a_piece_that_looks_innocent_by_itself_is_left_out_unless_it_says_the_same(
    monkeypatch: pytest.MonkeyPatch, size: int, same: bool, left_out: bool
) -> None:
    """A class and a reseller's customers have an innocent explanation each, and none together."""
    mouths = ("x", "x" if same else "y")
    seen = [
        msgspec.structs.replace(one, account=f"a_{name}{one.account}")
        for name, mouth in zip("ab", mouths, strict=True)
        for one in build.campaign(mouth, size=size, exchanges=1)
    ]
    linker = build.learnt(build.mixed(seen, build.strangers()))
    numbers = [linker.memory.numbers[one.account] for one in seen]
    guilty, innocent = set(numbers[:size]), set(numbers[size:])
    (shown,) = caught().held.values()
    cleared = msgspec.structs.replace(shown.verdict, convicted=False, left=0.0)
    monkeypatch.setattr(
        linker, "_judge", lambda part, at: (cleared if part == innocent else shown.verdict, part)
    )

    verdict, meant = linker._joined([guilty, innocent], NOW)

    assert verdict.convicted
    assert meant == (guilty if left_out else guilty | innocent)


def test_a_real_campaign_that_grows_is_held_on_and_grows_with_it() -> None:
    linker = caught()

    build.learnt(build.campaign("x", size=60, exchanges=2, at=NOW + DAY), linker)

    assert build.parts(linker) == {frozenset(f"a_x{i:03d}" for i in range(60))}
    (held,) = linker.held.values()
    assert held.judged >= 40


@pytest.mark.untraced
def test_a_large_campaign_is_not_scored_as_a_whole_for_every_find_that_adds_a_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else following one of n accounts would take time with the square of n."""

    def campaign(size: int, **fields: Any) -> list[Sighting]:
        # Of eight accounts a card: what a third of all pay with is no card.
        return [
            msgspec.structs.replace(one, payment=f"p_{int(one.account[-3:]) // 8}")
            for one in build.campaign("x", size=size, **fields)
        ]

    linker = build.learnt(build.mixed(campaign(200, exchanges=6), build.strangers(400)))
    scored: list[int] = []
    members = Belonging.members

    def count(
        self: Belonging, candidates: set[int], at: float, of: Signature | None = None
    ) -> Steps[dict[int, float]]:
        if of is None:
            scored.append(len(candidates))
        return members(self, candidates, at, of)

    monkeypatch.setattr(Belonging, "members", count)

    build.learnt(campaign(400, exchanges=3, at=NOW + DAY), linker)

    (held,) = linker.held.values()
    assert len(held.members) > 390
    # From 200 to 400 by steps of a tenth at least: 8 times, and once more for each judgement anew.
    assert len(scored) <= 12


def test_of_a_large_web_only_so_many_accounts_are_looked_at_each_hour() -> None:
    """Else following a campaign of thousands would take most of the time."""
    linker = Linker(bounds=Bounds(web=300))
    build.learnt((build.sighting(f"a{n}") for n in range(1500)), linker)
    linker._learnt = 0
    linker.webs.link(1, set(range(2, 1501)))
    linker._waiting = dict.fromkeys(range(1, 1501))

    # Nobody is near anybody, so that each of them is looked at alone.
    left = []
    for hour in range(4):
        linker._age(NOW + hour * HOUR)
        worked_off(linker)
        left.append(len(linker._waiting))

    assert left == [900, 300, 0, 0]


def test_the_more_exchanges_the_more_of_a_large_web_is_looked_at() -> None:
    linker = Linker(bounds=Bounds(web=300))
    build.learnt((build.sighting(f"a{n}") for n in range(1500)), linker)
    linker.webs.link(1, set(range(2, 1501)))
    linker._waiting = dict.fromkeys(range(1, 1501))
    linker._learnt = 5000

    linker._age(NOW)
    worked_off(linker)

    assert len(linker._waiting) == 500


def test_whoever_was_examined_with_another_does_not_wait_for_it() -> None:
    linker = Linker(bounds=Bounds(web=10))
    build.learnt(build.mixed(build.campaign("x", size=12), build.strangers()), linker)
    linker._waiting = {linker.memory.numbers["a_x003"]: None, linker.memory.numbers["a_x004"]: None}

    web = linker.webs.of(linker.memory.numbers["a_x003"])
    looked = finish(linker._examine(linker.memory.numbers["a_x003"], web, NOW + HOUR))

    assert looked >= 10
    assert not linker._waiting


def test_a_large_web_counts_as_so_many_as_are_looked_at_one_by_one() -> None:
    """The more one looks, the more must be shown."""
    linker = Linker(bounds=Bounds(web=300))
    build.learnt((build.sighting(f"a{n}") for n in range(1000)), linker)

    for size in (299, 300, 301, 1000, 1000):
        web = linker.webs.link(1, set(range(2, size + 1)))
        finish(linker._examine(1, web, NOW))

    assert linker.examined == 4


# Time.


def test_a_campaign_that_fell_silent_is_let_go() -> None:
    linker = caught()

    linker.learn(build.sighting("a_later", at=NOW + 5 * DAY))
    early = build.parts(linker)
    linker.learn(build.sighting("a_later", at=NOW + 30 * DAY))

    assert early == {X}
    assert linker.campaigns() == []
    assert linker.cases.verdicts == {}


def test_a_campaign_that_goes_on_is_weighed_again_and_held() -> None:
    linker = caught()

    for day in range(1, 20):
        build.learnt(build.campaign("x", exchanges=2, at=NOW + day * DAY), linker)

    (held,) = linker.held.values()
    assert held.examined_at > NOW + 17 * DAY
    assert build.parts(linker) == {X}


@given(st.floats(1.0, 400 * DAY), st.integers(0, 287))
@settings(max_examples=8)
def test_a_step_back_of_the_clock_is_harmless(step: float, where: int) -> None:
    seen = build.mixed(build.campaign("x"), build.strangers())
    stepped = [
        Sighting(**{name: getattr(one, name) for name in one.__struct_fields__}
                 | {"at": one.at - (step if n >= where else 0.0)})
        for n, one in enumerate(seen)
    ]  # fmt: skip

    linker = build.learnt(stepped)

    assert all(part <= X for part in build.parts(linker))
    assert_consistent(linker.cases)


@pytest.mark.parametrize("hours", [-3.0, 3.0])
def test_two_clocks_that_differ_do_not_have_it_look_around_with_each_exchange(
    hours: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    linker = caught()
    looked: list[float] = []
    monkeypatch.setattr(linker, "_age", looked.append)

    for number in range(1000):
        at = NOW + DAY + number + (hours * build.HOUR if number % 2 else 0.0)
        linker.learn(build.sighting("a_other", at=at))

    assert len(looked) <= 3


def test_a_clock_that_was_set_back_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    linker = caught()
    linker.learn(build.sighting("a_far", at=NOW + 1000 * DAY))
    looked: list[float] = []
    monkeypatch.setattr(linker, "_age", looked.append)

    for number in range(1000):
        linker.learn(build.sighting("a_other", at=NOW + DAY + 60.0 * number))

    assert looked[0] < NOW + 1.5 * DAY
    assert len(looked) > 10


def test_one_exchange_from_the_future_does_not_stop_the_clock() -> None:
    linker = caught()
    linker.learn(build.sighting("a_far", at=NOW + 1000 * DAY))
    assert linker.campaigns() == []
    build.learnt(
        build.mixed(build.campaign("y", at=NOW + DAY), build.strangers(at=NOW + DAY)), linker
    )
    assert build.parts(linker) == {Y}

    linker.learn(build.sighting("a_later", at=NOW + 60 * DAY))

    assert linker.campaigns() == []


# Order.


def test_equal_streams_give_equal_campaigns() -> None:
    seen = build.mixed(build.campaign("x"), build.campaign("y"), build.strangers())

    assert told(build.learnt(seen)) == told(build.learnt(seen))


@pytest.mark.parametrize("apart", [0.0, 3 * HOUR, 2 * DAY])
def test_campaigns_that_share_nothing_are_found_each_by_itself(apart: float) -> None:
    """Whether they are interleaved, overlap or follow each other."""
    linker = build.learnt(
        build.mixed(build.campaign("x"), build.campaign("y", at=NOW + apart), build.strangers())
    )

    assert build.parts(linker) == {X, Y}
    assert_consistent(linker.cases)


@pytest.mark.parametrize("seed", range(6))
def test_the_order_within_an_hour_does_not_change_who_is_held(seed: int) -> None:
    rng = random.Random(seed)
    seen = build.mixed(build.campaign("x"), build.strangers())
    order = {one.account: rng.random() for one in seen}
    shuffled = sorted(seen, key=lambda one: (one.at // HOUR, order[one.account]))

    assert build.parts(build.learnt(shuffled)) == {X}


# People at places.


def training_day(*, at: float = NOW) -> list[Sighting]:
    """Fourteen schools of five teachers, each school with its network and half of them with a card
    that four use. Three of five teachers sign up on one day, and all send one worksheet."""
    keys = tuple((1 << 59) + k for k in range(4))
    return [
        build.sighting(
            f"a_teacher{n:02d}", at=at + turn * HOUR + 30 + n, organisation=f"o_teacher{n}",
            payment=f"p_school{n // 5}" if n % 5 < 4 and n // 5 % 2 else f"p_own{n}",
            created_at=at - (6 * HOUR - 30 * n if n * 7 % 10 < 6 else DAY * n),
            subnet=(1 << 58) + n // 5, address=(1 << 58) + n, keys=keys,
        )
        for turn in range(0, 12, 3)
        for n in range(70)
    ]  # fmt: skip


def test_schools_at_a_training_are_no_campaign() -> None:
    linker = build.learnt(build.mixed(training_day(), build.strangers()))

    assert linker.campaigns() == []


def test_a_campaign_that_hangs_together_with_schools_is_held_without_them() -> None:
    """It signs up during their training, and now and then sends what they send."""
    schools = training_day()
    campaign = [
        msgspec.structs.replace(
            one, keys=(*one.keys, *schools[0].keys),
            created_at=NOW - 6 * HOUR + 60 * int(one.account[-3:]),
        )
        for one in build.campaign("x")
    ]  # fmt: skip
    seen = build.mixed(schools, campaign, build.strangers())

    linker = build.learnt(seen)

    together = linker.webs.of(linker.memory.numbers["a_x000"]).members
    assert linker.memory.numbers["a_teacher00"] in together
    assert build.parts(linker) == {X}
    assert_consistent(linker.cases)


def test_members_that_turn_out_to_be_at_a_place_are_let_go() -> None:
    """An office that was taken for members is none when the campaign is weighed again."""
    linker = build.learnt(build.mixed(build.campaign("x"), build.strangers()))
    (held,) = linker.held.values()
    office = [
        build.sighting(
            f"a_office{n}", at=NOW + 13 * HOUR + n, organisation=f"o_office{n}",
            payment="p_office", subnet=77, created_at=NOW - 90 * DAY,
        )
        for n in range(6)
    ]  # fmt: skip
    build.learnt(office, linker)
    scores = {linker.memory.numbers[one.account]: 3.5 for one in office}
    linker.cases._replace(held, {**held.members, **scores})

    linker._age(NOW + 3 * DAY)
    again = [msgspec.structs.replace(one, at=NOW + 3 * DAY, keys=(n,))
             for n, one in enumerate(office)]  # fmt: skip
    build.learnt(again, linker)

    assert build.parts(linker) == {X}
    assert held.verdict.at_places == 6
    assert not any(linker.facts(one.account) for one in office)
    assert_consistent(linker.cases)


def test_people_at_a_place_are_noted_when_those_beside_them_are_convicted_and_only_then() -> None:
    linker = build.learnt(build.mixed(build.campaign("x"), build.strangers()))
    (held,) = linker.held.values()
    office = [
        build.sighting(f"a_office{n}", organisation=f"o_office{n}", payment="p_office", subnet=77)
        for n in range(6)
    ]
    build.learnt(office, linker)
    numbers, traces = linker.memory.numbers, linker.memory.traces
    people = {numbers[one.account] for one in office}

    alone, _ = linker._judge(people, NOW + DAY)
    unnoted = {traces[n].placed_at for n in people}
    beside, rest = linker._judge(people | held.members.keys(), NOW + 2 * DAY)

    assert (alone.convicted, unnoted) == (False, {0.0})
    assert beside.convicted
    assert rest == held.members.keys()
    assert {traces[n].placed_at for n in people} == {NOW + 2 * DAY}
    assert {traces[n].placed_at for n in rest} == {0.0}


@pytest.mark.parametrize(
    ("offices", "says", "convicted"), [(13, "x", False), (11, "x", True), (13, "y", True)]
)
def test_a_few_who_say_what_many_at_places_say_are_of_them(
    offices: int, says: str, convicted: bool
) -> None:
    """Agents of a trade share cards and webinars; three of four are at an office, four in each."""
    keys = build.campaign(says)[0].keys
    agents = [
        build.sighting(
            f"a_agent{n}", organisation=f"o_agent{n}", subnet=77 + n // 4, keys=keys, at=NOW + n
        )
        for n in range(4 * offices)
    ]  # fmt: skip
    linker = build.learnt(build.mixed(build.campaign("x"), agents, build.strangers()))
    numbers = {account: n for account, n in linker.memory.numbers.items()
               if account.startswith(("a_agent", "a_x"))}  # fmt: skip

    verdict, rest = linker._judge(numbers.values(), NOW + DAY)

    assert rest == {n for account, n in numbers.items() if account.startswith("a_x")}
    assert (verdict.convicted, verdict.at_places) == (convicted, 4 * offices)
    assert (verdict.explanation == AT_PLACES) is not convicted


# Unknown.


@pytest.mark.parametrize(
    "unknown",
    [("organisation",), ("payment",), ("created_at",), ("subnet", "address"), ("keys",), ("model",),
     ("organisation", "payment", "created_at", "subnet", "address", "keys", "model")],
)  # fmt: skip
def test_what_is_not_known_is_no_evidence_and_no_error(unknown: tuple[str, ...]) -> None:
    empty = build.sighting()
    seen = [
        Sighting(**{name: getattr(empty if name in unknown else one, name)
                    for name in one.__struct_fields__})
        for one in build.mixed(build.campaign("x"), build.strangers())
    ]  # fmt: skip

    linker = build.learnt(seen)

    assert all(part <= X for part in build.parts(linker))
    assert len(unknown) < 3 or linker.campaigns() == []
    assert_consistent(linker.cases)


# Floods.


def _same(**fields: Any) -> Callable[[int], Sighting]:
    return lambda n: build.sighting(f"a{n}", at=NOW + n, organisation=f"o{n}", **fields)


def _everything_new(n: int) -> Sighting:
    return build.sighting(
        f"a{n}", at=NOW + n, organisation=f"o{n}", payment=f"p{n}", created_at=NOW - n * HOUR,
        subnet=n + 1, address=n + 1, client=n + 1, model=f"m{n}",
        keys=tuple(range(16 * n, 16 * n + 16)),
    )  # fmt: skip


def _one_account(n: int) -> Sighting:
    return build.sighting(at=NOW + n, subnet=n + 1, address=n + 1, keys=(n,))


def _pairs(n: int) -> Sighting:
    """Webs of two: as many as possible."""
    return build.sighting(f"a{n}", at=NOW + n, organisation=f"o{n}", payment=f"p{n // 2}")


def _chain(n: int) -> Sighting:
    """One web as long as possible: each account shares something with the one before."""
    return build.sighting(
        f"a{n // 2}", at=NOW + n, organisation=f"o{n // 2}", created_at=NOW - DAY,
        subnet=1 + (n + 1) // 2,
    )  # fmt: skip


def _huge(n: int) -> Sighting:
    return build.sighting(
        f"a{n % 9}", at=(-1.0) ** n * 10.0 ** (n % 300), created_at=(-10.0) ** (n % 12),
        payment="p", subnet=2**64 - 1 - n % 7, address=2**64 - 1, keys=(2**64 - 1, 0),
        chars=10**40, tokens=10**40,
    )  # fmt: skip


FLOODS: Final[dict[str, Callable[[int], Sighting]]] = {
    "one payment for everyone": _same(payment="p"),
    "one range for everyone": _same(subnet=1, address=1, created_at=NOW - DAY),
    "one sign-up and template for everyone": _same(created_at=NOW - DAY, keys=(1, 2, 3)),
    "everything for everyone": _same(
        payment="p", subnet=1, address=1, created_at=NOW - DAY, keys=(1,), client=1, model="m"
    ),
    "everything new": _everything_new,
    "one account with thousands of addresses": _one_account,
    "pairs": _pairs,
    "a chain": _chain,
    "huge numbers and wild clocks": _huge,
}


def flood(name: str, count: int = 1000) -> Iterator[Sighting]:
    return map(FLOODS[name], range(count))


def remembered(linker: Linker) -> dict[str, int]:
    """The size of every table."""
    memory = linker.memory
    return {
        "accounts": len(memory.traces),
        "templates": len(memory.templates),
        "values": max(
            len(index)
            for index in (memory.payments, memory.subnets, memory.signups, memory.clients)
        ),
        "members": len(linker.cases.member_of),
        "verdicts": len(linker.cases.verdicts),
        "models": len(memory.releases.models),
    }


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_neither_raises_nor_fills_memory(name: str) -> None:
    linker = Linker(bounds=TINY)

    build.learnt(flood(name), linker)

    sizes = remembered(linker)
    assert sizes["accounts"] <= TINY.accounts
    assert sizes["templates"] <= 2 * (TINY.keys + TINY.shared)
    assert sizes["values"] <= 2 * TINY.values
    assert sizes["members"] <= sizes["accounts"]
    assert sizes["models"] <= 256
    assert_consistent(linker.cases)


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_by_itself_convicts_nobody(name: str) -> None:
    """What one hand can put into requests without paying for it convicts none of those in it."""
    assert build.learnt(flood(name, 250)).campaigns() == []


@pytest.mark.untraced
@pytest.mark.parametrize("name", FLOODS)
def test_a_campaign_is_still_found_after_a_flood(name: str) -> None:
    linker = build.learnt(flood(name, 250))

    build.learnt(
        build.mixed(build.campaign("x", at=NOW + DAY), build.strangers(at=NOW + DAY)), linker
    )

    assert X in build.parts(linker)


@pytest.mark.parametrize("name", ["pairs", "a chain", "one payment for everyone"])
def test_webs_are_bounded_too(name: str) -> None:
    linker = Linker(bounds=TINY)

    build.learnt(flood(name), linker)

    assert sum(len(web.members) for web in linker.webs._webs.values()) <= 10 * TINY.accounts


@pytest.mark.untraced
def test_a_campaign_larger_than_memory_is_bounded_too() -> None:
    linker = caught()
    linker.memory.bounds = Bounds(accounts=100)

    for size in (50, 100, 150, 200):
        build.learnt(build.campaign("x", size=size, exchanges=2, at=NOW + DAY + size), linker)

    assert len(linker.memory.traces) <= 100


def test_an_account_forgotten_before_it_was_looked_at_does_no_harm() -> None:
    """It joined a web larger than is examined together, and an hour passes."""
    linker = Linker(bounds=Bounds(accounts=40, web=30))
    build.learnt(build.campaign("x", size=60, exchanges=1), linker)

    linker.learn(build.sighting("a_later", at=NOW + 2 * HOUR))

    assert "a_later" in linker.memory.numbers


# Traffic made to keep the linker busy.


def busy(linker: Linker, count: int = 400) -> Iterator[Sighting]:
    """A large web of which each exchange ties one to more; it stops with something under way."""
    rng = random.Random(1)
    for turn in range(count):
        n = turn if turn < 200 else rng.randrange(200)
        yield build.sighting(
            f"a_n{n}", at=NOW + turn, organisation=f"o_n{n}", payment=f"p_n{n // 4}",
            created_at=NOW - DAY + n * 7.3, subnet=1 + rng.randrange(20),
            keys=tuple(rng.sample(range(1, 60), 6)),
        )  # fmt: skip
        if turn > 200 and linker._job is not None:
            return


def under_way(monkeypatch: pytest.MonkeyPatch, **bounds: int) -> Linker:
    """A linker with a web half examined."""
    monkeypatch.setattr(turns, "_CALL", 500.0)
    monkeypatch.setattr(linker_module, "_STEP", 100.0)
    linker = Linker(bounds=Bounds(**bounds))
    build.learnt(busy(linker), linker)
    assert linker._job is not None
    return linker


def test_one_exchange_costs_no_more_than_a_step_beyond_the_limit_of_a_call() -> None:
    linker, most = Linker(), 0.0
    for seen in busy(linker, 3000):
        before = linker.memory.effort
        linker.learn(seen)
        most = max(most, linker.memory.effort - before)

    # One step may be the parting, or judging, of as many as are examined together.
    assert most <= turns._CALL + 20_000.0


def test_what_is_looked_at_is_paid_for_by_exchanges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_SAVED", 1000.0)
    linker = Linker()

    for number, seen in enumerate(busy(linker, 3000), 1):
        linker.learn(seen)
        paid = turns._SAVED + turns._GIVEN * number
        assert linker._turns._credit <= turns._SAVED
        most = paid + linker_module._RELATED * number + turns._CALL + 20_000.0
        assert linker.memory.effort <= most


def test_a_person_who_decides_meanwhile_finds_nothing_half_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    linker = under_way(monkeypatch)

    linker.review(Review(at=NOW, ruling=Ruling.ALLOW, account="a_n1"))

    assert linker._job is None
    assert_consistent(linker.cases)


def test_what_is_under_way_begins_anew_when_accounts_are_forgotten_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    linker = under_way(monkeypatch, accounts=200)
    job = linker._job

    linker.learn(build.sighting("a_later", at=NOW + 2 * HOUR))

    assert linker._job is not job
    assert_consistent(linker.cases)
    worked_off(linker)
    assert_consistent(linker.cases)


# A web larger than what is examined together.


def test_a_campaign_in_a_web_larger_than_is_examined_is_found_in_parts() -> None:
    linker = Linker(bounds=Bounds(web=16))

    build.learnt(build.mixed(build.campaign("x", exchanges=20), build.strangers()), linker)

    assert linker.campaigns()
    assert frozenset().union(*build.parts(linker)) <= X


_wild = st.builds(
    Sighting,
    at=st.floats(-1e300, 1e300) | st.floats(NOW, NOW + 3 * DAY),
    account=st.integers(0, 60).map("a{}".format),
    organisation=st.none() | st.integers(0, 60).map("o{}".format),
    payment=st.none() | st.integers(0, 5).map("p{}".format),
    created_at=st.none() | st.floats(NOW - HOUR, NOW) | st.floats(-1e300, 1e300),
    address=st.integers(0, 9) | st.integers(0, 2**64 - 1),
    subnet=st.integers(0, 9) | st.integers(0, 2**64 - 1),
    client=st.integers(0, 3),
    model=st.none() | st.text(max_size=1),
    keys=st.lists(st.integers(0, 9) | st.integers(0, 2**64 - 1), max_size=16).map(tuple),
    chars=st.integers(0, 10**30),
    tokens=st.integers(0, 10**30),
    refused=st.booleans(),
)


@given(st.lists(_wild, max_size=150))
@settings(max_examples=60)
def test_nothing_that_is_sent_makes_it_raise_or_contradict_itself(seen: list[Sighting]) -> None:
    linker = build.learnt(seen, Linker(bounds=TINY))

    linker.campaigns()
    assert len(linker.memory.traces) <= TINY.accounts
    assert_consistent(linker.cases)


def test_a_time_that_is_no_number_is_refused_and_does_no_harm() -> None:
    linker = caught()

    for account in ("a_new", "a_x000", "a_stranger00000"):
        with pytest.raises(ValueError, match="NaN"):
            linker.learn(build.sighting(account, at=float("nan")))
    build.learnt(build.campaign("x", exchanges=2, at=NOW + DAY), linker)

    assert build.parts(linker) == {X}
    assert_consistent(linker.cases)
