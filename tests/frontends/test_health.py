"""Readiness: what is not well is named while the last good serves."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from gateway_guard.building import build_guard
from gateway_guard.frontends.admin import Health, json_response
from gateway_guard.frontends.dashboard.health import dependencies
from gateway_guard.frontends.upstream import Upstream
from gateway_guard.guard import Guard
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.record.beside import Beside
from gateway_guard.record.log import DecisionLog
from gateway_guard.settings import Settings
from tests import build

URL = "http://127.0.0.1:1/keys"


class Reachable:
    """An upstream that answers, of a process that is not stopping."""

    open, retried, starting, draining = 1, 0, False, False

    async def check(self) -> None:
        """It is there."""


def made(policy: Any, **settings: Any) -> Guard:
    """A guard that asks nobody."""
    return build_guard(
        policy, network=NoNetwork(), settings=Settings(secret=build.SECRET, **settings),
        clock=lambda: build.NOW,
    )  # fmt: skip


def reloaded(guard: Guard) -> tuple[int, dict[str, Any]]:
    """What is told of health when reading everything anew has failed."""
    assert not guard.reload()
    health = Health(guard, cast("Upstream", Reachable()), Reachable())
    return asyncio.run(health.report())


def test_who_accepts_nothing_yet_is_not_ready_and_says_so() -> None:
    class Starting(Reachable):
        starting = True

    health = Health(made(build.policy("")), cast("Upstream", Reachable()), Starting())
    status, body = asyncio.run(health.report())

    assert (status, body["status"]) == (503, "starting")


def test_a_key_set_that_cannot_be_fetched_degrades_and_is_named_until_the_policy_drops_it() -> None:
    async def scenario() -> list[dict[str, Any]]:
        brain = made(build.policy(f"identify: {{ account: {{ jwt: {{ jwks: '{URL}' }} }} }}"))
        health = Health(brain, cast("Upstream", Reachable()), Reachable())
        before = (await health.report())[1]
        brain._jwt.errors = {URL: "ConnectError", "http://127.0.0.1:1/old": "ConnectError"}
        return [before, (await health.report())[1]]

    before, after = asyncio.run(scenario())

    new = [trouble for trouble in after["troubles"] if trouble not in before["troubles"]]
    assert new == [f"key set {URL} not fetched: ConnectError"]
    assert after["status"] == "degraded"


def test_a_policy_that_does_not_load_again_is_named_with_the_place_of_its_first_mistake(
    tmp_path: Path,
) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("version: 1\n")
    brain = made(str(path))
    path.write_text("version: 1\ndefault: my-secret-word\n")

    status, report = reloaded(brain)
    assert (status, report["status"]) == (200, "degraded")
    assert (
        f"the policy on disk does not load ({path}:2:10: GG203, unknown name); the last good one "
        "is in force"
    ) in report["troubles"]
    assert "my-secret-word" not in str(report)


def test_a_decision_log_that_cannot_be_written_degrades_and_is_named_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Beside, "start", lambda self: None)
    log = DecisionLog(tmp_path / "log")
    brain = made(build.policy("version: 1"))
    health = Health(brain, cast("Upstream", Reachable()), Reachable(), decisions=log)

    with monkeypatch.context() as broken:
        broken.setattr(os, "write", _full)
        log.write(build.exchange())
        log.flush()
        full = health.state()[1]
    log.write(build.exchange())
    log.close()
    well = health.state()[1]

    trouble = f"{log.path} cannot be written: No space left on device; lines lost so far: 1"
    assert f"decision log: {trouble}" in full["troubles"]
    assert full["decision_log"] == {"error": trouble}
    assert ("decision log", "degraded") in [
        (one.name, one.state) for one in dependencies((("", 200, full),))
    ]
    assert well["decision_log"] == {"error": None}


def _full(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_an_accounts_file_that_cannot_be_read_again_degrades_while_the_last_good_serves(
    tmp_path: Path,
) -> None:
    path = tmp_path / "accounts.csv"
    path.write_text("account,tier\na_1,free\n")
    brain = made(build.policy("version: 1"), accounts_file=str(path))
    path.write_text("account,tier\na_1,free\na_2,free,x\n")

    status, report = reloaded(brain)
    assert (status, report["status"]) == (200, "degraded")
    assert (
        f"account attributes: {path}:3: more values than columns; the last good file serves"
        in report["troubles"]
    )


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are Unicode")
def test_a_file_name_that_is_no_unicode_is_told_with_escapes(tmp_path: Path) -> None:
    """As older systems wrote them, or any under LC_ALL=C: whether all is well is said anyway."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/p\xf6licy.yaml"))
    path.write_text("version: 1\n")
    health = Health(made(str(path)), cast("Upstream", Reachable()), Reachable())

    answer = json_response(*asyncio.run(health.report()))

    assert answer.status_code == 200
    assert msgspec.json.decode(answer.body)["policy"]["source"] == f"{tmp_path}/p\\udcf6licy.yaml"
