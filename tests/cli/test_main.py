"""The command line as a whole: every command there, exit codes as documented."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from gateway_guard import __version__
from gateway_guard.cli import COMMANDS
from tests.cli.run import ROOT, run

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


@pytest.mark.parametrize(
    "command",
    [
        ("demo", "--seconds", "1"),
        (
            *("serve", "-p", str(ROOT / "policies" / "minimal.yaml"), "-u", "http://127.0.0.1:9"),
            *("--port", "0", "--admin-port", "-1", "--workers", "2", "--allow-split-limits"),
        ),
    ],
    ids=["demo", "serve"],
)
def test_where_there_is_no_room_for_temporary_files_it_is_said_what_to_name(
    command: tuple[str, ...],
) -> None:
    """As in a container whose root is read-only."""
    code = (
        "import sys, tempfile; from gateway_guard.cli import main; "
        "tempfile.tempdir = '/nonexistent'; main()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, check=False
    )

    assert ran.returncode == 3
    assert "no directory for temporary files can be made: No such file or directory" in ran.stderr
    assert "TMPDIR" in ran.stderr


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


@pytest.mark.parametrize("command", [("demo",), ("serve", "-p", "p", "-u", "http://127.0.0.1:1")])
def test_without_its_extra_a_server_says_what_to_install(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    for name in [name for name in sys.modules if name.startswith("gateway_guard.frontends")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)

    ran = run(monkeypatch, capfd, *command)

    assert ran.code == 3
    assert f"{command[0]} starts servers" in ran.err
    assert "pip install '.[sidecar]' in a checkout" in ran.err
    assert "Traceback" not in ran.err


def test_a_module_missing_for_another_reason_is_no_secret(
    monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "gateway_guard.cli.lookup", None)

    with pytest.raises(ModuleNotFoundError, match="lookup"):
        run(monkeypatch, capfd, "lookup", "8.8.8.8")


def test_whoever_interrupts_while_a_command_is_loaded_sees_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    def interrupted(*_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gateway_guard.cli.build_app", interrupted)

    ran = run(monkeypatch, capfd, "lookup", "8.8.8.8")

    assert ran == (130, "", "")
