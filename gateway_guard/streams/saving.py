"""Where a linker is kept between two processes: in the store, for whoever takes over anywhere, and
in a file, for a store that forgets and for the commands that read it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import Final

from gateway_guard.campaigns.memory import ROOMY, Bounds
from gateway_guard.campaigns.snapshot import Snapshot, thaw
from gateway_guard.errors import OtherVersionError, SnapshotError
from gateway_guard.streams.keys import LASTS, REVIEWS_KEPT, Keys, order
from gateway_guard.streams.learning import START
from gateway_guard.streams.link import Link
from gateway_guard.streams.scripts import SAVE

log = logging.getLogger(__name__)

#: Bytes of one piece: the server is not held up by writing it.
_PIECE: Final = 512 * 1024
#: Most pieces: 512 MB, some 1 to 6 million accounts.
_MOST: Final = 1_000


class Shelf:
    """The latest snapshot in the store: sealed, in pieces, put in force in one step.

    Pieces that never were, and those of the snapshot before, are dropped or run out by themselves.

    Attributes:
        trouble: why the snapshot may not be written over; None when it may.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self.trouble: str | None = None
        self._link = link
        self._keys = keys

    async def spared(self) -> bool:
        """Whether the snapshot is one that `load` found to be of another version. It is not looked
        at again while there is any: as long as versions differ, others write the like of it.

        Raises:
            StoreError: the server cannot be reached.
        """
        if self.trouble is not None and not await self._link.do("EXISTS", self._keys.snapshot):
            self.trouble = None
        return self.trouble is not None

    async def position(self) -> bytes:
        """Id of the last sighting in the snapshot; `0-0` when there is none.

        Raises:
            StoreError: the server cannot be reached.
        """
        found: bytes | None = await self._link.do("HGET", self._keys.snapshot, "position")
        return found or START

    async def load(self, secret: bytes, bounds: Bounds = ROOMY) -> Snapshot | None:
        """The snapshot, its linker to go on within `bounds`; None when there is none, or none that
        anybody could read, which is logged.

        Raises:
            OtherVersionError: another version can read it: whoever began anew here would write over
                what that one has learnt.
            StoreError: the server cannot be reached.
        """
        name, pieces = await self._link.do("HMGET", self._keys.snapshot, "name", "pieces")
        if name is None or pieces is None:
            return None
        data = bytearray()
        for number in range(min(int(pieces), _MOST)):
            piece = await self._link.do("GET", self._piece(name, number))
            if piece is None:
                break
            data += piece
        try:
            return await asyncio.to_thread(thaw, bytes(data), secret, bounds=bounds)
        except OtherVersionError as error:
            key = self._keys.snapshot.decode()
            self.trouble = (
                f"this process finds no campaigns: the snapshot of them in the store ({key}) is of "
                f"another version of the guard, and left as it is: {error}. Have the version that "
                "wrote it find them (`gateway-guard linker`), or run that one here, too. To start "
                f"without what it holds: redis-cli DEL '{key}' (what people decided stays in "
                f"force, the last {REVIEWS_KEPT:,} decisions)"
            )
            raise OtherVersionError(self.trouble) from error
        except SnapshotError as error:
            log.error("the snapshot of campaigns in the store is not taken over: %s", error)
            return None

    async def save(self, data: bytes, fence: int, position: bytes) -> bool:
        """Put `data` in force as the snapshot that has learnt up to `position`, and drop the
        sightings before it. False when somebody else learns by now.

        Raises:
            StoreError: the server cannot be reached, or is full.
        """
        name = secrets.token_hex(8).encode()
        count = -(-len(data) // _PIECE)
        if count > _MOST:
            log.error("a snapshot of campaigns of %d bytes is too large for the store", len(data))
            return True
        for number in range(count):
            piece = data[number * _PIECE : (number + 1) * _PIECE]
            await self._link.do("SET", self._piece(name, number), piece, "EX", LASTS)
        keys = (self._keys.lead, self._keys.snapshot, self._keys.sightings)
        done, *old = await self._link.run(SAVE, keys, (fence, name, count, position, LASTS))
        if not done:
            old = [name, count]
        gone = [self._piece(old[0], number) for number in range(int(old[1]))] if old[0] else []
        if gone:
            await self._link.do("UNLINK", *gone)
        return bool(done)

    def _piece(self, name: bytes, number: int) -> bytes:
        return b"%b%b:%d" % (self._keys.piece, name, number)


def later(one: bytes, other: bytes) -> bool:
    """Whether position `one` is after `other`."""
    return order(one) > order(other)
