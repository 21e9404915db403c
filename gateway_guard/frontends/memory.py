"""How much memory a process may take, where its container or unit is given less than there is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway_guard.frontends.holding import MOST

#: Part of the memory allowed that unfinished bodies may take, over all workers: a worker takes
#: 35 to 70 MB at rest (measured), its tables and what is read of whole bodies come on top of it.
_PART: Final = 4
#: Bytes they may take however little is allowed: two of the largest the standard policy reads.
_LEAST: Final = 16 * 1024 * 1024


def for_bodies(workers: int = 1, *, root: Path = Path("/")) -> int:
    """Most bytes of unfinished bodies in each of `workers` processes, in [16 MiB, 512 MiB].

    A kernel that ends a process for its memory ends every answer under way with it: before that,
    those who hold bodies are to be turned away.
    """
    limit = min(_limits(root), default=None)
    return MOST if limit is None else min(MOST, max(limit // _PART // workers, _LEAST))


def _limits(root: Path) -> Iterator[int]:
    """Bytes that each control group around this process may take, where somebody said.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html and cgroup-v1/memory.html
    """
    mounted = root / "sys/fs/cgroup"
    lines: list[str] = []
    with contextlib.suppress(OSError, UnicodeDecodeError):  # not everywhere are there any
        lines = (root / "proc/self/cgroup").read_text("ascii").splitlines()
    for line in lines:
        _, _, named = line.partition(":")
        controllers, _, path = named.partition(":")
        if not controllers:
            folder, file = mounted, "memory.max"
        elif "memory" in controllers.split(","):
            folder, file = mounted / "memory", "memory.limit_in_bytes"
        else:
            continue
        # Its own group, those around it, and the mount's root: in a container that is its own.
        here = folder / path.lstrip("/")
        while here.is_relative_to(folder):
            with contextlib.suppress(OSError, ValueError):  # "max", or nothing there
                yield int((here / file).read_text("ascii"))
            here = here.parent
