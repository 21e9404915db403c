"""Reads a compressed response beside the stream, piece by piece and within bounds."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import brotli
import zstandard

#: Most bytes one response may decode to before it is read no further.
_MOST: Final = 64 * 1024 * 1024
#: Compressed bytes decoded at a time: bounds what one call can blow up to (zstd: about 8 MB).
_BITE: Final = 256


class Decoder:
    """Decodes one response, incrementally.

    Attributes:
        failed: the coding was broken or decoded to too much; nothing more comes.
    """

    __slots__ = ("_decode", "_left", "failed")

    def __init__(self, decode: Callable[[bytes], bytes]) -> None:
        self._decode = decode
        self._left = _MOST
        self.failed = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """What `chunk` decodes to, in pieces."""
        for start in range(0, len(chunk), _BITE):
            if self.failed:
                return
            try:
                plain = self._decode(chunk[start : start + _BITE])
            except (zlib.error, brotli.error, zstandard.ZstdError, EOFError):
                self.failed = True
                return
            self._left -= len(plain)
            if self._left < 0:
                self.failed = True
            elif plain:
                yield plain


def _inflate() -> Callable[[bytes], bytes]:
    """HTTP's `deflate`: zlib, or, as some servers send, raw."""
    state: Any = None

    def decode(data: bytes) -> bytes:
        nonlocal state
        if state is None:
            # A zlib header's first byte names method 8 in its low half (RFC 1950 §2.2).
            zlib_wrapped = data[0] & 0x0F == 8
            state = zlib.decompressobj(15 if zlib_wrapped else -15)
        plain: bytes = state.decompress(data)
        return plain

    return decode


def _brotli() -> Callable[[bytes], bytes]:
    process: Callable[[bytes], bytes] = brotli.Decompressor().process
    return process


def _zstd() -> Callable[[bytes], bytes]:
    return zstandard.ZstdDecompressor(max_window_size=8 * 1024 * 1024).decompressobj().decompress


def decoder_for(coding: bytes) -> Decoder | None:
    """A decoder for one content coding, lower case; None for a coding nobody can read here."""
    if coding in {b"gzip", b"x-gzip"}:
        return Decoder(zlib.decompressobj(31).decompress)
    if coding == b"deflate":
        return Decoder(_inflate())
    if coding == b"br":
        return Decoder(_brotli())
    if coding == b"zstd":
        return Decoder(_zstd())
    return None
