"""When a client is asked to connect anew, where several processes accept at one listener.

Who accepts a connection serves all of its requests, and clients keep theirs for as long as they
can. So what a worker had that died or was replaced all goes to the others and stays there: its
successor has next to nothing to do, while the others have more than they can, for ever. Whoever
connects anew gets the process that has time.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from time import thread_time
from typing import Final

#: Seconds for which a connection takes requests, at most; of each between half and all of it, so
#: that not all are made anew at once. With 10,000 of them that is 110 a second. Not measured.
LASTS: Final = 120.0
#: Connections a second that are let go before that by a process that has much to do: more
#: handshakes would themselves be too much, where all processes have. Not measured.
A_SECOND: Final = 20.0
#: Share of the time for which the loop works where it has much to do, and seconds between two looks
#: at that. Not measured.
BUSY: Final = 0.7
LOOK_EVERY: Final = 1.0


class Parting:
    """What one process asks of its clients. Times in seconds on the loop's clock.

    Args:
        spent: seconds of CPU that this thread has taken.
    """

    __slots__ = ("_busy", "_looked", "_next", "_spent", "_then")

    def __init__(self, spent: Callable[[], float] = thread_time) -> None:
        self._spent = spent
        self._busy = False
        self._next = 0.0
        self._looked = self._then = 0.0

    def until(self, now: float) -> float:
        """Until when a connection that is made `now` takes requests."""
        return now + LASTS * random.uniform(0.5, 1.0)  # noqa: S311

    def lets_go(self, now: float, *, turned_away: bool = False) -> bool:
        """Whether the connection of a request that comes `now`, and may have been `turned_away`,
        ends with its answer.
        """
        if now < self._next:
            return False
        self._next = now + 1.0 / A_SECOND
        passed = now - self._looked
        if passed >= LOOK_EVERY:
            spent = self._spent()
            # After a rest nobody has looked for long.
            self._busy = passed < 2.0 * LOOK_EVERY and spent - self._then >= BUSY * passed
            self._looked, self._then = now, spent
        return self._busy or turned_away
