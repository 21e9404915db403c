"""The black-box reliability harness, 540 raw-socket cases, against `serve`.

The harness is not part of this repository; where it does not lie beside the checkout the test skips
and says so. What it warns about is argued in `hostile.md`; a new warning fails the test, so that it
is argued, too.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.servers import PATIENCE, Sidecar
from tests.servers import free_port

pytestmark = pytest.mark.e2e

HERE = Path(__file__).resolve()
HARNESS = HERE.parents[3] / "shared" / "harness"

#: What the cases expect: `base` believes its peer's X-Forwarded-For, `edge` nobody's.
EDGE = """\
version: 1
mode: enforce
websocket: allow
inspect: { max_body: 1 MB }
limits:
  limited: { per: client_ip, requests: 5/minute, burst: 5, when: { path: /v1/limited } }
  keyed: { per: account, requests: 5/minute, burst: 5, when: { path: /v1/keyed } }
rules:
  - { name: no-admin, when: { path: [/admin, /admin/**] }, then: deny }
  - { name: health, when: { path: /health }, then: allow }
  - name: denied-address
    when: { client_ip: [203.0.113.66, "2001:db8:66::/48"] }
    then: deny
  - name: only-one
    when: { path: /iponly, client_ip: 198.51.100.10 }
    then: allow
  - { name: nobody-else, when: { path: /iponly }, then: deny }
  - { name: text, when: { prompt: DENYME-7f3a }, then: deny }
  - { name: unknown-address, when: { client_ip: unknown }, then: deny }
"""
BASE = EDGE + "identify:\n  trusted_proxies: [127.0.0.1/32]\n"
FEATURES = ["path", "ip", "edge", "exempt", "text", "rl_ip", "rl_key", "body", "ws"]


def argued() -> set[str]:
    """Cases whose warning `hostile.md` argues."""
    text = HERE.with_name("hostile.md").read_text("utf-8")
    return set(re.findall(r"^\| ([A-Z]{3}-\w+) \|", text, re.MULTILINE))


@pytest.fixture
def echo() -> Iterator[tuple[int, int]]:
    """The harness's upstream: its port and that of its log."""
    port, control = free_port(), free_port()
    command = [sys.executable, "echo_upstream.py", "--port", str(port), "--ctl", str(control)]
    with subprocess.Popen(command, cwd=HARNESS, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "echo upstream on" in process.stdout.readline()
        yield port, control
        process.terminate()
        process.wait(PATIENCE)


@pytest.mark.skipif(
    not (HARNESS / "run_cases.py").exists(),
    reason="not part of this repository, and not beside the checkout: ../shared/harness",
)
def test_no_case_fails_and_every_warning_is_argued(tmp_path: Path, echo: tuple[int, int]) -> None:
    upstream, control = echo
    with ExitStack() as running:
        where: dict[str, Sidecar] = {}
        for name, policy in (("base", BASE), ("edge", EDGE)):
            folder = tmp_path / name
            folder.mkdir()
            flags = ["--max-body", str(1024 * 1024)]
            url = f"http://127.0.0.1:{upstream}"
            where[name] = running.enter_context(Sidecar(folder, url, *flags, policy=policy))
        profile = {
            "name": "serve",
            "base": ["127.0.0.1", where["base"].port],
            "edge": ["127.0.0.1", where["edge"].port],
            "ctl": control,
            "features": FEATURES,
            "pid": where["base"].process.pid,
        }
        (tmp_path / "profile.json").write_text(json.dumps(profile))
        found = tmp_path / "found.json"

        files = ["--profile", str(tmp_path / "profile.json"), "--out", str(found)]
        done = subprocess.run(
            [sys.executable, "run_cases.py", *files],
            cwd=HARNESS, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip

        rows = json.loads(found.read_text())["rows"]
        verdicts = {row["id"]: row["verdict"] for row in rows}
        assert not [row for row in rows if row["verdict"] == "FAIL"], done.stdout
        assert len(rows) >= 540, done.stdout
        assert "n/a" not in verdicts.values()
        assert {case for case, verdict in verdicts.items() if verdict == "warn"} <= argued()
