"""What is left of an account that was erased: nothing by which it could be told."""

from __future__ import annotations

from array import array

import msgspec

from gateway_guard.campaigns.casebook import BANNED
from gateway_guard.campaigns.erasing import bounds_of
from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.postings import Posting, Postings
from gateway_guard.campaigns.releases import Releases
from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.campaigns.rows import decode
from gateway_guard.campaigns.sealed import unseal
from gateway_guard.campaigns.snapshot import freeze, thaw
from tests import build
from tests.campaigns import ring
from tests.campaigns.build import learnt

END = build.NOW + ring.EXCHANGES * ring.HOUR
MEMBER, BYSTANDER = ring.account("a", 1), ring.account("b", 1)


def ruled(linker: Linker, ruling: Ruling, account: str, at: float = END) -> None:
    assert linker.review(Review(at=at, ruling=ruling, account=account))


def kept(linker: Linker) -> str:
    """Everything a snapshot holds, as text."""
    blocks = unseal(freeze(linker, build.SECRET, saved_at=END), build.SECRET)
    return repr([decode(block) for block in blocks])


def test_no_snapshot_names_it_or_what_it_alone_came_with() -> None:
    linker = ring.caught()
    before = kept(linker)

    ruled(linker, Ruling.ERASE, BYSTANDER)

    after = kept(linker)
    own = (BYSTANDER, "org-b1'", "'own-1'", str(ring.bystander(1).subnet))
    assert all(one in before for one in own)
    assert not any(one in after for one in own)
    assert linker.memory.payments.get("own-1") is None
    assert "own-2" in after


def test_nor_who_asked_for_a_model_first_and_from_whose_proxy() -> None:
    hidden = msgspec.structs.replace(ring.bystander(1), flags=frozenset({"vpn"}))
    linker = learnt([hidden, ring.bystander(2)])

    ruled(linker, Ruling.ERASE, BYSTANDER)

    assert BYSTANDER not in kept(linker)
    assert linker.memory.hidden.get(hidden.subnet) is None
    assert ring.account("b", 2) in kept(linker)


def test_a_member_leaves_its_campaign_which_is_held_on() -> None:
    linker = ring.caught()

    ruled(linker, Ruling.ERASE, MEMBER)

    (held,) = linker.held.values()
    assert len(held.members) == ring.MEMBERS - 1
    assert linker.facts(MEMBER) is None
    assert MEMBER not in kept(linker)
    payment = linker.memory.payments.get("card-1")
    assert payment is not None
    assert payment.count == ring.MEMBERS / 3 - 1


def test_a_campaign_of_which_nobody_is_left_is_let_go_and_the_linker_goes_on() -> None:
    linker = ring.caught()

    for number in range(ring.MEMBERS):
        ruled(linker, Ruling.ERASE, ring.account("a", number))
    for number in range(ring.BYSTANDERS):
        linker.learn(ring.bystander(number, ring.EXCHANGES))

    assert not linker.held
    assert len(linker.memory.traces) == ring.BYSTANDERS
    assert len(thaw(freeze(linker, build.SECRET, saved_at=END), build.SECRET).linker.memory.traces)


def test_what_a_person_decided_stays_in_force() -> None:
    linker = ring.caught()
    ruled(linker, Ruling.BAN, MEMBER)

    ruled(linker, Ruling.ERASE, MEMBER)

    facts = linker.facts(MEMBER)
    assert facts is not None
    assert (facts.id, facts.banned) == (BANNED, True)
    assert MEMBER not in linker.memory.numbers


def test_what_is_learnt_afterwards_stays_when_a_journal_is_read_again() -> None:
    linker = learnt([ring.bystander(1)])
    ruled(linker, Ruling.ERASE, BYSTANDER, at=build.NOW + 2 * ring.HOUR)
    ruled(linker, Ruling.ERASE, BYSTANDER, at=build.NOW + 2 * ring.HOUR)
    linker.learn(ring.bystander(1, 5))

    ruled(linker, Ruling.ERASE, BYSTANDER, at=build.NOW + 2 * ring.HOUR)

    assert BYSTANDER in linker.memory.numbers


def test_an_account_nobody_knows_is_erased_as_well() -> None:
    linker = learnt([ring.bystander(1)])

    ruled(linker, Ruling.ERASE, ring.account("z", 1))

    assert len(linker.memory.traces) == 1


def test_who_leaves_a_posting_leaves_it_to_the_others() -> None:
    postings: Postings[str] = Postings(values=4, most=4)
    for number in (1, 2, 3):
        postings.add("card", number, 10.0 * number)
    postings.add("own", 1, 10.0)

    postings.leave("card", 1)
    postings.leave("own", 1)
    postings.leave("nobody's", 1)

    assert postings.get("card") == Posting(2, array("Q", (2, 3)), 10.0, 30.0, 0)
    assert postings.get("own") is None


def test_an_erased_account_still_counts_among_the_first_of_a_model_without_its_name() -> None:
    releases = Releases()
    traces = list(learnt(ring.bystander(n) for n in range(2)).memory.traces.values())
    for trace in traces:
        releases.note(trace, "apex-4", build.NOW)

    releases.forget(traces[0].account)

    assert releases.models["apex-4"][1] == ["", traces[1].account]


def test_who_was_not_seen_for_as_long_as_the_bound_says_is_forgotten_and_members_are_not() -> None:
    linker = Linker(bounds=bounds_of(1_000, days=30))
    for seen in ring.stream():
        linker.learn(seen)
    members, days = len(linker.cases.member_of), 86_400.0 / ring.HOUR

    for turn in range(1, 40):
        linker.learn(ring.bystander(7, round(turn * days)))
    after = set(linker.memory.numbers)

    assert members == ring.MEMBERS
    assert len(linker.memory.traces) == 1
    assert after == {ring.account("b", 7)}


def test_without_a_bound_nobody_is_forgotten_for_being_away() -> None:
    linker = Linker(bounds=bounds_of(1_000, days=0))
    linker.learn(ring.bystander(1))

    for turn in range(0, 5_000, 24):
        linker.learn(ring.bystander(7, turn))

    assert BYSTANDER in linker.memory.numbers
