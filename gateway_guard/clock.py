"""The one clock: starts at wall time, then runs monotonically. Wall-clock steps are harmless.

One that lasts is followed, in either direction.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, Protocol, runtime_checkable

log = logging.getLogger(__name__)

#: Seconds since the Unix epoch.
Clock = Callable[[], float]

#: Seconds between two looks at the wall clock.
LOOK_EVERY: Final = 10.0
#: Seconds the wall clock must differ to be looked at; less is no harm to tokens and links.
APART: Final = 5.0
#: Seconds it must have been ahead by as much, within `_ALIKE`: what is put right meanwhile was a
#: slip. Not measured.
LASTING: Final = 30.0
_ALIKE: Final = 1.0


@runtime_checkable
class Keeps(Protocol):
    """What remembers when things happened, by this clock."""

    def set_back(self, seconds: float) -> None:
        """The clock was set back by `seconds` > 0: all of it happened so much earlier."""


def steady_clock(*kept: object) -> Clock:
    """A clock that agrees with the wall clock now and ignores later steps of it, but for those that
    last.

    Limits measure differences: an hour too much or too little between two requests would forgive or
    punish everybody. So it follows no step that is soon taken back. One that lasts is followed, or
    tokens and links would expire too early, or be not valid yet, until the process is started
    again. Forward: the machine was suspended, and that time has passed, or was started with a clock
    that was slow. Back: no time has passed, and it never runs backwards otherwise; what is `kept`
    is told (`Keeps`, where it is one).
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
            offset += ahead
            lead, since = 0.0, at
            log.warning("clock-followed seconds=%.0f", ahead)
            if ahead < 0.0:
                for one in kept:
                    if isinstance(one, Keeps):
                        one.set_back(-ahead)

    def now() -> float:
        at = monotonic()
        if at >= due:
            look(at)
        return offset + at

    return now
