"""How the process itself is: memory, descriptors, threads, tasks. Code places only, no values.

What stands in local variables never gets here: a stack is shown by file, line and function.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

#: Frames shown of a thread, from the innermost.
FRAMES: Final = 12
#: Tasks looked at, and kinds of them shown.
TASKS: Final = 5_000
KINDS: Final = 40

_STATUS: Final = Path("/proc/self/status")
_DESCRIPTORS: Final = Path("/proc/self/fd")


def process(started: float) -> dict[str, Any]:
    """Memory (bytes), descriptors, processor time (seconds), collections of garbage.

    `started` is when it started, in seconds of `time.monotonic`. What this system does not say is
    None.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return {
        "pid": os.getpid(),
        "uptime": round(time.monotonic() - started, 3),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 3),
        "resident_bytes": _resident(),
        "descriptors": _descriptors(),
        "descriptors_limit": soft,
        "collections": [generation["collections"] for generation in gc.get_stats()],
    }


def threads() -> list[dict[str, Any]]:
    """Every thread with the places it is at, the innermost first; not the one that asks."""
    names = {thread.ident: thread for thread in threading.enumerate()}
    asking = threading.get_ident()
    found = []
    # There is no other way to see where another thread is.
    for ident, frame in sys._current_frames().items():
        if ident != asking:
            thread = names.get(ident)
            found.append(
                {
                    "name": thread.name if thread is not None else "unknown",
                    "daemon": thread.daemon if thread is not None else None,
                    "at": _places(frame),
                }
            )
    return found


def tasks(loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
    """How many tasks `loop` has, and how many of them wait at which place, the most first.

    May be asked from another thread while the loop goes on, or stands still.
    """
    running = asyncio.all_tasks(loop)
    seen: Counter[tuple[str, str]] = Counter()
    for task in list(running)[:TASKS]:
        coroutine = task.get_coro()
        seen[_name(coroutine), _waits_at(coroutine)] += 1
    return {
        "count": len(running),
        "kinds": [
            {"task": name, "at": place, "count": count}
            for (name, place), count in seen.most_common(KINDS)
        ],
    }


def lag(loop: asyncio.AbstractEventLoop, patience: float) -> float | None:
    """Seconds `loop` takes to come to what it is asked from this thread; None: over `patience`."""
    came = threading.Event()
    began = time.perf_counter()
    try:
        loop.call_soon_threadsafe(came.set)
    except RuntimeError:  # closed
        return None
    return time.perf_counter() - began if came.wait(patience) else None


def _resident() -> int | None:
    try:
        for line in _STATUS.read_text("ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return None
    return None


def _descriptors() -> int | None:
    try:
        # One of them is the look itself.
        return len(os.listdir(_DESCRIPTORS)) - 1  # noqa: PTH208 - the names are not needed
    except OSError:
        return None


def _places(frame: FrameType | None) -> list[str]:
    places: list[str] = []
    while frame is not None and len(places) < FRAMES:
        places.append(_place(frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return places


def _place(code: CodeType, line: int | None) -> str:
    where = "/".join(Path(code.co_filename).parts[-3:])
    return f"{where}:{line or 0} {code.co_qualname}"


def _name(coroutine: Any) -> str:
    code = getattr(coroutine, "cr_code", None) or getattr(coroutine, "gi_code", None)
    return code.co_qualname if code is not None else type(coroutine).__name__


def _waits_at(coroutine: Any) -> str:
    """The place of the innermost coroutine that is awaited."""
    place = "not begun or elsewhere"
    for _ in range(100):
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is None:
            return place
        place = _place(frame.f_code, frame.f_lineno)
        inner = getattr(coroutine, "cr_await", None)
        coroutine = inner if inner is not None else getattr(coroutine, "gi_yieldfrom", None)
    return place
