"""Whether a file can be read is said by whoever reads it: which, why, and as exit 3."""

from __future__ import annotations

import typing

import typer
from typer.models import ParameterInfo

from gateway_guard.cli.manual import commands


def leave_reading_to_commands(app: typer.Typer) -> None:
    """Have no command's file looked at before it runs.

    typer asks of every path that is there whether it may be read, of one to be written, too, and
    calls it wrong usage (exit 2) when not. A file that is not there it passes on.
    """
    for _, command in commands(app):
        if command.callback is None:
            continue
        hints = typing.get_type_hints(command.callback, include_extras=True)
        for hint in hints.values():
            for told in getattr(hint, "__metadata__", ()):
                if isinstance(told, ParameterInfo):
                    told.readable = False
        # As text they would be read anew, into others than these.
        command.callback.__annotations__ = hints
