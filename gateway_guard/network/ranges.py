"""Arithmetic of address ranges: union, difference, flattening, and the way to CIDR prefixes.

A range is `(first, last)`, both included, as integers in one 128-bit space in which the IPv4
address `a.b.c.d` is the number of `::a.b.c.d`, as in the search tree of an MMDB file. Everything
here is linear or sorts once, so that lists of a million ranges take seconds, not minutes.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Final, TypeVar

Range = tuple[int, int]
V = TypeVar("V")

#: One past the last IPv4 address in the common space.
V4_END: Final = 1 << 32


def parse_range(text: str) -> Range:
    """The range that an address or a CIDR prefix names.

    Host bits behind the prefix are allowed and ignored (published lists have them). An IPv4 range
    written as IPv4-mapped IPv6 becomes the IPv4 range.

    Raises:
        ValueError: `text` is neither an address nor a prefix; the message says why.
    """
    address, slash, length_text = text.partition("/")
    try:
        packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except (OSError, ValueError):
        raise ValueError(f"{address[:60]!r} is not an IP address") from None
    bits = len(packed) * 8
    length = bits
    if slash:
        if not (length_text.isascii() and length_text.isdigit() and len(length_text) <= 3):
            raise ValueError(f"{length_text[:20]!r} is not a prefix length")
        length = int(length_text)
        if length > bits:
            raise ValueError(f"prefix length {length} is longer than the address, {bits} bits")
    number = int.from_bytes(packed, "big")
    if bits == 128 and number >> 32 == 0xFFFF and length >= 96:
        number, length, bits = number & 0xFFFFFFFF, length - 96, 32
    host = (1 << (bits - length)) - 1
    first = number & ~host
    if bits == 128 and first < V4_END:
        raise ValueError(f"{text[:60]} covers the IPv4 addresses inside IPv6 (::/96)")
    return first, first | host


def union(ranges: Iterable[Range]) -> list[Range]:
    """The same addresses as disjoint ranges in order, neighbours joined."""
    merged: list[Range] = []
    first = last = -2
    for start, end in sorted(ranges):
        if start > last + 1:
            if last >= 0:
                merged.append((first, last))
            first, last = start, end
        elif end > last:
            last = end
    if last >= 0:
        merged.append((first, last))
    return merged


def difference(ranges: Iterable[Range], removed: Iterable[Range]) -> list[Range]:
    """The addresses of `ranges` that are not in `removed`, as disjoint ranges in order."""
    holes = union(removed)
    left: list[Range] = []
    at = 0
    for first, last in union(ranges):
        start = first
        while at < len(holes) and holes[at][1] < start:
            at += 1
        hole = at
        while hole < len(holes) and holes[hole][0] <= last:
            if holes[hole][0] > start:
                left.append((start, holes[hole][0] - 1))
            start = holes[hole][1] + 1
            hole += 1
        if start <= last:
            left.append((start, last))
    return left


def apart(ranges: Iterable[tuple[int, int, V]]) -> list[tuple[int, int, V]]:
    """`(first, last, value)` of which no two overlap, in order: each address once.

    Of ranges that overlap, the one that begins last counts, and of those that begin together the
    narrowest: published tables have a part of a network within it. Of equal ones it is the first.
    """
    numbered = [(first, -last, -at, value) for at, (first, last, value) in enumerate(ranges)]
    numbered.sort(key=itemgetter(0, 1, 2))
    found: list[tuple[int, int, V]] = []
    under: list[tuple[int, V]] = []  # (last, value) of ranges begun, the latest on top
    at = 0  # up to here all is said
    for first, negative, _, value in numbered:
        while under and under[-1][0] < first:
            at = _say(found, at, *under.pop())
        if under:
            _say(found, at, first - 1, under[-1][1])
        at = first
        under.append((-negative, value))
    while under:
        at = _say(found, at, *under.pop())
    return found


def _say(found: list[tuple[int, int, V]], first: int, last: int, value: V) -> int:
    """Add `(first, last, value)`, if there is any of it left; where the next one begins."""
    if first > last:
        return first
    found.append((first, last, value))
    return last + 1


def flatten(
    layers: Sequence[Iterable[tuple[int, int, object]]],
) -> Iterator[tuple[int, int, tuple[object, ...]]]:
    """Overlay `layers` and yield disjoint `(first, last, values)` in order.

    Each layer is a set of `(first, last, value)` that do not overlap *within* the layer (`union`
    them first); `values[i]` is the value of layer `i` there, or None. Neighbours with equal values
    are joined; addresses in no layer are left out. A sweep over all boundaries: O(n log n).
    """
    empty = (None,) * len(layers)
    events: list[tuple[int, int, int, object]] = []
    for slot, layer in enumerate(layers):
        for first, last, value in layer:
            events.append((first, 1, slot, value))
            events.append((last + 1, 0, slot, None))
    # Ends before starts of the same place, so that a neighbour's start is not undone. Values are
    # never compared: one layer cannot start twice at one place.
    events.sort(key=_place)
    current: list[object] = [None] * len(layers)
    held: tuple[object, ...] = empty
    since = 0
    at = 0
    total = len(events)
    while at < total:
        here = events[at][0]
        while at < total and events[at][0] == here:
            _, _, slot, value = events[at]
            current[slot] = value
            at += 1
        values = tuple(current)
        if values != held:
            if held != empty:
                yield since, here - 1, held
            held, since = values, here


def _place(event: tuple[int, int, int, object]) -> tuple[int, int]:
    return event[0], event[1]


def prefixes(first: int, last: int, bits: int) -> Iterator[tuple[int, int]]:
    """The fewest `(address, prefix length)` that cover `first`..`last` of a `bits`-bit space."""
    while first <= last:
        size = (first & -first).bit_length() - 1 if first else bits
        room = (last - first + 1).bit_length() - 1
        size = min(size, room)
        yield first, bits - size
        first += 1 << size
