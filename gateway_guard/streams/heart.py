"""Who is there: each guard says so every few seconds, and hears of the others."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from typing import Final

import msgspec

from gateway_guard import __version__
from gateway_guard.errors import StoreError
from gateway_guard.streams.keys import LASTS, Keys
from gateway_guard.streams.link import Link, until
from gateway_guard.streams.scripts import BEAT
from gateway_guard.streams.wire import Beat, pack_beat, read_beat

log = logging.getLogger(__name__)

#: Seconds between two signs of life; at once when the policy has changed.
EVERY: Final = 5.0
#: Seconds between two looks at whether it has.
_LOOK: Final = 0.5
#: Seconds after which who is silent is gone.
GONE: Final = 20.0
#: Most guards listed.
_MOST: Final = 5_000


class Peer(msgspec.Struct, frozen=True, gc=False):
    """A guard that is there.

    Attributes:
        name: 16 digits that name this start of it.
        age: seconds since its last sign of life.
        beat: what it says of itself.
    """

    name: str
    age: float
    beat: Beat


class Heart:
    """One guard's sign of life, and what it hears of others.

    Attributes:
        peers: every guard there is, this one included, as of the last look.
    """

    def __init__(self, link: Link, keys: Keys, key: bytes, *, policy: Callable[[], str]) -> None:
        """`key` is the secret's fingerprint; `policy` gives the digest of the policy in force."""
        self.peers: tuple[Peer, ...] = ()
        self._link = link
        self._keys = keys
        self._key = key
        self._name = ""
        self._policy = policy
        self._differed: frozenset[str] = frozenset()

    @property
    def other_policy(self) -> int:
        """Guards whose policy is another than this one's."""
        mine = self._policy()
        return sum(peer.beat.policy != mine for peer in self.peers)

    @property
    def other_secret(self) -> int:
        """Guards whose secret is another than this one's."""
        return sum(peer.beat.key != self._key for peer in self.peers)

    async def run(self, stop: asyncio.Event, guard: bytes) -> None:
        """Beat until told to stop, then say goodbye. `guard` names this start of this guard; who
        only listens gives none.
        """
        self._name = guard.hex()
        label = f"{socket.gethostname()}:{os.getpid()}"
        said, due = "", 0.0
        while True:
            due -= _LOOK
            if due <= 0.0 or said != self._policy():
                try:
                    said = self._policy()
                    await self.beat(Beat(label, said, __version__, self._key))
                except StoreError:
                    self.peers = ()
                else:
                    self._compare()
                due = EVERY
            if await until(stop, _LOOK):
                break
        try:
            await self.beat(None)
        except StoreError:
            return

    async def beat(self, beat: Beat | None) -> None:
        """Say `beat`, None for goodbye, and hear who is there.

        Raises:
            StoreError: the server cannot be reached.
        """
        data = pack_beat(beat) if beat is not None else b""
        self.peers = await listen(self._link, self._keys, self._name, data)

    def _compare(self) -> None:
        mine = self._policy()
        others = {p.beat.label: p.beat.policy for p in self.peers if p.beat.policy != mine}
        differed = frozenset(others.values())
        if differed != self._differed:
            if differed:
                shown = ", ".join(f"{label} {digest[:12]}" for label, digest in others.items())
                log.warning("guards with another policy than %s: %s", mine[:12], shown)
            else:
                log.info("all guards have the policy %s", mine[:12])
        self._differed = differed


async def listen(link: Link, keys: Keys, name: str = "", data: bytes = b"") -> tuple[Peer, ...]:
    """Every guard that is there; `name` says `data` first.

    Raises:
        StoreError: the server cannot be reached.
    """
    answer = await link.run(
        BEAT, (keys.guards, keys.reviews), (name, data, round(GONE * 1_000), _MOST, LASTS)
    )
    found = []
    for who, age, said in zip(answer[::3], answer[1::3], answer[2::3], strict=True):
        beat = read_beat(said)
        if beat is not None:
            found.append(Peer(who.decode("ascii", "replace"), int(age) / 1_000, beat))
    return tuple(sorted(found, key=lambda peer: peer.beat.label))
