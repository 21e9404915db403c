"""What `serve` refuses before it starts, and what it says to do instead."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from gateway_guard.cli import build_app
from gateway_guard.cli.fitting import check_frontends
from tests.cli.run import ROOT, run
from tests.deploying import serve_commands

MINIMAL = ROOT / "policies" / "minimal.yaml"
BELIEVING = """\
version: 1
identify: { trusted_proxies: [127.0.0.1], client_ip: x-forwarded-for }
"""


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "--upstream is missing"),
        (["--frontend", "nginx"], "write proxy, extauth, spoe, envoy"),
        (["--frontend", "proxy", "--frontend", "spoe"], "one process for each"),
        (["--frontend", "extauth", "--spoe", "127.0.0.1:0"], "--frontend spoe"),
        (["--frontend", "extauth", "--upstream", "http://127.0.0.1:1"], "forwards nothing"),
        (["--upstream", "http://127.0.0.1:1", "--envoy", "127.0.0.1:0"], "--frontend envoy"),
        (["--upstream", "http://127.0.0.1:1", "--usage-lease", "5"], "--frontend extauth"),
        (["--frontend", "extauth", "--workers", "2", "--usage-lease", "5"], "need one worker"),
        (["--frontend", "spoe", "--workers", "2"], "need one worker"),
        (["--frontend", "extauth"], "need identify.trusted_proxies"),
    ],
)
def test_flags_that_do_not_fit_together_are_named(
    flags: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ran = run(
        monkeypatch,
        capfd,
        "serve",
        "--policy",
        MINIMAL,
        "--port",
        "0",
        "--admin-port",
        "-1",
        *flags,
    )

    assert ran.code == 3
    assert said in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("address", ["nowhere", ":9002", "127.0.0.1:", "127.0.0.1:x", "h:999999"])
def test_an_address_that_is_none_is_refused(
    address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(BELIEVING)

    ran = run(
        monkeypatch, capfd, "serve", "--policy", policy, "--port", "0", "--admin-port", "-1",
        "--frontend", "spoe", "--spoe", address,
    )  # fmt: skip

    assert ran.code == 3
    assert "--spoe" in ran.err


VERIFYING = """\
version: 1
identify: { trusted_proxies: [127.0.0.1], client_ip: x-forwarded-for }
verification:
  url: http://127.0.0.1:8080/verify
  form: { accept: [I am a person] }
"""


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--frontend", "extauth"], "--verify 127.0.0.1:8081"),
        (["--upstream", "http://127.0.0.1:1", "--workers", "2", "--allow-split-limits"],
         "set GATEWAY_GUARD_SECRET"),
        (["--upstream", "http://127.0.0.1:1", "--verify", "nowhere"], "--verify"),
    ],
)  # fmt: skip
def test_links_that_would_lead_nowhere_are_refused_at_the_start(
    flags: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    policy = tmp_path / "policy.yaml"
    policy.write_text(VERIFYING)
    monkeypatch.delenv("GATEWAY_GUARD_SECRET", raising=False)

    ran = run(
        monkeypatch, capfd, "serve", "--policy", policy, "--port", "0", "--admin-port", "-1", *flags
    )

    assert ran.code == 3
    assert said.lower() in ran.err.lower()


PAGES = sorted((ROOT / "examples").rglob("*.md"))
COMMAND = re.compile(r"^gateway-guard serve ((?:.*\\\n)*.*)$", re.MULTILINE)
COMMANDS = [
    (page.parent.name, shlex.split(found[1].replace("\\\n", " ")))
    for page in PAGES
    for found in COMMAND.finditer(page.read_text())
] + serve_commands()


@pytest.mark.parametrize(("page", "words"), COMMANDS)
def test_every_command_of_the_examples_pages_is_one(page: str, words: list[str]) -> None:
    command: Any = typer.main.get_command(build_app("serve"))

    asked = command.commands["serve"].make_context("serve", list(words)).params

    check_frontends(
        asked["frontend"], asked["upstream"], asked["spoe"], asked["envoy"], asked["usage_lease"],
        asked["workers"],
    )  # fmt: skip


def test_there_are_such_commands() -> None:
    pages = {page for page, _ in COMMANDS}

    assert pages >= {"envoy", "gateways", "haproxy", "compose.yaml", "sidecar.yaml"}
