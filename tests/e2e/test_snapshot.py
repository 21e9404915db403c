"""The diagnostic snapshot of a serving sidecar: over the admin port and on a signal."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.servers import POLICY, Client, Sidecar, Upstream, ask, get
from tests.servers import until

pytestmark = pytest.mark.e2e

CANARY = "canary-0123456789abcdef"
ADDRESS = "203.0.113.77"
TOKEN = "Authorization: Bearer token-of-the-admin-port"
BELIEVING = POLICY + "identify: { trusted_proxies: [127.0.0.1] }\n"


def snapshot_of(sidecar: Sidecar, *lines: str) -> dict[str, Any]:
    head = "\r\n".join(["GET /debug/snapshot HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""])
    answer = ask(sidecar.admin, head.encode())
    assert answer.status == 200, answer.body
    found: dict[str, Any] = json.loads(answer.body)
    return found


def test_it_shows_what_is_going_on_and_no_secret_prompt_or_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_GUARD_ADMIN_TOKEN", TOKEN.rpartition(" ")[2])
    monkeypatch.setenv("GATEWAY_GUARD_ACCOUNTS_TOKEN", CANARY)
    monkeypatch.setenv("GATEWAY_GUARD_STORE", f"redis://user:{CANARY}@127.0.0.1:1/0")
    monkeypatch.setenv("GATEWAY_GUARD_ACCOUNTS_URL", f"http://127.0.0.1:1/{{account}}?k={CANARY}")
    body = json.dumps({"model": CANARY, "messages": [{"role": "user", "content": CANARY}]})

    def held(connection: Any, seen: object, upstream: Upstream) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{")
        upstream.go.wait(600.0)
        connection.sendall(b"}")
        return True

    path = "/v1/chat/completions"
    with (
        Upstream(scripts={path: held}) as upstream,
        Sidecar(tmp_path, upstream.url, policy=BELIEVING) as sidecar,
        Client(sidecar.port) as client,
    ):
        client.send(
            get(
                f"{path}?secret={CANARY}", f"Authorization: Bearer {CANARY}",
                f"X-Forwarded-For: {ADDRESS}", f"X-Trace: {CANARY}",
                "Content-Type: application/json", method="POST", body=body.encode(),
            )
        ).until(b"{")  # fmt: skip
        refused = ask(sidecar.admin, get("/debug/snapshot"))
        found = snapshot_of(sidecar, TOKEN)
        mark = len(sidecar.lines)
        sidecar.process.send_signal(signal.SIGUSR1)
        said = sidecar.wait_for(r'^\{"taken".*', after=mark)

    assert refused.status == 401
    assert CANARY not in refused.body.decode()
    assert found["requests"] == {
        "connections": 1, "open": 1, "streaming": 1, "draining": False,
    }  # fmt: skip
    assert found["health"]["policy"]["enforce"] is True
    assert found["health"]["store"]["breaker"] in ("closed", "open", "half-open")
    assert found["health"]["network"][0]["built"]
    tables = {one["table"]: one for one in found["tables"]}
    assert tables["profiles"]["entries"] == 1
    assert tables["profiles"]["most"] == 100_000
    assert {"waiting_settlements", "accounts_kept", "upstream_connections"} <= set(tables)
    assert found["campaigns"]["linker"] == "elsewhere"
    assert found["event_loop"]["answers"] is True
    assert found["tasks"]["count"] >= 1
    assert any(one["name"] == "MainThread" for one in found["threads"])
    for secret in (CANARY, ADDRESS, "a secret for tests only", TOKEN.rpartition(" ")[2], "acct_"):
        assert secret not in json.dumps(found)
        assert secret not in said
    assert set(json.loads(said)) == set(found)


def test_of_several_workers_each_is_in_it_and_each_heeds_the_signal(tmp_path: Path) -> None:
    folder = tmp_path / "snapshots"
    folder.mkdir()
    with (
        Upstream() as upstream,
        Sidecar(
            tmp_path,
            upstream.url,
            "--workers",
            "2",
            "--allow-split-limits",
            "--snapshot-dir",
            str(folder),
        ) as sidecar,
    ):
        sidecar.all_serve(2)
        # A worker that serves has its socket already; the admin port may still be starting.
        until(lambda: len(snapshot_of(sidecar)["workers"]) == 2, "both workers answer")
        found = snapshot_of(sidecar)
        sidecar.process.send_signal(signal.SIGUSR1)
        until(lambda: len(list(folder.glob("snapshot-*.json"))) == 2, "both wrote a file")
        written = [json.loads(path.read_bytes()) for path in folder.glob("snapshot-*.json")]

        misnamed = b"GET /debug/snapshot HTTP/1.1\r\nHost: evil.test\r\n\r\n"
        assert ask(sidecar.admin, misnamed).status == 421
        assert [one["worker"] for one in found["workers"]] == [0, 1]
        pids = {one["process"]["pid"] for one in found["workers"]}
        assert {one["process"]["pid"] for one in written} == pids
        assert sidecar.process.pid not in pids
        for pid in pids:
            os.kill(pid, 0)
        assert ask(sidecar.port, get("/v1/models")).status == 200
