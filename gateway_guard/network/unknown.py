"""A guard without a network database: every address is unknown."""

from __future__ import annotations

from typing import Any

from gateway_guard.network.base import UNKNOWN_NETWORK
from gateway_guard.types import NetworkFacts


class NoNetwork:
    """Knows nothing of any address. For tests and for guards that only count."""

    def lookup(self, ip: str) -> NetworkFacts:  # noqa: ARG002
        """`NetworkFacts(known=False)`."""
        return UNKNOWN_NETWORK

    def reload(self) -> bool:
        """True: there is nothing to read."""
        return True

    def describe(self) -> list[dict[str, Any]]:
        """No sources."""
        return []
