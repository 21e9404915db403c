"""What the guard asks of whoever knows networks."""

from __future__ import annotations

from typing import Any, Final, Protocol

from gateway_guard.types import NetworkFacts

#: What is said of an address nobody could look up; policies match it as `network: unknown`.
UNKNOWN_NETWORK: Final = NetworkFacts(known=False)


class Network(Protocol):
    """Address → facts, from local memory only."""

    def lookup(self, ip: str) -> NetworkFacts:
        """The facts of the address `ip` (any spelling `core.address.parse_ip` accepts).

        Never raises: a bad address, a missing or a corrupt file gives `known=False`.
        """
        ...

    def reload(self) -> bool:
        """Read changed files again; False when one cannot be read and keeps its last good version.

        Never raises; `describe` names the file and the error.
        """
        ...

    def describe(self) -> list[dict[str, Any]]:
        """One entry per source for `/healthz` and `network` commands: path, type, build, error."""
        ...
