"""Whether to ask a dependency that fails: a circuit breaker. Pure: times come in as `now`."""

from __future__ import annotations

import enum
from typing import Final

#: Failures in a row that open it. Not measured.
IN_A_ROW: Final = 5
#: Of this many latest outcomes …
WINDOW: Final = 20
#: … so many failures open it, too: half. Not measured.
OF_WINDOW: Final = 10
#: Seconds before the first probe; doubled after each one that fails, up to `LONGEST_REST`. A fault
#: that has ended is noticed after at most `LONGEST_REST` and one answer.
FIRST_REST: Final = 0.25
LONGEST_REST: Final = 1.0
#: Seconds after which a probe nobody reported of counts as failed.
PROBE: Final = 2.0


class State(enum.StrEnum):
    """What becomes of the next call."""

    CLOSED = "closed"
    """It is made: the dependency answers."""
    OPEN = "open"
    """It is not made: the dependency fails and is left alone for a while."""
    HALF_OPEN = "half-open"
    """It is not made while one probe is under way, whose outcome decides."""


class Breaker:
    """Counts outcomes and says which calls to make.

    Every call is asked for by `admit`, and its ticket handed to `succeeded` or `failed`. A ticket
    from before the latest change of state changes nothing: what was sent while the dependency still
    answered says nothing about it now. `now` is seconds on any clock that never runs backwards.

    Attributes:
        state: as of the latest call of a method.
        opened: times it has opened from closed, since the start.
        since: when it left the closed state; None while closed.
    """

    def __init__(
        self,
        *,
        in_a_row: int = IN_A_ROW,
        window: int = WINDOW,
        of_window: int = OF_WINDOW,
        first_rest: float = FIRST_REST,
        longest_rest: float = LONGEST_REST,
    ) -> None:
        if min(in_a_row, window, of_window) < 1 or not 0.0 < first_rest <= longest_rest:
            raise ValueError("a breaker needs counts >= 1 and rests > 0, the longest not the least")
        self.state = State.CLOSED
        self.opened = 0
        self.since: float | None = None
        self._in_a_row = in_a_row
        self._of_window = of_window
        self._mask = (1 << window) - 1
        self._first_rest = first_rest
        self._longest_rest = longest_rest
        #: Changes with every change of state; what a ticket is.
        self._epoch = 0
        self._row = 0
        #: The latest outcomes, one bit each, 1 for a failure.
        self._history = 0
        self._rest = first_rest
        #: When the next probe may go; while half open, when the present one counts as failed.
        self._next = 0.0

    def admit(self, now: float) -> int | None:
        """A ticket for one call; None: do not call now."""
        if self.state is State.CLOSED:
            return self._epoch
        if now < self._next:
            return None
        if self.state is State.HALF_OPEN:
            # Nobody ever said what became of that probe.
            self._rest = min(2.0 * self._rest, self._longest_rest)
        self._enter(State.HALF_OPEN)
        self._next = now + PROBE
        return self._epoch

    def succeeded(self, ticket: int) -> None:
        """The call with this ticket was answered in time."""
        if ticket != self._epoch:
            return
        if self.state is State.CLOSED:
            self._row = 0
            if self._history:
                self._history = self._history << 1 & self._mask
            return
        self._enter(State.CLOSED)
        self._row = self._history = 0
        self._rest = self._first_rest
        self.since = None

    def failed(self, ticket: int, now: float) -> None:
        """The call with this ticket failed, or was not answered in time."""
        if ticket != self._epoch:
            return
        if self.state is State.CLOSED:
            self._row += 1
            self._history = (self._history << 1 | 1) & self._mask
            if self._row < self._in_a_row and self._history.bit_count() < self._of_window:
                return
            self.opened += 1
            self.since = now
        else:
            self._rest = min(2.0 * self._rest, self._longest_rest)
        self._enter(State.OPEN)
        self._next = now + self._rest

    def dropped(self, ticket: int, now: float) -> None:
        """The call with this ticket was given up for reasons of the caller's own.

        It says nothing, but another probe may go at once.
        """
        if ticket == self._epoch and self.state is State.HALF_OPEN:
            self._enter(State.OPEN)
            self._next = now

    def rests(self, now: float) -> float:
        """Seconds until `admit` may give a ticket, >= 0; 0 while closed."""
        return 0.0 if self.state is State.CLOSED else max(0.0, self._next - now)

    def _enter(self, state: State) -> None:
        self.state = state
        self._epoch += 1
