"""Keeps this process's memory from being written to disk, or read by others of the same user.

While a request is under way its key and prompt are in memory, and the guard's secret always is. A
crash would leave all of it in a file, or with whoever collects core dumps.
"""

from __future__ import annotations

import ctypes
import logging
import sys
from typing import Final

log = logging.getLogger(__name__)

#: Of `prctl(2)`.
_PR_SET_DUMPABLE: Final = 4


def forbid() -> None:
    """Have the kernel dump no core of this process and of what it forks.

    A limit alone does not do: where cores are piped to a program (systemd-coredump, apport), it is
    not heeded. On Linux the process is made undumpable, so that no other one of its user can attach
    to it, either, which debuggers and profilers do. Elsewhere there is only the limit.
    """
    import resource  # noqa: PLC0415  (not on Windows)

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux" and ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        log.warning("core-dumps-not-forbidden: prctl is refused here; RLIMIT_CORE is 0")
