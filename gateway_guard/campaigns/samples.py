"""Text of templates, for operators who turned on `keep_samples`: little of it, and not for long.

The only place where text of a prompt is kept at all. It is in memory only: never in a snapshot, a
log, a metric or a decision.
"""

from __future__ import annotations

from typing import Final

from gateway_guard.campaigns.sighting import Sighting

#: Most samples kept at once, and how long one is kept after its last use; seconds.
MOST: Final = 256
AGE: Final = 7 * 86400.0
#: Most content keys of which the first organisation is remembered, to tell when a second comes.
_FIRST: Final = 4096


class Samples:
    """Content key → how the latest prompt with it began, where several organisations use the key.

    Of a key that one organisation alone uses no text is kept. Bounded: at most `MOST` samples of at
    most 400 characters (see `keep_samples`); the longest unused goes first.
    """

    def __init__(self) -> None:
        #: Longest unused first: (Unix seconds of the last use, text).
        self._kept: dict[int, tuple[float, str]] = {}
        self._first: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def note(self, seen: Sighting) -> None:
        """Take in an exchange; nothing is kept of one without a sample."""
        self.expire(seen.at)
        sample = seen.sample
        if sample is None:
            return
        who = seen.organisation or seen.account
        kept, first = self._kept, self._first
        for key in seen.keys:
            if key not in kept:
                if first.setdefault(key, who) == who:
                    if len(first) > _FIRST:
                        del first[next(iter(first))]
                    continue
                del first[key]
                if len(kept) >= MOST:
                    del kept[next(iter(kept))]
            else:
                del kept[key]
            kept[key] = seen.at, sample

    def of(self, key: int, now: float) -> str | None:
        """The sample of `key` at `now` (Unix seconds); None when there is none, or none so new."""
        at, text = self._kept.get(key, (float("-inf"), ""))
        return text if now - at <= AGE else None

    def expire(self, now: float) -> None:
        """Forget what was not used for `AGE` before `now`, Unix seconds."""
        kept = self._kept
        while kept:
            key = next(iter(kept))
            if now - kept[key][0] <= AGE:
                return
            del kept[key]
