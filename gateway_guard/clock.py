"""The one clock: starts at wall time, then runs monotonically. Wall-clock steps are harmless."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds since the Unix epoch; never runs backwards within a process.
Clock = Callable[[], float]


def steady_clock() -> Clock:
    """A clock that agrees with the wall clock now and ignores every later step of it.

    After a step it stays off by that step until the process restarts: limits measure differences,
    and an hour too much or too little between two requests would forgive or punish everybody.
    """
    offset = time.time() - time.monotonic()
    monotonic = time.monotonic

    def now() -> float:
        return offset + monotonic()

    return now
