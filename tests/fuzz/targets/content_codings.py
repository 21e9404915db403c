"""Content codings are undone as their own libraries undo them, within the bound, or the body is
unknown: nothing cut, doubled or trailing is read."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import Final

import brotli
import zstandard

from gateway_guard.core.body import decoded
from gateway_guard.types import Inspection
from tests.fuzz.taken import Taken

WORDS = (
    b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd", b"\x78\x9c", b"\x78\x01", b"\x0b\x01\x80", b"\x03",
    gzip.compress(b"{}", mtime=0), zlib.compress(b"{}"), brotli.compress(b"{}"),
    zstandard.compress(b"{}"), b"\x50\x2a\x4d\x18\x00\x00\x00\x00", gzip.compress(b"", mtime=0),
)  # fmt: skip
#: Most bytes decoded to.
LIMIT: Final = 4096
_PACK: Final[dict[bytes, Callable[[bytes], bytes]]] = {
    b"gzip": lambda data: gzip.compress(data, 1, mtime=0),
    b"deflate": lambda data: zlib.compress(data, 1),
    b"br": lambda data: brotli.compress(data, quality=1),
    b"zstd": lambda data: zstandard.compress(data, 1),
}
_NAMES: Final = tuple(_PACK)
_LINES: Final[tuple[tuple[bytes, ...], ...]] = (
    *((name,) for name in _NAMES), (b"x-gzip",), (b"GZIP ",), (b"identity",), (b"gzip, br",),
    (b"gzip", b"zstd"), (b"gzip,gzip,gzip",), (b"compress",), (b"",), (b"gzip,",),
)  # fmt: skip


def _unpack(name: bytes, data: bytes) -> bytes | None:
    """By each library's whole-input reader; None where it refuses."""
    try:
        if name == b"gzip":
            return gzip.decompress(data)
        if name == b"deflate":
            return zlib.decompress(data)
        if name == b"br":
            out: bytes = brotli.decompress(data)
            return out
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    except (OSError, EOFError, zlib.error, brotli.error, zstandard.ZstdError):
        return None


def target(data: bytes) -> None:
    """Which coding, how much to cut or add, then a body before or after coding."""
    taken = Taken(data)
    lines, spoil, name = taken.pick(_LINES), taken.byte(), taken.pick(_NAMES)
    rest = taken.rest()

    found = decoded(rest, lines, LIMIT)

    if isinstance(found, bytes):
        assert len(found) <= LIMIT or found is rest
        if len(lines) == 1 and lines[0] in _PACK:
            assert _unpack(lines[0], rest) == found
    else:
        assert found in (Inspection.ENCODING, Inspection.TOO_LARGE)
    packed = _PACK[name](rest)
    whole = decoded(packed, (name,), LIMIT)
    # Some of zlib's own output starts with what raw deflate can be, too.
    assert whole == (rest if len(rest) <= LIMIT else Inspection.TOO_LARGE) or name == b"deflate"
    for broken in (packed[: len(packed) - 1 - spoil % len(packed)], packed + rest[:1] + b"\x00"):
        assert isinstance(decoded(broken, (name,), LIMIT), Inspection), (name, broken)
    assert isinstance(decoded(packed + packed, (name,), LIMIT), Inspection)
    bomb = _PACK[name](_PACK[name](bytes(LIMIT * 64)))
    assert isinstance(decoded(bomb, (name, name), LIMIT), Inspection)
