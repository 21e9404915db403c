"""Who learns: one process at a time, known by a number that only grows."""

from __future__ import annotations

import logging
import secrets
import time
from typing import Final

from gateway_guard.streams.keys import LASTS, LEAD_LASTS, Keys
from gateway_guard.streams.link import Link
from gateway_guard.streams.scripts import ACQUIRE, RELEASE, RENEW

log = logging.getLogger(__name__)

#: Seconds without a sign of life after which somebody else may learn, and between two signs.
#: Who stands by asks as often: a process that dies is replaced within 2.1 s,
#: and the time to load its snapshot.
LEASE: Final = 1.8
RENEW_EVERY: Final = 0.3
#: Seconds that somebody who never learnt leaves the lease of a server that has lost its memory to
#: who did.
_AFTER_YOU: Final = 1.5

_NOTHING_KNOWN, _OTHER_SECRET, _DEDICATED = -1, -2, -3


class Lease:
    """The right to learn and to publish, in one process.

    What is written under it is checked against its number in the same step, so a process that was
    stopped and goes on cannot write over its successor.

    Attributes:
        fence: the number; 0 while somebody else has it, or nobody.
        taken: times it was taken here.
        leaving: whether a dedicated process asks for it: to be released soon.
    """

    def __init__(
        self, link: Link, keys: Keys, key: bytes, *, dedicated: bool, lease: float = LEASE
    ) -> None:
        """`dedicated` is a process that does nothing else: others stand back for it."""
        self.fence = 0
        self.taken = 0
        self.leaving = False
        self._link = link
        self._keys = keys
        self._key = key
        self._owner = b""
        self._dedicated = int(dedicated)
        self._ms = round(lease * 1_000)
        self._lease = lease
        #: Until when it is surely ours, of this process's own clock.
        self._until = 0.0
        #: Whether the server was ever seen knowing of a linker; since when it no longer does.
        self._known = False
        self._forgot_at: float | None = None
        self._told = 0

    @property
    def held(self) -> bool:
        """Whether this process learns."""
        return self.fence > 0

    async def acquire(self) -> bool:
        """Take it if it is free.

        Raises:
            StoreError: the server cannot be reached.
        """
        # Made here, in the process that learns: those that are forked are candidates of their own.
        self._owner = self._owner or secrets.token_hex(8).encode()
        now = time.monotonic()
        patient = (
            self._known
            and not self.taken
            and (self._forgot_at is None or now < self._forgot_at + _AFTER_YOU)
        )
        answer = int(
            await self._link.run(
                ACQUIRE,
                (self._keys.lease, self._keys.lead, self._keys.dedicated),
                (self._owner, self._key, self._ms, self._dedicated, int(patient), LEAD_LASTS),
            )
        )
        if answer == _NOTHING_KNOWN:
            self._forgot_at = self._forgot_at or now
            return False
        self._forgot_at = None
        self._known = True
        if answer == _OTHER_SECRET and self._told != answer:
            log.error(
                "campaigns in this store belong to guards with another GATEWAY_GUARD_SECRET: this "
                "process cannot learn for them. Give all the same, or name another namespace"
            )
        self._told = answer
        if answer <= 0:
            return False
        self.fence = answer
        self.leaving = False
        self.taken += 1
        self._until = now + self._lease
        return True

    async def renew(self) -> bool:
        """Say that one still learns; False when one does not any more.

        Raises:
            StoreError: the server cannot be reached; the lease may still be ours, see `expired`.
        """
        now = time.monotonic()
        keys = self._keys
        answer = await self._link.run(
            RENEW,
            (keys.lease, keys.lead, keys.dedicated, keys.table, keys.told),
            (self._owner, self.fence, self._ms, self._dedicated, LEAD_LASTS, LASTS),
        )
        self.leaving = int(answer) == _DEDICATED
        if int(answer) != 1:
            return False
        self._until = now + self._lease
        return True

    @property
    def expired(self) -> bool:
        """Whether it may be somebody else's by now."""
        return time.monotonic() >= self._until

    def lost(self) -> None:
        """Somebody else has it, or may have."""
        self.fence = 0

    async def release(self) -> None:
        """Let somebody else have it at once.

        Raises:
            StoreError: the server cannot be reached: it runs out by itself.
        """
        self.fence = 0
        await self._link.run(RELEASE, (self._keys.lease, self._keys.dedicated), (self._owner,))
