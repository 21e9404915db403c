"""What people say to all guards of a shared store, and what they ask of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway_guard.campaigns.reviews import Review
from gateway_guard.campaigns.snapshot import Snapshot
from gateway_guard.campaigns.standing import Place
from gateway_guard.errors import SettingsError
from gateway_guard.stores.connect import parse_address
from gateway_guard.streams.heart import Peer, listen
from gateway_guard.streams.keys import Keys, fingerprint
from gateway_guard.streams.link import Link
from gateway_guard.streams.register import order, places
from gateway_guard.streams.saving import Shelf
from gateway_guard.streams.wire import pack_reload, pack_review, read_table
from gateway_guard.types import CampaignFacts

T = TypeVar("T")


class Post:
    """Orders to all guards of one store, and questions to it. Each call connects anew.

    Attributes:
        secret: the guards'.

    Raises:
        SettingsError: the store cannot be used, or the secret is not known here. From the methods
            also `StoreError`: it cannot be reached.
    """

    def __init__(self, uri: str, namespace: str, secret: bytes) -> None:
        self.secret = secret
        self.keys = Keys(namespace)
        self.key = fingerprint(secret)
        self._address = parse_address(uri)
        if not self._address.shared:
            raise SettingsError("memory:// is one process's own: no guard would hear of it")

    def review(self, review: Review) -> None:
        """Put a person's decision in force."""
        data = pack_review(self.key, review)
        self._ask(lambda link: order(link, self.keys, data, review))

    def reload(self) -> None:
        """Have every guard read its policy and its data again."""
        self._ask(lambda link: order(link, self.keys, pack_reload(self.key)))

    def verdicts(self) -> dict[str, CampaignFacts]:
        """Every verdict in force, by account."""
        return read_table(self._ask(lambda link: link.table(self.keys.table)))

    def snapshot(self) -> Snapshot | None:
        """What the linker kept last, at most a minute old; None when it has kept nothing.

        Raises:
            OtherVersionError: another version wrote it.
        """
        return self._ask(lambda link: Shelf(link, self.keys).load(self.secret))

    def places(self) -> dict[str, Place]:
        """Where every account stands that was verified or challenged."""
        return self._ask(lambda link: places(link, self.keys))

    def guards(self) -> tuple[Peer, ...]:
        """Every guard that is there."""
        return self._ask(lambda link: listen(link, self.keys))

    def _ask(self, what: Callable[[Link], Awaitable[T]]) -> T:
        async def ask() -> T:
            link = Link(self._address)
            try:
                return await what(link)
            finally:
                await link.close()

        return asyncio.run(ask())
