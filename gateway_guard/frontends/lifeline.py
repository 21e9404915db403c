"""How a worker notices that its supervisor is gone, which may have been killed without a word.

Nobody would reload its policy, replace it or tell it to stop any more, and it would share the port
with the workers of the next supervisor. A pipe tells: only the supervisor has its writing end, and
the kernel closes that whatever the supervisor dies of.
"""

from __future__ import annotations

import logging
import os
import signal
import threading

log = logging.getLogger(__name__)


class Lifeline:
    """Made by the supervisor before it forks."""

    def __init__(self) -> None:
        self._held, self._kept = os.pipe()

    def hold(self) -> None:
        """In a child: end as on SIGTERM once the supervisor is gone."""
        os.close(self._kept)
        threading.Thread(target=self._wait, name="lifeline", daemon=True).start()

    def close(self) -> None:
        """In the supervisor, when no child is left."""
        os.close(self._held)
        os.close(self._kept)

    def _wait(self) -> None:
        os.read(self._held, 1)
        log.error("supervisor-gone: this process stops, as on SIGTERM")
        os.kill(os.getpid(), signal.SIGTERM)
