"""Decision logs as commands name them: which, how far they are read, what was left out."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from gateway_guard.cli.output import console
from gateway_guard.cli.printable import printable
from gateway_guard.pages.words import many
from gateway_guard.record.finding import Logs
from gateway_guard.settings import Settings

LogsArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="LOG",
        help="Decision logs, plain or gzipped, in any "
        "order; - is standard input. By default GATEWAY_GUARD_DECISION_LOG.",
    ),
]


def paths_of(logs: list[Path] | None) -> list[Path | None]:
    """The logs to read; None for standard input."""
    if not logs:
        configured = Settings.from_environment().decision_log
        if configured in (None, "-"):
            raise typer.BadParameter(
                "name the decision LOG to search (GATEWAY_GUARD_DECISION_LOG names no file)"
            )
        logs = [Path(configured)]
    return as_named(logs)


def as_named(logs: Iterable[Path]) -> list[Path | None]:
    """Logs as a command line names them; None for `-`, standard input."""
    return [None if str(path) == "-" else path for path in logs]


@contextlib.contextmanager
def progress(paths: Sequence[Path | None]) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, shown only on a terminal."""
    total = sum(path.stat().st_size for path in paths if path is not None and path.is_file())
    bar = Progress(
        TextColumn("searching"), BarColumn(), TaskProgressColumn(), console=console(stderr=True),
        disable=not sys.stderr.isatty() or None in paths, transient=True,
    )  # fmt: skip
    task = bar.add_task("", total=total)
    with bar:
        yield lambda read: bar.update(task, advance=read)


def say_what_was_left_out(searched: Logs) -> None:
    """On standard error: files that are damaged, and how many lines were none."""
    for why in searched.damaged:
        typer.echo(why, err=True)
    if not searched.broken:
        return
    text = f"{many(searched.broken, 'line')} passed over: of no decision log, or broken"
    text += f"; the first is {searched.first_broken}"
    if searched.replayed:
        text += (
            f". {searched.replayed:,} of them are what `replay --decisions` wrote: who asked for "
            "what, and why, is not in it; the report of `replay` itself counts it"
        )
    elif not searched.lines:
        text += ". A log in ECS or OCSF (`serve --log-format`) cannot be read here"
    typer.echo(printable(text), err=True)


def span_of(searched: Logs) -> str:
    """` from … to … UTC`: the time the lines are of; empty when there was none."""
    if searched.earliest is None or searched.latest is None:
        return ""
    return f" from {moment(searched.earliest)} to {moment(searched.latest)} UTC"


def moment(at: datetime) -> str:
    """`2026-11-21 06:41:16.357842`, as the log has it."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"
