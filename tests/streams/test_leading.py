"""One linker at a time: who takes over where the last one stopped, and who is too late."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import pytest

from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.record.reviews import Journal, append
from gateway_guard.record.snapshots import SnapshotFile
from gateway_guard.stores.connect import parse_address
from gateway_guard.streams import leading
from gateway_guard.streams.disguise import Disguise
from gateway_guard.streams.leading import Leader
from gateway_guard.streams.learning import position_of
from gateway_guard.streams.lease import LEASE, RENEW_EVERY, Lease
from gateway_guard.streams.link import Link
from gateway_guard.streams.wire import pack_batch, pack_facts, pack_review
from gateway_guard.types import CampaignFacts
from tests import build
from tests.campaigns import ring
from tests.servers import PATIENCE, Server, needs_redis, shared_server, until
from tests.streams.team import (
    KEY,
    Team,
    active,
    alone,
    contained,
    exchanges,
    send,
    team,
)

pytestmark = needs_redis


def policy(folder: Path) -> str:
    path = folder / "policy.yaml"
    path.write_text("version: 1\nmode: enforce\n")
    return str(path)


def said(process: subprocess.Popen[str], words: str) -> None:
    """Read on until a process says that."""
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"it ended without saying {words!r}")


def learns(process: subprocess.Popen[str]) -> None:
    said(process, "caught up")


def of_version(crew: Team, version: int) -> None:
    """Have the snapshot in the store be of another format, or again of ours."""
    (piece,) = crew.do("KEYS", f"{crew.namespace}:*:s:*")
    crew.do("SETRANGE", piece, len(b"GGCAMPS\n"), version.to_bytes(2, "big"))


def finished(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(PATIENCE)


@asynccontextmanager
async def leaders(crew: Team, *dedicated: bool) -> AsyncIterator[list[Leader]]:
    """Leaders whose loop the test is: what they do, it does."""
    links = [Link(parse_address(crew.server.uri)) for _ in dedicated]
    yield [
        # It does not run out while a test thinks.
        Leader(
            link,
            crew.keys,
            KEY,
            build.SECRET,
            Lease(link, crew.keys, KEY, dedicated=which, lease=600.0),
        )
        for link, which in zip(links, dedicated, strict=True)
    ]
    for link in links:
        await link.close()


def test_a_linker_that_died_is_waited_for_no_longer_than_its_lease_and_one_look() -> None:
    assert LEASE + RENEW_EVERY < 3.0, "the README says within three seconds"
    assert LEASE > 3 * RENEW_EVERY, "and one that is late twice is not replaced"


def test_a_standby_takes_over_after_a_kill_and_counts_nothing_twice(tmp_path: Path) -> None:
    story = list(ring.stream(exchanges=9))
    with team(shared_server()) as crew:
        flags = ("--policy", policy(tmp_path))
        files = [tmp_path / "one", tmp_path / "two"]
        first = crew.process(*flags, "--campaigns-file", str(files[0]))
        learns(first)
        second = crew.process(*flags, "--campaigns-file", str(files[1]))
        said(second, "gateway-guard linker")
        one, other = crew.guard(), crew.guard()
        # Learnt and published by the first, and perhaps not saved.
        send(story[:700], one, other)
        until(lambda: crew.do("HLEN", crew.keys.table) > 0, "the first publishes")

        first.kill()
        send(story[700:], one, other)
        learns(second)
        until(lambda: contained(one, other), "both guards contain the campaign")
        assert finished(second) == 0

        assert exchanges(files[1]) == alone(story)
        saved = SnapshotFile(files[1]).load(build.SECRET)
        assert saved is not None
        heard = position_of(saved.position).guards
        assert heard == {guard.sender.guard: guard.sender.sent for guard in (one, other)}


def test_a_restart_goes_on_from_the_snapshot_and_its_position(tmp_path: Path) -> None:
    story = list(ring.stream(exchanges=6))
    with team(shared_server()) as crew:
        guard = crew.guard()
        flags = ("--policy", policy(tmp_path), "--campaigns-file", str(tmp_path / "campaigns"))
        for part in (story[:300], story[300:500], story[500:]):
            process = crew.process(*flags)
            learns(process)
            send(part, guard)
            assert finished(process) == 0
        # The last one may have ended before it had read everything: what is left stays there.
        for _ in range(5):
            if exchanges(tmp_path / "campaigns") == alone(story):
                break
            process = crew.process(*flags)
            learns(process)
            assert finished(process) == 0

        assert exchanges(tmp_path / "campaigns") == alone(story)


@pytest.mark.parametrize("kept", ["store", "file"])
def test_either_the_store_or_the_file_is_enough_to_go_on_from(kept: str, tmp_path: Path) -> None:
    path, story = tmp_path / "campaigns", list(ring.stream(exchanges=6))
    with Server() as server, team(server) as crew:
        linker = crew.linker(file=SnapshotFile(path))
        send(story[:400], linker)
        until(lambda: sum(exchanges(linker).values()) == 400, "learnt")
        linker.close()
        if kept == "store":
            path.unlink()
        else:
            crew.do("FLUSHALL")

        heir = crew.linker(file=SnapshotFile(path))
        send(story[400:], heir)
        until(lambda: sum(exchanges(heir).values()) == len(story), "learnt on")

        assert exchanges(heir) == alone(story)


def test_a_process_that_was_stopped_cannot_publish_over_its_successor(tmp_path: Path) -> None:
    with team(shared_server()) as crew:
        flags = ("--policy", policy(tmp_path))
        zombie = crew.process(*flags)
        learns(zombie)
        guard = crew.guard()
        send(ring.stream(exchanges=2), guard)
        zombie.send_signal(signal.SIGSTOP)
        heir = crew.process(*flags)
        learns(heir)
        fence = crew.do("HGET", crew.keys.lead, "fence")
        send(islice(ring.stream(), 288, None), guard)
        until(lambda: contained(guard), "the heir's verdicts are heard")

        zombie.send_signal(signal.SIGCONT)
        said(zombie, "another process learns")

        assert crew.do("HGET", crew.keys.lead, "fence") >= fence
        assert contained(guard)


def test_the_number_only_grows_and_what_carries_an_older_one_is_refused() -> None:
    async def scenario(crew: Team) -> None:
        async with leaders(crew, True, True) as (old, new):
            assert await old.lease.acquire()
            assert not await new.lease.acquire(), "there is one"
            first = old.lease.fence
            crew.do("DEL", crew.keys.lease)  # as if its time had run out
            assert await new.lease.acquire()
            assert new.lease.fence > first

            assert not await old.lease.renew()
            pupil = await old._take_over()
            for seen in ring.stream():
                pupil.linker.learn(seen)
            pupil.news = 1
            old.caught_up = True
            await old._publish()
            published = crew.do("HLEN", crew.keys.table)
            await old._save()

            assert old._deposed
            assert published == 0
            assert crew.do("EXISTS", crew.keys.snapshot, crew.keys.verdicts) == 0
            assert not crew.do("KEYS", f"{crew.namespace}:*s:*"), "nor are pieces left behind"

    with team(shared_server()) as crew:
        asyncio.run(scenario(crew))


def test_a_server_that_lost_its_memory_goes_on_with_a_larger_number() -> None:
    async def scenario(crew: Team) -> None:
        async with leaders(crew, False, False) as (one, other):
            assert await one.lease.acquire()
            assert not await other.lease.acquire()
            before = one.lease.fence
            crew.do("FLUSHALL")

            assert not await other.lease.acquire(), "who knows nothing lets the other go first"
            assert await one.lease.acquire()
            assert one.lease.fence > before

    with Server() as server, team(server) as crew:
        asyncio.run(scenario(crew))


def test_a_sidecar_that_links_leaves_it_to_a_linker_of_its_own(tmp_path: Path) -> None:
    story = list(ring.stream(exchanges=6))
    with team(shared_server()) as crew:
        sidecar = crew.linker()
        send(story[:500], sidecar)
        until(lambda: sum(exchanges(sidecar).values()) == 500, "learnt")

        path = tmp_path / "campaigns"
        process = crew.process("--policy", policy(tmp_path), "--campaigns-file", str(path))
        learns(process)
        leader = sidecar.leader
        assert leader is not None
        until(lambda: not leader.lease.held, "it knows that another one does")
        send(story[500:], sidecar)
        assert finished(process) == 0
        until(lambda: active(sidecar), "and takes it back when that ends")

        # What the process had no time to read is left for the next one.
        until(lambda: exchanges(sidecar) == alone(story), "each counted once")
        assert sum(exchanges(path).values()) >= 500


def test_only_one_of_many_sidecars_links() -> None:
    with team(shared_server()) as crew:
        guards = [crew.guard(leads=True) for _ in range(4)]

        until(lambda: any(map(active, guards)), "one is the linker")
        send(ring.stream(), *guards)
        until(lambda: contained(*guards), "all contain the campaign")

        counted = alone(ring.stream())
        until(lambda: [exchanges(one) for one in guards if active(one)] == [counted],
              "one of them links, and has counted each once")  # fmt: skip


def test_sidecars_whose_policy_does_not_ask_never_link() -> None:
    with team(shared_server()) as crew:
        idle = crew.guard(leads=True, asked=lambda: False)
        busy = crew.linker()

        assert idle.leader is not None
        assert idle.leader.lease.taken == 0
        busy.close()


def test_reviews_of_the_stream_reach_the_journal_once_and_those_of_the_journal_the_guards(
    tmp_path: Path,
) -> None:
    path = tmp_path / "campaigns"
    ban = Review(at=time.time(), ruling=Ruling.BAN, account="acct_1", reason="by the stream")
    other = Review(at=time.time(), ruling=Ruling.BAN, account="acct_2", reason="by the journal")
    with team(shared_server()) as crew:
        guard, linker = crew.guard(), crew.linker(file=SnapshotFile(path))
        crew.do("XADD", crew.keys.reviews, "*", "r", pack_review(KEY, ban))
        append(f"{path}.reviews", other)
        until(lambda: guard.facts("acct_2") is not None, "the journal's ban is heard")
        until(lambda: len(Journal(f"{path}.reviews").new()) == 2, "the stream's is written down")
        linker.close()
        # As if it had died before it could save: the heir reads the same again.
        path.unlink(missing_ok=True)
        crew.do("DEL", crew.keys.snapshot)
        heir = crew.linker(file=SnapshotFile(path))
        send(ring.stream(exchanges=1), guard)
        until(lambda: sum(exchanges(heir).values()) > 0, "it learns")

        assert sorted(r.account or "" for r in Journal(f"{path}.reviews").new()) == [
            "acct_1", "acct_2",
        ]  # fmt: skip
        until(lambda: guard.facts("acct_1") == guard.facts("acct_2"), "both are in force")
        assert guard.facts("acct_1") is not None


def test_a_ban_of_the_journal_is_in_force_all_through_a_takeover(tmp_path: Path) -> None:
    path = tmp_path / "campaigns"
    bans = [Review(at=time.time(), ruling=Ruling.BAN, account=f"acct_{n}") for n in range(2)]
    lifted: list[str] = []
    append(f"{path}.reviews", bans[0])
    with team(shared_server()) as crew:
        guard, linker = crew.guard(), crew.linker(file=SnapshotFile(path))
        until(lambda: guard.facts("acct_0") is not None, "the ban is heard")
        linker.close()
        # As if it had died before it could save.
        path.unlink(missing_ok=True)
        crew.do("DEL", crew.keys.snapshot)
        # More than is read at once: the next one does not catch up in one turn.
        for number, seen in enumerate(islice(ring.stream(), 45)):
            batch = pack_batch(KEY, b"guard001", number, [seen], Disguise(build.SECRET))
            crew.do("XADD", crew.keys.sightings, "*", "b", batch)
        change = guard.follower.told.change

        def changed(accounts: list[tuple[str, str | None, float]], reviews: bytes) -> None:
            lifted.extend(account for account, campaign, _ in accounts if campaign is None)
            change(accounts, reviews)

        guard.follower.told.change = changed  # type: ignore[assignment, method-assign]
        crew.linker(file=SnapshotFile(path))
        append(f"{path}.reviews", bans[1])
        until(lambda: guard.facts("acct_1") is not None, "the next one publishes")

        assert lifted == []


def test_a_journal_of_long_ago_does_not_undo_what_was_decided_since(tmp_path: Path) -> None:
    here, path = tmp_path / "here", tmp_path / "there"
    append(f"{here}.reviews", Review(at=1.0, ruling=Ruling.BAN, account="acct_1"))
    clear = Review(at=time.time(), ruling=Ruling.CLEAR, account="acct_1")
    with team(shared_server()) as crew:
        there = crew.linker(file=SnapshotFile(path))
        send(ring.stream(exchanges=1), there)
        crew.do("XADD", crew.keys.reviews, "*", "r", pack_review(KEY, clear))
        until(lambda: Path(f"{path}.reviews").exists(), "the linker there has heard")
        there.close()

        heir = crew.linker(file=SnapshotFile(here))
        leader = heir.leader
        assert leader is not None
        late = Review(at=time.time() + 5.0, ruling=Ruling.BAN, account="acct_2")
        append(f"{here}.reviews", late)
        until(lambda: heir.facts("acct_2") is not None, "what is written now is heard")

        assert heir.facts("acct_1") is None


def test_a_snapshot_in_the_store_that_cannot_be_read_is_said_and_passed_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with team(shared_server()) as crew:
        linker = crew.linker()
        send(ring.stream(exchanges=1), linker)
        until(lambda: exchanges(linker) == alone(ring.stream(exchanges=1)), "learnt")
        linker.close()
        (piece,) = crew.do("KEYS", f"{crew.namespace}:*:s:*")
        crew.do("SETRANGE", piece, 60, "damaged")

        heir = crew.linker()

        until(lambda: "not taken over: it is damaged" in caplog.text, "it is said")
        # What was in it has left the stream, too: the heir begins with what comes.
        send(ring.stream(exchanges=2), heir)
        until(lambda: sum(exchanges(heir).values()) > 0, "it learns what comes")


def test_a_snapshot_in_the_store_of_another_version_is_left_to_whoever_can_read_it() -> None:
    with team(shared_server()) as crew:
        linker, guard = crew.linker(), crew.guard()
        send(ring.stream(), linker)
        until(lambda: contained(linker, guard), "the campaign is contained")
        linker.close()
        of_version(crew, 2)
        saved = crew.do("HGETALL", crew.keys.snapshot)

        heir = crew.guard(leads=True)

        until(lambda: heir.trouble is not None, "it is said")
        assert heir.trouble is not None
        assert "is of another version" in heir.trouble
        assert f"DEL '{crew.namespace}:{{campaigns}}:snapshot'" in heir.trouble
        assert contained(heir, guard)
        heir.close()
        assert crew.do("HGETALL", crew.keys.snapshot) == saved
        assert crew.do("EXISTS", crew.keys.lease) == 0
        of_version(crew, 1)
        assert exchanges(crew.linker()) == alone(ring.stream())


def test_a_linker_of_another_version_keeps_nobody_from_learning(tmp_path: Path) -> None:
    with team(shared_server()) as crew:
        first = crew.linker()
        send(ring.stream(), first)
        first.close()
        of_version(crew, 2)
        process = crew.process("--policy", policy(tmp_path))
        said(process, "is of another version")
        until(lambda: not crew.do("EXISTS", crew.keys.lease, crew.keys.dedicated), "it stands back")
        of_version(crew, 1)

        heir = crew.linker()
        send(ring.stream(exchanges=1), heir)
        until(lambda: exchanges(heir) != alone(ring.stream()), "it learns on")

        assert heir.leader is not None
        assert heir.leader.lease.taken == 1
        assert finished(process) == 0


def test_without_the_snapshot_of_another_version_bans_stay_and_campaigns_begin_anew() -> None:
    with team(shared_server()) as crew:
        first = crew.linker()
        send(ring.stream(), first)
        crew.do("XADD", crew.keys.reviews, "*", "r", pack_review(KEY, Review(
            at=build.NOW, ruling=Ruling.BAN, account="acct_1")))  # fmt: skip
        until(lambda: first.facts("acct_1") is not None, "the ban is in force")
        first.close()
        # A linker forgets only what is no longer in the stream either.
        crew.do("XTRIM", crew.keys.sightings, "MAXLEN", "0")
        of_version(crew, 2)
        heir = crew.guard(leads=True)
        until(lambda: heir.trouble is not None, "it is said")

        crew.do("DEL", crew.keys.snapshot)

        until(lambda: active(heir), "it learns")
        until(lambda: heir.trouble is None, "it is well again")
        until(lambda: not contained(heir), "the campaign is forgotten")
        facts = heir.facts("acct_1")
        assert facts is not None
        assert facts.banned


def test_what_is_in_a_snapshot_leaves_the_stream() -> None:
    with team(shared_server()) as crew:
        linker = crew.linker()
        for number, seen in enumerate(islice(ring.stream(), 250)):
            batch = pack_batch(KEY, b"guard001", number, [seen], Disguise(build.SECRET))
            crew.do("XADD", crew.keys.sightings, "*", "b", batch)
        until(lambda: sum(exchanges(linker).values()) == 250, "learnt")
        before = crew.do("XLEN", crew.keys.sightings)
        linker.close()

        # Not by nodes of a hundred entries: what an account did would stay while little follows it.
        assert before == 250
        assert crew.do("XLEN", crew.keys.sightings) == 1


def test_a_full_disk_and_a_full_store_stop_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It saves whenever there is something to be saved.
    monkeypatch.setattr(leading, "SAVE_EVERY", 0.0)
    with Server() as server, team(server) as crew:
        linker = crew.linker(file=SnapshotFile(tmp_path / "campaigns"))
        path = tmp_path / "campaigns"
        leader = linker.leader
        assert leader is not None
        send(ring.stream(exchanges=1), linker)
        until(lambda: exchanges(linker) == alone(ring.stream(exchanges=1)), "it learns")
        until(lambda: leader.pupil is not None and not leader.pupil.news, "it saves")
        while not leader.unsaved:
            until(lambda: active(linker), "it leads")
            assert leader.pupil is not None
            crew.do("CONFIG", "SET", "maxmemory", 1)
            leader.pupil.news += 1
            # A full store refuses to renew the lease, too: on a slow machine before the snapshot.
            until(lambda: leader.unsaved or not active(linker), "the store is full")
            crew.do("CONFIG", "SET", "maxmemory", 0)
        until(lambda: active(linker), "it leads again")
        until(lambda: leader.pupil is not None and not leader.pupil.news, "it has saved")
        path.unlink()
        path.mkdir()
        send(ring.stream(), linker)
        until(lambda: leader.archive.trouble is not None, "the trouble is known")
        until(lambda: contained(linker), "and campaigns are found all the same")

        assert linker.trouble is not None
        assert "not saved" in linker.trouble


def test_a_file_that_cannot_be_taken_over_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "campaigns"
    path.write_bytes(b"GGCAMPS\n and then rubbish")
    with team(shared_server()) as crew:
        process = crew.process("--policy", policy(tmp_path), "--campaigns-file", str(path))

        assert process.wait(PATIENCE) == 3
        assert process.stderr is not None
        assert f"mv {path} {path}.old" in process.stderr.read()


def test_a_linker_that_ends_while_the_store_is_away_saves_into_its_file(tmp_path: Path) -> None:
    path = tmp_path / "campaigns"
    with Server() as server, team(server) as crew:
        linker = crew.linker(file=SnapshotFile(path))
        send(ring.stream(exchanges=2), linker)
        until(lambda: exchanges(linker) == alone(ring.stream(exchanges=2)), "learnt")
        server.kill()
        until(lambda: not active(linker), "it notices")
        linker.close()

        assert exchanges(path) == alone(ring.stream(exchanges=2))


def test_a_store_that_forgot_is_told_everything_again_without_anything_new() -> None:
    with Server() as server, team(server) as crew:
        linker, guard = crew.linker(), crew.guard()
        send(ring.stream(), linker)
        until(lambda: contained(linker, guard), "the campaign is held")

        crew.do("FLUSHALL")
        until(lambda: crew.do("HLEN", crew.keys.table) == ring.MEMBERS, "the table is whole again")

        assert contained(crew.guard())


def test_a_verdict_nobody_stands_for_any_more_is_lifted_by_the_next_linker() -> None:
    with team(shared_server()) as crew:
        linker, guard = crew.linker(), crew.guard()
        send(ring.stream(), linker)
        until(lambda: contained(linker, guard), "the campaign is held")
        linker.close()
        crew.do(
            "HSET",
            crew.keys.table,
            "acct_stale",
            pack_facts(CampaignFacts(id="c_0009", confidence=0.9)),
        )
        late = crew.guard()
        before = late.facts("acct_stale")

        crew.linker()
        until(lambda: late.facts("acct_stale") is None, "it is lifted")

        assert before is not None
        assert contained(late)
