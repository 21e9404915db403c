"""Mistakes in a policy that show in what arrives, and nowhere else: looked for in the first
requests under it, and each said once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from gateway_guard.core.policy import Policy
from gateway_guard.record.hearsay import unheard
from gateway_guard.record.unread_key import unread
from gateway_guard.types import Request, Wire

log = logging.getLogger(__name__)

#: Requests looked at under one policy. More than the probes of a day that come before a client.
MOST: Final = 100_000
#: Each says what is wrong, or None.
_LOOKS: Final[tuple[Callable[[Wire, Request, Policy], str | None], ...]] = (unheard, unread)


class Noticing:
    """Looks at the first requests under each policy.

    Attributes:
        left: requests still to be looked at; 0 once there is nothing more to say.
        about: the policy they are counted for; None before the first.
    """

    def __init__(self) -> None:
        self.left = 0
        self.about: Policy | None = None
        self._looks = _LOOKS

    def look(self, wire: Wire, request: Request, policy: Policy) -> None:
        """Warn of what one request shows."""
        if policy is not self.about:
            self.about, self.left, self._looks = policy, MOST, _LOOKS
        if not self.left:
            return
        self.left -= 1
        for one in self._looks:
            said = one(wire, request, policy)
            if said is not None:
                log.warning("%s", said)
                self._looks = tuple(other for other in self._looks if other is not one)
                if not self._looks:
                    self.left = 0
