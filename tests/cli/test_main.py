"""The command line as a whole: every command there, exit codes as documented."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from gateway_guard import __version__
from gateway_guard.cli import COMMANDS
from tests.cli.run import run

Capture = pytest.CaptureFixture[str]


def test_help_lists_every_command(monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    ran = run(monkeypatch, capfd, "--help")

    assert ran.code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in ran.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_says_what_it_does(
    name: str, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, name, "--help")

    assert ran.code == 0
    assert "Usage: " in ran.out
    assert importlib.import_module(f"gateway_guard.cli.{name}").__doc__


def test_the_version_is_the_packages(monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    ran = run(monkeypatch, capfd, "--version")

    assert (ran.code, ran.out) == (0, f"gateway-guard {__version__}\n")


def test_no_command_shows_the_help(monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    assert "Usage: gateway-guard" in "".join(run(monkeypatch, capfd)[1:])


def test_a_command_nobody_knows_is_usage(monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    assert run(monkeypatch, capfd, "guess").code == 2


def test_what_cannot_work_says_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    request = tmp_path / "request.json"
    request.write_text("{}")

    ran = run(monkeypatch, capfd, "explain", request, "--policy", tmp_path / "none.yaml")

    assert ran.code == 3
    assert "none.yaml" in ran.err
    assert "Traceback" not in ran.err


def test_one_command_loads_no_other_and_no_server() -> None:
    script = (
        "import sys; sys.argv = ['gateway-guard', 'lookup', '--help']\n"
        "from gateway_guard.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('uvicorn', 'gateway_guard.guard') if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "[]"
