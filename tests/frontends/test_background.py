"""Hot reload and orderly closing beside the requests."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path

import pytest

from gateway_guard.building import build_guard
from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.frontends.background import Background
from gateway_guard.linking import Linking
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.record.keeping import Keeper
from gateway_guard.record.reviews import append
from gateway_guard.record.snapshots import SnapshotFile
from gateway_guard.settings import Settings
from gateway_guard.types import Outcome, Usage
from tests import build
from tests.frontends.fakes import FakeGuard, run
from tests.processes import PATIENCE
from tests.servers import until


def background(guard: FakeGuard, every: float | None = 0.0) -> Background:
    return Background(guard, reload_every=every)  # type: ignore[arg-type]


def test_a_changed_policy_is_reloaded() -> None:
    guard = FakeGuard()
    guard.policies.changes = 1

    async def main() -> None:
        beside = background(guard)
        beside.start()
        beside.start()
        await asyncio.to_thread(guard.reloaded.wait, PATIENCE)
        await beside.close()

    run(main)
    assert guard.reloads == 1
    assert guard.closed == 1


def test_a_policy_that_does_not_load_again_is_logged_with_what_is_wrong_and_where(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\n")
    guard = build_guard(policy, network=NoNetwork(), settings=Settings(secret=build.SECRET))
    policy.write_text("version: 1\nlimts: {}\n")
    changed, looked_again = guard.policies.changed, threading.Event()

    def looking() -> bool:
        if guard.policies.error is not None:
            looked_again.set()
        return changed()

    guard.policies.changed = looking  # type: ignore[method-assign]

    async def main() -> None:
        beside = Background(guard, reload_every=0.0)
        beside.start()
        await asyncio.to_thread(looked_again.wait, PATIENCE)
        await beside.close()

    run(main)
    assert f"policy-kept reason={policy}:2:1: error[GG201]" in caplog.text
    assert "did you mean 'limits'" in caplog.text


def test_watching_survives_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    guard = FakeGuard()
    answers = [OSError("disk"), None]

    def changed() -> bool:
        answer = answers.pop(0) if answers else None
        if answer is not None:
            raise answer
        return True

    guard.policies.changed = changed  # type: ignore[method-assign]

    async def main() -> None:
        beside = background(guard)
        beside.start()
        await asyncio.to_thread(guard.reloaded.wait, PATIENCE)
        await beside.close()

    with caplog.at_level(logging.ERROR):
        run(main)

    assert "watching the policy failed: OSError" in caplog.text


def test_the_journal_of_reviews_is_heeded_before_the_first_request(tmp_path: Path) -> None:
    path = tmp_path / "campaigns"
    links = Linking(build.SECRET, keeper=Keeper(SnapshotFile(path), build.SECRET))
    guard = FakeGuard()
    guard.linking = links  # type: ignore[attr-defined]

    run(lambda: background(guard, None).begin())
    ban = Review(at=build.NOW, ruling=Ruling.BAN, account="acct_bad", reason="why")
    append(SnapshotFile(path).reviews, ban)
    try:
        until(lambda: links.facts("acct_bad") is not None, "the ban is in force")
    finally:
        links.close()


def test_closing_waits_for_what_is_being_settled_and_closes_once() -> None:
    guard = FakeGuard()

    async def main() -> None:
        guard.slow = asyncio.Event()
        beside = background(guard, None)
        beside.start()
        settling = asyncio.ensure_future(
            beside.settle(build.exchange(), Usage(outcome=Outcome.COMPLETED))
        )
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(beside.close())
        await asyncio.sleep(0)
        assert guard.closed == 0
        guard.slow.set()
        await asyncio.gather(settling, closing)
        await beside.close()

    run(main)
    assert len(guard.settled) == 1
    assert guard.closed == 1
