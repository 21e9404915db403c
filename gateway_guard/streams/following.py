"""From the linker to a guard: verdicts and reviews as they come, the whole table where some are
missing. And from guard to guard: client secrets that accounts had made.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from gateway_guard.campaigns.standing import Standing
from gateway_guard.core.minted import ClientSecret
from gateway_guard.errors import StoreError
from gateway_guard.streams.keys import Keys, order
from gateway_guard.streams.link import Link, Pauses, until
from gateway_guard.streams.register import places
from gateway_guard.streams.told import Told
from gateway_guard.streams.wire import Refusal, read_changes, read_minted, read_order, read_table

log = logging.getLogger(__name__)

#: Milliseconds one question waits for news.
_WAIT: Final = 1_000
#: Most messages read at once.
_MOST: Final = 500
#: Seconds to wait for a table that is being written; whoever wrote it may have died.
_PATIENCE: Final = 5.0
#: Seconds between two times that something is missing: what cannot be found does not become load.
_AGAIN: Final = 0.1
_START: Final = b"0-0"


class Follower:
    """Keeps `told` up to date, over a connection of its own.

    Each message names the one before it. Where that is not the last one heard (the stream was
    trimmed, the server lost its memory, this guard was away), the whole table is read again; until
    it can be, what was believed stays believed.

    Attributes:
        told: what the guard believes.
        applied: changes of verdicts taken in.
        loaded: times the whole table was read.
        skipped: messages not taken, by why: `malformed`, `version`, `secret`.
        failed: times the server could not be reached.
        current: whether everything published so far was heard, as far as this side can tell.
    """

    def __init__(
        self,
        link: Link,
        keys: Keys,
        key: bytes,
        told: Told,
        *,
        standing: Standing | None = None,
        reload: Callable[[], Awaitable[None]] | None = None,
        minted: Callable[[ClientSecret], None] | None = None,
    ) -> None:
        """`key` is the secret's fingerprint; `standing` is kept up to date, too; `reload` is
        awaited when people ask for it; `minted` is told of each client secret.
        """
        self.told = told
        self.applied = 0
        self.loaded = 0
        self.failed = 0
        self.skipped: dict[str, int] = {}
        self.current = False
        #: Set once the verdicts in force are here.
        self.arrived = asyncio.Event()
        self._link = link
        self._keys = keys
        self._key = key
        self._reload = reload
        self._standing = Standing() if standing is None else standing
        #: The last message heard; empty when there was none yet, None when the table must be read.
        self._at: bytes | None = None
        self._reviews = _START
        self._minted, self._minted_at = minted, _START
        #: Orders to reload are for those who were there, not for whoever reads old ones.
        self._began: bytes | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Follow until told to stop."""
        pauses = Pauses()
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                turn = asyncio.create_task(self._turn(stop))
                await asyncio.wait({turn, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not turn.done():
                    turn.cancel()
                    await asyncio.wait({turn})
                    return
                try:
                    turn.result()
                    pauses.over()
                    await until(stop, _AGAIN)
                except StoreError as error:
                    self.failed += 1
                    if self.current:
                        log.warning("verdicts cannot be followed, the last ones stay: %s", error)
                    self.current = False
                    await until(stop, pauses())
        finally:
            stopping.cancel()

    async def _turn(self, stop: asyncio.Event) -> None:
        """Make sure of where one stands, then listen until something is missing."""
        await self._stand(stop)
        # Only now that it is known from where reviews are read on: none falls in between.
        self._standing.load(await places(self._link, self._keys))
        while not stop.is_set() and self._at is not None:
            self.current = True
            self.arrived.set()
            await self._listen()

    async def _stand(self, stop: asyncio.Event) -> None:
        """Read the table, unless what was heard last is still how things stand."""
        deadline = time.monotonic() + _PATIENCE
        while not stop.is_set():
            at, reviews, partial, key = await self._link.do(
                "HMGET", self._keys.told, "at", "reviews", "partial", "key"
            )
            if at is None and self.told.facts:
                # The server forgot, or nobody has learnt yet: keep what one has; whatever is
                # published first says that something is missing.
                self._at = b""
                self._reviews = _START
                return
            if at is None:
                self._at, self._reviews = b"", _START
                self.told.load({}, _START)
                return
            if key != self._key:
                self._skip("secret")
                self._at = at
                return
            if self._at and await self._continues(at):
                return
            if partial != b"1" or time.monotonic() > deadline:
                # `at` was read before the table: what changed meanwhile will be heard again.
                table = read_table(await self._link.table(self._keys.table))
                self.told.load(table, reviews or _START)
                self._at, self._reviews = at, reviews or _START
                self.loaded += 1
                return
            await until(stop, 0.1)

    async def _continues(self, at: bytes) -> bool:
        """Whether what was heard last leads to `at`, the last message there is."""
        mine = self._at or _START
        if order(mine) >= order(at):
            return mine == at
        # What comes next says whether it follows; nothing at all was trimmed away.
        later = await self._link.do("XRANGE", self._keys.verdicts, b"(" + mine, "+", "COUNT", 1)
        return bool(later)

    async def _listen(self) -> None:
        """Wait for news and take them in; none for a second is an answer, too."""
        if self._began is None:
            seconds, _ = await self._link.do("TIME")
            self._began = b"%d-0" % (int(seconds) * 1_000)
        verdicts, reviews, minted = await self._link.entries(
            [(self._keys.verdicts, self._at or _START), (self._keys.reviews, self._reviews),
             (self._keys.minted, self._minted_at)],
            most=_MOST, wait=_WAIT,
        )  # fmt: skip
        for entry, fields in minted:
            self._minted_at = entry
            try:
                made = read_minted(fields.get(b"m", b""), self._key)
                if self._minted is not None:
                    self._minted(made)
            except Refusal as refusal:
                self._skip(refusal.why)
        for entry, fields in verdicts:
            if fields.get(b"p", b"") != self._at or (not self._at and self.told.facts):
                self._at = None
                self.current = False
                return
            self._at = entry
            try:
                changes = read_changes(fields.get(b"c", b""), self._key)
                self.told.change(changes.accounts, changes.reviews)
            except Refusal as refusal:
                self._skip(refusal.why)
            except ValueError:
                self._skip("malformed")
            else:
                self.applied += len(changes.accounts)
        for entry, fields in reviews:
            self._reviews = entry
            try:
                ordered = read_order(fields.get(b"r", b""), self._key)
                if ordered.kind == "review":
                    review = ordered.review()
                    self.told.review(entry, review)
                    self._standing.heed(review)
                elif self._reload is not None and order(entry) >= order(self._began):
                    await self._reload()
            except Refusal as refusal:
                self._skip(refusal.why)

    def _skip(self, why: str) -> None:
        self.skipped[why] = self.skipped.get(why, 0) + 1
        if self.skipped[why] > 1:
            return
        if why == "secret":
            log.error(
                "verdicts are keyed with another GATEWAY_GUARD_SECRET and are ignored: all guards "
                "and the linker of one store need the same"
            )
        elif why == "version":
            log.error(
                "what guards of another version tell of verdicts and of people's decisions is not "
                "understood here: have all guards and the linker of one store be of one version"
            )
        else:
            log.error("a message to the guards was skipped: %s", why)
