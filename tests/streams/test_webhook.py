"""Whoever finds campaigns tells of them: a guard, the linker of a store, and nobody else."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import msgspec

from gateway_guard.building import build_guard
from gateway_guard.core.callbacks import signed
from gateway_guard.linking import Linking
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.settings import Settings
from tests import build
from tests.campaigns import ring
from tests.record.receiver import Receiver, receiving
from tests.servers import PATIENCE, needs_redis, shared_server
from tests.streams.team import send, team

KEY = b"a key of at least twenty-four bytes"


def told(receiver: Receiver) -> list[dict[str, Any]]:
    for headers, body in receiver.heard:
        assert signed(KEY, headers, body, now=float(headers["webhook-timestamp"]))
    return [msgspec.json.decode(body) for body in receiver.bodies]


def policy(folder: Path) -> str:
    path = folder / "policy.yaml"
    path.write_text(ring.REFUSES)
    return str(path)


def key(folder: Path) -> str:
    path = folder / "key"
    path.write_bytes(KEY)
    return str(path)


def test_a_guard_tells_of_what_it_finds_once(tmp_path: Path) -> None:
    with receiving() as receiver:
        settings = Settings(
            secret=build.SECRET, webhook_url=receiver.url, webhook_key_file=key(tmp_path)
        )
        guard = build_guard(policy(tmp_path), settings=settings, network=NoNetwork())
        linking = guard.linking
        assert isinstance(linking, Linking)
        linking._waiting.extend(ring.stream())

        linking.close()
        linking.close()

        (notice,) = told(receiver)
    assert notice["type"] == "campaign.held"
    assert notice["data"]["accounts"] == len(notice["data"]["members"])
    assert {member["account"] for member in notice["data"]["members"]} <= {
        ring.account("a", number) for number in range(ring.MEMBERS)
    }


@needs_redis
def test_the_linker_of_a_store_tells_and_its_guards_do_not(tmp_path: Path) -> None:
    with receiving() as receiver, team(shared_server()) as crew:
        process = crew.process(
            "--policy", policy(tmp_path),
            env={
                "GATEWAY_GUARD_WEBHOOK_URL": receiver.url,
                "GATEWAY_GUARD_WEBHOOK_KEY_FILE": key(tmp_path),
            },
        )  # fmt: skip
        guard = crew.guard()
        send(ring.stream(), guard)

        assert receiver.came.acquire(timeout=PATIENCE)
        assert ended(process) == 0
        (notice,) = told(receiver)
    assert notice["type"] == "campaign.held"
    assert "acct_a" in notice["data"]["members"][0]["account"]


def ended(process: subprocess.Popen[str]) -> int:
    process.terminate()
    return process.wait(PATIENCE)
