"""Who met a challenge, written down once for all guards of a store, whichever of them was asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any, Final

from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.campaigns.standing import LASTS as VERIFIED_LASTS
from gateway_guard.campaigns.standing import LINK_LASTS, Place, Standing
from gateway_guard.core.links import LinkFault
from gateway_guard.stores.connect import Address
from gateway_guard.streams.keys import (
    LASTS,
    REVIEWS_KEPT,
    STANDING_KEPT,
    STANDING_LASTS,
    Keys,
)
from gateway_guard.streams.link import Link, Word
from gateway_guard.streams.scripts import ENTER, ORDER
from gateway_guard.streams.wire import pack_review

#: Which of the two tables an account is in from a ruling on.
_TABLES: Final = {
    Ruling.VERIFY: "verified", Ruling.CHALLENGE: "challenged", Ruling.CLEAR: "neither",
    Ruling.ERASE: "unverified",
}  # fmt: skip
_FAULTS: Final = {b"used": LinkFault.USED, b"crowded": LinkFault.CROWDED}


class HeardStanding(Standing):
    """Where accounts stand, written by two threads: one serves visitors, one hears other guards.

    Reading needs no turn.
    """

    def __init__(self) -> None:
        super().__init__()
        self._writing = threading.Lock()

    def heed(self, review: Review) -> None:
        """As `Standing.heed`, from any thread."""
        with self._writing:
            super().heed(review)

    def load(self, places: Mapping[str, Place]) -> None:
        """As `Standing.load`, from any thread."""
        with self._writing:
            super().load(places)


class SharedRegister:
    """The register of all guards of one store: a link is used once, whoever hears of it first.

    For one event loop, the one that serves visitors; connects with the first of them.
    """

    def __init__(self, address: Address, keys: Keys, key: bytes) -> None:
        """`key` is the fingerprint of the secret."""
        self.standing: Standing = HeardStanding()
        self._address = address
        self._keys = keys
        self._key = key
        self._link: Link | None = None
        #: A link has four connections, and refuses a fifth command at once.
        self._turns = asyncio.Semaphore(4)

    async def enter(self, review: Review, *, most: int) -> LinkFault | None:
        """As `record.register.Register.enter`."""
        if self._link is None:
            self._link = Link(self._address)
        keys, account, until = self._keys, review.account or "", _until(review)
        async with self._turns:
            said = await self._link.run(
                ENTER,
                (keys.verified, keys.challenged, keys.reviews, keys.link + review.link.encode(),
                 keys.subject + review.subject.encode()),
                (account, until, review.at, round(LINK_LASTS * 1_000), most,
                 pack_review(self._key, review), REVIEWS_KEPT, LASTS, STANDING_KEPT,
                 STANDING_LASTS),
            )  # fmt: skip
        fault = _FAULTS.get(bytes(said))
        if fault is None:
            # The stream will say so again; whoever was verified need not wait for it.
            self.standing.heed(review)
        return fault

    async def close(self) -> None:
        """End the connections."""
        if self._link is not None:
            await self._link.close()


def _until(review: Review) -> float:
    return review.until if review.until is not None else review.at + VERIFIED_LASTS


async def order(link: Link, keys: Keys, data: bytes, review: Review | None = None) -> None:
    """Tell all guards `data`; where it is a person's `review` of who must verify themselves, put
    that into the two tables with it, for guards that come later.

    Raises:
        StoreError: it could not be done: then nothing was.
    """
    args: list[Word] = [data, REVIEWS_KEPT, LASTS]
    account = review.account if review is not None else None
    if review is not None and account is not None and review.ruling in _TABLES:
        score = _until(review) if review.ruling is Ruling.VERIFY else review.at
        args += [account, _TABLES[review.ruling], score, STANDING_KEPT, STANDING_LASTS]
    await link.run(ORDER, (keys.verified, keys.challenged, keys.reviews), args)


async def places(link: Link, keys: Keys) -> dict[str, Place]:
    """Where every account stands that the two tables know.

    Raises:
        StoreError: they cannot be read.
    """
    found = {account: Place(0.0, 0.0, True) for account in await _scores(link, keys.challenged)}
    for account, until in (await _scores(link, keys.verified)).items():
        found[account] = Place(0.0, until, False)
    return found


async def _scores(link: Link, key: bytes) -> dict[str, float]:
    """A sorted set of any size, in pieces the server is not held up by."""
    found: dict[str, float] = {}
    cursor: Any = 0
    while True:
        cursor, part = await link.do("ZSCAN", key, cursor, "COUNT", 1_000)
        for name, score in part:
            found[bytes(name).decode("utf-8", "replace")] = float(score)
        if not int(cursor):
            return found
