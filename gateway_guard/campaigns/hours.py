"""When it is time to look around, by the times exchanges come with: clocks differ, and are set."""

from __future__ import annotations

from typing import Final

#: How often one looks around, seconds.
_LOOK: Final = 3600.0
#: So many exchanges in a row from so long ago are no guard's that was cut off, nor one's whose
#: clock is wrong: the clock was set back. Looking around with each of those took 2 ms an exchange.
_SET_BACK: Final = 256


class Hours:
    """Says with which exchange an hour has passed."""

    def __init__(self) -> None:
        self._look_at = float("-inf")
        #: Exchanges in a row from before the time that was looked around for last.
        self._late = 0

    def passed(self, at: float) -> bool:
        """Whether it is time, with an exchange at `at` (Unix seconds)."""
        if at >= self._look_at or self._set_back(at):
            self._look_at = at + _LOOK
            return True
        return False

    def _set_back(self, at: float) -> bool:
        """Whether time as a whole went back to `at`."""
        self._late = self._late + 1 if at < self._look_at - 2 * _LOOK else 0
        if self._late < _SET_BACK:
            return False
        self._late = 0
        return True
