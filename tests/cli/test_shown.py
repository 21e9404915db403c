"""Every `gateway-guard …` that a page shows is a command there is, with flags that it takes."""

from __future__ import annotations

import itertools
import re
import shlex

import pytest

from tests.cli.run import ROOT
from tests.cli.test_manual import LEAVES

PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "examples").rglob("*.md"))]
BLOCK = re.compile(r"^ *```\w*\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^ *(?:\$ )?gateway-guard ((?:.*\\\n)*.*)$", re.MULTILINE)


def typed(line: str) -> list[str]:
    """The words of a command as a shell gives them to it: up to `&`, a pipe or a comment."""
    lexer = shlex.shlex(line.replace("\\\n", " "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    return list(itertools.takewhile(lambda word: not set(word) <= set("&|<>;"), lexer))


SHOWN = [
    pytest.param(typed(line[1]), id=f"{page.relative_to(ROOT)}: {line[1]}")
    for page in PAGES
    for block in BLOCK.finditer(page.read_text("utf-8"))
    for line in COMMAND.finditer(block[1])
]


@pytest.mark.parametrize("words", SHOWN)
def test_a_command_that_is_shown_can_be_typed(words: list[str]) -> None:
    (path,) = [path for path in LEAVES if path.split() == words[: len(path.split())]]

    LEAVES[path].make_context(path, words[len(path.split()) :])


def test_commands_are_shown() -> None:
    assert len(SHOWN) > 40
