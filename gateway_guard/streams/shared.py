"""One guard among many: what it saw goes to the linker, what the linker says comes back.

Everything that waits for the server does so on a thread of its own: a request only puts its
sighting into a queue, and looks a verdict up in a dictionary.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from gateway_guard.campaigns.digests import sighting_of
from gateway_guard.campaigns.memory import ROOMY, Bounds
from gateway_guard.linking import address_key
from gateway_guard.record.herald import Herald
from gateway_guard.record.snapshots import SnapshotFile
from gateway_guard.stores.connect import parse_address
from gateway_guard.streams.archive import Archive
from gateway_guard.streams.following import Follower
from gateway_guard.streams.heart import Heart
from gateway_guard.streams.keys import Keys, fingerprint
from gateway_guard.streams.leading import Leader
from gateway_guard.streams.lease import Lease
from gateway_guard.streams.link import Link
from gateway_guard.streams.mint import SharedMint
from gateway_guard.streams.published import publish_guard, publish_leader
from gateway_guard.streams.register import SharedRegister
from gateway_guard.streams.sending import Sender
from gateway_guard.streams.told import Told
from gateway_guard.types import CampaignFacts, Exchange

if TYPE_CHECKING:
    from gateway_guard.record.metrics import Metrics

log = logging.getLogger(__name__)

#: Seconds the thread gets to send what waits and to save.
_ENDING: Final = 10.0


class SharedLinking:
    """Stands where `linking.Linking` stands, with the linker somewhere else, or here.

    Nothing here raises after construction. The thread starts with the first question or sighting,
    or with `start`: threads do not survive a fork.

    Attributes:
        sender, follower, heart: its parts.
        register: which accounts met a challenge.
        mint: client secrets that accounts had made.
        leader: the linker, where it may run here; None where it may not.
        reload: reads policy and data again, on another thread; called when people ask all guards
            to. None where nobody does it.

    Args:
        uri: of the store, as `stores.connect` reads it.
        secret: key of all digests; the same for all guards of the store.
        namespace: as the store's.
        policy: the digest of the policy in force.
        asked: whether that policy wants campaigns found.
        leads: whether the linker may run here while no `gateway-guard linker` does.
        file: where it is kept then, besides in the store; None for nowhere.
        bounds: how much it may remember then.
        herald: tells somebody then of campaigns held and let go; closed with this. None for nobody.
        queue: most sightings that wait.

    Raises:
        SettingsError: the store cannot be used.
        SnapshotError: the file cannot be taken over.
    """

    def __init__(
        self,
        uri: str,
        secret: bytes,
        *,
        namespace: str = "gg",
        policy: Callable[[], str] = lambda: "",
        asked: Callable[[], bool] = lambda: True,
        leads: bool = True,
        file: SnapshotFile | None = None,
        bounds: Bounds = ROOMY,
        herald: Herald | None = None,
        queue: int = 20_000,
    ) -> None:
        self.reload: Callable[[], bool] | None = None
        self.herald = herald
        self._asked = asked
        self._addresses = address_key(secret)
        self._address = parse_address(uri)
        self._keys = Keys(namespace)
        self._key = fingerprint(secret)
        #: One for what is asked and answered, one for who waits for news, one for the linker.
        self._links = [Link(self._address) for _ in range(3 if leads else 2)]
        self._told = Told()
        self.sender = Sender(self._links[0], self._keys, secret, queue=queue)
        #: Which accounts met a challenge; asked from the loop that serves, not from the thread.
        self.register = SharedRegister(self._address, self._keys, self._key)
        self.mint = SharedMint(self._address, self._keys, self._key)
        self.follower = Follower(
            self._links[1], self._keys, self._key, self._told, standing=self.register.standing,
            reload=self._reload, minted=self.mint.hear,
        )  # fmt: skip
        self.heart = Heart(self._links[0], self._keys, self._key, policy=policy)
        self.leader: Leader | None = None
        if leads:
            link = self._links[2]
            self.leader = Leader(
                link, self._keys, self._key, secret,
                Lease(link, self._keys, self._key, dedicated=False),
                archive=Archive(file, secret, bounds), asked=asked,
                tell=herald.tell if herald is not None else None,
            )  # fmt: skip
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._current = threading.Event()
        self._started = threading.Event()
        self._lock = threading.Lock()
        self._ended = False
        self._thread: threading.Thread | None = None

    @property
    def trouble(self) -> str | None:
        """What an operator should know; None when all is well."""
        if self.leader is not None and self.leader.trouble is not None:
            return self.leader.trouble
        if self.follower.skipped.get("secret"):
            return "campaigns are learnt with another GATEWAY_GUARD_SECRET; verdicts are ignored"
        if self.follower.skipped.get("version"):
            return "what guards of another version tell is not understood here; the log says more"
        if self._thread is not None and not self.follower.current:
            return "verdicts on campaigns cannot be followed; the last ones stay"
        return None

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Table → (entries, most there may be)."""
        found = {"sightings_queue": (self.sender.waiting, self.sender.most)}
        pupil = self.leader.pupil if self.leader is not None else None
        if pupil is not None:
            memory = pupil.linker.memory
            found["campaign_accounts"] = (len(memory.traces), memory.bounds.accounts)
        return found

    def position(self) -> dict[str, object]:
        """How far what is sent, followed and, where it is here, linked is; for a diagnostic
        snapshot.
        """
        follower, leader = self.follower, self.leader
        here = leader is not None and leader.lease.held
        found: dict[str, object] = {
            "linker": "here" if here else "elsewhere",
            "waiting": self.sender.waiting,
            "dropped": self.sender.dropped,
            "verdicts_current": follower.current,
            "verdicts": len(follower.told.facts),
            "guards": len(self.heart.peers),
        }
        pupil = leader.pupil if leader is not None else None
        if leader is not None and pupil is not None:
            found |= {
                "fence": leader.lease.fence,
                "caught_up": leader.caught_up,
                "lag_milliseconds": leader.lag,
                "sightings_at": pupil.position.sightings.decode("ascii"),
                "reviews_at": pupil.position.reviews.decode("ascii"),
            }
        return found

    def facts(self, account: str) -> CampaignFacts | None:
        """The campaign `account` is held to belong to; None for none."""
        if self._thread is None:
            self.start()
        return self._told.facts.get(account)

    def write(self, exchange: Exchange) -> None:
        """Send what is to be learnt of a settled exchange."""
        if not self._asked():
            return
        seen = sighting_of(exchange, self._addresses)
        if seen is None:
            return
        self.sender.put(seen)
        if self._thread is None:
            self.start()

    def start(self) -> None:
        """Begin to follow; a second call does nothing."""
        with self._lock:
            if self._thread is not None or self._ended:
                return
            # Without a lifespan nobody calls close(); what was seen must still leave.
            atexit.register(self.close)
            self._thread = threading.Thread(target=self._run, name="campaigns", daemon=True)
            self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Start, and wait for the verdicts in force, at most so long; whether they are here."""
        self.start()
        return self._current.wait(seconds)

    def publish(self, metrics: Metrics) -> None:
        """Show what goes out and comes in among `metrics`."""
        publish_guard(metrics, self.sender, self.follower, self.heart, self.mint)
        if self.leader is not None:
            publish_leader(metrics, self.leader)
        if self.herald is not None:
            self.herald.publish(metrics)

    def close(self) -> None:
        """Send what waits, save what was learnt here, end the thread. Blocks, at most 10 s; a
        second call does nothing.
        """
        with self._lock:
            if self._ended:
                return
            self._ended = True
            thread = self._thread
        atexit.unregister(self.close)
        if thread is not None:
            self._stopped(thread)
        if self.herald is not None:
            self.herald.close()

    def _stopped(self, thread: threading.Thread) -> None:
        # It may not have come far enough yet to be told.
        self._started.wait(_ENDING)
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None:
            # It may have ended by itself in between.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(stop.set)
        thread.join(_ENDING)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception as error:
            log.exception("campaigns are not followed any more: %s", type(error).__name__)
        finally:
            self.follower.current = False

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        stop = self._stop = asyncio.Event()
        self._started.set()
        self.sender.begin()
        works = [self.sender.run(stop), self.follower.run(stop),
                 self.heart.run(stop, self.sender.guard), self._watch(stop)]  # fmt: skip
        if self.leader is not None:
            works.append(self.leader.run(stop))
        try:
            await asyncio.gather(*works)
        finally:
            for link in self._links:
                await link.close()

    async def _watch(self, stop: asyncio.Event) -> None:
        """Say when the verdicts in force are here."""
        arriving, stopping = map(asyncio.create_task, (self.follower.arrived.wait(), stop.wait()))
        await asyncio.wait({arriving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if self.follower.arrived.is_set():
            self._current.set()
        arriving.cancel()
        stopping.cancel()

    async def _reload(self) -> None:
        if self.reload is not None:
            good = await asyncio.to_thread(self.reload)
            log.info("reload asked for" if good else "reload failed, last good one stays")
