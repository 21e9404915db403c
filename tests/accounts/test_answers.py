"""An answer is read whole within its bound, however it is packed."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import brotli
import httpx
import pytest

from gateway_guard.accounts.answers import content
from gateway_guard.errors import SourceError

MOST = 256 * 1024
WORDS = b'{"tier": "scale"}'


def read(body: bytes, *codings: str, piece: int = 65_536) -> bytes:
    """What is read of `body`, sent in pieces under these lines of Content-Encoding."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), piece):
            yield body[start : start + piece]

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200, headers=[("content-encoding", line) for line in codings], content=pieces()
        )

    async def main() -> bytes:
        async with (
            httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client,
            client.stream("GET", "http://directory.test/") as response,
        ):
            return await content(response, MOST)

    return asyncio.run(main())


def bomb(megabytes: int, codings: int) -> bytes:
    """Zeros, packed so many times."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(megabytes)) + packer.flush()
    for _ in range(codings - 1):
        packed = gzip.compress(packed, mtime=0)
    return packed


@pytest.mark.parametrize(
    ("body", "codings"),
    [
        (WORDS, ()),
        (WORDS, ("identity",)),
        (gzip.compress(WORDS, mtime=0), ("gzip",)),
        (zlib.compress(WORDS), ("deflate",)),
        (brotli.compress(WORDS), ("br",)),
        (brotli.compress(gzip.compress(WORDS, mtime=0)), ("gzip, br",)),
        (brotli.compress(gzip.compress(WORDS, mtime=0)), ("gzip", "br")),
    ],
)
def test_an_answer_is_read_however_it_is_packed(body: bytes, codings: tuple[str, ...]) -> None:
    assert read(body, *codings) == WORDS
    assert read(body, *codings, piece=1) == WORDS


@pytest.mark.parametrize(("megabytes", "codings"), [(64, 1), (64, 2)])
def test_an_answer_that_unpacks_to_too_much_is_not_unpacked(megabytes: int, codings: int) -> None:
    packed = bomb(megabytes, codings)
    lines = ("gzip",) * codings
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match=f"unpacks to more than {MOST} bytes"):
            read(packed, *lines)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert len(packed) < MOST
    assert taken < 8 * MOST


@pytest.mark.parametrize(
    ("body", "codings"),
    [
        (WORDS, ("gzip",)),
        (gzip.compress(WORDS, mtime=0)[:-4], ("gzip",)),
        (WORDS, ("compress",)),
        (bomb(0, 3), ("gzip, gzip, gzip",)),
    ],
)
def test_an_answer_that_cannot_be_unpacked_is_a_failure(
    body: bytes, codings: tuple[str, ...]
) -> None:
    with pytest.raises(SourceError, match="cannot be undone"):
        read(body, *codings)


def test_an_answer_that_is_too_large_is_not_read_to_its_end() -> None:
    with pytest.raises(SourceError, match=f"larger than {MOST} bytes"):
        read(bytes(8 * MOST))
