"""The body as a parser finds it in one read of a socket, piece by piece.

A method of a protocol's own for each piece would cost three to four times as much, and chunks may
be one byte long.
"""

from __future__ import annotations

from typing import Final

#: Pieces in one read after which no more is to be read before these are taken. One read can bring
#: 43,000 chunks of one byte, 8 ms, and a turn of the loop up to 32 reads.
MOST: Final = 1000


class Pieces(list[bytes]):
    """Its `append` is what the parser calls."""

    def take(self) -> tuple[bytes, bool]:
        """All of them as one, at least one being there, and whether they were over `MOST`."""
        count = len(self)
        body = self[0] if count == 1 else b"".join(self)
        self.clear()
        return body, count > MOST
