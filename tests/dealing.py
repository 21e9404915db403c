"""In which order tests run that several workers share: slow ones early, as many with each.

`--dist worksteal` gives every worker one stretch of the tests; who has nothing left takes half of
what another has. In the order of folders nearly all that start servers are one stretch, and the
last of them are run by one worker while the others watch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def dealt(slow: Sequence[Sequence[T]], quick: Sequence[T], workers: int) -> list[T]:
    """The tests of all groups of `slow`, which stay together, and of `quick`: stretch by stretch.

    `workers` (>= 1) stretches, which the workers' differ from by some tests at most. Each begins
    with slow groups, some quick tests between them, so that not all wait, nor all compute, at once;
    half of the quick ones are left for the end, when who is done takes over from the others.
    """
    rest = iter(quick)
    left = sum(len(group) for group in slow) + len(quick)
    out: list[T] = []
    for worker in range(workers):
        groups = slow[worker::workers]
        size = left // (workers - worker)
        left -= size
        between = max(0, size - sum(len(group) for group in groups)) // 2
        start = len(out)
        for number, group in enumerate(groups):
            out += group
            done, upto = between * number // len(groups), between * (number + 1) // len(groups)
            out += islice(rest, upto - done)
        out += islice(rest, max(0, size - (len(out) - start)))
    return out
