"""Printing the tree of `core.explain`: whole in a pipe, folded under itself on a terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from gateway_guard.cli.printable import printable

#: Where the text of a line begins: after its branches and the name of the stage or the signal.
_HEAD: Final = re.compile(r"(?:[│├└ ]+\S+ {2,}|[│├└ ]+)?")
_SUMMARY: Final = "    "


def folded(line: str, width: int) -> list[str]:
    """`line` in pieces of at most `width` columns, each standing under the text it continues."""
    head = _HEAD.match(line)
    branches = head.group() if head is not None else ""
    if branches:
        indent = "".join("│" if mark in "│├" else " " for mark in branches)
    else:
        indent = _SUMMARY
    return textwrap.wrap(
        line, max(width, len(indent) + 20), subsequent_indent=indent, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def print_tree(tree: Sequence[str], out: Console, *, word: str = "", colour: str = "") -> None:
    """Print `tree`, its first line bold, with the action's `word` there in `colour`."""
    for number, line in enumerate(tree):
        pieces = folded(line, out.width) if out.is_terminal else [line]
        for piece in pieces:
            shown = Text(printable(piece))
            if number == 0:
                shown.stylize("bold")
                if word:
                    shown.highlight_words([f"  {word}"], colour)
            out.print(shown)
