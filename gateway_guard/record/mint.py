"""Client secrets that accounts had made, written down where they are looked up."""

from __future__ import annotations

from typing import Protocol

from gateway_guard.core.minted import ClientSecret, Minted


class Mint(Protocol):
    """Where client secrets are written down.

    Attributes:
        minted: what is known of them; what was added here is in it at once.
    """

    minted: Minted

    async def add(self, made: ClientSecret, now: float) -> None:
        """Note a secret at `now`, Unix seconds, and tell whoever else may be shown it. Returns soon
        whatever becomes of that; never raises.
        """
        ...

    async def close(self) -> None:
        """Release connections. The mint is not used afterwards."""
        ...


class LocalMint:
    """The mint of one process."""

    def __init__(self) -> None:
        self.minted = Minted()

    async def add(self, made: ClientSecret, now: float) -> None:
        """As `Mint.add`; there is nobody else."""
        self.minted.note(made, now)

    async def close(self) -> None:
        """Nothing is open."""
