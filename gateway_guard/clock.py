"""The one clock: starts at wall time, then runs monotonically. Wall-clock steps are harmless."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

#: Seconds since the Unix epoch; never runs backwards within a process.
Clock = Callable[[], float]

#: Seconds between two looks at the wall clock.
LOOK_EVERY: Final = 10.0
#: Seconds the wall clock must differ to be looked at; less is no harm to tokens and links.
APART: Final = 5.0
#: Seconds it must have been ahead by as much, within `_ALIKE`: what is put right meanwhile was a
#: slip. Not measured.
LASTING: Final = 30.0
_ALIKE: Final = 1.0


def steady_clock() -> Clock:
    """A clock that agrees with the wall clock now and ignores later steps of it, but for one.

    Limits measure differences: an hour too much or too little between two requests would forgive or
    punish everybody. So it never runs back, and follows no step forward that is soon taken back.
    One that lasts is followed: the machine was suspended, and that time has passed, or was started
    with a clock that was slow. Else every token issued since would not be valid yet until the
    process is started again. Where the wall clock is set back for good, this one stays ahead until
    then, and the log says so.
    """
    monotonic = time.monotonic
    start = monotonic()
    offset = time.time() - start
    due = start + LOOK_EVERY
    #: By how much the wall clock was ahead (negative: behind) when that was first seen, and when.
    lead, since = 0.0, start

    def look(at: float) -> None:
        nonlocal offset, due, lead, since
        due = at + LOOK_EVERY
        ahead = time.time() - at - offset
        if abs(ahead) < APART or abs(ahead - lead) > _ALIKE:
            lead, since = ahead, at
        elif at - since >= LASTING:
            if ahead > 0.0:
                offset += ahead
                lead, since = 0.0, at
                log.warning("clock-followed seconds=%.0f", ahead)
            else:
                since = math.inf  # said once
                log.warning("clock-ahead seconds=%.0f: start this process again", -ahead)

    def now() -> float:
        at = monotonic()
        if at >= due:
            look(at)
        return offset + at

    return now
