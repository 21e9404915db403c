"""What failed in a guard, and how often: counted for metrics, told in the log now and then."""

from __future__ import annotations

import logging
from pathlib import PurePath
from traceback import walk_tb
from types import FrameType
from typing import Final

from gateway_guard.errors import GuardError

log = logging.getLogger(__name__)

#: Innermost calls named of a failure: where it was raised, and who asked for that.
_CALLS: Final = 3


class Failures(dict[str, int]):
    """Dependency → how often it has failed; those that never did are missing."""

    def add(self, dependency: str) -> int:
        """Count one failure; how many there are by now."""
        count = self[dependency] = self.get(dependency, 0) + 1
        return count

    def tell(self, dependency: str, error: Exception) -> None:
        """Count a failure and log it at 1, 2, 4, 8, …: what fails for every request must not fill
        a disk.
        """
        count = self.add(dependency)
        if not count & (count - 1):
            log.error("%s failed (%d): %s", dependency, count, described(error))


def described(error: BaseException) -> str:
    """What went wrong, and where: nothing else leads to a mistake in somebody's part of a guard.

    Of a foreign exception type and place only: its message may quote what it choked on.
    """
    if isinstance(error, GuardError):
        said = f"{type(error).__name__}: {error}"
    else:
        said = type(error).__name__
        calls = list(walk_tb(error.__traceback__))[-_CALLS:]
        if calls:
            said += f" at {' < '.join(_place(frame, line) for frame, line in reversed(calls))}"
    cause = error.__cause__
    return said if cause is None else f"{said}, because of {described(cause)}"


def _place(frame: FrameType, line: int) -> str:
    code = frame.f_code
    return f"{'/'.join(PurePath(code.co_filename).parts[-2:])}:{line} in {code.co_name}"
