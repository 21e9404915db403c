"""Opens MMDB files so that nothing done to the file afterwards can hurt a running guard.

The C reader maps its file into memory; a mapped file that somebody truncates kills the process with
SIGBUS at the next look-up. So the bytes are copied first, into anonymous memory (`memfd_create`) or
an unlinked temporary file, and the copy is mapped. Cost: the file's size in memory per process
(the bundled database: 17 MB) and about 20 ms.

A bounded sample of the copy is then decoded by `Decoder`, which counts what it does: a file that
is cut short, scrambled, cyclic, nested too deep or one whose small records expand to huge ones
through pointers is refused before the C reader is asked anything.
"""

from __future__ import annotations

import hashlib
import io
import mmap
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import maxminddb
import msgspec

from gateway_guard.errors import SourceError

#: Most bytes of one file. The largest commercial databases have about 1.5 GB.
MAX_BYTES: Final = 4 * 1024**3
#: Nodes of the search tree looked at when a file is opened, evenly spread. Two records each.
SAMPLED_NODES: Final = 2_048
#: Deepest nesting of a record. Vendors use 4.
MAX_DEPTH: Final = 32
#: Most values in one record, every pointer followed. A full city record has about 120.
MAX_VALUES: Final = 4_096
_CHUNK: Final = 1 << 20
_MARKER: Final = b"\xab\xcd\xefMaxMind.com"
#: What vendors' downloads begin with.
_PACKED: Final = {b"\x1f\x8b": "gzip", b"PK": "zip"}
#: How far from the end the specification lets the metadata begin.
_METADATA_REACH: Final = 128 * 1024


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """One database in memory.

    Attributes:
        reader: the C reader over the private copy.
        database_type: from the metadata, as the vendor wrote it.
        ip_version: 4 or 6; a version 4 file has no answer for IPv6 addresses.
        build_epoch: Unix seconds, as written; nonsense in some files.
        size: bytes.
        sha256: hex digest of the whole file.
        sample: distinct records found in the sample, decoded.
    """

    reader: Any
    database_type: str
    ip_version: int
    build_epoch: int
    size: int
    sha256: str
    sample: tuple[Any, ...]


def open_file(path: Path) -> Opened:
    """Copy, check and open the file at `path`.

    Raises:
        SourceError: it cannot be read, is too large or is not a sound MMDB file.
    """
    try:
        with path.open("rb") as file:
            return _open(file, str(path))
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error


def open_bytes(data: bytes, name: str) -> Opened:
    """Check and open a file held in memory; `name` stands in the messages of `SourceError`."""
    return _open(io.BytesIO(data), name)


def _open(source: IO[bytes], name: str) -> Opened:
    digest = hashlib.sha256()
    with _private_copy(source, name, digest) as (descriptor, size):
        if size < len(_MARKER):
            raise SourceError(f"{name}: {size} bytes, not an MMDB file")
        try:
            reader = maxminddb.open_database(f"/proc/self/fd/{descriptor}", maxminddb.MODE_AUTO)
        except OSError:
            # No /proc (macOS, a bare chroot): the pure-Python reader over its own copy.
            os.lseek(descriptor, 0, os.SEEK_SET)
            with os.fdopen(os.dup(descriptor), "rb") as copy:
                reader = maxminddb.open_database(copy, maxminddb.MODE_FD)
        except Exception as error:
            raise SourceError(f"{name}: {_unreadable(name, os.pread(descriptor, 2, 0))}") from error
        try:
            metadata = reader.metadata()
            with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as view:
                sample = _check(view, metadata.node_count, metadata.record_size, name)
            return Opened(
                reader=reader,
                database_type=str(metadata.database_type),
                ip_version=int(metadata.ip_version),
                build_epoch=int(metadata.build_epoch),
                size=size,
                sha256=digest.hexdigest(),
                sample=sample,
            )
        except SourceError:
            reader.close()
            raise
        except Exception as error:
            reader.close()
            raise SourceError(f"{name}: damaged: {type(error).__name__}") from error


def _unreadable(name: str, start: bytes) -> str:
    """Why there is no database in the file `name`, which begins with `start`."""
    if start in _PACKED:
        return f"a {_PACKED[start]} file, not an MMDB file: unpack it"
    if name.lower().endswith(".bin"):
        return (
            "a BIN file, not an MMDB file: fetch IP2Location's MMDB edition, or IP2Proxy's CSV for "
            "`gateway-guard network build --ip2proxy`"
        )
    return "not a readable MMDB file (cut short?)"


@contextmanager
def _private_copy(source: IO[bytes], name: str, digest: Any) -> Iterator[tuple[int, int]]:
    """A descriptor of a copy that has no name in any folder, and its size; closed at the end."""
    descriptor = _nameless()
    try:
        size = 0
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > MAX_BYTES:
                raise SourceError(f"{name}: larger than {MAX_BYTES:,} bytes")
            digest.update(chunk)
            written = 0
            while written < len(chunk):
                written += os.write(descriptor, chunk[written:])
        yield descriptor, size
    finally:
        os.close(descriptor)


def _nameless() -> int:
    try:
        return os.memfd_create("gateway-guard-network", os.MFD_CLOEXEC)
    except (AttributeError, OSError):  # not Linux, or forbidden by a sandbox
        descriptor, temporary = tempfile.mkstemp(prefix="gateway-guard-")
        Path(temporary).unlink()
        return descriptor


def _check(view: mmap.mmap, nodes: int, record_size: int, name: str) -> tuple[Any, ...]:
    """The distinct records under an even sample of nodes; raises `SourceError` if one is bad."""
    if record_size not in (24, 28, 32):
        raise SourceError(f"{name}: records of {record_size} bits")
    width = record_size // 4
    tree = nodes * width
    end = view.rfind(_MARKER, max(0, len(view) - _METADATA_REACH))
    data = tree + 16
    if end < data:
        raise SourceError(f"{name}: {nodes:,} nodes do not fit in {len(view):,} bytes (cut short?)")
    if nodes and any(view[tree:data]):
        raise SourceError(f"{name}: no separator behind the search tree: wrong node count")
    places: dict[int, None] = {}
    step = max(1, nodes // SAMPLED_NODES)
    for node in range(0, nodes, step):
        for record in _records(view[node * width : node * width + width], record_size):
            if record <= nodes:
                continue
            place = record - nodes - 16
            if place < 0 or data + place >= end:
                raise SourceError(f"{name}: node {node} points outside the data")
            places[place] = None
    decoder = Decoder(view, data, end)
    try:
        return tuple(decoder.decode(place) for place in places)
    except (ValueError, struct.error) as error:
        raise SourceError(f"{name}: damaged record: {error}") from error


def _records(node: bytes, record_size: int) -> tuple[int, int]:
    if record_size == 28:
        middle = node[3]
        return (
            (middle & 0xF0) << 20 | int.from_bytes(node[:3], "big"),
            (middle & 0x0F) << 24 | int.from_bytes(node[4:], "big"),
        )
    half = record_size // 8
    return int.from_bytes(node[:half], "big"), int.from_bytes(node[half:], "big")


class Decoder:
    """Decodes records with a limit on depth and on values, pointers followed.

    Source: MaxMind DB File Format Specification 2.0, "Output Data Section".
    """

    def __init__(self, view: mmap.mmap | bytes, start: int, end: int) -> None:
        self._view = view
        self._start = start
        self._end = end
        self._left = 0

    def decode(self, place: int) -> Any:
        """The record at `place` of the data section; raises `ValueError` when it is not sound."""
        self._left = MAX_VALUES
        return self._value(self._start + place, 0, via_pointer=False)[0]

    def _value(self, at: int, depth: int, *, via_pointer: bool) -> tuple[Any, int]:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"more than {MAX_VALUES} values in one record")
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
        control = self._bytes(at, 1)[0]
        at += 1
        kind = control >> 5
        if kind == 1:
            if via_pointer:
                raise ValueError("a pointer to a pointer")
            place, at = self._pointer(control, at)
            return self._value(self._start + place, depth + 1, via_pointer=True)[0], at
        if kind == 0:
            kind = self._bytes(at, 1)[0] + 7
            at += 1
        size, at = self._size(control & 31, at)
        if kind == 7:
            return self._map(size, at, depth)
        if kind == 11:
            items = []
            for _ in range(size):
                item, at = self._value(at, depth + 1, via_pointer=False)
                items.append(item)
            return items, at
        if kind == 14:
            if size > 1:
                raise ValueError(f"a boolean of size {size}")
            return bool(size), at
        return self._scalar(kind, self._bytes(at, size)), at + size

    def _map(self, size: int, at: int, depth: int) -> tuple[dict[str, Any], int]:
        found = {}
        for _ in range(size):
            key, at = self._value(at, depth + 1, via_pointer=False)
            if not isinstance(key, str):
                raise ValueError("a key that is not text")
            found[key], at = self._value(at, depth + 1, via_pointer=False)
        return found, at

    def _scalar(self, kind: int, raw: bytes) -> Any:
        if kind == 2:
            return raw.decode()
        if kind in (3, 15):
            if len(raw) != (8 if kind == 3 else 4):
                raise ValueError(f"a floating-point number of {len(raw)} bytes")
            return struct.unpack(">d" if kind == 3 else ">f", raw)[0]
        if kind == 4:
            return raw
        most = {5: 2, 6: 4, 8: 4, 9: 8, 10: 16}.get(kind)
        if most is None:
            raise ValueError(f"unknown type {kind}")
        if len(raw) > most:
            raise ValueError(f"an integer of {len(raw)} bytes where {most} is the most")
        return int.from_bytes(raw, "big", signed=kind == 8 and len(raw) == 4)

    def _pointer(self, control: int, at: int) -> tuple[int, int]:
        extra = (control >> 3 & 3) + 1
        raw = self._bytes(at, extra)
        if extra == 4:
            return int.from_bytes(raw, "big"), at + 4
        high = (control & 7) << 8 * extra
        return high + int.from_bytes(raw, "big") + (0, 2048, 526_336)[extra - 1], at + extra

    def _size(self, size: int, at: int) -> tuple[int, int]:
        if size < 29:
            return size, at
        extra = size - 28
        return (29, 285, 65_821)[extra - 1] + int.from_bytes(self._bytes(at, extra), "big"), (
            at + extra
        )

    def _bytes(self, at: int, size: int) -> bytes:
        if at < self._start or at + size > self._end:
            raise ValueError("runs past the end of the data")
        return self._view[at : at + size]
