"""`gateway-guard export`: a decision log in the schema of a SIEM."""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from gateway_guard.errors import SourceError
from gateway_guard.record.exporting import exported


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
        log: Annotated[
            Path | None,
            typer.Argument(help="A decision log; standard input when left out.", metavar="LOG"),
        ] = None,
    ) -> None:
        """Print a decision log in another schema, one JSON object a line.

        Nothing is added to what the log says of a client. `serve --log-format` writes it so at
        once.

        Exit 0 all turned, 1 some lines were none of a decision log (and are left out), 3 the file
        cannot be read.
        """
        try:
            source: BinaryIO = sys.stdin.buffer if log is None else log.open("rb")
        except OSError as error:
            raise SourceError(f"{log} cannot be read: {error.strerror}") from error
        with source:
            wrong = _turn(source, sys.stdout.buffer, schema.value, str(log or "standard input"))
        raise typer.Exit(1 if wrong else 0)


def _turn(source: BinaryIO, out: BinaryIO, schema: str, name: str) -> int:
    """Lines that were none; the first is named."""
    wrong = 0
    for number, text in enumerate(source, 1):
        if not text.strip():
            continue
        try:
            out.write(exported(text, schema))
        except SourceError as error:
            wrong += 1
            if wrong == 1:
                typer.echo(f"{name}:{number}: {error}", err=True)
    out.flush()
    if wrong > 1:
        typer.echo(f"{name}: {wrong} lines left out", err=True)
    return wrong
