"""Numbers, strings and typed values as SPOP 2.0 writes them. Pure.

Source: HAProxy 2.6, `doc/SPOE.txt` §3.1. A number below 240 is one byte; a larger one keeps four
bits in its first byte and seven in each further one. Every number has exactly one spelling.
"""

from __future__ import annotations

import ipaddress
from typing import Final

NULL: Final = 0
BOOL: Final = 1
INT32: Final = 2
UINT32: Final = 3
INT64: Final = 4
UINT64: Final = 5
IPV4: Final = 6
IPV6: Final = 7
STRING: Final = 8
BINARY: Final = 9

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: What a type holds: nothing, a flag, a number, an address, or bytes (`STRING` and `BINARY`).
Value = bool | int | Address | bytes | None
#: (type, value)
Data = tuple[int, Value]

_TRUE: Final = 0x10
_SMALL: Final = tuple(bytes((number,)) for number in range(240))
_MOST: Final = 2**64
#: type → least and largest value. HAProxy writes negative numbers as 64 bits of two's complement.
_RANGES: Final = {
    INT32: (-(2**31), 2**31 - 1),
    UINT32: (0, 2**32 - 1),
    INT64: (-(2**63), 2**63 - 1),
    UINT64: (0, _MOST - 1),
}


class Malformed(ValueError):  # noqa: N818 - a verdict about input, turned into a frame at once
    """These bytes are not what the protocol says should be here."""


def varint(number: int) -> bytes:
    """`number` as its peers read it.

    Raises:
        ValueError: it is outside [0, 2**64).
    """
    if 0 <= number < 240:
        return _SMALL[number]
    if not 0 <= number < _MOST:
        raise ValueError(f"{number} does not fit into 64 bits")
    out = bytearray((number & 0xFF | 0xF0,))
    number = (number - 240) >> 4
    while number >= 128:
        out.append(number & 0xFF | 0x80)
        number = (number - 128) >> 7
    out.append(number)
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where it ends.

    Raises:
        Malformed: it is cut short, or needs more than 64 bits.
    """
    try:
        number = data[at]
        at += 1
        if number < 240:
            return number, at
        shift = 4
        while True:
            byte = data[at]
            at += 1
            number += byte << shift
            if byte < 128:
                break
            shift += 7
            if shift > 60:
                raise Malformed("a number of more than 64 bits")
    except IndexError:
        raise Malformed("a number cut short") from None
    if number >= _MOST:
        raise Malformed("a number of more than 64 bits")
    return number, at


def string(value: bytes) -> bytes:
    """`value` with its length before it, as names are written."""
    return varint(len(value)) + value


def read_string(data: bytes, at: int) -> tuple[bytes, int]:
    """The string that begins at `at`, and where it ends.

    Raises:
        Malformed: it is cut short.
    """
    length, at = read_varint(data, at)
    end = at + length
    if end > len(data):
        raise Malformed("a string cut short")
    return data[at:end], end


def typed(kind: int, value: Value) -> bytes:
    """`value` with its type before it.

    Raises:
        ValueError: there is no such type, or the value is not of it.
    """
    if kind == NULL and value is None:
        return b"\x00"
    if kind == BOOL and isinstance(value, bool):
        return bytes((BOOL | _TRUE if value else BOOL,))
    if kind in _RANGES and isinstance(value, int) and not isinstance(value, bool):
        least, largest = _RANGES[kind]
        if least <= value <= largest:
            return bytes((kind,)) + varint(value % _MOST)
    if kind == IPV4 and isinstance(value, ipaddress.IPv4Address):
        return bytes((kind,)) + value.packed
    if kind == IPV6 and isinstance(value, ipaddress.IPv6Address):
        return bytes((kind,)) + value.packed
    if kind in (STRING, BINARY) and isinstance(value, bytes):
        return bytes((kind,)) + string(value)
    raise ValueError(f"no value of type {kind}: {type(value).__name__}")


def read_typed(data: bytes, at: int) -> tuple[Data, int]:
    """The typed value that begins at `at`, and where it ends.

    Raises:
        Malformed: it is cut short, of no known type, or too large for its type.
    """
    if at >= len(data):
        raise Malformed("a value cut short")
    first = data[at]
    kind = first & 0x0F
    at += 1
    if kind in (STRING, BINARY):
        value, at = read_string(data, at)
        return (kind, value), at
    if kind == NULL:
        return (NULL, None), at
    if kind == BOOL:
        return (BOOL, bool(first & _TRUE)), at
    if kind in _RANGES:
        number, at = read_varint(data, at)
        least, largest = _RANGES[kind]
        if least and number >= 2**63:
            number -= _MOST
        if not least <= number <= largest:
            raise Malformed("a number too large for its type")
        return (kind, number), at
    if kind in (IPV4, IPV6):
        end = at + (4 if kind == IPV4 else 16)
        if end > len(data):
            raise Malformed("an address cut short")
        packed = data[at:end]
        if kind == IPV4:
            return (kind, ipaddress.IPv4Address(packed)), end
        return (kind, ipaddress.IPv6Address(packed)), end
    raise Malformed(f"a value of type {kind}, which there is not")
