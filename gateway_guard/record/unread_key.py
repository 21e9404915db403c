"""A key in a header that the policy does not read: noticed from what arrives, and said once.

Whoever shows it there has no account: all customers of one network share one limit, and nothing
that is said of accounts holds for any. Nothing else would show it.
"""

from __future__ import annotations

import logging
from typing import Final

from gateway_guard.core.policy import Policy
from gateway_guard.types import Request, Wire

log = logging.getLogger(__name__)

#: Requests looked at under one policy; not measured.
MOST: Final = 100_000
#: In which clients of model APIs show their keys.
_USUAL: Final = frozenset((b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"))


class UnreadKey:
    """Looks at the first requests under each policy.

    Attributes:
        left: requests still to be looked at; 0 from the warning on.
        about: the policy they are counted for; None before the first.
    """

    def __init__(self) -> None:
        self.left = 0
        self.about: Policy | None = None
        self._read: frozenset[bytes] = frozenset()

    def look(self, wire: Wire, request: Request, policy: Policy) -> None:
        """Warn where a request without an account shows a key that nobody looked at."""
        if policy is not self.about:
            self.about, self.left = policy, MOST
            self._read = frozenset(s.header.encode() for s in policy.identify.accounts if s.header)
        if not self.left:
            return
        self.left -= 1
        if request.account is not None or request.credential_fault or not request.model_route:
            return
        unread = _USUAL - self._read
        said = next((name for name, _ in wire.headers if name in unread), None)
        if said is None:
            return
        self.left = 0
        log.warning(
            "a request for a model has %s and no account: identify.account reads %s. If customers "
            "show their keys there, all of them are strangers to rules and limits, until the "
            "policy names it, identify: { account: [{ header: %s }] }",
            said.decode(),
            b", ".join(sorted(self._read)).decode() or "no header",
            said.decode(),
        )
