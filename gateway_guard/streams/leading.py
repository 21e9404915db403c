"""The linker's life: wait for the lease, take over where the last one stopped, learn, publish."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.reviews import Review
from gateway_guard.campaigns.snapshot import Snapshot, freeze
from gateway_guard.errors import GuardError, SnapshotError, StoreError
from gateway_guard.record.notices import Tell
from gateway_guard.streams.archive import Archive
from gateway_guard.streams.keys import LASTS, VERDICTS_KEPT, Keys, order
from gateway_guard.streams.learning import START, Counts, Pupil, position_of
from gateway_guard.streams.lease import RENEW_EVERY, Lease
from gateway_guard.streams.link import Link, Pauses, until
from gateway_guard.streams.saving import Shelf, later
from gateway_guard.streams.scripts import PUBLISH
from gateway_guard.streams.wire import CHANGES, pack_changes, pack_facts, read_table
from gateway_guard.types import CampaignFacts

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

#: Seconds between two publications, at least; an idle linker looks for news as often.
PUBLISH_EVERY: Final = 0.1
#: Seconds between two snapshots, at least, and the share of the time that making them may take.
SAVE_EVERY: Final = 60.0
_SAVING: Final = 0.02
#: Seconds after which a snapshot is made anew although nothing has changed: it would run out.
_ANEW: Final = 86_400.0
#: Seconds between two looks at the journal of reviews and at the end of the stream.
_LOOK_EVERY: Final = 1.0
#: Most batches read at once.
_MOST: Final = 20


class Leader:
    """One candidate to be the linker; it is while it has the lease.

    Who stands by knows nothing and costs nothing: whoever takes over loads the latest snapshot and
    learns from what came after it. It publishes once it has caught up, and then what differs from
    what was published.

    Attributes:
        lease: whether it is the linker.
        pupil: what learns; None while there is nothing that is not in the snapshot.
        counts: what it met, over all times it was the linker.
        lag: milliseconds between the newest sighting in the stream and the last one learnt from.
        published: changes of verdicts published here.
        unsaved: snapshots that could not be put into the store.
        archive: the file.
        failed: times the server could not be reached.
        caught_up: whether what it publishes is up to date.
    """

    def __init__(
        self,
        link: Link,
        keys: Keys,
        key: bytes,
        secret: bytes,
        lease: Lease,
        *,
        archive: Archive | None = None,
        asked: Callable[[], bool] | None = None,
        tell: Tell | None = None,
    ) -> None:
        """`key` is the fingerprint of `secret`; `asked` says whether anybody wants campaigns found
        (None: always); `tell` takes notices of those held and let go.
        """
        self.lease = lease
        self.pupil: Pupil | None = None
        self.counts = Counts()
        self.lag = 0.0
        self.published = 0
        self.unsaved = 0
        self.failed = 0
        self.caught_up = False
        self.archive = archive or Archive(None, secret)
        self._link = link
        self._keys = keys
        self._key = key
        self._secret = secret
        self._asked = asked
        self._tell = tell
        self._shelf = Shelf(link, keys)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="linker")
        #: The table as it stands in the store, and the review it is true at.
        self._table: dict[str, CampaignFacts] = {}
        self._told = START
        #: Reviews of the journal that wait until this process has caught up.
        self._written: list[Review] = []
        self._deposed = False
        self._publish_at = self._save_at = self._look_at = 0.0
        self._saved_at = time.monotonic()
        self._why: str | None = None

    @property
    def trouble(self) -> str | None:
        """What an operator should know; None when all is well."""
        return self._shelf.trouble or self.archive.trouble

    async def run(self, stop: asyncio.Event) -> None:
        """Be ready to learn, and learn, until told to stop. Never raises."""
        pauses = Pauses()
        while not stop.is_set():
            try:
                # Not even asked for where it could only be given back: others may have use for it.
                if (
                    (self._asked is not None and not self._asked())
                    or await self._shelf.spared()
                    or not await self.lease.acquire()
                ):
                    await until(stop, RENEW_EVERY)
                    continue
                await self._lead(stop)
                pauses.over()
                self._why = None
            except SnapshotError as error:
                self.failed += 1
                self._complain(error)
                # At once: whoever can read it is not to wait for one that cannot.
                with contextlib.suppress(StoreError):
                    await self.lease.release()
                await until(stop, pauses())
            except GuardError as error:
                self.failed += 1
                self._complain(error)
                await until(stop, pauses())
            except Exception as error:
                self.failed += 1
                log.exception("the linker stopped: %s", type(error).__name__)
                await until(stop, pauses())
        await self._keep()
        self._worker.shutdown(wait=False)

    async def _lead(self, stop: asyncio.Event) -> None:
        log.info("linker: this process learns from now on (number %d)", self.lease.fence)
        over = asyncio.Event()
        renewing = asyncio.create_task(self._renew(over))
        self._deposed = self.caught_up = False
        try:
            await self._work(stop)
            if not self._deposed:
                await self._publish()
                await self._save()
                over.set()
                await renewing
                await self.lease.release()
                if self.pupil is not None and not self.pupil.news:
                    # All of it is in the snapshot; who stands by costs nothing.
                    self.pupil = None
        finally:
            over.set()
            await renewing
            if self._deposed:
                log.warning("linker: another process learns from now on")
            self.lease.lost()
            self.caught_up = False
            self.archive.release()

    async def _renew(self, over: asyncio.Event) -> None:
        """Keep the lease. Not to be held up by anything: so a task of its own."""
        while not self._deposed and not await until(over, RENEW_EVERY):
            try:
                if not await self.lease.renew() and not self.lease.leaving:
                    self._deposed = True
            except StoreError as error:
                self._complain(error)
                # In doubt it is somebody else's, who would be kept from nothing by us.
                self._deposed = self._deposed or self.lease.expired

    async def _work(self, stop: asyncio.Event) -> None:
        pupil = await self._take_over()
        self._table = read_table(await self._link.table(self._keys.table))
        self._told = await self._link.do("HGET", self._keys.told, "reviews") or START
        # All of it is compared once: the last linker may have known less or more.
        pupil.again([*self._table, *pupil.linker.cases.verdicts])
        end = await self._end(self._keys.sightings)
        now = time.monotonic()
        self._look_at = self._publish_at = now
        self._save_at = now + SAVE_EVERY
        while not (stop.is_set() or self._deposed or self.lease.leaving):
            quiet = await self._learn(pupil)
            if not self.caught_up and (quiet or not later(end, pupil.position.sightings)):
                self.caught_up = pupil.counting = True
                # What people wrote into the journal is heeded before anything is published, or a
                # ban that stands only there would be lifted for a moment.
                self._look_at = 0.0
                log.info("linker: caught up; %d accounts, %d campaigns",
                         len(pupil.linker.memory.traces), len(pupil.linker.held))  # fmt: skip
            now = time.monotonic()
            if now >= self._look_at:
                self._look_at = now + _LOOK_EVERY
                await self._look(pupil)
            if self.caught_up and now >= self._publish_at:
                await self._publish()
                self._publish_at = time.monotonic() + PUBLISH_EVERY
            if now >= self._save_at and self.caught_up:
                await self._save()
                took = time.monotonic() - now
                self._save_at = now + max(SAVE_EVERY, took / _SAVING)

    async def _learn(self, pupil: Pupil) -> bool:
        """Learn from what is new; whether there was nothing for a while."""
        at = pupil.position
        sightings, reviews = await self._link.entries(
            [(self._keys.sightings, at.sightings), (self._keys.reviews, at.reviews)],
            most=_MOST, wait=round(PUBLISH_EVERY * 1_000),
        )  # fmt: skip
        if len(sightings) == _MOST:
            # A release must find the campaign it is about: no review overtakes a sighting.
            last = order(sightings[-1][0])
            reviews = [entry for entry in reviews if order(entry[0]) <= last]
        if not sightings and not reviews:
            return True
        for review in await self._aside(pupil.take, sightings, reviews, self._key):
            await self._aside(self.archive.write, review)
        return False

    async def _look(self, pupil: Pupil) -> None:
        """At what people wrote into the journal, and at how far behind one is."""
        if self.caught_up:
            written, self._written = self._written, []
            for review in [*written, *await self._aside(self.archive.reviews)]:
                pupil.news += 1
                await self._aside(pupil.heed, review)
        end = order(await self._end(self._keys.sightings))[0]
        self.lag = float(max(0, end - order(pupil.position.sightings)[0])) if end else 0.0

    async def _take_over(self) -> Pupil:
        """The linker that has learnt most: this process's own, the store's or the file's."""
        best, source, here = self.pupil, None, False
        if best is None or later(await self._shelf.position(), best.position.sightings):
            stored = await self._shelf.load(self._secret, self.archive.bounds)
            if stored is not None:
                best, source = self._pupil(stored), stored
        filed = await self._aside(self.archive.latest)
        if filed is not None:
            position = position_of(filed.position)
            if best is None or later(position.sightings, best.position.sightings):
                best, source, here = self._pupil(filed), filed, True
        if best is None:
            best = Pupil(Linker(bounds=self.archive.bounds), counts=self.counts, tell=self._tell)
        if best is not self.pupil:
            if source is not None:
                log.info("campaigns taken over: %d campaigns, %d accounts",
                         len(best.linker.held), len(best.linker.memory.traces))  # fmt: skip
            self.archive.begin(source, here=here or source is None)
            # Read now, so that it is known what stands there; heeded when what happened before it
            # is known, too.
            self._written = await self._aside(self.archive.reviews)
        at = best.position
        if later(at.sightings, await self._end(self._keys.sightings)):
            # The store forgot and its clock was set back. What comes twice is known by its number.
            at.sightings = START
        if later(at.reviews, await self._end(self._keys.reviews)):
            at.reviews = START
        self.pupil = best
        return best

    async def _publish(self) -> None:
        """Say what changed, in as many messages as it takes."""
        pupil = self.pupil
        if pupil is None or not self.caught_up:
            return
        changes = list(pupil.changes(pupil.touched(), self._table))
        reviews = pupil.position.reviews
        if not changes and reviews == self._told:
            return
        for start in range(0, max(len(changes), 1), CHANGES):
            part = changes[start : start + CHANGES]
            more = start + CHANGES < len(changes)
            true_at = self._told if more else reviews
            message = pack_changes(self._key, self.lease.fence, true_at, part)
            pairs = [
                word
                for account, facts in part
                for word in (account, pack_facts(facts) if facts is not None else b"")
            ]
            keys = self._keys
            done = await self._link.run(
                PUBLISH,
                (keys.lead, keys.verdicts, keys.table, keys.told),
                (self.lease.fence, VERDICTS_KEPT, LASTS, message, true_at, int(more), self._key,
                 *pairs),
            )  # fmt: skip
            if done is None:
                self._deposed = True
                return
            self.published += len(part)
            for account, facts in part:
                if facts is None:
                    self._table.pop(account, None)
                else:
                    self._table[account] = facts
        self._told = reviews

    async def _save(self) -> None:
        """Keep what was learnt, in the file and in the store."""
        pupil = self.pupil
        if pupil is None or not (pupil.news or time.monotonic() > self._saved_at + _ANEW):
            return
        news, position = pupil.news, pupil.position.sightings
        data = await self._aside(self._frozen, pupil)
        await self._aside(self.archive.save, data)
        try:
            if not await self._shelf.save(data, self.lease.fence, position):
                self._deposed = True
                return
        except StoreError as error:
            self.unsaved += 1
            self._complain(error)
            return
        pupil.news -= news
        self._saved_at = time.monotonic()

    async def _keep(self) -> None:
        """Save what the store was not there to take, at the end; what the file has may be newer."""
        pupil = self.pupil
        if pupil is None or self._deposed or not pupil.news:
            return
        try:
            filed = await self._aside(self.archive.latest)
            known = START if filed is None else position_of(filed.position).sightings
            if later(pupil.position.sightings, known):
                await self._aside(self.archive.save, await self._aside(self._frozen, pupil))
        except Exception as error:
            log.exception("campaigns not saved: %s", type(error).__name__)
        self.archive.release()

    def _frozen(self, pupil: Pupil) -> bytes:
        return freeze(
            pupil.linker, self._secret, saved_at=time.time(), applied=self.archive.applied,
            position=pupil.packed,
        )  # fmt: skip

    def _pupil(self, snapshot: Snapshot) -> Pupil:
        return Pupil(snapshot.linker, position_of(snapshot.position), self.counts, self._tell)

    async def _end(self, stream: bytes) -> bytes:
        """Id of the last entry that ever stood in a stream."""
        if not await self._link.do("EXISTS", stream):
            return START
        told = await self._link.do("XINFO", "STREAM", stream)
        words = list(told)
        last: bytes = words[words.index(b"last-generated-id") + 1]
        return last

    async def _aside(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do what takes long beside the loop, which has a lease to renew."""
        try:
            future = self._worker.submit(work, *args, **kwargs)
        except RuntimeError:
            # The interpreter is ending and starts no threads any more.
            return work(*args, **kwargs)
        return await asyncio.wrap_future(future)

    def _complain(self, error: GuardError) -> None:
        """Once for each reason: what fails goes on failing."""
        if str(error) != self._why:
            self._why = str(error)
            log.error("linker: %s", error)
