"""Writes MMDB files: disjoint ranges in, the bytes of a MaxMind DB 2.0 file out.

Source: MaxMind DB File Format Specification 2.0 (github.com/maxmind/MaxMind-DB). Why our own: the
usual writer inserts prefix by prefix, lets a later one overwrite an earlier one, and needs minutes
for half a million of them. This one takes ranges that are flat already, in order, and lays each
node down once, so the nodes of one look-up lie near each other.

The same ranges and metadata always give the same bytes.
"""

from __future__ import annotations

import array
import struct
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from gateway_guard.network.ranges import prefixes

#: What a record may hold.
Value = str | int | float | bool | bytes | Mapping[str, "Value"] | list["Value"]

_METADATA_MARKER: Final = b"\xab\xcd\xefMaxMind.com"
_STRING, _DOUBLE, _BYTES, _UINT16, _UINT32, _MAP = 2, 3, 4, 5, 6, 7
_UINT64, _UINT128, _ARRAY, _BOOLEAN = 9, 10, 11, 14
#: Below this, a string is cheaper repeated than pointed at (a pointer takes 2 to 5 bytes).
_SHORTEST_SHARED: Final = 3
_EMPTY: Final = -1


class Encoder:
    """Encodes values into one data section; equal strings and equal records are stored once."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._strings: dict[str, int] = {}
        self._records: dict[bytes, int] = {}

    def record(self, value: Value) -> int:
        """Where in `data` the record `value` begins; the same place for an equal record."""
        # Strings first: then equal records encode to equal bytes, pointers and all.
        self._share(value)
        encoded = self._encode(value)
        place = self._records.get(encoded)
        if place is None:
            place = self._records[encoded] = len(self.data)
            self.data += encoded
        return place

    def _share(self, value: Value) -> None:
        if isinstance(value, str):
            if value not in self._strings and len(value) >= _SHORTEST_SHARED:
                self._strings[value] = len(self.data)
                self.data += _text(value)
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                self._share(key)
                self._share(inner)
        elif isinstance(value, list):
            for inner in value:
                self._share(inner)

    def _encode(self, value: Value) -> bytes:
        if isinstance(value, str):
            place = self._strings.get(value)
            if place is not None:
                return _pointer(place)
            return _text(value)
        if isinstance(value, bool):
            return _head(_BOOLEAN, int(value))
        if isinstance(value, int):
            return _integer(value)
        if isinstance(value, float):
            return _head(_DOUBLE, 8) + struct.pack(">d", value)
        if isinstance(value, bytes):
            return _head(_BYTES, len(value)) + value
        if isinstance(value, Mapping):
            inner = b"".join(self._encode(k) + self._encode(v) for k, v in value.items())
            return _head(_MAP, len(value)) + inner
        return _head(_ARRAY, len(value)) + b"".join(map(self._encode, value))


def _integer(value: int, kind: int | None = None) -> bytes:
    if value < 0:
        raise ValueError(f"{value} is negative; MMDB records here hold unsigned integers")
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
    if kind is None:
        kind = _UINT16 if len(raw) <= 2 else _UINT32 if len(raw) <= 4 else _UINT64
        kind = _UINT128 if len(raw) > 8 else kind
    return _head(kind, len(raw)) + raw


def _head(kind: int, size: int) -> bytes:
    """A control byte, the extended type if any, and the extended size if any."""
    if size < 29:
        short, more = size, b""
    elif size < 285:
        short, more = 29, bytes([size - 29])
    elif size < 65_821:
        short, more = 30, (size - 285).to_bytes(2, "big")
    else:
        short, more = 31, (size - 65_821).to_bytes(3, "big")
    if kind > 7:
        return bytes([short, kind - 7]) + more
    return bytes([kind << 5 | short]) + more


def _pointer(place: int) -> bytes:
    if place < 2048:
        return bytes([0x20 | place >> 8, place & 0xFF])
    if place < 526_336:
        place -= 2048
        return bytes([0x28 | place >> 16]) + (place & 0xFFFF).to_bytes(2, "big")
    if place < 134_744_064:
        place -= 526_336
        return bytes([0x30 | place >> 24]) + (place & 0xFFFFFF).to_bytes(3, "big")
    return b"\x38" + place.to_bytes(4, "big")


class _Tree:
    """A binary search tree laid down in the order of its leaves.

    `children` holds two entries a node: the slot of another node (>= 0), `_EMPTY`, or leaf `n` as
    -2 - n.
    """

    def __init__(self, width: int) -> None:
        self.children = array.array("i", [_EMPTY, _EMPTY])
        self._width = width
        self._path = [0] * (width + 1)
        self._previous: int | None = None

    def add(self, address: int, length: int, leaf: int) -> None:
        """Put `leaf` at the prefix. Prefixes come in order and do not overlap."""
        children, path, top = self.children, self._path, self._width - 1
        previous = self._previous
        depth = 0 if previous is None else self._width - (address ^ previous).bit_length()
        self._previous = address
        end = length - 1
        while depth < end:
            node = len(children)
            children.append(_EMPTY)
            children.append(_EMPTY)
            children[path[depth] + (address >> (top - depth) & 1)] = node
            depth += 1
            path[depth] = node
        children[path[end] + (address >> (top - end) & 1)] = -2 - leaf


def write_mmdb(
    ranges: Iterable[tuple[int, int, int]],
    records: Sequence[Value],
    *,
    database_type: str,
    description: str,
    build_epoch: int,
    ip_version: int = 6,
    record_size: int | None = None,
) -> bytes:
    """The file that answers `records[i]` for the addresses of each range `(first, last, i)`.

    Args:
        ranges: disjoint and in rising order (as `ranges.flatten` gives them), IPv4 as numbers below
            2**32. No range covers a whole address space.
        records: what to answer; equal ones are stored once.
        build_epoch: Unix seconds put into the metadata, >= 1 (the C reader refuses 0).
        ip_version: 6 for a tree of both (IPv4 in `::/96`), 4 for IPv4 only.
        record_size: 24, 28 or 32 bits; None for the smallest that fits.

    Raises:
        ValueError: ranges overlap or are out of order, a value cannot be encoded, an IPv6 range in
            an IPv4 file, or the file is too large for `record_size`.
    """
    if build_epoch < 1:
        raise ValueError("build_epoch is below 1")
    width = 32 if ip_version == 4 else 128
    encoder = Encoder()
    places = [encoder.record(value) for value in records]
    tree = _Tree(width)
    previous = -1
    for first, last, leaf in ranges:
        if not previous < first <= last < 1 << width or last - first + 1 == 1 << width:
            raise ValueError(f"range {first:#x}..{last:#x} is out of order or out of space")
        previous = last
        for address, length in prefixes(first, last, width):
            tree.add(address, length, leaf)
    return _assemble(
        tree.children, places, bytes(encoder.data), record_size,
        {
            "build_epoch": _integer(build_epoch, _UINT64),
            "database_type": _text(database_type),
            "description": _head(_MAP, 1) + _text("en") + _text(description),
            "ip_version": _integer(ip_version, _UINT16),
            "languages": _head(_ARRAY, 1) + _text("en"),
        },
    )  # fmt: skip


def _assemble(
    children: array.array[int],
    places: list[int],
    data: bytes,
    record_size: int | None,
    metadata: dict[str, bytes],
) -> bytes:
    nodes = len(children) // 2
    largest = nodes + 16 + len(data)
    if record_size is None:
        record_size = 24 if largest < 1 << 24 else 28 if largest < 1 << 28 else 32
    if record_size not in (24, 28, 32) or largest >= 1 << record_size:
        raise ValueError(
            f"{nodes} nodes and {len(data)} bytes do not fit {record_size}-bit records"
        )
    behind = nodes + 16
    # Entries of `children` count array slots, two a node.
    records = array.array(
        "I",
        [
            child >> 1 if child >= 0 else nodes if child == _EMPTY else behind + places[-2 - child]
            for child in children
        ],
    )
    if sys.byteorder == "little":
        records.byteswap()
    raw = records.tobytes()
    return b"".join(
        (
            _pack(raw, record_size),
            bytes(16),
            data,
            _METADATA_MARKER,
            _metadata(
                metadata
                | {
                    "binary_format_major_version": _integer(2, _UINT16),
                    "binary_format_minor_version": _integer(0, _UINT16),
                    "node_count": _integer(nodes, _UINT32),
                    "record_size": _integer(record_size, _UINT16),
                }
            ),
        )
    )


def _pack(raw: bytes, record_size: int) -> bytes:
    """Big-endian 32-bit records, squeezed to `record_size` bits by slices (no loop over nodes)."""
    if record_size == 32:
        return raw
    if record_size == 24:
        packed = bytearray(len(raw) // 4 * 3)
        for octet in range(3):
            packed[octet::3] = raw[octet + 1 :: 4]
        return bytes(packed)
    packed = bytearray(len(raw) // 8 * 7)
    for octet in range(3):
        packed[octet::7] = raw[octet + 1 :: 8]
        packed[octet + 4 :: 7] = raw[octet + 5 :: 8]
    packed[3::7] = bytes(
        left << 4 | right for left, right in zip(raw[0::8], raw[4::8], strict=True)
    )
    return bytes(packed)


def _metadata(fields: dict[str, bytes]) -> bytes:
    return _head(_MAP, len(fields)) + b"".join(
        _text(key) + value for key, value in sorted(fields.items())
    )


def _text(value: str) -> bytes:
    raw = value.encode()
    return _head(_STRING, len(raw)) + raw
