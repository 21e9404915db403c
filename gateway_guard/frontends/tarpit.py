"""Holds refusals back, so that whoever retries at once gets nowhere fast."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_GONE = ("http.disconnect", "websocket.disconnect")


class Tarpit:
    """A bounded number of refusals on hold.

    A held refusal costs one connection and one task; without a bound the tarpit would be the
    cheapest way to exhaust the server it protects.

    Attributes:
        capacity: most refusals held at once, >= 0; further ones are answered at once.
        held: refusals held now.
        passed: refusals answered at once because the tarpit was full, since the start.
    """

    def __init__(self, capacity: int = 100) -> None:
        self.capacity = capacity
        self.held = 0
        self.passed = 0

    async def hold(self, seconds: float, receive: Receive) -> bool:
        """Wait `seconds`, or until the client leaves; True when it has left."""
        if self.held >= self.capacity:
            self.passed += 1
            return False
        self.held += 1
        leaving = asyncio.get_running_loop().create_task(_left(receive))
        try:
            done, _ = await asyncio.wait({leaving}, timeout=seconds)
            return bool(done)
        finally:
            self.held -= 1
            leaving.cancel()


async def _left(receive: Receive) -> None:
    # An unread body is thrown away while waiting: the refusal has been decided without it.
    while (await receive())["type"] not in _GONE:
        continue
