"""What goes on beside the requests: settling that outlives a cancellation, and hot reload."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from gateway_guard.linking import Linking
from gateway_guard.record.keeping import Keeper
from gateway_guard.stores.base import ImmediateStore
from gateway_guard.stores.patience import PatientStore
from gateway_guard.streams.shared import SharedLinking
from gateway_guard.types import Exchange, Usage

if TYPE_CHECKING:
    from gateway_guard.guard import Guard

log = logging.getLogger(__name__)

Settle = Callable[[Exchange, Usage], Awaitable[None]]

#: Seconds between two looks at the files that a guard reads.
RELOAD_EVERY: Final = 2.0
#: Seconds to wait for the verdicts of a shared store before the first request.
VERDICTS_SECONDS: Final = 2.0


class Background:
    """The life of one guard inside one event loop.

    Attributes:
        settle: settles an exchange to the end, even when the caller is cancelled meanwhile; then
            re-raises that.

    Args:
        guard: whose exchanges are settled, and whose files are watched (`Guard.changed`).
        reload_every: seconds between two looks at the files; None never looks.
    """

    def __init__(self, guard: Guard, *, reload_every: float | None = RELOAD_EVERY) -> None:
        self._guard = guard
        self._reload_every = reload_every
        self._settling: set[asyncio.Task[None]] = set()
        self._watcher: asyncio.Task[None] | None = None
        self._begun = False
        self._told = False
        self._closed = False
        # These never suspend, so settling there cannot be cancelled half-way and needs no task of
        # its own, which would cost more than the settling.
        at_once = isinstance(getattr(guard, "store", None), ImmediateStore | PatientStore)
        self.settle: Settle = guard.settle if at_once else self._shielded

    def start(self) -> None:
        """Start watching files with the first request: only then is there a loop."""
        if self._watcher is not None and not self._watcher.done():
            return
        if not self._told and not self._guard.users:
            self._warn()
        if self._reload_every is not None and not self._closed:
            self._watcher = asyncio.get_running_loop().create_task(self._watch(self._reload_every))

    async def begin(self) -> None:
        """See whether a shared store answers, and hear of its verdicts, unless it is down; or heed
        the journal of reviews: who is banned is so from the first request on.
        """
        if not self._begun and not self._closed:
            self._begun = True
            self._guard.users += 1
        shared = getattr(self._guard, "shared", None)
        if self._closed or self._guard.closed:
            log.warning(
                "the guard was closed when the application shut down before: from now on no "
                "decision is written and no file read again%s; make the application anew instead",
                "" if shared is None else ", and on_error.store decides all that limits apply to",
            )
        if isinstance(shared, PatientStore):
            shared.begin()
        linking = getattr(self._guard, "linking", None)
        if isinstance(linking, SharedLinking):
            await asyncio.to_thread(linking.wait, VERDICTS_SECONDS)
        elif isinstance(linking, Linking) and not self._closed:
            linking.begin()

    def _warn(self) -> None:
        """Nobody will say that the process ends: tell what that costs, where it does."""
        self._told = True
        keeper = getattr(getattr(self._guard, "linking", None), "keeper", None)
        if isinstance(keeper, Keeper):
            log.warning(
                "no lifespan came before the first request (applications mounted in others get "
                "none): when a signal ends the process, up to a minute of what was learnt is not "
                "in %s; put the guard around the outermost application",
                keeper.file.path,
            )

    async def _shielded(self, exchange: Exchange, usage: Usage) -> None:
        task = asyncio.get_running_loop().create_task(self._guard.settle(exchange, usage))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                await asyncio.wait({task})
            raise

    async def close(self) -> None:
        """Finish settling and stop watching; close the guard unless another application that was
        started with it goes on. A second call does nothing.
        """
        if self._closed:
            return
        self._closed = True
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait({self._watcher})
        if self._settling:
            await asyncio.wait(self._settling)
        if self._begun:
            self._guard.users -= 1
        if self._guard.users <= 0:
            await self._guard.close()

    async def _watch(self, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            # Reading and compiling take milliseconds: not in the loop's thread. The switch to the
            # new policy is one assignment.
            try:
                if await asyncio.to_thread(self._guard.changed):
                    good = await asyncio.to_thread(self._guard.reload)
                    log.info("policy reloaded" if good else "reload failed, last good one stays")
                    error = getattr(self._guard.policies, "error", None)
                    if error is not None:
                        log.error("policy-kept reason=%s", error)
            except Exception as error:  # noqa: BLE001 - watching goes on; the next look may succeed
                log.error("watching the policy failed: %s", type(error).__name__)
