"""What the guard asks about accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

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


@runtime_checkable
class AskedDirectory(Directory, Protocol):
    """A directory that must be asked before it knows: `lookup` answers from what it was told."""

    def due(self, account: str) -> bool:
        """Whether nothing fresh is held about `account`. Costs no more than a look-up."""
        ...

    async def ask(self, account: str) -> bool:
        """Ask, within the directory's own budget; whether there is a fresh answer now.

        Never raises. Where it is False, what `lookup` says is old or unknown.
        """
        ...

    async def close(self) -> None:
        """Give up questions and connections; not used afterwards."""
        ...
