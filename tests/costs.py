"""What something costs, for tests that say it is little."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: A machine that does other things makes everything dearer now and then, and nothing cheaper.
ATTEMPTS = 3


def within(seconds: float, work: Callable[[], T]) -> T:
    """What `work` gives. It must cost less than so much processor time on this thread once in
    three times.
    """
    costs: list[float] = []
    while len(costs) < ATTEMPTS:
        began = time.thread_time()
        found = work()
        costs.append(time.thread_time() - began)
        if costs[-1] < seconds:
            return found
    raise AssertionError(f"{min(costs):.3f} s of processor time, more than {seconds} s")
