"""An event loop whose time jumps to the next timer, and a store that misbehaves on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from gateway_guard.errors import StoreError
from gateway_guard.stores.memory import MemoryStore
from gateway_guard.types import Charge, Grant

T = TypeVar("T")


class HurriedLoop(asyncio.SelectorEventLoop):
    """Waits for nobody: where others would sleep, its clock jumps."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        selector: Any = self._selector  # type: ignore[attr-defined]
        select = selector.select

        def jump(timeout: float | None = None) -> Any:
            ready = select(0)
            if not ready and timeout is not None and timeout > 0.0:
                self.now += timeout
            return ready

        selector.select = jump

    def time(self) -> float:
        return self.now

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        # From Python 3.12 on for 300 s of a clock that jumps at once.
        await super().shutdown_default_executor()


def hurried(scenario: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `scenario` without waiting for its timers; it may take an hour of the loop's time."""

    async def bounded() -> T:
        async with asyncio.timeout(3_600):
            return await scenario()

    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        return runner.run(bounded())


def loop_time() -> float:
    """The running loop's clock."""
    return asyncio.get_running_loop().time()


class FaultyStore:
    """Counts in memory, and answers as told.

    Attributes:
        memory: what is really in force.
        delay: seconds before a call does anything, and before its answer arrives.
        reply_delay: seconds before an answer arrives, when everything has been done.
        fault: raised instead of doing anything; None for none.
        lost: raised after everything has been done; None for none.
        hangs: calls never end by themselves.
        short: answers lack a grant.
        asked, settled: ids in order.
    """

    def __init__(self) -> None:
        self.memory = MemoryStore()
        self.delay = 0.0
        self.reply_delay = 0.0
        self.fault: BaseException | None = None
        self.lost: BaseException | None = None
        self.hangs = False
        self.short = False
        self.asked: list[str] = []
        self.settled: list[str] = []
        self.open = 0
        self.most_open = 0
        self.closed = False

    def works(self) -> None:
        """End every fault."""
        self.delay = self.reply_delay = 0.0
        self.fault = self.lost = None
        self.hangs = self.short = False

    async def reserve(self, charges: Sequence[Charge], *, id: str, now: float) -> tuple[Grant, ...]:
        self.asked.append(id)
        await self._before()
        grants = self.memory.reserve_now(charges, id=id, now=now)
        await self._after()
        return grants[1:] if self.short else grants

    async def settle(
        self, charges: Sequence[Charge], actual: Sequence[float], *, id: str, now: float
    ) -> None:
        await self._before()
        self.memory.settle_now(charges, actual, id=id, now=now)
        self.settled.append(id)
        await self._after()

    async def close(self) -> None:
        self.closed = True

    async def _before(self) -> None:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            if self.hangs:
                await asyncio.Event().wait()
            await asyncio.sleep(self.delay)
            if self.fault is not None:
                raise self.fault
        finally:
            self.open -= 1

    async def _after(self) -> None:
        if self.reply_delay:
            await asyncio.sleep(self.reply_delay)
        if self.lost is not None:
            raise self.lost


REFUSED = StoreError("connection refused")
