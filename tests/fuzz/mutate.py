"""Inputs from inputs, blindly: what no coverage guides. Deterministic for a given generator."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

#: Bytes that mean something to one reader or another.
_TELLING: Final = (
    b"\x00\x01\x0a\x0d\x1f\x20\"%',-./0129:;<=>?@[\\]_{|}~\x7f\x80\xbf\xc0\xe2\xf0\xff"
)


def mutated(
    data: bytes, others: Sequence[bytes], words: Sequence[bytes], luck: random.Random
) -> bytes:
    """`data` after one to four changes; `others` are spliced in, `words` inserted."""
    for _ in range(luck.choice((1, 1, 2, 4))):
        at = luck.randint(0, len(data))
        data = luck.choice(_CHANGES)(data, at, others, words, luck)
    return data


_Change = Callable[[bytes, int, Sequence[bytes], Sequence[bytes], random.Random], bytes]


def _flip(data: bytes, at: int, _o: object, _w: object, luck: random.Random) -> bytes:
    if at >= len(data):
        return data
    return data[:at] + bytes((data[at] ^ (1 << luck.randrange(8)),)) + data[at + 1 :]


def _telling(data: bytes, at: int, _o: object, _w: object, luck: random.Random) -> bytes:
    keep = luck.randrange(2)
    return data[:at] + bytes((luck.choice(_TELLING),)) + data[at + keep :]


def _drop(data: bytes, at: int, _o: object, _w: object, luck: random.Random) -> bytes:
    return data[:at] + data[at + luck.choice((1, 1, 2, 4, 16)) :]


def _repeat(data: bytes, at: int, _o: object, _w: object, luck: random.Random) -> bytes:
    piece = data[at : at + luck.choice((1, 2, 8, 32))]
    return data[:at] + piece * luck.choice((2, 2, 3, 40)) + data[at:]


def _cut(data: bytes, at: int, _o: object, _w: object, luck: random.Random) -> bytes:
    return data[:at] if luck.randrange(2) else data[at:]


def _splice(
    data: bytes, at: int, others: Sequence[bytes], _w: object, luck: random.Random
) -> bytes:
    other = luck.choice(others) if others else b""
    start = luck.randint(0, len(other))
    return data[:at] + other[start : start + luck.randint(0, 64)] + data[at:]


def _word(data: bytes, at: int, _o: object, words: Sequence[bytes], luck: random.Random) -> bytes:
    word = luck.choice(words) if words else b""
    return data[:at] + word + data[at + luck.choice((0, 0, len(word))) :]


_CHANGES: Final[tuple[_Change, ...]] = (
    _flip, _telling, _telling, _drop, _repeat, _cut, _splice, _word, _word,
)  # fmt: skip
