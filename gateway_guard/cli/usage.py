"""What a command line itself says wrong ends as usage (exit 2), whoever finds it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
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
