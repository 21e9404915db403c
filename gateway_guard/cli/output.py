"""What every command shares: the two output formats, and when colour is allowed."""

from __future__ import annotations

import enum
import json
import sys
from collections.abc import Iterable
from typing import Annotated

import msgspec
import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from gateway_guard.cli.printable import lines_printable


class Format(enum.StrEnum):
    """How a command answers: for a person, or for a program."""

    TEXT = "text"
    JSON = "json"


#: `--format text|json`, the same for every command.
FormatOption = Annotated[
    Format, typer.Option("--format", help="text for a person, json for a program.")
]


class _Plain(Console):
    """A console that no text drives: whatever a command forgets, escapes come out as U+FFFD."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The segments of `renderable`, their own text printable."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment(lines_printable(text), style)


def console(*, stderr: bool = False) -> Console:
    """A console for tables and trees: colour only on a terminal, never with `NO_COLOR`.

    Off a terminal lines are never wrapped, so that what is piped or compared stays whole. Brackets
    and colons are themselves: much of what is shown was written by others.
    """
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 400
    return _Plain(
        stderr=stderr, highlight=False, markup=False, emoji=False,
        soft_wrap=not stream.isatty(), width=width,
    )  # fmt: skip


def print_json(value: object) -> None:
    """`value` as indented JSON on standard output, ending in a newline.

    Where standard output has no character for something, it is escaped: `?` would be another value.
    So is what drives a terminal or turns the reading direction, which JSON lets stand, and bytes of
    a file name that are no UTF-8, as the surrogates Python has for them.
    """
    try:
        text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
        text.encode(sys.stdout.encoding or "utf-8")
        plain = text.replace("\n", "").isprintable()
    except UnicodeEncodeError:
        plain = False
    if not plain:
        text = json.dumps(msgspec.to_builtins(value, str_keys=True), indent=2)
    sys.stdout.write(text + "\n")
