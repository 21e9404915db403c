"""Memory and descriptors of processes over time, and whether they grow."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

EVERY: Final = 0.5
#: Seconds until every bounded table of a process is full (measured: 60 on a busy machine), and
#: seconds it must live after that to be judged.
WARM, LEAST_LIFE = 75.0, 30.0
#: What counts as flat: from the second quarter of a life to the last, memory grows by no more than
#: a share or so many bytes, whichever is more; descriptors by no more than so many.
SHARE: Final = 0.10
BYTES: Final = 16 << 20
DESCRIPTORS: Final = 40


class Sample(NamedTuple):
    """`at` in seconds, `resident` in bytes."""

    at: float
    resident: int
    descriptors: int


def sample(pid: int) -> Sample | None:
    """One process now; None when it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except (OSError, IndexError):
        return None
    return Sample(time.monotonic(), pages * 4096, descriptors)


def growth(samples: Sequence[Sample]) -> tuple[Sample, Sample] | None:
    """The medians of the second and of the last quarter once warm; None for too short a life."""
    samples = [one for one in samples if one.at - samples[0].at >= WARM]
    if not samples or samples[-1].at - samples[0].at < LEAST_LIFE:
        return None
    quarter = len(samples) // 4
    if quarter == 0:
        return None
    parts = samples[quarter : 2 * quarter], samples[-quarter:]
    first, last = (
        Sample(part[0].at, int(median(one.resident for one in part)),
               int(median(one.descriptors for one in part)))
        for part in parts
    )  # fmt: skip
    return first, last


def grows(samples: Sequence[Sample]) -> str | None:
    """In what and by how much; None when flat."""
    found = growth(samples)
    if found is None:
        return None
    first, last = found
    more = last.resident - first.resident
    if more > max(BYTES, SHARE * first.resident):
        return f"memory by {more / 2**20:.1f} MB from {first.resident / 2**20:.1f} MB"
    if last.descriptors - first.descriptors > DESCRIPTORS:
        return f"descriptors from {first.descriptors} to {last.descriptors}"
    return None


class Watch:
    """Samples processes from a thread of its own.

    Attributes:
        samples: name and pid → what was seen.
    """

    def __init__(self, pids: Callable[[], Mapping[int, str]]) -> None:
        self.samples: dict[tuple[str, int], list[Sample]] = {}
        self._pids = pids
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._over.wait(EVERY):
            with contextlib.suppress(OSError):
                for pid, name in self._pids().items():
                    seen = sample(pid)
                    if seen is not None:
                        self.samples.setdefault((name, pid), []).append(seen)
