"""Client secrets of all guards of a store: whose each is, whichever of them passed it on.

    gg:{campaigns}:minted   stream: a secret's account, that of its owner, and until when

It is told before the client has the secret, and heard with the verdicts.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Final

from gateway_guard.core.minted import MOST_MINTED, ClientSecret, Minted
from gateway_guard.errors import StoreError
from gateway_guard.stores.connect import Address
from gateway_guard.streams.keys import Keys
from gateway_guard.streams.link import Link
from gateway_guard.streams.wire import pack_minted

log = logging.getLogger(__name__)

#: Seconds an answer with a secret waits at most for the others to be told of it.
PATIENCE: Final = 0.25
#: Seconds the stream outlives the last secret: a minute more than any is good for.
_LASTS: Final = 7_320


class SharedMint:
    """The mint of all guards of one store. Written by two threads: one serves, one hears others.

    `add` is for one event loop, and connects with the first secret.

    Attributes:
        untold: secrets that the others were not told of, as far as this side can tell: there each
            is an account of its own.
    """

    def __init__(self, address: Address, keys: Keys, key: bytes) -> None:
        """`key` is the fingerprint of the secret that keys digests."""
        self.minted = Minted()
        self.untold = 0
        self._address = address
        self._stream = keys.minted
        self._key = key
        self._link: Link | None = None
        self._writing = threading.Lock()
        #: A link has four connections, and refuses a fifth command at once.
        self._turns = asyncio.Semaphore(4)

    async def add(self, made: ClientSecret, now: float) -> None:
        """As `record.mint.Mint.add`."""
        self._note(made, now)
        if self._link is None:
            self._link = Link(self._address)
        data = pack_minted(self._key, made)
        try:
            async with asyncio.timeout(PATIENCE), self._turns:
                await self._link.all(
                    [
                        ("XADD", self._stream, "MAXLEN", "~", MOST_MINTED, "*", "m", data),
                        ("EXPIRE", self._stream, _LASTS),
                    ]
                )
        except (StoreError, TimeoutError) as error:
            self.untold += 1
            if self.untold == 1:
                log.error(
                    "a client secret is known to this guard alone, the store cannot be told: %s",
                    str(error) or "no answer in time",
                )

    def hear(self, made: ClientSecret) -> None:
        """Note what another guard told, or this one; from any thread."""
        self._note(made, time.time())

    async def close(self) -> None:
        """End the connections."""
        if self._link is not None:
            await self._link.close()

    def _note(self, made: ClientSecret, now: float) -> None:
        with self._writing:
            self.minted.note(made, now)
