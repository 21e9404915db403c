"""What commands say to all guards of a shared store, and what they ask of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from gateway_guard.campaigns.reviews import Review
from gateway_guard.errors import SettingsError
from gateway_guard.settings import Settings
from gateway_guard.stores.connect import parse_address
from gateway_guard.streams.heart import Peer, listen
from gateway_guard.streams.keys import LASTS, REVIEWS_KEPT, Keys, fingerprint
from gateway_guard.streams.link import Link
from gateway_guard.streams.wire import pack_reload, pack_review, read_table
from gateway_guard.types import CampaignFacts

#: `--store` and `--namespace`, the same for every command.
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="Tell all guards of this store, redis://host:6379/0; by default GATEWAY_GUARD_STORE.",
    ),
]
NamespaceOption = Annotated[
    str | None,
    typer.Option("--namespace", help="By default GATEWAY_GUARD_STORE_NAMESPACE, or gg."),
]

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
        self._order(pack_review(self.key, review))

    def reload(self) -> None:
        """Have every guard read its policy and its data again."""
        self._order(pack_reload(self.key))

    def verdicts(self) -> dict[str, CampaignFacts]:
        """Every verdict in force, by account."""
        return read_table(self._ask(lambda link: link.table(self.keys.table)))

    def guards(self) -> tuple[Peer, ...]:
        """Every guard that is there."""
        return self._ask(lambda link: listen(link, self.keys))

    def _order(self, data: bytes) -> None:
        async def add(link: Link) -> None:
            add = ("XADD", self.keys.reviews, "MAXLEN", "~", REVIEWS_KEPT, "*", "r", data)
            await link.all([add, ("EXPIRE", self.keys.reviews, LASTS)])

        self._ask(add)

    def _ask(self, what: Callable[[Link], Awaitable[T]]) -> T:
        async def ask() -> T:
            link = Link(self._address)
            try:
                return await what(link)
            finally:
                await link.close()

        return asyncio.run(ask())


def post_of(store: str | None, namespace: str | None, file: Path | None = None) -> Post | None:
    """The post that is meant: `store`, or the one in the settings unless a `file` is named; None
    when there is none.

    Raises:
        SettingsError: both a store and a file were named; or as `Post`.
    """
    if store and file is not None:
        raise SettingsError("name a --store or a --file: a decision is written into one of them")
    settings = Settings.from_environment()
    uri = store or (settings.store if file is None else None)
    if not uri:
        return None
    if not settings.secret_lasts:
        raise SettingsError(
            "guards of a store heed only who has their secret: set GATEWAY_GUARD_SECRET or "
            "GATEWAY_GUARD_SECRET_FILE as there"
        )
    return Post(uri, namespace or settings.store_namespace, settings.secret)
