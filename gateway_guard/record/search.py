"""The latest lines of one account in a decision log, found from its end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

#: Bytes looked at, from the end back, and at once.
REACH: Final = 16 * 1024 * 1024
_BLOCK: Final = 256 * 1024


def latest_lines(path: str | os.PathLike[str], account: str, most: int) -> list[bytes]:
    """At most `most` lines about `account` (a keyed digest), newest first, from the last 16 MB.

    Empty where the log cannot be read. Blocks for the disk.
    """
    wanted = b'"account":"%b"' % account.encode()
    found: list[bytes] = []
    try:
        for line in _backwards(path):
            if wanted in line:
                found.append(line)
                if len(found) == most:
                    break
    except OSError:
        return found
    return found


def _backwards(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Whole lines, the last first."""
    with open(path, "rb") as file:  # noqa: PTH123 - any path-like
        end = file.seek(0, os.SEEK_END)
        stop = max(end - REACH, 0)
        rest = b""
        while end > stop:
            start = max(end - _BLOCK, stop)
            file.seek(start)
            rest, *lines = (file.read(end - start) + rest).split(b"\n")
            yield from (line for line in reversed(lines) if line)
            end = start
        if not stop and rest:
            yield rest
