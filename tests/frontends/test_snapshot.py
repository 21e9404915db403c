"""The diagnostic snapshot: whole even where parts fail, and with no secret in it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway_guard.building import build_guard
from gateway_guard.frontends.snapshot import (
    OnSignal,
    Snapshot,
    cleaned,
    given_up_of,
    settings_shown,
    sizes_of,
)
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.record.metrics import Metrics
from gateway_guard.settings import VARIABLES, Settings
from tests import build
from tests.servers import until


def taken(**parts: Callable[[], Any]) -> dict[str, Any]:
    snapshot = Snapshot(Settings(secret=build.SECRET), parts=parts, sizes=lambda: {"t": (1, 9)})

    async def scenario() -> dict[str, Any]:
        return await asyncio.to_thread(snapshot.take, asyncio.get_running_loop())

    return asyncio.run(scenario())


def test_a_part_that_fails_is_named_without_its_message_and_the_others_are_there() -> None:
    def broken() -> None:
        raise ValueError("sk-canary")

    found = taken(broken=broken, good=lambda: {"a": 1})

    assert found["broken"] == {"unavailable": "ValueError"}
    assert found["good"] == {"a": 1}
    assert found["tables"] == [{"table": "t", "entries": 1, "most": 9}]
    assert found["event_loop"]["answers"]
    assert "sk-canary" not in json.dumps(found)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("redis://user:pw@host:1/0", "redis://…@host:1/0"),
        ("rediss://:pw@h/0 did not answer", "rediss://…@h/0 did not answer"),
        ("https://h/keys?token=pw", "https://h/keys?…"),
        ("key set https://h/k?t=pw not fetched", "key set https://h/k?… not fetched"),
        ("https://h/#pw", "https://h/?…"),
        ("an @ in words, a question?", "an @ in words, a question?"),
        ("http://h/{account}", "http://h/{account}"),
        ("/srv/\udcff.mmdb", "/srv/\\udcff.mmdb"),
    ],
)
def test_urls_are_shown_without_user_password_and_query(text: str, clean: str) -> None:
    assert cleaned({text: [text, 1]}) == {clean: [clean, 1]}


def test_of_settings_that_are_secret_only_is_shown_whether_they_are_set() -> None:
    canary = "canary-canary-canary"
    said = {name: canary for name in VARIABLES if name.endswith(("_SECRET", "_TOKEN"))}
    settings = Settings.from_environment(
        {
            **said,
            "GATEWAY_GUARD_STORE": f"redis://user:{canary}@127.0.0.1:1/0?sentinel_password={canary}",
            "GATEWAY_GUARD_ACCOUNTS_URL": f"https://h/{{account}}?key={canary}",
        }
    )

    shown = cleaned(settings_shown(settings))

    assert len(said) == 4
    assert canary not in json.dumps(shown)
    assert shown["store"] == "redis://127.0.0.1:1/0"
    assert shown["admin_token"] is True


def test_every_bounded_table_of_a_guard_keeps_its_bound_and_is_shown_with_it() -> None:
    settings = Settings(secret=build.SECRET, max_accounts=3, max_keys=5)
    guard = build_guard(
        build.policy("limits: { r: { per: account, requests: 9/minute } }"),
        settings=settings, network=NoNetwork(), clock=lambda: build.NOW,
    )  # fmt: skip

    async def scenario() -> None:
        for number in range(20):
            await guard.decide(build.wire(key=f"sk-{number}"))

    asyncio.run(scenario())
    found = sizes_of(guard, Metrics(), None)

    assert found["profiles"] == (3, 3)
    assert found["limit_keys"] == (5, 5)
    assert {"reservations", "sightings_queue", "campaign_accounts", "metric_decisions"} <= set(
        found
    )
    assert all(0 <= entries <= most for entries, most in found.values())
    lost = given_up_of(guard)
    assert lost == {"profiles": 17, "limit_keys": 15, "reservations": 0, "campaign_accounts": 0}
    assert set(lost) <= set(found)


def shown(file: Path, count: int) -> bool:
    return file.exists() and json.loads(file.read_bytes())["count"] == count


def test_the_signal_puts_one_file_a_process_in_the_folder_and_replaces_it(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGUSR1)
    counts = iter(range(1_000))
    snapshot = Snapshot(
        Settings(secret=build.SECRET), parts={"count": lambda: next(counts)}, sizes=dict
    )
    file = tmp_path / f"snapshot-{os.getpid()}.json"

    async def scenario() -> None:
        heeded = OnSignal(snapshot, asyncio.get_running_loop(), str(tmp_path))
        try:
            for number in range(2):
                os.kill(os.getpid(), signal.SIGUSR1)
                await asyncio.to_thread(until, partial(shown, file, number), "it was replaced")
        finally:
            heeded.close()
        # One that comes late ends nobody.
        os.kill(os.getpid(), signal.SIGUSR1)

    try:
        asyncio.run(scenario())
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_written_is_said_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = signal.getsignal(signal.SIGUSR1)
    snapshot = Snapshot(Settings(secret=build.SECRET), parts={}, sizes=dict)

    async def scenario() -> None:
        heeded = OnSignal(snapshot, asyncio.get_running_loop(), str(tmp_path / "nowhere"))
        try:
            os.kill(os.getpid(), signal.SIGUSR1)
            await asyncio.to_thread(until, lambda: "snapshot-failed" in caplog.text, "it was said")
        finally:
            heeded.close()

    try:
        asyncio.run(scenario())
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert "No such file" in caplog.text
