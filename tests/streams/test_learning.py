"""What is learnt from the streams: each sighting once, whatever comes twice, late or never."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.campaigns.sighting import Sighting
from gateway_guard.campaigns.snapshot import freeze, thaw
from gateway_guard.streams.disguise import Disguise
from gateway_guard.streams.keys import fingerprint
from gateway_guard.streams.learning import START, Position, Pupil, position_of
from gateway_guard.streams.wire import pack_batch, pack_review
from tests import build
from tests.campaigns import ring

KEY = fingerprint(build.SECRET)
DISGUISE = Disguise(build.SECRET)
ONE, TWO = b"guard001", b"guard002"

Entry = tuple[bytes, dict[bytes, bytes]]

#: When entries came, by the server's clock, milliseconds: after all that is told in them.
CAME = round((build.NOW + 30 * 86400.0) * 1_000)


def at(number: int) -> bytes:
    """The id of entry `number`."""
    return b"%d-0" % (CAME + number)


def entry(number: int, guard: bytes, first: int, seen: Iterable[Sighting]) -> Entry:
    return at(number), {b"b": pack_batch(KEY, guard, first, seen, DISGUISE)}


def exchanges(pupil: Pupil) -> dict[str, int]:
    return {t.account: t.exchanges for t in pupil.linker.memory.traces.values()}


def members(count: int, turn: int = 0) -> list[Sighting]:
    return [ring.member(number, turn) for number in range(count)]


def test_a_batch_that_comes_twice_counts_once() -> None:
    pupil = Pupil()
    first, second = entry(1, ONE, 0, members(3)), entry(2, ONE, 3, members(3, 1))

    pupil.take([first, second], [], KEY)
    pupil.take([(at(3), first[1]), (at(4), second[1])], [], KEY)

    assert set(exchanges(pupil).values()) == {2}
    assert (pupil.counts.learnt, pupil.counts.repeated, pupil.counts.lost) == (6, 6, 0)


def test_a_campaign_that_is_found_is_said_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    pupil = Pupil()
    seen = list(ring.stream())

    pupil.take([entry(n + 1, ONE, n, seen[n : n + 100]) for n in range(0, len(seen), 100)], [], KEY)

    held = [r.getMessage() for r in caplog.records]
    assert held == ["campaign c_0001 held: 24 accounts"]


def test_campaigns_let_go_are_counted_on_by_the_next_pupil() -> None:
    first = Pupil(ring.caught())
    later = build.NOW + ring.EXCHANGES * ring.HOUR
    first.heed(Review(at=later, ruling=Ruling.RELEASE, campaign="c_0001"))

    second = Pupil(counts=first.counts)

    assert first.counts.let_go["released"] == 1
    assert second.linker.cases.endings.counts is first.counts.let_go


def test_a_batch_whose_start_was_seen_already_counts_from_there() -> None:
    pupil = Pupil()

    pupil.take([entry(1, ONE, 0, members(2)), entry(2, ONE, 1, members(3)[1:])], [], KEY)

    assert set(exchanges(pupil).values()) == {1}
    assert (pupil.counts.learnt, pupil.counts.repeated) == (3, 1)


def test_batches_that_never_came_are_counted_as_lost() -> None:
    pupil = Pupil()

    pupil.take([entry(1, ONE, 0, members(2)), entry(9, ONE, 102, members(2, 1))], [], KEY)

    assert pupil.counts.lost == 100


def test_what_was_sent_before_the_first_linker_ever_is_not_lost_to_it() -> None:
    fresh, heir = Pupil(), Pupil(position=Position(sightings=at(5)))
    batch = entry(9, ONE, 1_000, members(2))

    fresh.take([batch], [], KEY)
    heir.take([batch], [], KEY)

    assert (fresh.counts.lost, heir.counts.lost) == (0, 1_000)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "malformed"),
        ({b"b": b"rubbish"}, "malformed"),
        (
            {b"b": pack_batch(fingerprint(b"another secret"), TWO, 0, members(1), DISGUISE)},
            "secret",
        ),
        ({b"x": b"?"}, "malformed"),
    ],
)
def test_an_entry_that_cannot_be_taken_is_passed_over_and_counted(
    fields: dict[bytes, bytes], why: str
) -> None:
    pupil = Pupil()

    pupil.take([(at(1), fields), entry(2, ONE, 0, members(2))], [], KEY)

    assert pupil.counts.skipped == {why: 1}
    assert pupil.counts.learnt == 2
    assert pupil.position.sightings == at(2)


def test_one_sighting_the_linker_chokes_on_costs_only_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pupil = Pupil()
    learn = pupil.linker.learn

    def choke(seen: Sighting) -> None:
        if seen.account == ring.account("a", 1):
            raise KeyError(seen.account)
        learn(seen)

    monkeypatch.setattr(pupil.linker, "learn", choke)
    pupil.take([entry(1, ONE, 0, members(3)), entry(2, ONE, 3, members(3))], [], KEY)

    assert (pupil.counts.learnt, pupil.counts.failed) == (4, 2)
    assert len([r for r in caplog.records if "the linker failed" in r.message]) == 1


def test_one_sighting_that_makes_no_sense_costs_only_itself() -> None:
    pupil = Pupil()
    odd = msgspec.structs.replace(ring.member(1), model="m" * 513)

    pupil.take([entry(1, ONE, 0, [ring.member(0), odd, ring.member(2)])], [], KEY)

    assert set(exchanges(pupil)) == {ring.account("a", 0), ring.account("a", 2)}
    assert (pupil.counts.learnt, pupil.counts.failed) == (2, 1)
    assert pupil.counts.skipped == {}


@pytest.mark.parametrize("days", [0.1, 15.0, 4000.0])
def test_a_guard_whose_clock_is_ahead_ends_no_campaign(
    days: float, caplog: pytest.LogCaptureFixture
) -> None:
    pupil = Pupil(ring.caught())
    last = build.NOW + ring.EXCHANGES * ring.HOUR
    wrong = [
        msgspec.structs.replace(ring.bystander(n, ring.EXCHANGES), at=last + days * 86400.0)
        for n in range(8)
    ]

    pupil.take([(b"%d-0" % (last * 1_000), entry(1, ONE, 0, wrong)[1])], [], KEY)

    assert set(pupil.linker.held) == {"c_0001"}
    assert pupil.counts.learnt == pupil.counts.ahead == 8
    said = [r.getMessage() for r in caplog.records if "the clock of a guard" in r.getMessage()]
    assert len(said) == 4
    assert f"{days * 86400.0:.0f} s ahead" in said[0]


def test_clocks_that_differ_by_little_are_believed() -> None:
    pupil = Pupil()
    seen = ring.member(0)

    pupil.take([(b"%d-0" % ((seen.at - 59.0) * 1_000), entry(1, ONE, 0, [seen])[1])], [], KEY)

    (trace,) = pupil.linker.memory.traces.values()
    assert (trace.last_at, pupil.counts.ahead) == (seen.at, 0)


def test_the_snapshot_and_the_position_are_one_thing() -> None:
    whole, stopped = Pupil(), Pupil()
    batches = [
        entry(turn + 1, (ONE, TWO)[turn % 2], turn // 2 * 5, members(5, turn)) for turn in range(6)
    ]
    whole.take(batches, [], KEY)

    stopped.take(batches[:3], [], KEY)
    saved = freeze(stopped.linker, build.SECRET, saved_at=build.NOW, position=stopped.packed)
    stopped.take(batches[3:5], [], KEY)  # and dies
    snapshot = thaw(saved, build.SECRET)
    heir = Pupil(snapshot.linker, position_of(snapshot.position))
    rest = [one for one in batches if one[0] > heir.position.sightings]
    heir.take(rest, [], KEY)

    assert len(rest) == 3
    assert exchanges(heir) == exchanges(whole)
    assert heir.counts.lost == heir.counts.repeated == 0
    assert heir.position == whole.position


@pytest.mark.parametrize("data", [b"", b"rubbish", Pupil().packed[:-1], b"\x92\xc4\x01x\xc4\x01y"])
def test_a_snapshot_without_a_position_begins_at_the_start(data: bytes) -> None:
    assert position_of(data) == Position(START, START, {})


def test_a_release_between_two_sightings_is_heeded_between_them() -> None:
    batches: list[Entry] = []
    for number, seen in enumerate(ring.stream(), 1):
        batches.append(entry(number, ONE, number - 1, [seen]))
    release = Review(at=build.NOW + 1e9, ruling=Ruling.RELEASE, campaign="c_0001")
    pupil = Pupil()

    heard = pupil.take(
        batches, [(b"%d-5" % (CAME + len(batches)), {b"r": pack_review(KEY, release)})], KEY
    )

    assert heard == [release]
    assert not pupil.linker.held
    assert pupil.linker.cases.reviews.rulings


def test_verdicts_that_were_touched_and_changed_are_told_once() -> None:
    pupil = Pupil()
    everything = [
        entry(number, ONE, number - 1, [seen]) for number, seen in enumerate(ring.stream(), 1)
    ]
    pupil.take(everything, [], KEY)

    published: dict[str, Any] = {}
    first = dict(pupil.changes(pupil.touched(), published))
    published.update(first)
    again = dict(pupil.changes(pupil.touched(), published))
    pupil.heed(Review(at=build.NOW, ruling=Ruling.ALLOW, account=ring.account("a", 3)))
    third = dict(pupil.changes(pupil.touched(), published))

    assert set(first) == {ring.account("a", number) for number in range(ring.MEMBERS)}
    assert again == {}
    assert third[ring.account("a", 3)] is None
