"""`gateway-guard export`: a decision log in the schema of a SIEM."""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway_guard.cli import CLEAN, FINDINGS
from gateway_guard.cli.logs import as_named, say_what_was_left_out
from gateway_guard.errors import SourceError
from gateway_guard.record.exporting import exported
from gateway_guard.record.finding import Logs


class Schema(enum.StrEnum):
    """What lines can be turned into: the names of `record.exporting.SCHEMAS`."""

    ECS = "ecs"
    OCSF = "ocsf"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def export(
        schema: Annotated[
            Schema,
            typer.Argument(help="ecs (Elastic Common Schema) or ocsf (HTTP Activity, 4002)."),
        ],
        logs: Annotated[
            list[Path] | None,
            typer.Argument(
                help="Decision logs, plain or gzipped; -, or none, is standard input.",
                metavar="LOG",
            ),
        ] = None,
    ) -> None:
        """Print a decision log in another schema, one JSON object a line.

        Nothing is added to what the log says of a client. `serve --log-format` writes it so at
        once.

        Exit 0 all turned, 1 some lines were none of a decision log (and are left out), 3 the file
        cannot be read.
        """
        searched = Logs(as_named(logs) if logs else [None])
        out = sys.stdout.buffer
        for found in searched:
            try:
                out.write(exported(found.text, schema.value))
            except SourceError:
                searched.disown(found)
        out.flush()
        say_what_was_left_out(searched)
        raise typer.Exit(FINDINGS if searched.broken or searched.damaged else CLEAN)
