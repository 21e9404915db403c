"""Whoever finds campaigns, asked: the linker of this process, or what the shared one saved last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from gateway_guard.campaigns.linker import Linker
from gateway_guard.errors import StoreError
from gateway_guard.linking import Linking
from gateway_guard.settings import Settings
from gateway_guard.stores.connect import parse_address
from gateway_guard.streams.keys import Keys
from gateway_guard.streams.link import Link
from gateway_guard.streams.saving import Shelf

T = TypeVar("T")
#: Asks a linker something; the second argument is the time it is true at, None for now.
Question = Callable[[Linker, float | None], T]

#: Seconds between two looks at what the shared linker saved.
LOOK_EVERY: Final = 15.0


class Cases(Protocol):
    """Where campaigns are known."""

    async def ask(self, question: Question[T]) -> T | None:
        """The answer; None where nothing is known (yet)."""
        ...


class HereCases:
    """The linker of this process. Reading it takes turns with its learning."""

    def __init__(self, linking: Linking) -> None:
        self._linking = linking

    async def ask(self, question: Question[T]) -> T | None:
        """As `Cases`."""

        def ask() -> T:
            self._linking.learn()
            with self._linking.lock:
                return question(self._linking.linker, None)

        return await asyncio.to_thread(ask)


class SharedCases:
    """What the linker of a shared store saved last, a minute ago at most while there is news."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._turn = asyncio.Lock()
        self._looked = float("-inf")
        self._position = b""
        self._linker: Linker | None = None
        self._saved_at = 0.0

    async def ask(self, question: Question[T]) -> T | None:
        """As `Cases`.

        Raises:
            StoreError: the store cannot be reached, and nothing was read from it before.
        """
        async with self._turn:
            if self._clock() - self._looked > LOOK_EVERY:
                try:
                    await self._look()
                except StoreError:
                    if self._linker is None:
                        raise
                    # What is known is shown meanwhile: not every page waits for the store again.
                    self._looked = self._clock()
            linker, saved_at = self._linker, self._saved_at
            if linker is None:
                return None
            return await asyncio.to_thread(question, linker, saved_at)

    async def _look(self) -> None:
        settings = self._settings
        link = Link(parse_address(settings.store or ""))
        try:
            shelf = Shelf(link, Keys(settings.store_namespace))
            position = await shelf.position()
            if position != self._position or self._linker is None:
                found = await shelf.load(settings.secret)
                if found is not None:
                    self._linker, self._saved_at = found.linker, found.saved_at
                    self._position = position
        finally:
            await link.close()
        self._looked = self._clock()
