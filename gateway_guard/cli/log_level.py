"""`--log-level`: what a process that serves writes to standard error."""

from __future__ import annotations

import logging
import sys

import typer


def log_to_stderr(level: str) -> None:
    """Write what happens at `level` or above, each in a line.

    Raises:
        typer.BadParameter: there is no such level.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise typer.BadParameter(f"--log-level {level!r}: write debug, info, warning or error")
    logging.basicConfig(
        level=number, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr
    )
    # They write targets and header fields, some of which are secrets.
    for name in ("uvicorn", "websockets", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
