"""Blocks of bytes that only the holder of the guard's secret can make, and nobody can change.

    magic 8 · version 2 · key 16 · length 8 · check 32 · blocks: (length 4 · bytes)…

`key` identifies the secret without giving it away, `check` is a BLAKE2b keyed with it over
everything else. Integers are big-endian.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterable, Iterator
from typing import Final

from gateway_guard.core.credentials import subkey
from gateway_guard.errors import ForeignSnapshotError, OtherVersionError, SnapshotError

VERSION: Final = 1

_MAGIC: Final = b"GGCAMPS\n"
_HEADER: Final = struct.Struct(">8sH16sQ32s")
_LENGTH: Final = struct.Struct(">I")


def key_id(secret: bytes) -> bytes:
    """16 bytes that tell one guard's secret from another's, and nothing else about it."""
    return hashlib.blake2b(key=subkey(secret, b"campaigns id"), digest_size=16).digest()


def seal(blocks: Iterable[bytes], secret: bytes) -> bytes:
    """`blocks` as one piece that only `unseal` with the same `secret` takes."""
    body = b"".join(part for block in blocks for part in (_LENGTH.pack(len(block)), block))
    front = _HEADER.pack(_MAGIC, VERSION, key_id(secret), len(body), b"")
    check = _check(secret, front, body)
    return front[: -len(check)] + check + body


def unseal(data: bytes, secret: bytes) -> Iterator[memoryview]:
    """The blocks that `seal` made `data` of; all of it is checked before the first one comes.

    Raises:
        SnapshotError: it is something else, damaged, or of another secret or version. Says which.
    """
    return _blocks(_body(data, secret))


def _body(data: bytes, secret: bytes) -> bytes:
    if data[: len(_MAGIC)] != _MAGIC[: len(data)] or not data:
        raise SnapshotError("it is no snapshot of campaigns")
    if len(data) < _HEADER.size:
        raise SnapshotError(f"it is cut off within its first {_HEADER.size} bytes")
    _, version, key, length, check = _HEADER.unpack_from(data)
    if version != VERSION:
        raise OtherVersionError(
            f"it has format {version}, and this version of the guard reads format {VERSION}"
        )
    if key != key_id(secret):
        raise ForeignSnapshotError(
            "it was written with another GATEWAY_GUARD_SECRET, or by `replay --snapshot` (which "
            "has a secret of its own, for `campaign` and `account` to read): without that one "
            "its digests mean nothing"
        )
    body = data[_HEADER.size :]
    if len(body) != length:
        raise SnapshotError(f"it should have {length:,} bytes after its head and has {len(body):,}")
    front = data[: _HEADER.size - len(check)] + bytes(len(check))
    if not hmac.compare_digest(check, _check(secret, front, body)):
        raise SnapshotError("it is damaged: its checksum is wrong")
    return body


def _check(secret: bytes, front: bytes, body: bytes) -> bytes:
    hasher = hashlib.blake2b(front, key=subkey(secret, b"campaigns check"), digest_size=32)
    hasher.update(body)
    return hasher.digest()


def _blocks(body: bytes) -> Iterator[memoryview]:
    view, at = memoryview(body), 0
    while at < len(view):
        (length,) = _LENGTH.unpack_from(view, at)
        at += _LENGTH.size
        yield view[at : at + length]
        at += length
