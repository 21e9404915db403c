"""Whether the process has time for one more request: its event loop's turns, and what they say.

`core.shedding` judges; here is what it is told. While turns are short one is looked at every
`LOOK_EVERY`, as long as requests come; otherwise each of them is.

A turn is measured from one callback to the next: in between the loop does all that is due. In CPU
time, because a process that others keep from running has not too much to do itself; what has piled
up meanwhile shows in the turns that follow.
"""

from __future__ import annotations

import asyncio
from time import monotonic, thread_time
from typing import Final

from gateway_guard.core.shedding import Shedding

#: Seconds between two looks at how long a turn of the loop takes. Not measured.
LOOK_EVERY: Final = 0.025
#: Looks after which nobody looks any more where no request has come; the next one starts anew.
QUIET: Final = 200
#: Requests after which it is made sure that the loop looked at is the one that runs.
SURE_EVERY: Final = 1024


class Turnstile:
    """Lets requests into one event loop.

    Attributes:
        shedding: what is taken, and how much was turned away.
    """

    def __init__(self) -> None:
        self.shedding = Shedding()
        self._asked = 0
        self._target = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._look: asyncio.Handle | None = None
        self._turn = 0.0
        self._quiet = 0
        self._heard = 0

    def turns_away(self, lag: float) -> bool:
        """Whether the request that has just come is one too many, where turns may take `lag`."""
        self._target = lag
        self._asked += 1
        if self._look is None:
            self._start()
        elif self.shedding.crowded or self._asked % SURE_EVERY == 0:
            if self._loop is asyncio.get_running_loop():
                return not self.shedding.takes()
            # What was measured was another loop, which is gone.
            self._start()
        return False

    def close(self) -> None:
        """Look no more."""
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _start(self) -> None:
        self.close()
        self.shedding.forget()
        self._quiet = 0
        self._loop = asyncio.get_running_loop()
        self._look = self._loop.call_later(LOOK_EVERY, self._begin)

    def _begin(self) -> None:
        assert self._loop is not None  # noqa: S101
        if self._heard == self._asked:
            self._quiet += 1
            if self._quiet >= QUIET:
                self.shedding.forget()
                self._look = None
                return
        else:
            self._heard, self._quiet = self._asked, 0
        # What is due now goes first, what comes meanwhile later: from its place at the front of one
        # turn to that of the next a callback sees everything a turn does.
        self._look = self._loop.call_soon(self._front)

    def _front(self) -> None:
        assert self._loop is not None  # noqa: S101
        self._look = self._loop.call_soon(self._first)

    def _first(self) -> None:
        assert self._loop is not None  # noqa: S101
        self._turn = thread_time()
        self._look = self._loop.call_soon(self._end)

    def _end(self) -> None:
        assert self._loop is not None  # noqa: S101
        now = thread_time()
        if self.shedding.turned(now - self._turn, self._target, monotonic()):
            # The next one, too. While it is crowded the loop does not rest, and has no reason to.
            self._turn = now
            self._look = self._loop.call_soon(self._end)
        else:
            self._look = self._loop.call_later(LOOK_EVERY, self._begin)
