"""The lifespan of an application with a guard around it, which begins before it and ends after."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from gateway_guard.frontends.background import Background

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

#: What an application says last: it has ended, or never began.
_ENDS: Final = (
    "lifespan.startup.failed", "lifespan.shutdown.complete", "lifespan.shutdown.failed",
)  # fmt: skip


async def lifespan(
    app: App,
    scope: MutableMapping[str, Any],
    receive: Receive,
    send: Send,
    *,
    background: Background,
    close: Callable[[], None],
) -> None:
    """Pass the lifespan through to `app`; `close` and `background.close` before its last word.

    An application that has no lifespan says so, in an exception, before it listens (Django,
    Channels). The guard has one: else the server would tell nobody that it stops, and what waits to
    be written, the decision log's lines and a minute of what was learnt, would be lost.
    """
    silent = True

    async def hearing() -> Message:
        nonlocal silent
        silent = False
        return await receive()

    async def telling(message: Message) -> None:
        nonlocal silent
        silent = False
        if message["type"] in _ENDS:
            close()
            await background.close()
        await send(message)

    await background.begin()
    try:
        await app(scope, hearing, telling)
    except Exception as error:
        # Any other exception may be a failure of its start, which the server has to hear of.
        if not silent or "lifespan" not in str(error):
            raise
        for kind in ("lifespan.startup", "lifespan.shutdown"):
            await receive()
            await telling({"type": f"{kind}.complete"})
