"""What the sidecar learns of campaigns, and what people decide, outlives its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.core.credentials import digest
from gateway_guard.record.reviews import append
from gateway_guard.record.snapshots import SnapshotFile
from tests import build
from tests.e2e.servers import PATIENCE, POLICY, Client, Sidecar, Upstream

pytestmark = pytest.mark.e2e

ASKS = POLICY + (
    "  - name: campaign-members\n    when: { campaign: { min: 0.9 } }\n    then: deny\n"
)
#: As the sidecar of these tests has it.
SECRET = b"a secret for tests only"


def chat(port: int) -> int:
    """The status of one chat."""
    body = build.chat_body()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
        "Authorization: Bearer sk-e2e\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with Client(port) as client:
        return client.send(head.encode() + body).answer().status


def stopped(sidecar: Sidecar) -> int:
    sidecar.process.send_signal(signal.SIGTERM)
    return sidecar.process.wait(PATIENCE)


def test_a_restart_keeps_what_was_learnt_and_a_ban_written_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "campaigns"
    flag = f"--campaigns-file={path}"
    with Upstream({}) as upstream:
        with Sidecar(tmp_path, upstream.url, flag, policy=ASKS) as first:
            before = chat(first.port)
            ended = stopped(first)
        saved = SnapshotFile(path).load(SECRET)
        account = digest(SECRET, b"sk-e2e")
        append(f"{path}.reviews", Review(at=build.NOW, ruling=Ruling.BAN, account=account))
        with Sidecar(tmp_path, upstream.url, flag, policy=ASKS) as second:
            second.wait_for("campaigns taken over")
            after = chat(second.port)

    assert (before, after, ended) == (200, 403, 0)
    assert saved is not None
    assert list(saved.linker.memory.numbers) == [account]


def test_a_damaged_snapshot_stops_the_start_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "campaigns"
    path.write_bytes(b"GGCAMPS\n and then rubbish")

    policy = tmp_path / "policy.yaml"
    policy.write_text(ASKS)

    done = subprocess.run(
        [
            *(sys.executable, "-m", "gateway_guard", "serve", "--policy", policy, "--port", "0"),
            *("--upstream", "http://127.0.0.1:1", "--admin-port", "-1"),
            f"--campaigns-file={path}",
        ],
        env={**os.environ, "GATEWAY_GUARD_SECRET": SECRET.decode()},
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip

    assert done.returncode == 3
    assert f"mv {path} {path}.old" in done.stderr
    assert "Traceback" not in done.stderr
