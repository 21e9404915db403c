"""How long is waited, where many wait equally long: one timer for all of them.

`asyncio.timeout` starts a timer for each, which costs 4 to 6 µs with uvloop; this costs a quarter
of it (`python -m tests.bench store`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Self

#: Turns of the event loop between the end of a budget and giving up. An answer that has come by
#: then is read and handed through in three; a process that had no time to read is not told that
#: the store is late.
TURNS: Final = 4


class Deadlines:
    """Limits of `seconds` (> 0) each, and of `turns` turns of the event loop after them.

    Turns, because a process that had no time to read an answer must not take it for late: one that
    has come by the end is read and handed through meanwhile.
    """

    __slots__ = ("_due", "_loop", "_seconds", "_timer", "_turns")

    def __init__(self, seconds: float, turns: int = 0) -> None:
        self._seconds = seconds
        self._turns = turns
        self._loop: asyncio.AbstractEventLoop | None = None
        #: Oldest first, as all wait equally long.
        self._due: deque[Deadline] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many are kept, those that are over and wait behind others included."""
        return len(self._due)

    def limit(self) -> Deadline:
        """The limit of what is awaited inside its block, which begins now. In a task."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # What another loop left behind when it ended is nobody's.
            self._loop, self._timer = loop, None
            self._due.clear()
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("only tasks can be cancelled: await this in one")
        due = self._due
        while due and due[0].task is None:
            due.popleft()
        one = Deadline(task, loop.time() + self._seconds)
        due.append(one)
        if self._timer is None:
            self._timer = loop.call_at(one.at, self._fire, loop)
        return one

    def _fire(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is not self._loop:
            return
        due, now = self._due, loop.time()
        over: list[Deadline] = []
        while due and (due[0].task is None or due[0].at <= now):
            over.append(due.popleft())
        self._timer = loop.call_at(due[0].at, self._fire, loop) if due else None
        if over:
            self._wait(loop, over, self._turns)

    def _wait(self, loop: asyncio.AbstractEventLoop, over: Sequence[Deadline], turns: int) -> None:
        if turns:
            loop.call_soon(self._wait, loop, over, turns - 1)
            return
        for one in over:
            one.expire()


class Deadline:
    """One limit: `TimeoutError` where its block had to be left, as with `asyncio.timeout`.

    Attributes:
        task: who waits; None once the block was left.
        at: when it is over, on the loop's clock.
        expired: whether it ended the waiting.
    """

    __slots__ = ("_cancelled", "_cancelling", "at", "expired", "task")

    def __init__(self, task: asyncio.Task[object], at: float) -> None:
        self.task: asyncio.Task[object] | None = task
        self.at = at
        self.expired = False
        self._cancelled = False
        self._cancelling = task.cancelling()

    def expire(self) -> None:
        """Cancel the task, unless the block was left."""
        if self.task is not None:
            self._cancelled = True
            self.task.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        task, self.task = self.task, None
        if not self._cancelled or task is None:
            return
        # Somebody else may have cancelled it, too: then it stays cancelled.
        if task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
            self.expired = True
            raise TimeoutError from error


class Lateness:
    """Tells once that something is late, as `Deadlines` would have it, and goes on waiting.

    Args:
        seconds: after which it is, > 0, …
        turns: … and so many turns of the event loop.
        tell: called then, unless it was there before.
    """

    __slots__ = ("_handle", "_tell")

    def __init__(self, seconds: float, turns: int, tell: Callable[[], object]) -> None:
        self._tell = tell
        loop = asyncio.get_running_loop()
        self._handle: asyncio.Handle = loop.call_later(seconds, self._wait, loop, turns)

    def arrived(self) -> None:
        """It is there."""
        self._handle.cancel()

    def _wait(self, loop: asyncio.AbstractEventLoop, turns: int) -> None:
        if turns:
            self._handle = loop.call_soon(self._wait, loop, turns - 1)
        else:
            self._tell()
