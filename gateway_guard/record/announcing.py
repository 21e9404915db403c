"""Says in the log of the process which campaigns are held from now on, and which no longer."""

from __future__ import annotations

import logging
from typing import Protocol

from gateway_guard.campaigns.casebook import Casebook
from gateway_guard.campaigns.ended import WORDS, Ended, Why
from gateway_guard.campaigns.held import Held

log = logging.getLogger(__name__)


class Hears(Protocol):
    """Whoever else is told, `record.notices.Notices` for one."""

    def held(self, held: Held) -> None:
        """`held` is held from now on."""
        ...

    def ended(self, ended: Ended) -> None:
        """A campaign was let go."""
        ...


class Announcer:
    """Announces each campaign once when it is held and once when it is let go.

    What was known before, e.g. from a snapshot, is no news; of what was found and let go between
    two looks, only the latter is said.
    """

    def __init__(self, cases: Casebook, hears: Hears | None = None) -> None:
        """`hears` is told the same; None for nobody."""
        self._cases = cases
        self._hears = hears
        self._named = cases.named
        self._ended = cases.endings.counts.total()

    def announce(self) -> None:
        """Log what is new since the last call; call it where the linker is not learning."""
        cases = self._cases
        for number in range(self._named + 1, cases.named + 1):
            held = cases.held.get(cases.name(number))
            if held is not None:
                log.warning("campaign %s held: %d accounts", held.id, len(held.members))
                if self._hears is not None:
                    self._hears.held(held)
        self._named = cases.named
        ended = cases.endings.counts.total()
        if ended == self._ended:
            return
        for one in list(cases.endings.latest)[self._ended - ended :]:
            log.log(
                logging.WARNING if one.why is Why.INNOCENT else logging.INFO,
                "campaign %s let go, %s: %d accounts, %d of %d exchanges since the alarm refused",
                one.id, WORDS[one.why], one.members, one.refused, one.exchanges,
            )  # fmt: skip
            if self._hears is not None:
                self._hears.ended(one)
        self._ended = ended
