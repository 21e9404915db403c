"""Who has been under way for long? One timer asks for all exchanges of an event loop."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

#: Seconds between two looks. An exchange is told when it was open at two looks in a row, so it is
#: between this and twice this old.
LOOK_EVERY: Final = 0.2


class Open(Protocol):
    """Something that may stay open for long."""

    def overdue(self) -> None:
        """It has been open for a while."""


class Lookout:
    """Tells whoever stays open for longer than `LOOK_EVERY`, once.

    A timer for each exchange costs about 3 us, most of what a short request costs on this side of
    the guard; adding to a set and taking out again costs 0.1 us. Nothing runs while nothing is
    open. Whatever an event loop left behind when it ended is forgotten with the next one.
    """

    __slots__ = ("_loop", "_old", "_timer", "_young")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._old: set[Open] = set()
        self._young: set[Open] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many are open and have not been told."""
        return len(self._old) + len(self._young)

    def add(self, one: Open) -> asyncio.AbstractEventLoop:
        """Tell `one` in a while, unless it is taken out before. Returns the loop that runs."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop = loop
            self._old, self._young = set(), set()
            self._timer = None
        self._young.add(one)
        if self._timer is None:
            self._timer = loop.call_later(LOOK_EVERY, self._look, loop)
        return loop

    def discard(self, one: Open) -> None:
        """Take `one` out again; nothing happens when it is not in."""
        self._young.discard(one)
        self._old.discard(one)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is not self._loop:
            return
        due = self._old
        self._old, self._young = self._young, set()
        self._timer = loop.call_later(LOOK_EVERY, self._look, loop) if self._old else None
        for one in due:
            one.overdue()
