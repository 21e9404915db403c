"""What form a response has, and what a compressed one says, read beside the stream, bounded."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import IO, Final, cast

import brotli
import zstandard

from gateway_guard.core.usage_frames import Frames

#: Most bytes one response may decode to before it is read no further.
_MOST: Final = 64 * 1024 * 1024
#: Most bytes it may decode to for each byte that came, and how many are always allowed. Streams of
#: chat compress 50 (gzip) to 75 times (br), measured on 20,000 events of one word each, because all
#: their names repeat; bombs compress 1,000 times and more. Envoy's decompressor stops at 100, too.
_GROWTH: Final = 100
_ALWAYS: Final = 1024 * 1024
#: Most bytes one chunk may decode to: what others wait for. Decoding and reading the worst takes
#: 16 to 25 ms on a busy machine. Where more of an honest stream comes at once, it counts as one
#: nobody can read.
_AT_ONCE: Final = 1536 * 1024
#: Compressed bytes decoded at a time, and most bytes those may decode to: bounds what one call can
#: blow up to.
_BITE: Final = 256
_MOUTHFUL: Final = 1024 * 1024

#: What a member of gzip's begins with.
_MEMBER: Final = 0x1F

_BROKEN: Final = (zlib.error, brotli.error, zstandard.ZstdError, EOFError)


#: How to read a response: as server-sent events, as one document, not at all, as lines of JSON.
SSE: Final = 0
JSON: Final = 1
OPAQUE: Final = 2
LINES: Final = 3
#: What Amazon wraps lines of JSON in, taken for a coding of them. A capital, which no coding that
#: a header names has here.
_FRAMES: Final = b"Frames"
_LINE_TYPES: Final = frozenset((
    b"application/x-ndjson", b"application/ndjson", b"application/jsonl",
    b"application/x-jsonlines", b"application/stream+json",
))  # fmt: skip


@lru_cache(maxsize=256)
def form(content_type: bytes, content_encoding: bytes) -> tuple[int, bytes]:
    """How to read a response, and its content coding, empty for none."""
    kind = content_type.partition(b";")[0].strip().lower()
    coding = content_encoding.strip().lower()
    if coding == b"identity":
        coding = b""
    if kind == b"text/event-stream":
        return SSE, coding
    if kind in _LINE_TYPES:
        return LINES, coding
    if kind == b"application/vnd.amazon.eventstream" and not coding:
        return LINES, _FRAMES
    return (JSON if not kind or b"json" in kind else OPAQUE), coding


_PLAIN_JSON: Final = (JSON, b"")


@lru_cache(maxsize=256)
def is_plain_json(content_type: bytes, content_encoding: bytes) -> bool:
    """Whether `usage_whole.usage_of` reads such a response when it comes in one piece."""
    return form(content_type, content_encoding) == _PLAIN_JSON


class Decoder:
    """Decodes one response, incrementally.

    Args:
        decode: what the next compressed bytes decode to; beyond `_MOUTHFUL` bytes it may stop.

    Attributes:
        failed: the coding was broken or decoded to too much; nothing more comes.
    """

    __slots__ = ("_decode", "_left", "_spare", "failed")

    def __init__(self, decode: Callable[[bytes], bytes]) -> None:
        self._decode = decode
        self._left = _MOST
        self._spare = _ALWAYS
        self.failed = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """What `chunk` decodes to, in pieces."""
        size = len(chunk)
        self._spare = min(self._spare + _GROWTH * size, _AT_ONCE)
        for start in range(0, size, _BITE):
            if self.failed:
                return
            try:
                plain = self._decode(chunk[start : start + _BITE])
            except _BROKEN:
                self.failed = True
                return
            self._left -= len(plain)
            self._spare -= len(plain)
            if len(plain) > _MOUTHFUL or self._left < 0 or self._spare < 0:
                self.failed = True
            elif plain:
                yield plain


def _zlib(wbits: int) -> Callable[[bytes], bytes]:
    stream = zlib.decompressobj(wbits)

    def decode(data: bytes) -> bytes:
        # What follows the end is no part of it, and zlib would copy all of it each time.
        return b"" if stream.eof else stream.decompress(data, _MOUTHFUL + 1)

    return decode


def _gzip() -> Callable[[bytes], bytes]:
    """Members one after another, as some servers send an event each (RFC 1952 §2.2)."""
    stream = zlib.decompressobj(31)
    over = False

    def decode(data: bytes) -> bytes:
        nonlocal stream, over
        plain = b""
        while data and not over:
            if not stream.eof:
                plain += stream.decompress(data, _MOUTHFUL + 1)
                data = stream.unused_data
            elif data[0] == _MEMBER:
                stream = zlib.decompressobj(31)
            else:
                # Padding, which is no part of it.
                over = True
        return plain

    return decode


def _inflate() -> Callable[[bytes], bytes]:
    """HTTP's `deflate`: zlib, or, as some servers send, raw."""
    inner: Callable[[bytes], bytes] | None = None

    def decode(data: bytes) -> bytes:
        nonlocal inner
        if inner is None:
            # A zlib header's first byte names method 8 in its low half (RFC 1950 §2.2).
            inner = _zlib(15 if data[0] & 0x0F == 8 else -15)
        return inner(data)

    return decode


def _brotli() -> Callable[[bytes], bytes]:
    process: Callable[..., bytes] = brotli.Decompressor().process

    def decode(data: bytes) -> bytes:
        return process(data, output_buffer_limit=_MOUTHFUL + 1)

    return decode


class _Plain:
    """Where zstandard puts what it decodes, 64 KiB at a time: its decoders know no limit."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.size = 0

    def write(self, piece: bytes) -> int:
        """Keep one piece.

        Raises:
            EOFError: there is too much of it.
        """
        self.size += len(piece)
        if self.size > _MOUTHFUL:
            raise EOFError
        self.pieces.append(piece)
        return len(piece)


def _zstd() -> Callable[[bytes], bytes]:
    plain = _Plain()
    decompressor = zstandard.ZstdDecompressor(max_window_size=8 * 1024 * 1024)
    # All it needs is `write`.
    writer = decompressor.stream_writer(cast("IO[bytes]", plain), write_size=64 * 1024)

    def decode(data: bytes) -> bytes:
        plain.size = 0
        plain.pieces.clear()
        writer.write(data)
        return b"".join(plain.pieces)

    return decode


#: What undoes something around a response, piece by piece.
Unwrapping = Decoder | Frames


def decoder_for(coding: bytes) -> Unwrapping | None:
    """A decoder for one content coding, lower case; None for a coding nobody can read here."""
    if coding in {b"gzip", b"x-gzip"}:
        return Decoder(_gzip())
    if coding == b"deflate":
        return Decoder(_inflate())
    if coding == b"br":
        return Decoder(_brotli())
    if coding == b"zstd":
        return Decoder(_zstd())
    if coding == _FRAMES:
        return Frames()
    return None
