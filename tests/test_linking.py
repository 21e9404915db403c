"""The linker in the live guard: fed after the answer, asked before the next, closed with it."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

import gateway_guard.linking
from gateway_guard.building import build_guard
from gateway_guard.campaigns.journal import apply
from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.errors import SettingsError, SnapshotError
from gateway_guard.frontends.admin import Health
from gateway_guard.frontends.upstream import Upstream
from gateway_guard.guard import Guard
from gateway_guard.linking import Linking
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.record.beside import rest
from gateway_guard.record.keeping import LOOK_EVERY, SAVE_EVERY, Keeper
from gateway_guard.record.metrics import Metrics
from gateway_guard.record.reviews import append
from gateway_guard.record.snapshots import SnapshotFile
from gateway_guard.settings import Settings
from gateway_guard.types import Action, CampaignFacts, Exchange, Usage
from tests import build
from tests.campaigns import ring
from tests.cli.run import ROOT
from tests.frontends.test_health import Reachable
from tests.processes import PATIENCE

DOES_NOT_ASK = "version: 1\nmode: enforce\n"


def settled(who: str = "acct_test", **facts: Any) -> Exchange:
    return build.exchange(
        request=build.request(account=who), facts=build.facts(**facts),
        usage=Usage(input_tokens=5, output_tokens=7),
    )  # fmt: skip


def linking(**more: Any) -> Linking:
    return Linking(build.SECRET, threaded=False, **more)


def guard(policy: Any, **more: Any) -> Guard:
    return build_guard(
        policy, network=NoNetwork(), settings=Settings(secret=build.SECRET),
        clock=lambda: build.NOW, **more,
    )  # fmt: skip


async def ask(brain: Guard) -> Exchange:
    """One chat through the guard, settled."""
    exchange = await brain.decide(build.wire())
    await brain.settle(exchange, Usage(input_tokens=5, output_tokens=7))
    return exchange


def linked(brain: Guard) -> Linking:
    assert isinstance(brain.linking, Linking)
    return brain.linking


def test_a_settled_exchange_is_learnt_when_the_linker_gets_to_it() -> None:
    links = linking()

    links.write(settled())
    waiting = len(links.linker.memory.traces)
    links.learn()

    assert waiting == 0
    (trace,) = links.linker.memory.traces.values()
    assert (trace.account, trace.exchanges, trace.tokens) == ("acct_test", 1, 12)


def test_what_does_not_fit_into_the_queue_is_dropped_and_counted() -> None:
    links = linking(queue=2)

    for number in range(5):
        links.write(settled(f"acct_{number}"))
    links.learn()

    assert links.dropped == 3
    assert [t.account for t in links.linker.memory.traces.values()] == ["acct_0", "acct_1"]


def test_one_sighting_the_linker_chokes_on_costs_only_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    links = linking()
    odd = build.account(created_at="yesterday")

    for exchange in (
        settled("acct_1", account=odd), settled("acct_2", account=odd), settled("acct_good"),
    ):  # fmt: skip
        links.write(exchange)
    links.learn()

    assert links.failed == 2
    assert "acct_good" in links.linker.memory.numbers
    assert len([r for r in caplog.records if "the linker failed" in r.message]) == 1


def test_the_thread_learns_a_piece_at_a_time_and_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_guard.linking, "PIECE", 0.0)
    links = linking(queue=100)
    for number in range(3):
        links.write(settled(f"acct_{number}"))

    rests = [links._work() for _ in range(3)]

    assert rests == [rest(2, 100), rest(1, 100), None]


def test_reviews_are_heeded_although_something_always_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_guard.linking, "PIECE", 0.0)
    clock = [0.0]
    links = kept(tmp_path / "campaigns", clock)
    for number in range(2):
        links.write(settled(f"acct_{number}"))
    review(tmp_path / "campaigns", Ruling.BAN, "acct_bad")
    clock[0] += LOOK_EVERY

    still_waits = links._work() is not None

    assert still_waits
    assert links.facts("acct_bad") is not None


def test_nothing_is_queued_of_what_no_model_route_asked() -> None:
    links = linking(queue=1)

    links.write(build.exchange(request=build.request(model_route=False)))
    links.write(settled())
    links.learn()

    assert links.dropped == 0
    assert "acct_test" in links.linker.memory.numbers


def test_the_thread_learns_by_itself_and_ends_when_the_linking_is_closed() -> None:
    links = Linking(build.SECRET)

    links.write(settled())
    thread = links._beside.thread
    links.close()
    links.close()

    assert thread is not None
    assert not thread.is_alive()
    assert "acct_test" in links.linker.memory.numbers


def test_the_thread_ends_when_the_linking_is_dropped_without_being_closed() -> None:
    links = Linking(build.SECRET)
    links.write(settled())
    thread = links._beside.thread
    assert thread is not None

    del links
    gc.collect()
    thread.join(timeout=PATIENCE)

    assert not thread.is_alive()


def test_a_guard_whose_policy_asks_refuses_who_is_held(tmp_path: Path) -> None:
    async def scenario() -> tuple[Exchange, Exchange]:
        brain = guard(build.policy(ring.REFUSES))
        first = await ask(brain)
        account = first.request.account
        assert account is not None
        held = CampaignFacts(id="c_0001", confidence=0.97)
        linked(brain).linker.cases.verdicts[account] = held
        second = await ask(brain)
        await brain.close()
        return first, second

    first, second = asyncio.run(scenario())

    assert first.decision.action is Action.ALLOW
    assert second.decision.action is Action.DENY
    assert second.facts.campaign == CampaignFacts(id="c_0001", confidence=0.97)


def test_closing_the_guard_learns_what_waits_and_ends_the_thread() -> None:
    async def scenario() -> Guard:
        brain = guard(build.policy(ring.REFUSES))
        await ask(brain)
        await brain.close()
        return brain

    brain = asyncio.run(scenario())

    assert len(linked(brain).linker.memory.traces) == 1
    thread = linked(brain)._beside.thread
    assert thread is not None
    assert not thread.is_alive()


def test_a_policy_that_does_not_ask_feeds_nothing_until_a_reload_asks(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(DOES_NOT_ASK)

    async def scenario() -> tuple[int, int, int]:
        brain = guard(path)
        links = linked(brain)
        await ask(brain)
        links.learn()
        before = len(links.linker.memory.traces)
        path.write_text(ring.REFUSES)
        assert brain.reload()
        await ask(brain)
        links.learn()
        during = links.linker.memory.traces[1].exchanges
        path.write_text(DOES_NOT_ASK)
        assert brain.reload()
        await ask(brain)
        await brain.close()
        return before, during, links.linker.memory.traces[1].exchanges

    assert asyncio.run(scenario()) == (0, 1, 1)


def test_who_says_themselves_which_campaign_an_account_is_in_gets_no_linker() -> None:
    brain = guard(build.policy(ring.REFUSES), campaign_of=lambda _: None)

    assert brain.linking is None
    assert brain.learners == ()


def test_the_callers_learners_stay_beside_the_linkers() -> None:
    told: list[Exchange] = []

    async def scenario() -> None:
        brain = guard(build.policy(ring.REFUSES), learners=[told.append])
        await ask(brain)
        await brain.close()

    asyncio.run(scenario())

    assert len(told) == 1


def test_metrics_show_what_is_held_and_what_was_lost() -> None:
    links, metrics = Linking(build.SECRET, linker=ring.caught(), queue=1, threaded=False), Metrics()
    links.publish(metrics)
    links.write(settled())
    links.write(settled())

    page = metrics.render()[0].decode()

    assert "\ngateway_guard_campaigns 1.0\n" in page
    assert f"\ngateway_guard_campaign_members {float(ring.MEMBERS)}\n" in page
    known = float(ring.MEMBERS + ring.BYSTANDERS)
    assert f"\ngateway_guard_campaign_accounts {known}\n" in page
    assert "\ngateway_guard_sightings_waiting 1.0\n" in page
    assert "\ngateway_guard_sightings_dropped_total 1.0\n" in page
    assert "\ngateway_guard_sightings_failed_total 0.0\n" in page


def test_a_campaign_found_and_let_go_is_said_in_the_log_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    links, metrics = Linking(build.SECRET, linker=ring.caught()), Metrics()
    links.publish(metrics)
    links.write(settled())
    later = build.NOW + ring.EXCHANGES * ring.HOUR
    links.review(Review(at=later, ruling=Ruling.RELEASE, campaign="c_0001"))

    links.close()

    (said,) = [r.getMessage() for r in caplog.records if "campaign" in r.getMessage()]
    assert said.startswith("campaign c_0001 let go, released by a reviewer: 24 accounts, ")
    page = metrics.render()[0].decode()
    assert '\ngateway_guard_campaigns_let_go_total{cause="released"} 1.0\n' in page


def minute(links: Linking, clock: list[float]) -> None:
    """Let a minute pass, as the thread would."""
    clock[0] += SAVE_EVERY
    keeper(links).tend()


def keeper(links: Linking) -> Keeper:
    assert links.keeper is not None
    return links.keeper


def kept(path: Path, clock: list[float], **more: Any) -> Linking:
    """A linking that keeps what it learns in `path`."""
    kept_in = Keeper(
        SnapshotFile(path), build.SECRET, now=lambda: build.NOW, clock=lambda: clock[0]
    )
    return Linking(build.SECRET, keeper=kept_in, threaded=False, **more)


def teach(links: Linking) -> None:
    """Show it the campaign, as if exchanges had been settled."""
    links._waiting.extend(ring.stream())
    links.learn()


def review(path: Path, ruling: Ruling, account: str | None = None, **more: Any) -> None:
    append(f"{path}.reviews", Review(at=build.NOW + 86400, ruling=ruling, account=account, **more))


def test_what_was_learnt_is_saved_each_minute_and_there_after_a_restart(tmp_path: Path) -> None:
    path, clock = tmp_path / "campaigns", [0.0]
    links = kept(path, clock)
    teach(links)
    before = path.exists()
    minute(links, clock)

    again = kept(path, [0.0])

    assert not before
    assert again.facts(ring.member(3).account) == links.facts(ring.member(3).account)
    assert again.facts(ring.member(3).account) is not None
    assert again.facts(ring.bystander(3).account) is None


def test_nothing_is_written_while_nothing_is_learnt(tmp_path: Path) -> None:
    path, clock = tmp_path / "campaigns", [0.0]
    links = kept(path, clock)
    minute(links, clock)
    never = path.exists()
    links.write(settled())
    links.learn()
    minute(links, clock)
    path.unlink()
    minute(links, clock)

    assert not never
    assert not path.exists()


def test_the_guard_saves_when_it_is_closed_and_takes_over_when_it_is_built(tmp_path: Path) -> None:
    path = tmp_path / "campaigns"

    async def scenario() -> Guard:
        settings = Settings(secret=build.SECRET, campaigns_file=str(path))
        for _ in range(2):
            brain = build_guard(
                build.policy(ring.REFUSES),
                network=NoNetwork(),
                settings=settings,
                clock=lambda: build.NOW,
            )
            await ask(brain)
            await brain.close()
        return brain

    brain = asyncio.run(scenario())

    (trace,) = linked(brain).linker.memory.traces.values()
    assert trace.exchanges == 2


def test_the_file_is_its_owners_only_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path, clock = tmp_path / "campaigns", [0.0]
    links = kept(path, clock)
    teach(links)
    minute(links, clock)
    links.close()

    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in tmp_path.iterdir()) == ["campaigns", "campaigns.lock"]


def test_one_of_several_processes_writes_and_another_takes_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, clock = tmp_path / "campaigns", [0.0]
    first, second = kept(path, clock), kept(path, clock)
    teach(first)
    teach(second)
    minute(first, clock)
    written = path.stat().st_mtime_ns
    minute(second, clock)
    while_both = path.stat().st_mtime_ns
    path.unlink()
    first.close()
    minute(second, clock)

    assert while_both == written
    assert path.exists()
    assert keeper(second).file.unsaved == 0
    assert len([r for r in caplog.records if "another process writes" in r.message]) == 1


def test_a_disk_that_fails_is_reported_once_counted_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path, clock = tmp_path / "campaigns", [0.0]
    links = kept(path, clock)
    links.write(settled("acct_0"))
    links.learn()

    with monkeypatch.context() as patch:
        patch.setattr("gateway_guard.record.snapshots.os.fsync", _full)
        minute(links, clock)
        minute(links, clock)
        trouble, unsaved = keeper(links).file.trouble, keeper(links).file.unsaved
        links.write(settled("acct_1"))
        links.learn()
    minute(links, clock)

    assert trouble == "campaigns not saved: No space left on device"
    assert (unsaved, keeper(links).file.unsaved, keeper(links).file.trouble) == (2, 2, None)
    assert len([r for r in caplog.records if "not saved" in r.message]) == 1
    assert len(kept(path, [0.0]).linker.memory.traces) == 2


def _full(_: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_write_that_fails_half_way_leaves_the_last_good_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, clock = tmp_path / "campaigns", [0.0]
    links = kept(path, clock)
    teach(links)
    minute(links, clock)
    good = path.read_bytes()
    links.write(settled())
    links.learn()

    with monkeypatch.context() as patch:
        patch.setattr("gateway_guard.record.snapshots.os.fsync", _full)
        minute(links, clock)

    assert path.read_bytes() == good


def test_a_disk_that_fails_degrades_health_and_shows_in_metrics(tmp_path: Path) -> None:
    brain, metrics = guard(build.policy(ring.REFUSES)), Metrics()
    links = kept(tmp_path / "campaigns", [0.0])
    brain.linking = links
    keeper(links).file.trouble, keeper(links).file.unsaved = (
        "campaigns not saved: No space left on device",
        3,
    )
    links.publish(metrics)

    report = asyncio.run(Health(brain, cast("Upstream", Reachable()), Reachable()).report())[1]

    assert "campaigns not saved: No space left on device" in report["troubles"]
    assert "\ngateway_guard_campaigns_unsaved_total 3.0\n" in metrics.render()[0].decode()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"GGCAMPS\n\0\1", "cut off"),
        (b"{}", "no snapshot"),
        (b"", "no snapshot"),
        (b"GGCAMPS\n\0\2" + bytes(56), "format 1. The version that wrote it can. To start"),
    ],
)
def test_a_file_that_cannot_be_read_stops_the_start_and_says_what_to_do(
    content: bytes, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "campaigns"
    path.write_bytes(content)

    with pytest.raises(SnapshotError) as caught:
        build_guard(
            build.policy(ring.REFUSES), network=NoNetwork(),
            settings=Settings(secret=build.SECRET, campaigns_file=str(path)),
        )  # fmt: skip

    message = str(caught.value)
    assert str(path) in message
    assert why in message
    assert f"mv {path} {path}.old" in message
    assert path.read_bytes() == content


def test_another_secret_is_refused_and_named(tmp_path: Path) -> None:
    path, clock = tmp_path / "campaigns", [0.0]
    links = kept(path, clock)
    teach(links)
    minute(links, clock)

    with pytest.raises(SnapshotError, match="another GATEWAY_GUARD_SECRET") as caught:
        Keeper(SnapshotFile(path), b"another secret, 32 bytes of it..")

    assert "stay in force, for accounts as the same secret names them" in str(caught.value)


def test_a_file_nobody_may_read_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "campaigns").mkdir()

    with pytest.raises(SettingsError, match="campaigns cannot be read from"):
        Keeper(SnapshotFile(tmp_path / "campaigns"), build.SECRET)


def test_a_directory_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no such directory"):
        Keeper(SnapshotFile(tmp_path / "none" / "campaigns"), build.SECRET)


def test_a_directory_nobody_may_write_to_is_said_at_the_start_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Not by its mode: root may write everywhere.
    monkeypatch.setattr(os, "access", lambda *_: False)

    links = kept(tmp_path / "campaigns", [0.0])

    assert "this process may not write" in (links.trouble or "")
    assert f"campaigns will not be saved to {tmp_path / 'campaigns'}" in caplog.text


def test_the_trouble_is_over_with_the_first_snapshot_that_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, clock = tmp_path / "campaigns", [0.0]
    with monkeypatch.context() as patched:
        patched.setattr(os, "access", lambda *_: False)
        links = kept(path, clock)

    teach(links)
    minute(links, clock)

    assert path.exists()
    assert links.trouble is None


def test_what_nobody_could_read_after_a_restart_is_not_kept() -> None:
    settings = Settings.from_environment({"GATEWAY_GUARD_CAMPAIGNS_FILE": "campaigns"})

    with pytest.raises(SettingsError, match="GATEWAY_GUARD_SECRET"):
        build_guard(build.policy(ring.REFUSES), network=NoNetwork(), settings=settings)


def test_a_review_is_in_force_a_second_after_it_was_written(tmp_path: Path) -> None:
    path, clock = tmp_path / "campaigns", [0.0]
    links = kept(path, clock)
    teach(links)
    account = ring.member(5).account
    held = links.facts(account)

    review(path, Ruling.ALLOW, account, reason="a known customer")
    keeper(links).tend()
    at_once = links.facts(account)
    clock[0] += LOOK_EVERY
    keeper(links).tend()

    assert held is not None
    assert at_once == held
    assert links.facts(account) is None


def test_a_review_that_fails_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path, clock = tmp_path / "campaigns", [0.0]
    links = kept(path, clock)

    def fails(linker: Linker, one: Review) -> bool:
        if one.account == "acct_0":
            raise RuntimeError("a bug")
        return apply(linker, one)

    monkeypatch.setattr("gateway_guard.record.keeping.apply", fails)
    for account in ("acct_0", "acct_1"):
        review(path, Ruling.BAN, account)
    review(path, Ruling.RELEASE, campaign="c_0404")
    caplog.set_level("INFO")
    minute(links, clock)

    assert links.facts("acct_0") is None
    assert links.facts("acct_1") is not None
    assert "a review failed: RuntimeError" in caplog.text
    assert "campaign c_0404 is not held" in caplog.text


def test_reviews_are_in_force_after_a_restart_with_and_without_the_snapshot(tmp_path: Path) -> None:
    path, clock = tmp_path / "campaigns", [0.0]
    links = kept(path, clock)
    teach(links)
    review(path, Ruling.BAN, "acct_bad")
    minute(links, clock)

    with_it = kept(path, [0.0])
    path.unlink()
    without = kept(path, [0.0])

    for again in (with_it, without):
        assert again.facts("acct_bad") == CampaignFacts(id="banned", confidence=1.0, banned=True)


def test_a_ban_written_while_nobody_ran_is_in_force_before_the_first_request(
    tmp_path: Path,
) -> None:
    path = tmp_path / "campaigns"
    review(path, Ruling.BAN, "acct_bad")

    links = kept(path, [0.0])

    assert links.facts("acct_bad") is not None


def test_a_process_that_ends_without_closing_the_guard_saves_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "campaigns"
    script = (
        "import sys\n"
        "from tests.test_linking import *\n"
        "file = SnapshotFile(sys.argv[1])\n"
        "links = Linking(build.SECRET, keeper=Keeper(file, build.SECRET))\n"
        "links.write(settled())\n"
    )

    subprocess.run([sys.executable, "-c", script, str(path)], check=True, cwd=ROOT)

    assert len(kept(path, [0.0]).linker.memory.traces) == 1


def test_a_release_lets_go_whoever_is_not_banned_and_read_again_changes_nothing(
    tmp_path: Path,
) -> None:
    path, clock = tmp_path / "campaigns", [0.0]
    links = kept(path, clock)
    teach(links)
    early = ring.member(0).account
    review(path, Ruling.BAN, early)
    review(path, Ruling.RELEASE, campaign="c_0001", reason="a reseller")
    minute(links, clock)

    again = kept(path, [0.0])
    minute(again, clock)

    for one in (links, again):
        assert not one.linker.held
        assert one.facts(ring.member(1).account) is None
        # Banned for a reason of its own, until somebody clears it.
        assert one.facts(early) == CampaignFacts(id="banned", confidence=1.0, banned=True)
        assert one.linker.cases.reviews.rulings == links.linker.cases.reviews.rulings


def test_a_release_is_not_for_a_later_campaign_of_the_same_name(tmp_path: Path) -> None:
    linker = ring.caught()
    early = Review(at=build.NOW - 9e6, ruling=Ruling.RELEASE, campaign="c_0001")

    applied = apply(linker, early)

    assert not applied
    assert "c_0001" in linker.held


def test_the_thread_tends_what_it_learns(tmp_path: Path) -> None:
    path = tmp_path / "campaigns"
    review(path, Ruling.BAN, "acct_bad")
    links = Linking(build.SECRET, keeper=Keeper(SnapshotFile(path), build.SECRET))

    links.write(settled())
    links.close()

    assert links.facts("acct_bad") is not None
    assert kept(path, [0.0]).facts("acct_bad") is not None
