"""How fast the machine is while all of it runs: it is shared, and may not stay what it was."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from statistics import median
from typing import Final

#: Seconds between two looks, and how often one counts: a look takes about a millisecond.
EVERY: Final = 0.25
COUNTS: Final = 20_000


def look() -> float:
    """Seconds of CPU that the same little work takes now."""
    begin = time.thread_time()
    for _ in range(COUNTS):
        pass
    return time.thread_time() - begin


class Speed:
    """Looks again and again, from a thread of its own."""

    def __init__(self) -> None:
        self._looks: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(10)

    def between(self, begin: float, end: float) -> list[float]:
        """What the work took in that time (`time.monotonic`), seconds of CPU each."""
        return [took for at, took in self._looks if begin <= at < end]

    def _run(self) -> None:
        while not self._over.wait(EVERY):
            self._looks.append((time.monotonic(), look()))


def compared(before: Sequence[float], after: Sequence[float], least: int = 40) -> str:
    """The speed `after`, and of its slowest `least` looks on end, to that `before`."""
    if not before or len(after) < least:
        return "not known"
    usual = median(before)
    slowest = max(median(after[at : at + least]) for at in range(len(after) - least + 1))
    return (
        f"{usual / median(after):.2f} of what it was when the load was chosen, "
        f"{usual / slowest:.2f} in its slowest {EVERY * least:.0f} s"
    )
