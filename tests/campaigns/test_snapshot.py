"""What a restart must not forget, and what must never be taken for it."""

from __future__ import annotations

import functools
import gzip
from array import array
from pathlib import Path
from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_guard.campaigns.filling import Filling
from gateway_guard.campaigns.journal import Applied
from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.membership import Signature
from gateway_guard.campaigns.memory import Bounds
from gateway_guard.campaigns.postings import Postings
from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.campaigns.rows import head_of
from gateway_guard.campaigns.sealed import VERSION
from gateway_guard.campaigns.sighting import Sighting
from gateway_guard.campaigns.snapshot import MOST_ACCOUNTS, Snapshot, freeze, thaw
from gateway_guard.errors import SnapshotError
from gateway_guard.types import CampaignFacts
from tests import build
from tests.campaigns import ring

OTHER: Final = b"another secret, 32 bytes of it.."
#: Where the parts of the head begin: magic, version, key, length, check, then the blocks.
VERSION_AT, KEY_AT, LENGTH_AT, CHECK_AT, BODY_AT = 8, 10, 26, 34, 66


@functools.cache
def caught() -> Linker:
    """Not to be changed by tests."""
    return ring.caught()


@functools.cache
def frozen() -> bytes:
    return freeze(caught(), build.SECRET, saved_at=build.NOW)


def restarted(linker: Linker, accounts: int = MOST_ACCOUNTS) -> Snapshot:
    data = freeze(linker, build.SECRET, saved_at=build.NOW, accounts=accounts)
    return thaw(data, build.SECRET)


def newcomer(number: int) -> Sighting:
    """An account never seen that does as the members do."""
    return ring.member(number, at=build.NOW + 13 * ring.HOUR)


def test_verdicts_campaigns_and_counts_survive() -> None:
    before, after = caught(), thaw(frozen(), build.SECRET)

    linker = after.linker
    assert linker.cases.verdicts == before.cases.verdicts
    assert linker.campaigns() == before.campaigns()
    assert linker.held == before.held
    assert linker.memory.traces == before.memory.traces
    assert linker.memory.releases.models == before.memory.releases.models
    assert (linker.examined, linker.memory.next) == (before.examined, before.memory.next)
    assert after.accounts == ring.MEMBERS + ring.BYSTANDERS
    assert after.exchanges == after.accounts * ring.EXCHANGES


def test_payments_that_are_words_and_seconds_of_imports_survive() -> None:
    linker, created = Linker(), build.NOW - 1001.0
    for n in range(500):
        linker.learn(
            Sighting(
                at=build.NOW, account=f"a{n}", organisation=f"o{n}", payment=f"bank {n % 9}",
                created_at=created if n < 13 else None, address=n, subnet=n, model=None,
            )
        )  # fmt: skip

    for one in (linker, restarted(linker).linker):
        assert not one.memory.paying.tell
        assert not one.memory.at_once.tells(created)


def test_a_newcomer_is_caught_by_its_first_exchange_after_the_restart() -> None:
    linker = thaw(frozen(), build.SECRET).linker
    late = msgspec.structs.replace(newcomer(2000), created_at=build.NOW - 4 * ring.HOUR)

    linker.learn(late)

    assert linker.facts(late.account) is not None
    assert linker.facts(ring.bystander(0).account) is None


def test_the_restarted_linker_judges_what_follows_like_the_one_that_never_stopped() -> None:
    going, again = ring.caught(), thaw(frozen(), build.SECRET).linker

    for turn in range(ring.EXCHANGES, ring.EXCHANGES + 4):
        for number in range(ring.MEMBERS + 6):
            for linker in (going, again):
                linker.learn(ring.member(number, turn))
        for number in range(40):
            for linker in (going, again):
                linker.learn(ring.bystander(number, turn))

    assert again.cases.verdicts.keys() == going.cases.verdicts.keys()
    for account, facts in going.cases.verdicts.items():
        assert again.cases.verdicts[account].id == facts.id
        assert again.cases.verdicts[account].confidence == pytest.approx(facts.confidence, abs=0.01)


def test_whoever_used_a_template_first_is_not_held_to_imitate_it_after_a_restart_either() -> None:
    linker = Linker()
    for number in range(4):
        linker.learn(Sighting(at=build.NOW + number, account=f"a{number}", keys=(7,)))
    victim = linker.memory.numbers["a0"]

    for one in (linker, restarted(linker).linker):
        memory, elsewhere = one.memory, one.cases.elsewhere
        posting, base = memory.templates.shared.get(7), elsewhere.base()
        assert posting is not None
        assert posting.first == victim
        assert [
            7 in elsewhere.outside(memory.traces[number], Signature(), base).keys
            for number in sorted(memory.traces)
        ] == [False, True, True, True]


def test_of_a_first_user_who_is_left_out_nothing_is_remembered() -> None:
    linker = Linker()
    for number in range(4):
        linker.learn(Sighting(at=build.NOW + number, account=f"a{number}", keys=(7,)))

    posting = restarted(linker, accounts=3).linker.memory.templates.shared.get(7)

    assert posting is not None
    assert posting.first == 0


def test_a_snapshot_of_before_first_users_were_saved_is_taken() -> None:
    linker = Linker()
    head = head_of(linker, saved_at=build.NOW, applied=Applied())

    Filling(linker, head).take("shared", [[7, 2, array("Q", (1, 2)), build.NOW, build.NOW]])

    posting = linker.memory.templates.shared.get(7)
    assert posting is not None
    assert (posting.count, posting.first) == (2, 0)


def test_reviews_in_force_survive_and_bans_stand_without_any_evidence() -> None:
    linker = ring.caught()
    allowed, banned, outside = (
        ring.member(0).account, ring.member(1).account, ring.bystander(0).account,
    )  # fmt: skip
    for account, ruling in (
        (allowed, Ruling.ALLOW), (banned, Ruling.BAN), (outside, Ruling.BAN),
        ("acct_x", Ruling.BAN),
    ):  # fmt: skip
        linker.review(Review(at=build.NOW, ruling=ruling, account=account))

    again = restarted(linker).linker

    assert again.cases.reviews.rulings == linker.cases.reviews.rulings
    assert list(again.cases.reviews.rulings) == list(linker.cases.reviews.rulings)
    assert again.facts(allowed) is None
    assert again.facts(banned) == CampaignFacts(id="c_0001", confidence=1.0, banned=True)
    assert again.facts(outside) == again.facts("acct_x")
    assert again.facts("acct_x") == CampaignFacts(id="banned", confidence=1.0, banned=True)
    again.learn(ring.member(0, ring.EXCHANGES))
    assert again.facts(allowed) is None


def test_who_was_acquitted_is_still_after_a_restart() -> None:
    linker = ring.caught()
    (held,) = linker.held.values()
    members = list(held.members)
    linker.cases.acquit(held, build.NOW)

    again = restarted(linker).linker

    assert again.held == {}
    assert again.cases.acquittals.covers(members[:12], build.NOW)


def test_what_was_let_go_is_remembered_and_whoever_was_left_out_is_left_alone() -> None:
    linker = ring.caught()
    number = min(linker.memory.traces)
    linker.memory.traces[number].placed_at = build.NOW
    (held,) = linker.held.values()
    linker.cases.acquit(held, build.NOW)

    again = restarted(linker).linker

    assert list(again.cases.endings.latest) == list(linker.cases.endings.latest)
    assert [one.id for one in again.cases.endings.latest] == ["c_0001"]
    assert again.memory.traces[number].placed_at == build.NOW


def test_what_the_guard_was_told_of_neighbours_survives() -> None:
    linker, near = ring.caught(), ring.bystander(3).account
    linker.cases.verdicts[near] = CampaignFacts(id="c_0001", confidence=0.8)
    linker.cases.verdicts["acct_long_forgotten"] = CampaignFacts(id="c_0009", confidence=0.8)

    again = restarted(linker, accounts=1).linker

    assert again.facts(near) == CampaignFacts(id="c_0001", confidence=0.8)
    assert near in again.memory.numbers
    # Of a campaign that is not held any more.
    assert again.facts("acct_long_forgotten") is None


def test_what_the_guard_was_told_of_neighbours_ends_with_the_campaign_after_a_restart_too() -> None:
    linker, near = ring.caught(), ring.bystander(3).account
    cases = linker.cases
    cases._suspects[linker.memory.numbers[near]] = "c_0001"
    cases.verdicts[near] = CampaignFacts(id="c_0001", confidence=0.8)

    again = restarted(linker).linker
    again.cases.let_go(again.held["c_0001"])

    assert again.facts(near) is None


def test_a_snapshot_of_guards_before_they_remembered_who_came_first_is_read() -> None:
    # Of the ring without bystanders, as it was written until 577c732; one banned, one allowed.
    kept = Path(__file__).with_name("2026-11-23.snapshot.gz")

    after = thaw(gzip.decompress(kept.read_bytes()), build.SECRET)

    (held,) = after.linker.held.values()
    assert len(held.members) == ring.MEMBERS - 1
    banned, allowed = ring.account("b", 3), ring.account("a", 3)
    assert after.linker.cases.reviews.banned(banned)
    assert after.linker.cases.reviews.of(allowed, build.NOW) is Ruling.ALLOW
    assert after.linker.facts(allowed) is None
    after.linker.learn(newcomer(30))
    assert after.linker.facts(newcomer(30).account) is not None


def test_an_index_this_version_does_not_know_is_refused() -> None:
    linker = Linker()
    novel: Postings[int] = Postings(values=10, most=4)
    linker.learn(ring.bystander(0))
    novel.add(7, 1, build.NOW)
    vars(linker.memory)["novel"] = novel

    with pytest.raises(SnapshotError, match="does not fit this version of the guard"):
        restarted(linker)


def test_an_account_that_is_awake_round_the_clock_for_a_week_survives() -> None:
    linker = Linker()
    for hour in range(167):
        linker.learn(ring.bystander(0, hour))

    again = restarted(linker).linker

    assert again.memory.traces == linker.memory.traces
    assert again.memory.traces[1].pace_hours == (1 << 167) - 1


def test_an_empty_linker_survives_too() -> None:
    after = restarted(Linker())

    assert after.linker.campaigns() == []
    assert (after.accounts, after.exchanges, after.applied) == (0, 0, Applied())


def test_how_far_the_journal_was_read_is_kept() -> None:
    applied = Applied(size=123, digest=b"0123456789abcdef")

    data = freeze(Linker(), build.SECRET, saved_at=build.NOW, applied=applied)

    assert thaw(data, build.SECRET).applied == applied


def test_beyond_its_bound_members_stay_and_the_others_go_longest_unseen_first() -> None:
    after = restarted(caught(), accounts=ring.MEMBERS + 10)

    memory = after.linker.memory
    assert len(memory.traces) == ring.MEMBERS + 10
    assert after.linker.cases.verdicts == caught().cases.verdicts
    latest = {ring.bystander(n).account for n in range(ring.BYSTANDERS - 10, ring.BYSTANDERS)}
    assert latest <= memory.numbers.keys()
    assert after.accounts == ring.MEMBERS + ring.BYSTANDERS


def test_a_newcomer_is_caught_although_others_were_left_out() -> None:
    linker = restarted(caught(), accounts=ring.MEMBERS + ring.BYSTANDERS // 2).linker
    late = msgspec.structs.replace(newcomer(2000), created_at=build.NOW - 4 * ring.HOUR)

    linker.learn(late)

    assert linker.facts(late.account) is not None


def test_its_size_is_bounded_however_many_accounts_and_keys_there_are() -> None:
    linker = Linker()
    for number in range(2000):
        linker.learn(ring.bystander(number))

    few = freeze(linker, build.SECRET, saved_at=build.NOW, accounts=100, claims=50)
    more = freeze(linker, build.SECRET, saved_at=build.NOW, accounts=1000, claims=50)

    assert len(few) < 100 * 500
    assert len(more) < 1000 * 500


def test_a_smaller_memory_takes_a_larger_snapshot() -> None:
    small = Bounds(accounts=50, keys=20, shared=10, values=20, most=8)

    linker = thaw(frozen(), build.SECRET, bounds=small).linker

    assert linker.cases.verdicts == caught().cases.verdicts
    linker.learn(ring.bystander(5000))
    assert len(linker.memory.subnets) <= 40
    # Who is one too many is forgotten at once, not a tenth at a time.
    assert len(linker.memory.traces) <= 50


def test_no_secret_and_no_way_to_guess_one_is_in_it() -> None:
    assert build.SECRET not in frozen()
    assert (
        freeze(caught(), OTHER, saved_at=build.NOW)[KEY_AT:LENGTH_AT]
        != (frozen()[KEY_AT:LENGTH_AT])
    )


def test_text_of_prompts_never_gets_into_it() -> None:
    linker = Linker()
    for seen in ring.stream(exchanges=4):
        linker.learn(msgspec.structs.replace(seen, sample="Grade this answer by the rubric"))

    assert b"rubric" not in freeze(linker, build.SECRET, saved_at=build.NOW)


def test_equal_linkers_freeze_to_equal_bytes() -> None:
    assert freeze(caught(), build.SECRET, saved_at=build.NOW) == frozen()


def test_another_secret_is_named_as_the_reason() -> None:
    with pytest.raises(SnapshotError, match="another GATEWAY_GUARD_SECRET"):
        thaw(frozen(), OTHER)


def test_a_newer_format_says_both_numbers() -> None:
    newer = frozen()[:VERSION_AT] + (VERSION + 6).to_bytes(2, "big") + frozen()[KEY_AT:]

    with pytest.raises(SnapshotError, match=f"format {VERSION + 6}.* reads format {VERSION}"):
        thaw(newer, build.SECRET)


@pytest.mark.parametrize("data", [b"", b"not a snapshot", b"\0" * 100, b'{"id":"c_0001"}'])
def test_what_is_something_else_is_called_that(data: bytes) -> None:
    with pytest.raises(SnapshotError, match="no snapshot of campaigns"):
        thaw(data, build.SECRET)


@pytest.mark.parametrize("size", [1, 7, VERSION_AT, KEY_AT, CHECK_AT, BODY_AT - 1])
def test_a_head_cut_short_is_said_to_be(size: int) -> None:
    with pytest.raises(SnapshotError, match="cut off within its first 66 bytes"):
        thaw(frozen()[:size], build.SECRET)


def test_a_body_cut_short_says_how_much_is_missing() -> None:
    with pytest.raises(SnapshotError, match=r"should have .* bytes after its head and has"):
        thaw(frozen()[:-1], build.SECRET)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_flipped_bit_is_refused(data: st.DataObject) -> None:
    whole = frozen()
    # Half of the time within the head: it is small beside the rest.
    last = data.draw(st.sampled_from([BODY_AT, len(whole)]))
    place, bit = data.draw(st.integers(0, last - 1)), data.draw(st.integers(0, 7))
    flipped = bytearray(whole)
    flipped[place] ^= 1 << bit

    with pytest.raises(SnapshotError):
        thaw(bytes(flipped), build.SECRET)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1 << 30))
def test_any_cut_is_refused(at: int) -> None:
    with pytest.raises(SnapshotError):
        thaw(frozen()[: at % len(frozen())], build.SECRET)


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=1, max_size=200))
def test_anything_appended_is_refused(tail: bytes) -> None:
    with pytest.raises(SnapshotError):
        thaw(frozen() + tail, build.SECRET)


class Foreign(msgspec.Struct):
    """A head as a version might write that this one does not know."""

    saved_at: str


def test_content_that_reads_otherwise_is_a_matter_of_versions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def odd(*_: object, **__: object) -> Foreign:
        return Foreign("yesterday")

    with monkeypatch.context() as patch:
        patch.setattr("gateway_guard.campaigns.snapshot.head_of", odd)
        data = freeze(Linker(), build.SECRET, saved_at=build.NOW)

    with pytest.raises(SnapshotError, match="does not fit this version of the guard"):
        thaw(data, build.SECRET)


@st.composite
def histories(draw: st.DrawFn) -> list[Sighting]:
    """Members, bystanders and newcomers in any mixture, some of them seen only once."""
    events = []
    for _ in range(draw(st.integers(0, 60))):
        number, turn = draw(st.integers(0, 30)), draw(st.integers(0, 400))
        make = draw(st.sampled_from([ring.member, ring.member, ring.bystander]))
        events.append(make(number, turn))
    return events


@settings(max_examples=40, deadline=None)
@given(histories())
def test_whatever_was_seen_verdicts_survive_two_restarts(history: list[Sighting]) -> None:
    linker = Linker()
    for seen in history:
        linker.learn(seen)

    once = restarted(linker).linker
    twice = restarted(once).linker

    for again in (once, twice):
        assert again.cases.verdicts == linker.cases.verdicts
        assert again.memory.traces == linker.memory.traces
        assert again.held == linker.held


def test_a_neighbour_that_was_banned_is_told_the_same_after_a_restart() -> None:
    linker, near = ring.caught(), ring.bystander(3).account
    linker.cases.suspect(linker.memory.numbers[near], "c_0001", 0.8)
    linker.review(Review(at=build.NOW, ruling=Ruling.BAN, account=near))

    again = restarted(linker).linker

    assert again.facts(near) == linker.facts(near)
