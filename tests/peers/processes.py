"""What processes have used, from outside: processor time and memory, all of a program together."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

PROC = Path("/proc")


def descendants(root: int, parents: Mapping[int, int]) -> list[int]:
    """`root` and everything it started, given the parent of every process."""
    found = [root]
    for one in found:
        found += [pid for pid, parent in parents.items() if parent == one and pid not in found]
    return found


def parent_in(stat: str) -> int:
    """The parent, of a line of `/proc/PID/stat`; the name before it may hold anything."""
    return int(stat.rpartition(")")[2].split()[1])


def tree(root: int) -> list[int]:
    """`root` and everything it started that still runs."""
    parents = {}
    for folder in PROC.iterdir():
        if folder.name.isdecimal():
            try:
                parents[int(folder.name)] = parent_in((folder / "stat").read_text())
            except OSError:
                continue  # ended meanwhile
    return descendants(root, parents)


def cpu(pids: Iterable[int]) -> float:
    """Seconds of processor time, user and system, of all threads that these ever had.

    The kernel keeps a clock for every process (`clock_getcpuclockid`), to the nanosecond where
    `/proc/PID/stat` counts hundredths of seconds; its number is made as the C library makes it.
    """
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def pss_in(rollup: str) -> int:
    """Bytes of memory, of `/proc/PID/smaps_rollup`: what is shared counts in shares.

    Raises:
        ValueError: it does not say.
    """
    for line in rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError("no Pss in what the kernel says of the memory")


def memory(pids: Iterable[int]) -> int:
    """Bytes of memory of all of them together."""
    return sum(pss_in((PROC / str(pid) / "smaps_rollup").read_text()) for pid in pids)
