"""Every command's `--help`: what it does, how it ends, an example that parses. And completion."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from gateway_guard.cli import build_app
from gateway_guard.cli.manual import PAGES, Page, epilog
from tests.cli.run import run

Capture = pytest.CaptureFixture[str]


def _leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", {})
    for name, one in below.items():
        yield from _leaves(one, (*path, name))
    if not below:
        yield " ".join(path), command


LEAVES = dict(_leaves(typer.main.get_command(build_app()), ()))


@pytest.mark.parametrize("path", LEAVES)
def test_help_says_what_a_command_does_how_it_ends_and_gives_an_example(
    path: str, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, *path.split(), "--help")

    assert ran.code == 0
    assert len(LEAVES[path].help.split("\n")[0]) > 20
    assert "Exit " in ran.out
    assert f"\n    {PAGES[path].example}\n" in ran.out


@pytest.mark.parametrize(
    ("path", "last"),
    [("", "empty it."), ("intel", "with decisions."), ("account", "changes nothing.")],
)
def test_lists_of_commands_show_the_first_sentence_of_each_whole(
    path: str, last: str, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, *path.split(), "--help")

    assert "..." not in ran.out.partition("Commands:")[2]
    assert ran.out.endswith(f"{last}\n")


def test_every_page_is_of_a_command() -> None:
    assert set(PAGES) == set(LEAVES)


@pytest.mark.parametrize("path", LEAVES)
def test_the_example_is_a_command_line_that_parses(path: str) -> None:
    words = shlex.split(PAGES[path].example)
    own = words[1 + len(path.split()) :]

    assert words[: -len(own) or None] == ["gateway-guard", *path.split()]
    LEAVES[path].make_context(path, own)


def test_a_command_that_says_how_it_ends_is_not_contradicted() -> None:
    page = Page("gateway-guard x")

    assert "Exit 0 done, 2 usage, 3" in epilog(page, "Does it.")
    assert "Exit" not in epilog(page, "Does it. Exit 0 always.")


def _completion(**environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "gateway_guard"],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


@pytest.mark.parametrize(
    ("shell", "said"),
    [
        ("bash", "complete -o default -F _gateway_guard_completion gateway-guard"),
        ("zsh", "compdef _gateway_guard_completion gateway-guard"),
        ("fish", "complete --command gateway-guard"),
    ],
)
def test_every_shell_gets_its_completion_script(shell: str, said: str) -> None:
    assert said in _completion(_GATEWAY_GUARD_COMPLETE=f"source_{shell}")


def test_a_shell_is_told_commands_and_options() -> None:
    ask = {"_GATEWAY_GUARD_COMPLETE": "complete_bash", "COMP_CWORD": "1"}

    assert _completion(**ask, COMP_WORDS="gateway-guard ch").split() == ["check"]
    ask["COMP_CWORD"] = "2"
    options = _completion(**ask, COMP_WORDS="gateway-guard serve --drain").split()
    assert options == ["--drain", "--drain-delay"]


def test_the_help_says_how_completion_is_installed(
    monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    assert "--install-completion" in run(monkeypatch, capfd, "--help").out
