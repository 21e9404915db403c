"""`gateway-guard schema [policy|test]`: the policy language as JSON Schema, for editors."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from gateway_guard import __version__
from gateway_guard.cli.outputs import check_outputs
from gateway_guard.errors import SourceError
from gateway_guard.files import write_whole
from gateway_guard.policy.json_schema import json_schema
from gateway_guard.signals import detectors


class Document(enum.StrEnum):
    """What can be described: the names of `DOCUMENTS`."""

    POLICY = "policy"
    TEST = "test"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def schema(
        document: Annotated[
            Document,
            typer.Argument(help="policy, or test for files of policy tests (*.test.yaml)."),
        ] = Document.POLICY,
        output: Annotated[
            Path | None, typer.Option("--output", "-o", help="A file to write instead.")
        ] = None,
    ) -> None:
        """Print the policy language as JSON Schema (draft 2020-12), for editors.

        It is made of the tables that `check` works with, and of the signals installed here.
        `check` finds more: what several places of a policy say together.

        Exit 0 printed, 2 usage, 3 the file cannot be written.
        """
        check_outputs({"--output": output})
        made = json_schema(document.value, detectors(), __version__)
        text = msgspec.json.format(msgspec.json.encode(made), indent=2).decode() + "\n"
        if output is None:
            typer.echo(text, nl=False)
            return
        try:
            write_whole(output, text.encode(), 0o644)
        except OSError as error:
            raise SourceError(f"{output} cannot be written: {error.strerror}") from error
