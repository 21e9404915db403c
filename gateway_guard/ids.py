"""Request ids: short, unique over processes and hosts, and telling nothing."""

from __future__ import annotations

import os
from collections.abc import Callable

_ALPHABET = b"0123456789abcdefghjkmnpqrstvwxyz"
_LETTERS = bytes(_ALPHABET[byte % 32] for byte in range(256))
_LENGTH = 14
#: Ids made with one call of the system, which costs a microsecond.
_AT_ONCE = 512

_ready: list[str] = []
# Else the children of a process would go on with the same ones.
os.register_at_fork(after_in_child=_ready.clear)


def request_ids() -> Callable[[], str]:
    """A function that makes ids such as `r_7k2m9q0xc4tv1e`: 70 random bits.

    Answers carry them: a count or a time in them would tell every customer how many others there
    are. Of a billion ids two are the same with a probability of 1 in 2,000.
    """

    def make() -> str:
        while True:
            try:
                return _ready.pop()
            except IndexError:
                letters = os.urandom(_AT_ONCE * _LENGTH).translate(_LETTERS).decode()
                _ready.extend(
                    f"r_{letters[at : at + _LENGTH]}" for at in range(0, len(letters), _LENGTH)
                )

    return make
