"""Reading policy, network data, accounts and certificates again while requests go on.

On SIGHUP, and when looks once a second find a file changed and at rest. The reading happens on a
worker thread: a network database takes up to 70 ms, which nobody's stream should wait for. What is
read is put in force by single assignments; what cannot be read keeps its last good version. Signals
that come during a reload lead to one more, not to a queue.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from gateway_guard.files import Files
from gateway_guard.frontends.renewed import Renewed
from gateway_guard.guard import Guard

log = logging.getLogger(__name__)

#: Seconds between two looks at the files.
LOOK_EVERY = 1.0


class Reloader:
    """Reloads one guard, or files alone.

    Args:
        guard: what is reloaded; None where nothing is guarded.
        done: called in the loop after each reload, with whether everything could be read.
        renewed: what is reloaded besides: certificates.
    """

    def __init__(
        self,
        guard: Guard | None,
        done: Callable[[bool], None],
        *,
        renewed: Sequence[Renewed] = (),
    ) -> None:
        self._guard = guard
        self._renewed = renewed
        self._pems = Files([path for one in renewed for path in one.files])
        self._done = done
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Reload soon; for signal handlers."""
        self._asked.set()

    async def run(self) -> None:
        """Reload whenever asked or a file has changed, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(LOOK_EVERY):
                    await self._asked.wait()
            except TimeoutError:
                if not await self._attempt(self._changed):
                    continue
            self._asked.clear()
            good = await self._attempt(self._reload)
            level, how = (logging.INFO, "done") if good else (logging.ERROR, "failed")
            guard = self._guard
            if guard is None:
                log.log(level, "reload-%s", how)
            else:
                log.log(level, "reload-%s policy=%s", how, guard.policy.digest[:12])
                if guard.policies.error is not None:
                    log.error("policy-kept reason=%s", guard.policies.error)
            self._done(good)

    def _changed(self) -> bool:
        # Both are asked: each remembers what it saw.
        guard = self._guard is not None and self._guard.changed()
        return self._pems.changed() or guard

    def _reload(self) -> bool:
        # Each, whatever becomes of the others.
        good = [one.renew() for one in self._renewed]
        if self._guard is not None:
            good.append(self._guard.reload())
        return all(good)

    async def _attempt(self, work: Callable[[], bool]) -> bool:
        """`work()` on a thread; False when it raises, for watching must go on."""
        try:
            return await asyncio.to_thread(work)
        except Exception:
            log.exception("reload-error")
            return False
