"""What the guard asks about accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from gateway_guard.types import AccountFacts


class Directory(Protocol):
    """Account → attributes, from local memory.

    Never raises while requests run: what cannot be known is None, and None matches `unknown`.
    """

    def lookup(self, account: str, state: Mapping[str, Any] | None) -> AccountFacts:
        """Attributes of `account` (`acct_…`).

        `state` is what the application put into `scope["state"]["gateway_guard"]`; what it says of
        an attribute wins over the directory.
        """
        ...

    def reload(self) -> bool:
        """Read the source again; False when that failed and the last good attributes stay."""
        ...
