"""What failed in a guard, and how often: counted for metrics, told in the log now and then."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


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
            # The type only: the message of a foreign exception may quote what it choked on.
            log.error("%s failed: %s (%d times)", dependency, type(error).__name__, count)
