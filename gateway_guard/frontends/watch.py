"""Noticing that a client is gone while its request waits for the upstream."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from starlette.types import Receive, Scope

from gateway_guard.errors import UpstreamError
from gateway_guard.frontends.upstream_wire import UpstreamConnection

#: Key of a function in `scope["extensions"]` that is given a callback and calls it once when
#: the client is gone. The sidecar's own server offers it; under any other server a task waits
#: for `http.disconnect`.
ON_GONE: Final = "gateway_guard.on_gone"
#: Key of a function there, of listeners at which gateways ask: whether who asked has closed the
#: connection by now, read or not.
HAS_LEFT: Final = "gateway_guard.has_left"


class ClientGoneError(OSError):
    """The client closed its connection before the answer was complete."""


class Watch:
    """One request's eye on its client, and its upload if the body is streamed.

    Attributes:
        gone: whether the client has left.
        error: why the upload was given up by this side; None when it was not.
    """

    __slots__ = ("_connection", "_receive", "_registered", "_task", "_uploading", "error", "gone")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.gone = False
        self.error: UpstreamError | None = None
        self._receive = receive
        self._connection: UpstreamConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._uploading = False
        register = scope.get("extensions", {}).get(ON_GONE)
        self._registered = register is not None
        if register is not None:
            register(self.client_gone)

    def attach(self, connection: UpstreamConnection) -> None:
        """Remember which connection to drop.

        Raises:
            UpstreamError: the client is gone already.
        """
        self._connection = connection
        if self.gone:
            raise UpstreamError("the client is gone")

    def client_gone(self) -> None:
        """The client left: drop the connection, which cancels the upstream's work."""
        if not self.gone:
            self.gone = True
            if self._connection is not None:
                self._connection.fail("the client is gone")

    async def told(self) -> None:
        """Ask `receive` once more, so that whatever wraps it learns that the client left, too."""
        if self._registered and self._task is None:
            await self._receive()

    def start(self) -> None:
        """Begin watching; the request body has been received."""
        if not self._registered:
            self._task = asyncio.create_task(self._listen())

    def pump(self, upload: Coroutine[Any, Any, None]) -> None:
        """Run `upload` beside the answer; it notices a client that leaves."""
        self._uploading = True
        self._task = asyncio.create_task(self._run(upload))

    def stop(self) -> bool:
        """End watching. True when the request body had not been sent to its end."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
        self._connection = None
        return self._uploading

    async def _run(self, upload: Coroutine[Any, Any, None]) -> None:
        try:
            await upload
            self._uploading = False
        except UpstreamError:
            return  # whoever waits for the answer is told by the connection itself
        if not self._registered and not self.gone:
            await self._listen()

    async def _listen(self) -> None:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.client_gone()
