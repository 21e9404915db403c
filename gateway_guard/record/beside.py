"""Work beside the event loop: on a thread that ends with whoever it works for.

One thread of an interpreter runs at a time: while this one works, the loop and every request in it
wait. So what has piled up is worked off in pieces, each followed by a rest: in one go it kept the
interpreter for 3 ms and more, a few times a second.
"""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

#: Seconds of work in one piece, and most seconds of rest after it. Handing the interpreter over
#: costs both sides: in pieces of 0.2 ms a request costs the sidecar a seventh more CPU, in these a
#: twentieth. At twice the capacity 99 of 100 are answered in 3 ms with either, in 4 to 9 with none.
PIECE: Final = 0.001
REST: Final = 0.004


def rest(waiting: int, limit: int) -> float | None:
    """Seconds until the next piece, where so many of at most `limit` still wait; None for nobody.

    The less the more wait, and none from half the room on: who falls behind for good loses what
    there is no room for, and then requests have to wait.
    """
    if not waiting:
        return None
    return REST * max(0.0, 1.0 - 2.0 * waiting / limit)


class Closes(Protocol):
    """Whom there is work for."""

    def close(self) -> None:
        """Finish what is under way; a second call does nothing."""


T = TypeVar("T", bound=Closes)


class Beside(Generic[T]):
    """Takes a turn for `owner` every `interval` seconds, and when woken, once it is started.

    The thread wakes by itself because waking it for every piece of work would cost the loop more
    than the piece does. Threads do not survive a fork: start it in the process that serves.

    Attributes:
        thread: None until it is started.
        ended: whether `end` was called.

    Args:
        owner: whose turns they are; closed at the interpreter's exit once `at_exit` was called.
        turn: one turn, on that thread: about `PIECE` of work. Says after how many seconds there is
            to be another because more is left; None when nothing is. Must not raise.
        name: the thread's name.
        interval: seconds, > 0.
        keeps: whether an owner that is dropped without being closed lives on, so that nothing it
            has queued is lost; else the thread ends, and takes no more turns for it.
    """

    def __init__(
        self,
        owner: T,
        turn: Callable[[T], float | None],
        *,
        name: str,
        interval: float,
        keeps: bool,
    ) -> None:
        self.thread: threading.Thread | None = None
        self.ended = False
        self._owner = weakref.ref(owner)
        self._keeps = keeps
        self._kept: T | None = None
        self._turn = turn
        self._name = name
        self._interval = interval
        self._woken = threading.Event()

    def start(self) -> None:
        """Begin; to be called once."""
        if self._keeps:
            self._kept = self._owner()
        self.thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self.thread.start()

    def wake(self) -> None:
        """Take a turn now."""
        self._woken.set()

    def at_exit(self) -> None:
        """From now on the owner is closed when the interpreter ends, if nobody did before."""
        atexit.register(self._close_owner)

    def end(self, timeout: float) -> bool:
        """Let the turn under way be the last, and wait for it at most `timeout` seconds.

        False when it is still under way: then what it works on must be left alone.
        """
        self.ended = True
        self._kept = None
        self._woken.set()
        atexit.unregister(self._close_owner)
        if self.thread is None:
            return True
        self.thread.join(timeout)
        return not self.thread.is_alive()

    def _run(self) -> None:
        pause: float | None = None
        while True:
            self._woken.wait(self._interval if pause is None else pause)
            self._woken.clear()
            owner = self._owner()
            if owner is None or self.ended:
                return
            pause = self._turn(owner)
            del owner

    def _close_owner(self) -> None:
        owner = self._owner()
        if owner is not None:
            owner.close()
