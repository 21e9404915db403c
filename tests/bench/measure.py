"""How a benchmark measures: CPU time of this process, alternatives interleaved, medians."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        what: what was measured.
        measured: the figure with its unit.
        ratio: the figure over the bare one of the same run; `–` where there is none.
    """

    what: str
    measured: str
    ratio: str = "–"


def interleaved(
    runs: Mapping[str, Callable[[], None]], *, repeats: int = 15, each: int = 1
) -> dict[str, float]:
    """Median CPU seconds of each run divided by `each`, its repeats interleaved with the others'.

    Interleaving makes what else the machine does fall on all alternatives alike.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()  # warm caches and profiles
    gc.collect()
    gc.freeze()
    try:
        for _ in range(repeats):
            for name, run in runs.items():
                started = time.process_time()
                run()
                times[name].append((time.process_time() - started) / each)
    finally:
        gc.unfreeze()
    return {name: statistics.median(values) for name, values in times.items()}
