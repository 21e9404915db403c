"""Who met a challenge, written down: by one guard, in its memory and the journal of reviews."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path
from typing import Protocol

from gateway_guard.campaigns.reviews import Review
from gateway_guard.campaigns.standing import Standing
from gateway_guard.core.links import LinkFault
from gateway_guard.record.reviews import Journal, append

log = logging.getLogger(__name__)


class Register(Protocol):
    """Where verified accounts are written down, each link once.

    Attributes:
        standing: what is known of accounts; what was entered here is in it at once.
    """

    standing: Standing

    async def enter(self, review: Review, *, most: int) -> LinkFault | None:
        """Put a `verify` in force, unless its link was used or its subject has verified `most`
        accounts already; then why not.

        Raises:
            StoreError: nobody knows; nothing was changed, as far as this side can tell.
        """
        ...

    async def close(self) -> None:
        """Release connections. The register is not used afterwards."""
        ...


class LocalRegister:
    """The register of one process. Several that share a journal learn of each other within a second
    or two: a link is then used twice at most by whoever is that quick, for the same account.

    Attributes:
        unsaved: verifications that could not be written into the journal; they hold until this
            process ends.

    Args:
        journal: the file of reviews, read from its start; None for none.
    """

    def __init__(self, journal: Path | None = None) -> None:
        self.standing = Standing()
        self.unsaved = 0
        self._journal = journal
        self._lock = threading.Lock()
        if journal is not None:
            # What a snapshot of campaigns has in force already counts here, too.
            for review in Journal(journal, complain=lambda *_: None).new():
                self.standing.heed(review)

    def heed(self, review: Review) -> None:
        """Take in what was written into the journal; from any thread, twice is harmless."""
        with self._lock:
            self.standing.heed(review)

    async def enter(self, review: Review, *, most: int) -> LinkFault | None:
        """As `Register.enter`."""
        with self._lock:
            fault = self.standing.refuses(
                link=review.link, subject=review.subject, account=review.account or "",
                most=most, at=review.at,
            )  # fmt: skip
            if fault is None:
                self.standing.heed(review)
        if fault is None and self._journal is not None:
            try:
                await asyncio.to_thread(append, self._journal, review)
            except OSError as error:
                self.unsaved += 1
                log.error("a verification was not written to %s: %s", self._journal, error.strerror)
        return fault

    async def close(self) -> None:
        """Nothing is open."""
