"""What a command line itself says wrong ends as usage (exit 2), whoever finds it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

import typer

from gateway_guard.errors import GuardError

#: Most seconds a flag takes, a year: event loops and clocks cannot wait for any number.
LONGEST: Final = 365 * 86_400.0


@contextlib.contextmanager
def usage(flag: str = "") -> Iterator[None]:
    """Whatever is raised within is about what was typed, into `flag` where that is not said."""
    try:
        yield
    except GuardError as error:
        raise typer.BadParameter(f"{flag}: {error}" if flag else str(error)) from None
