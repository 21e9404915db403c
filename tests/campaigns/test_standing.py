"""Where accounts stand: challenged, verified, or neither; by what happened last."""

from __future__ import annotations

from itertools import permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.campaigns.standing import LASTS, MOST_ACCOUNTS, Place, Standing
from gateway_guard.core.links import LinkFault
from tests.build import NOW

ONE, OTHER = "acct_aaaaaaaaaaaaaaaa", "acct_bbbbbbbbbbbbbbbb"


def verify(account: str = ONE, *, at: float = NOW, **more: Any) -> Review:
    return Review(at=at, ruling=Ruling.VERIFY, account=account, **more)


def rule(ruling: Ruling, account: str = ONE, *, at: float = NOW) -> Review:
    return Review(at=at, ruling=ruling, account=account)


def test_who_verified_is_so_for_thirty_days() -> None:
    standing = Standing()

    standing.heed(verify())

    assert standing.verified(ONE, NOW + LASTS - 1)
    assert not standing.verified(ONE, NOW + LASTS)
    assert not standing.verified(OTHER, NOW)


def test_who_is_challenged_is_so_until_verified() -> None:
    standing = Standing()

    standing.heed(rule(Ruling.CHALLENGE))
    challenged = standing.challenged(ONE)
    standing.heed(verify(at=NOW + 1))

    assert challenged
    assert not standing.challenged(ONE)


def test_a_new_challenge_ends_a_verification_and_clearing_ends_either() -> None:
    standing = Standing()

    standing.heed(verify())
    standing.heed(rule(Ruling.CHALLENGE, at=NOW + 1))
    challenged = standing.challenged(ONE), standing.verified(ONE, NOW + 2)
    standing.heed(rule(Ruling.CLEAR, at=NOW + 2))

    assert challenged == (True, False)
    assert not standing.challenged(ONE)
    assert not standing.verified(ONE, NOW + 3)


def test_who_is_erased_is_not_verified_any_more_but_still_challenged() -> None:
    standing = Standing()
    heard: list[str] = []
    standing.erasing.append(heard.append)
    standing.heed(verify(ONE, subject="ada", link="l1"))
    standing.heed(rule(Ruling.CHALLENGE, OTHER))

    standing.heed(rule(Ruling.ERASE, ONE, at=NOW + 1))
    standing.heed(rule(Ruling.ERASE, OTHER, at=NOW + 1))

    assert not standing.verified(ONE, NOW + 2)
    assert standing.challenged(OTHER)
    assert heard == [ONE, OTHER]
    assert standing.refuses(link="l2", subject="ada", account="acct_c", most=1, at=NOW + 2) is None


def test_order_and_repetition_do_not_matter() -> None:
    told = [verify(), rule(Ruling.CHALLENGE, at=NOW + 1), verify(at=NOW + 2),
            rule(Ruling.CHALLENGE, at=NOW + 3)]  # fmt: skip

    for order in permutations(told):
        standing = Standing()
        for review in (*order, *order):
            standing.heed(review)

        assert standing.challenged(ONE)
        assert not standing.verified(ONE, NOW + 4)


def test_decisions_about_something_else_change_nothing() -> None:
    standing = Standing()

    for ruling in (Ruling.ALLOW, Ruling.BAN, Ruling.NOTE, Ruling.CLEAR):
        standing.heed(rule(ruling))
    standing.heed(Review(at=NOW, ruling=Ruling.RELEASE, campaign="c_0001"))

    assert standing.places == {}


def test_a_link_is_used_once_and_a_subject_has_room_for_so_many_accounts() -> None:
    standing = Standing()
    for number in range(3):
        standing.heed(verify(f"acct_{number}", subject="ada", link=f"l{number}"))

    def asked(link: str, account: str, *, subject: str = "ada", at: float = NOW) -> object:
        return standing.refuses(link=link, subject=subject, account=account, most=3, at=at)

    assert asked("l0", "acct_0") is LinkFault.USED
    assert asked("new", "acct_3") is LinkFault.CROWDED
    assert asked("new", "acct_0") is None
    assert asked("new", "acct_3", subject="bob") is None
    assert asked("new", "acct_3", at=NOW + LASTS) is None


def test_an_account_that_is_cleared_makes_room_for_another_of_its_subject() -> None:
    standing = Standing()
    asked: dict[str, Any] = {"link": "l2", "subject": "ada", "account": OTHER, "most": 1}

    standing.heed(verify(link="l1", subject="ada"))
    full = standing.refuses(**asked, at=NOW + 1)
    standing.heed(rule(Ruling.CHALLENGE, at=NOW + 2))
    challenged = standing.refuses(**asked, at=NOW + 2)
    standing.heed(rule(Ruling.CLEAR, at=NOW + 3))
    standing.heed(verify(link="l1", subject="ada"))  # told again, late

    assert (full, challenged) == (LinkFault.CROWDED, LinkFault.CROWDED)
    assert standing.refuses(**asked, at=NOW + 3) is None


def test_places_from_elsewhere_replace_what_was_known_unless_there_are_none() -> None:
    standing = Standing()
    standing.heed(verify())

    standing.load({})
    kept = standing.verified(ONE, NOW)
    standing.load({OTHER: Place(0.0, 0.0, True)})

    assert kept
    assert not standing.verified(ONE, NOW)
    assert standing.challenged(OTHER)


@given(st.lists(st.tuples(st.sampled_from(list(Ruling)), st.integers(0, 30)), max_size=60))
def test_nothing_grows_without_bound(told: list[tuple[Ruling, int]]) -> None:
    standing = Standing(bound=(5, 5, 5))

    for at, (ruling, who) in enumerate(told):
        review = Review(at=NOW + at, ruling=ruling, account=f"acct_{who}", subject=f"s{who}",
                        link=f"l{at}")  # fmt: skip
        standing.heed(review)

    assert len(standing.places) <= 5
    assert len(standing._subjects) <= 5
    assert len(standing._links) <= 5


def test_one_subject_is_remembered_with_so_many_accounts_at_most() -> None:
    standing = Standing()

    for number in range(MOST_ACCOUNTS + 10):
        standing.heed(verify(f"acct_{number}", subject="ada"))

    assert len(standing._subjects["ada"]) == MOST_ACCOUNTS
