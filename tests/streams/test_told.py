"""What a guard believes: the linker's verdicts, with people's decisions above them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.streams.told import Told
from gateway_guard.types import CampaignFacts
from tests import build

SURE = CampaignFacts(id="c_0001", confidence=0.97)
BANNED = CampaignFacts(id="banned", confidence=1.0, banned=True)


def about(account: str, ruling: Ruling) -> Review:
    return Review(at=build.NOW, ruling=ruling, account=account)


def told(**verdicts: CampaignFacts) -> Told:
    found = Told()
    found.load(verdicts, b"10-0")
    return found


def test_changes_put_verdicts_in_force_and_lift_them() -> None:
    one = told(acct_1=SURE)

    one.change([("acct_1", None, 0.0), ("acct_2", "c_0002", 0.5)], b"10-0")

    assert one.facts == {"acct_2": CampaignFacts(id="c_0002", confidence=0.5)}


@pytest.mark.parametrize(
    ("ruling", "stranger", "member"),
    [
        (Ruling.BAN, BANNED, CampaignFacts(id="c_0001", confidence=1.0, banned=True)),
        (Ruling.ALLOW, None, None),
        (Ruling.CLEAR, None, SURE),
        (Ruling.NOTE, None, SURE),
    ],
)
def test_a_persons_decision_counts_at_once(
    ruling: Ruling, stranger: CampaignFacts | None, member: CampaignFacts | None
) -> None:
    one = told(acct_member=SURE)

    one.review(b"11-0", about("acct_stranger", ruling))
    one.review(b"12-0", about("acct_member", ruling))

    assert one.facts.get("acct_stranger") == stranger
    assert one.facts.get("acct_member") == member


def test_a_ban_the_linker_took_up_is_lifted_before_it_hears_of_it() -> None:
    one = told(acct_1=BANNED)

    one.review(b"11-0", about("acct_1", Ruling.CLEAR))

    assert one.facts == {}


def test_a_verdict_on_an_allowed_account_waits_until_the_linker_has_heard() -> None:
    one = told()
    one.review(b"20-0", about("acct_1", Ruling.ALLOW))

    one.change([("acct_1", "c_0001", 0.97)], b"10-0")
    before = dict(one.facts)
    one.change([], b"20-0")

    assert before == {}
    assert one.facts == {"acct_1": SURE}, "from then on the linker's word has it in it"


def test_a_released_campaign_is_let_go_at_once_and_may_come_back_later() -> None:
    one = told(acct_1=SURE, acct_2=CampaignFacts(id="c_0002", confidence=0.9))

    one.review(b"20-0", Review(at=build.NOW, ruling=Ruling.RELEASE, campaign="c_0001"))
    before = set(one.facts)
    one.change([], b"20-0")

    assert before == {"acct_2"}
    assert set(one.facts) == {"acct_1", "acct_2"}


def test_a_review_that_is_in_the_verdicts_already_changes_nothing() -> None:
    one = told()

    one.review(b"9-3", about("acct_1", Ruling.BAN))

    assert one.facts == {}


def test_loading_keeps_the_decisions_the_table_has_not_in_it() -> None:
    one = told(acct_old=SURE)
    one.review(b"20-0", about("acct_1", Ruling.BAN))
    one.review(b"30-0", about("acct_2", Ruling.BAN))

    one.load({"acct_1": SURE}, b"20-0")

    assert one.facts == {"acct_1": SURE, "acct_2": BANNED}


accounts = st.sampled_from(["a", "b", "c"])
steps = st.one_of(
    st.tuples(st.just("change"), accounts, st.sampled_from([None, "c_1", "c_2"])),
    st.tuples(st.just("review"), accounts, st.sampled_from(list(Ruling)[:3])),
    st.tuples(st.just("release"), st.sampled_from(["c_1", "c_2"]), st.none()),
)  # fmt: skip


@given(st.lists(steps, max_size=12), st.lists(st.integers(0, 11), max_size=6))
def test_hearing_the_whole_story_again_leaves_what_hearing_it_once_left(
    story: list[tuple[str, str, str | None]], starts: list[int]
) -> None:
    def tell(one: Told, start: int = 0) -> None:
        for number, (kind, who, what) in enumerate(story):
            if number < start:
                continue
            if kind == "change":
                one.change([(who, what, 0.5)], b"0-0")
            elif kind == "review":
                assert isinstance(what, Ruling)
                one.review(b"%d-1" % (number + 1), about(who, what))
            else:
                one.review(
                    b"%d-1" % (number + 1),
                    Review(at=build.NOW, ruling=Ruling.RELEASE, campaign=who),
                )

    once, often = Told(), Told()
    tell(once)
    tell(often)
    for start in starts:
        tell(often, start)

    assert often.facts == once.facts
