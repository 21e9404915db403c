"""What comes from the client: the body, read once and replayed, and the news that it has left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

#: Seconds after which a request still under way is watched for its client leaving. Watching costs a
#: task, which short requests do not need.
CHECK_AFTER: Final = 0.25


class Body:
    """A request body as far as it was read.

    Attributes:
        messages: the `http.request` messages in order of arrival, to be replayed as they came.
        data: the whole body; None when it is too large or was not read to its end.
        too_large: it went past the cap, by its declared length or by what arrived.
        complete: the last message has been received.
    """

    __slots__ = ("complete", "data", "messages", "too_large")

    def __init__(
        self, messages: list[Message], data: bytes | None, *, too_large: bool, complete: bool
    ) -> None:
        self.messages = messages
        self.data = data
        self.too_large = too_large
        self.complete = complete


async def read_body(receive: Receive, headers: list[tuple[bytes, bytes]], cap: int) -> Body | None:
    """Read a body of at most `cap` bytes; None when the client left meanwhile.

    A declared length above the cap is believed without reading; at most one message above the cap
    is ever held.
    """
    for name, value in headers:
        if name == b"content-length" and (
            len(value) > 18 or (value.isdigit() and int(value) > cap)
        ):
            return Body([], None, too_large=True, complete=False)
    message = await receive()
    if message["type"] != "http.request":
        return None
    data = message.get("body", b"")
    if not message.get("more_body", False):
        if len(data) > cap:
            return Body([message], None, too_large=True, complete=True)
        return Body([message], data, too_large=False, complete=True)
    messages, chunks, size, more = [message], [data], len(data), True
    while more and size <= cap:
        message = await receive()
        if message["type"] != "http.request":
            return None
        data = message.get("body", b"")
        more = message.get("more_body", False)
        messages.append(message)
        chunks.append(data)
        size += len(data)
    if size > cap:
        return Body(messages, None, too_large=True, complete=not more)
    return Body(messages, b"".join(chunks), too_large=False, complete=True)


class Inbox:
    """Replays a body to the application, then stays with the client until it leaves.

    The server's `receive` must not be awaited twice at a time, so everybody who wants to know
    whether the client is still there asks here: the application through `receive`, and a watcher
    that cancels an application which goes on for nobody.

    Attributes:
        gone: the client has left.
    """

    __slots__ = (
        "_asking", "_complete", "_cut", "_due", "_grace", "_messages", "_owner", "_receive",
        "_timer", "_watcher", "gone",
    )  # fmt: skip

    def __init__(self, receive: Receive, body: Body) -> None:
        self.gone = False
        self._receive = receive
        self._messages = body.messages
        self._complete = body.complete
        self._asking = False
        self._due = False
        self._cut = False
        self._grace: float | None = None
        self._owner: asyncio.Task[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._watcher: asyncio.Task[None] | None = None

    def replace(self, data: bytes) -> None:
        """Hand the application `data` instead of the body that was read, which must be complete."""
        self._messages = [{"type": "http.request", "body": data, "more_body": False}]

    async def receive(self) -> Message:
        """The application's `receive`."""
        if self._messages:
            return self._messages.pop(0)
        if self.gone:
            return {"type": "http.disconnect"}
        if self._watcher is not None:
            await asyncio.wait({self._watcher})
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

    def guard_against_leaving(self, grace: float) -> None:
        """From now on cancel the current task `grace` seconds after the client has left."""
        self._grace = grace
        self._owner = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(CHECK_AFTER, self._due_now)

    def uncancelled(self) -> bool:
        """Whether the cancellation just caught was ours; it is then taken back."""
        owner = self._owner
        return self._cut and owner is not None and owner.uncancel() == 0

    def close(self) -> None:
        """The exchange is over: stop watching."""
        self._grace = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._watcher is not None:
            self._watcher.cancel()

    def _due_now(self) -> None:
        self._due = True
        if not self._asking:
            self._watch()

    def _watch(self) -> None:
        # An unread rest of the body belongs to the application; only after it comes the disconnect.
        if self._complete and self._grace is not None and self._watcher is None and not self.gone:
            self._watcher = asyncio.get_running_loop().create_task(self._until_gone())

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            continue
        self._left()

    def _left(self) -> None:
        self.gone = True
        if self._timer is not None:
            self._timer.cancel()
        if self._grace is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._grace, self._cancel)

    def _cancel(self) -> None:
        if self._owner is not None and not self._owner.done():
            self._cut = True
            self._owner.cancel()
