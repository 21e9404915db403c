"""How often somebody may be wrong about a token of the admin port before the answer is to wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cachetools import TTLCache

#: Wrong tokens from one address, and the seconds in which so many are too many. A person who
#: mistypes one needs fewer; who guesses tokens of 128 bits gets nowhere either way. Not measured.
MOST: Final = 10
WINDOW: Final = 60.0
#: Most addresses remembered; the one that was wrong longest ago goes first.
_MOST_PEERS: Final = 4096


class Attempts:
    """Wrong tokens, by the address they came from (`Access.source`). `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        #: peer → (wrong tokens, when the first of them came).
        self._wrong: TTLCache[str | None, tuple[int, float]] = TTLCache(
            _MOST_PEERS, WINDOW, timer=clock
        )

    def wait(self, peer: str | None) -> float:
        """Seconds until `peer` may try a token again; 0.0 when it may now."""
        count, since = self._wrong.get(peer, (0, 0.0))
        return max(since + WINDOW - self._clock(), 0.0) if count >= MOST else 0.0

    def failed(self, peer: str | None) -> None:
        """Note a wrong token."""
        now = self._clock()
        count, since = self._wrong.get(peer, (0, now))
        if now - since >= WINDOW:
            count, since = 0, now
        self._wrong[peer] = min(count + 1, MOST), since
