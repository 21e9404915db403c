"""What comes from the client: the body, read once and replayed, and the news that it has left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from gateway_guard.frontends.holding import Holding
from gateway_guard.frontends.lookout import Lookout

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Inbox(msgspec.Struct, eq=False):
    """Reads a body, replays it to the application, then stays with the client until it leaves.

    The server's `receive` must not be awaited twice at a time, so everybody who wants to know
    whether the client is still there asks here: the application through `receive`, and a watcher
    that cancels an application which goes on for nobody.

    Attributes:
        crowded: the body was given up in favour of others, of which too much was held.
        gone: the client has left.
        watched: an application that goes on for a client who has left is cancelled.
        too_large: the body went past the cap, by its declared length or by what arrived; or it is
            `crowded`.
    """

    # A record, because those are made in C: fields that few exchanges ever change cost nothing.
    _receive: Receive
    crowded: bool = False
    gone: bool = False
    watched: bool = False
    too_large: bool = False
    _asking: bool = False
    _complete: bool = False
    _cut: bool = False
    _due: bool = False
    _grace: float = 0.0
    _lookout: Lookout | None = None
    _messages: list[Message] | None = None
    _owner: asyncio.Task[Any] | None = None
    _timer: asyncio.TimerHandle | None = None
    _watcher: asyncio.Task[None] | None = None

    async def read(
        self, announced: bytes | None, cap: int, holding: Holding | None = None
    ) -> bytes | None:
        """The body, to be replayed by `receive`; None when it is too large, there is no room for it
        in `holding` or the client is gone.

        A declared length above `cap` bytes is believed without reading; at most one message above
        the cap is ever held. `announced` is the value of Content-Length, None without one.
        """
        if announced is not None and (
            len(announced) > 18 or (announced.isdigit() and int(announced) > cap)
        ):
            self.too_large = True
            return None
        message = await self._receive()
        if message["type"] != "http.request":
            self.gone = True
            return None
        data: bytes = message.get("body", b"")
        if message.get("more_body", False):
            return await self._read_on(data, cap, holding or Holding())
        self._messages = [message]
        self._complete = True
        if len(data) > cap:
            self.too_large = True
            return None
        return data

    async def _read_on(self, data: bytes, cap: int, holding: Holding) -> bytes | None:
        # One piece, whatever came: a client may send a byte at a time, and each message takes 200.
        whole, more = bytearray(data), True
        owner = self._owner = asyncio.current_task()
        try:
            while more and len(whole) <= cap:
                holding.hold(self, len(whole))
                if self.crowded:
                    break
                message = await self._receive()
                if message["type"] != "http.request":
                    self.gone = True
                    return None
                whole += message.get("body", b"")
                more = message.get("more_body", False)
        except asyncio.CancelledError:
            if not self.crowded or owner is None or owner.uncancel():
                raise
        finally:
            holding.drop(self)
        data = bytes(whole)
        self._messages = [{"type": "http.request", "body": data, "more_body": more}]
        self._complete = not more
        if len(data) > cap or self.crowded:
            self.too_large = True
            return None
        return data

    def let_go(self) -> None:
        """There is no room for the rest of the body any more."""
        self.crowded = True
        # Whoever asks for room itself sees it at once; others wait for more.
        if self._owner is not None and self._owner is not asyncio.current_task():
            self._owner.cancel()

    def replace(self, data: bytes) -> None:
        """Hand the application `data` instead of the body that was read, which must be complete."""
        self._messages = [{"type": "http.request", "body": data, "more_body": False}]

    async def receive(self) -> Message:
        """The application's `receive`."""
        if self._messages:
            return self._messages.pop(0)
        if self._watcher is not None:
            if not self.gone:
                await asyncio.wait({self._watcher})
            return {"type": "http.disconnect"}
        if self.gone:
            return {"type": "http.disconnect"}
        self._asking = True
        try:
            message = await self._receive()
        finally:
            self._asking = False
            if self._due:
                self._watch()
        if message["type"] == "http.disconnect":
            self._left()
        elif not message.get("more_body", False):
            self._complete = True
            if self._due:
                self._watch()
        return message

    def guard_against_leaving(self, lookout: Lookout, grace: float) -> None:
        """From now on cancel the current task `grace` seconds after the client has left."""
        self.watched = True
        self._grace = grace
        self._lookout = lookout
        # Before 3.12 each question for the loop that runs is a system call.
        self._owner = asyncio.current_task(lookout.add(self))

    def overdue(self) -> None:
        """The exchange has been open for a while: watch its client from now on.

        Watching costs a task, which short requests do not need.
        """
        self._due = True
        if not self._asking:
            self._watch()

    def uncancelled(self) -> bool:
        """Whether the cancellation just caught was ours; it is then taken back."""
        owner = self._owner
        return self._cut and owner is not None and owner.uncancel() == 0

    def close(self) -> None:
        """The exchange is over: stop watching."""
        if self.watched:
            self.watched = False
            if self._lookout is not None:
                self._lookout.discard(self)
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._watcher is not None:
                self._watcher.cancel()

    def _watch(self) -> None:
        # An unread rest of the body belongs to the application; only after it comes the disconnect.
        if self._complete and self.watched and self._watcher is None and not self.gone:
            self._watcher = asyncio.get_running_loop().create_task(self._until_gone())

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            continue
        self._left()

    def _left(self) -> None:
        self.gone = True
        if self.watched:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._grace, self._cancel)

    def _cancel(self) -> None:
        if self._owner is not None and not self._owner.done():
            self._cut = True
            self._owner.cancel()
