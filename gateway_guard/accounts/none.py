"""No directory: only the application knows anything about accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway_guard.accounts.state import merged
from gateway_guard.types import AccountFacts

_UNKNOWN: Final = AccountFacts()


class NoDirectory:
    """Knows nothing but what the application says in `scope["state"]["gateway_guard"]`."""

    def lookup(self, account: str, state: Mapping[str, Any] | None) -> AccountFacts:  # noqa: ARG002
        """The application's attributes, else all unknown."""
        return merged(_UNKNOWN, state) if state else _UNKNOWN

    def reload(self) -> bool:
        """Nothing to read: always True."""
        return True
