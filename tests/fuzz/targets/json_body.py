"""A JSON body is read as CPython and as msgspec read it, or called unknown for a reason that is
there: what one reader takes for something else than another is nobody's prompt."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import msgspec

from gateway_guard.core import body as bodies
from gateway_guard.types import Inspection

WORDS = (
    b'{"model":"m","messages":[{"role":"user","content":"hi"}]}', b'"content":',
    b'"\\u0063ontent":', b'"messages":', b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x00",
    b"\\ud800", b"\\udc00", b"\\u0000", b"1e400", b"-0", b"-0.0", b"NaN", b"Infinity",
    b"-Infinity", b"1E5", b"01", b"1.", b"18446744073709551616", b"1" + b"0" * 60, b"true",
    b"null", b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\\/", b"\\u003a", b"\xed\xa0\x80",
    b"\xc0\x80", b"\xf0\x9f\x98\x80", b"\x7f", b"\xe2\x80\xa8", b" ", b"\t", b"\r\n", b"\x0c",
    b"[" * 100, b'{"a":' * 100, b"//", b"'",
)  # fmt: skip


class Twice(Exception):  # noqa: N818
    """A member is named twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise Twice
    return dict(pairs)


def levels(value: Any) -> Iterator[list[Any]]:
    """What stands at each depth, from the outside; without recursion, which is what is tested."""
    level = [value]
    while level:
        yield level
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner += item.values()
            elif isinstance(item, list):
                inner += item
        level = inner


def depth_of(value: Any) -> int:
    """Levels of objects and arrays."""
    return sum(any(isinstance(item, dict | list) for item in level) for level in levels(value))


def finite(value: Any) -> bool:
    """Whether every number is one."""
    return all(
        math.isfinite(item) for level in levels(value) for item in level if isinstance(item, float)
    )


def reasons(data: bytes) -> set[Inspection]:
    """Every reason there is, found out by other means, for calling a body unknown."""
    found: set[Inspection] = set()
    if data[:3] == b"\xef\xbb\xbf" or data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        found.add(Inspection.CHARSET)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return {*found, Inspection.CHARSET}
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except Twice:
        # What stands behind the second naming may be broken, too.
        return {*found, Inspection.DUPLICATE_KEYS}
    except (ValueError, RecursionError):
        return {*found, Inspection.NOT_JSON}
    if not isinstance(value, dict):
        found.add(Inspection.SHAPE)
    if depth_of(value) > bodies.MOST_DEPTH or not finite(value):
        found.add(Inspection.NOT_JSON)
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        found.add(Inspection.CHARSET)
    return found


def target(data: bytes) -> None:
    """A body."""
    found = bodies.parse(data)

    because = reasons(data)
    if isinstance(found, Inspection):
        broken = {Inspection.NOT_JSON} if Inspection.DUPLICATE_KEYS in because else set()
        if len(data) <= bodies.MOST_CONTAINERS:
            assert found in because | broken, (data, found, because)
        return
    assert not because, (data, because)
    # The upstream's reader: CPython's takes the last of two members, and sniffs UTF-16 and UTF-32.
    assert repr(found) == repr(json.loads(data)), data
    assert repr(found) == repr(msgspec.json.decode(data)), data
    assert bodies.parse(json.dumps(found).encode()) == found
    assert bodies.parse(msgspec.json.encode(found)) == found
