"""What the application says of its requests; what it says in vain, it is told of once.

A name that nobody can read leaves every customer without an account, counted by address with all
who come from there. Nothing else would show it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from gateway_guard.accounts.attributes import FIELDS, read
from gateway_guard.core.policy import Policy
from gateway_guard.core.tokens import name_of
from gateway_guard.frontends.scopes import Scope, stated_in

log = logging.getLogger(__name__)

#: Requests looked at: an application says the same things of each.
MOST: Final = 1_000
#: Most members told of: an application may put in there what its clients send.
_MOST_TOLD: Final = 20
_WHERE: Final = 'scope["state"]["gateway_guard"]'


class Stating:
    """Reads it from scopes, and looks at the first.

    Attributes:
        left: requests still to be looked at.
    """

    __slots__ = ("_told", "left")

    def __init__(self) -> None:
        self.left = MOST
        self._told: set[str] = set()

    def of(self, scope: Scope, policy: Policy) -> Mapping[str, Any] | None:
        """What the application says of the request of `scope`; None for nothing."""
        said = stated_in(scope)
        if said is None:
            return None
        if self.left:
            self.left -= 1
            self._look(said, policy)
        return said if isinstance(said, Mapping) else None

    def _look(self, said: object, policy: Policy) -> None:
        if not isinstance(said, Mapping):
            self.left = 0
            log.warning(
                "%s is %s and counts for nothing: it has to be a mapping, such as "
                '{"account": "team-7", "tier": "scale"}',
                _WHERE, type(said).__name__,
            )  # fmt: skip
            return
        names = [one.state_key for one in policy.identify.accounts if one.kind == "state"]
        for key, value in said.items():
            member = str(key)[:40]
            if value is None or value == "" or member in self._told:
                continue
            why = _in_vain(member, value, names)
            if why is not None and len(self._told) < _MOST_TOLD:
                self._told.add(member)
                log.warning("%s: %r counts for nothing: %s", _WHERE, member, why)


def _in_vain(member: str, value: object, names: list[str]) -> str | None:
    """Why `member` counts for nothing; None where it does count."""
    kind = type(value).__name__
    if member in names:
        if name_of(value) is not None:
            return None
        return f"{kind} is no name of an account, which is text, an integer or a UUID"
    if member in FIELDS:
        if member in read({member: value}):
            return None
        return f"this {kind} makes no sense there"
    return (
        f"it is no attribute ({', '.join(FIELDS)}), and no source of the policy's "
        "identify.account reads it"
    )
