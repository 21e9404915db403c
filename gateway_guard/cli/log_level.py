"""`--log-level`: what a process that serves writes to standard error."""

from __future__ import annotations

import logging
import sys
import time

import typer


class Utc(logging.Formatter):
    """Times in UTC (RFC 3339), as the decision log has them, whatever the zone of the host."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"


def log_to_stderr(level: str) -> None:
    """Write what happens at `level` or above, each in a line.

    Raises:
        typer.BadParameter: there is no such level.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise typer.BadParameter(f"--log-level {level!r}: write debug, info, warning or error")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Utc("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=number, handlers=[handler])
    # They write targets and header fields, some of which are secrets.
    for name in ("uvicorn", "websockets", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
