"""The least input that breaks a target the same way."""

from __future__ import annotations

import time
import traceback

from tests.fuzz.registry import Target


def fault_of(target: Target, data: bytes) -> BaseException | None:
    """What the target raises; None when all holds."""
    try:
        target(data)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        return error
    return None


def _place(fault: BaseException | None) -> tuple[str, str, int] | None:
    """What was raised, and where: two inputs that agree on it break the same thing."""
    if fault is None:
        return None
    last = traceback.extract_tb(fault.__traceback__)[-1]
    return type(fault).__name__, last.filename, last.lineno or 0


def shrunk(target: Target, data: bytes, *, seconds: float = 10.0) -> bytes:
    """`data` with everything left out that does not matter, as far as the time allows."""
    wanted = _place(fault_of(target, data))
    end = time.monotonic() + seconds
    size = max(1, len(data) // 2)
    while size:
        at = 0
        while at < len(data) and time.monotonic() < end:
            less = data[:at] + data[at + size :]
            if _place(fault_of(target, less)) == wanted:
                data = less
            else:
                at += size
        size //= 2
    return data
