"""Choices out of bytes: the same ones for the same bytes, whoever makes them up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Taken:
    """Takes values from the front of `data`; where nothing is left everything is 0 or empty."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        """A number in [0, 255]."""
        at = self._at
        if at >= len(self._data):
            return 0
        self._at = at + 1
        return self._data[at]

    def number(self, octets: int) -> int:
        """A number of so many bytes, big-endian."""
        return int.from_bytes(self.piece(octets), "big")

    def pick(self, options: Sequence[T]) -> T:
        """One of at most 256 options."""
        return options[self.byte() % len(options)]

    def piece(self, length: int) -> bytes:
        """So many bytes, or what is left."""
        piece = self._data[self._at : self._at + length]
        self._at += len(piece)
        return piece

    def some(self) -> bytes:
        """A few bytes, their number before them."""
        return self.piece(self.byte())

    def rest(self) -> bytes:
        """All that is left."""
        return self.piece(len(self._data))

    @property
    def left(self) -> int:
        """Bytes that are left."""
        return len(self._data) - self._at


def cut(data: bytes, where: bytes) -> list[bytes]:
    """`data` in pieces, their lengths taken from the bytes of `where`; joined they are `data`."""
    pieces: list[bytes] = []
    at = 0
    for length in where:
        if at >= len(data):
            break
        pieces.append(data[at : at + length])
        at += length
    return [*pieces, data[at:]]
