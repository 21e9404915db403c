"""Every `gateway-guard …` that a page shows is a command there is, with flags that it takes."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.cli.run import ROOT
from tests.cli.test_manual import LEAVES

PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "examples").rglob("*.md"))]
BLOCK = re.compile(r"^ *```\w*\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^ *(?:\$ )?gateway-guard ((?:.*\\\n)*.*)$", re.MULTILINE)

SHOWN = [
    pytest.param(shlex.split(line[1].replace("\\\n", " "), comments=True), id=f"{page}: {line[1]}")
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
