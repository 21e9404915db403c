"""What a command line itself says wrong ends as usage (exit 2), whoever finds it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import typer

from gateway_guard.errors import GuardError
from gateway_guard.network.database import Source

#: Most seconds a flag takes, a year: event loops and clocks cannot wait for any number.
LONGEST: Final = 365 * 86_400.0


@contextlib.contextmanager
def usage(flag: str = "") -> Iterator[None]:
    """Whatever is raised within is about what was typed, into `flag` where that is not said."""
    try:
        yield
    except GuardError as error:
        raise typer.BadParameter(f"{flag}: {error}" if flag else str(error)) from None


def check_sources(specs: Iterable[str]) -> None:
    """Each is one that `Source.parse` can read.

    Raises:
        typer.BadParameter: one is not.
    """
    with usage():
        for spec in specs:
            Source.parse(spec)


def keep_inputs(inputs: Iterable[Path | None], outputs: Mapping[str, Path | None]) -> None:
    """No file that is read is written over, nor one that another flag writes; None is no file.

    Raises:
        typer.BadParameter: one would be.
    """
    taken = [(path, "is read, too, and would be lost") for path in inputs if path is not None]
    for flag, path in outputs.items():
        if path is None:
            continue
        for other, why in taken:
            if _same(path, other):
                raise typer.BadParameter(f"{flag} {path} {why}: name another file")
        taken.append((path, f"is written by {flag}, too"))


def _same(one: Path, other: Path) -> bool:
    """Whether both name one file; a device or a pipe may be named twice."""
    if one.exists() and other.exists():
        return one.is_file() and one.samefile(other)
    return one.resolve() == other.resolve()
