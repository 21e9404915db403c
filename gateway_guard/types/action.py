"""What the guard can do with a request."""

from __future__ import annotations

import enum
from typing import Final


class Action(enum.IntEnum):
    """What the guard does with a request, in rising order of severity.

    `ALLOW` forwards; `RESTRICT` forwards with less; `CHALLENGE` asks for step-up verification;
    `THROTTLE` says come back later (429); `DENY` says don't (403, 451).
    """

    ALLOW = 0
    RESTRICT = 1
    CHALLENGE = 2
    THROTTLE = 3
    DENY = 4

    # `Enum` hashes in Python, on every look-up in a set or dict.
    __hash__ = int.__hash__

    @property
    def word(self) -> str:
        """The action as policies, logs and replay files spell it, e.g. `deny`."""
        return _ACTION_WORDS[self]

    @property
    def refuses(self) -> bool:
        """Whether the request does not reach the upstream."""
        return self >= Action.CHALLENGE

    @classmethod
    def from_word(cls, word: str) -> Action:
        """The action spelled `word`; raises `KeyError` for any other spelling."""
        return _ACTIONS[word]


_ACTION_WORDS: Final = ("allow", "restrict", "challenge", "throttle", "deny")
_ACTIONS: Final = {word: Action(i) for i, word in enumerate(_ACTION_WORDS)}
