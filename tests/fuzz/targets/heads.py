"""A request's head: served with one target, one host and one framing, or refused with a status;
what is served has no look-alike of a field that matters."""

from __future__ import annotations

import contextlib
import re
from typing import Final

from gateway_guard.frontends.head import METHODS, BadHead, read_head
from tests.fuzz.taken import Taken

WORDS = (
    b"Host: a", b"host: b:80", b"Content-Length: 5", b"Content-Length: +5",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: xchunked", b"Connection: close",
    b"Connection: upgrade", b"Upgrade: websocket", b"Expect: 100-continue",
    b"X_Forwarded_For: 1.1.1.1", b"X.Forwarded.For: 1", b"Content_Length: 3", b"POST", b"GET",
    b"/v1/messages", b"http://a/x", b"HTTPS://A", b"*", b"//a", b"\n", b": ", b"#", b"?", b"1.1",
    b"1.0", b"authorization: x", b"\xff", b"\xe2\x84\xaa", b"content\xadlength: 1",
)  # fmt: skip
_VERSIONS: Final = ("1.1", "1.1", "1.0", "2", "")
_METHODS: Final = tuple(sorted(METHODS))
_SINGLE: Final = (b"host", b"content-length", b"transfer-encoding")
_PLAIN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]*")


def target(data: bytes) -> None:
    """A version, a method, then lines: the target, and fields."""
    taken = Taken(data)
    version, method = taken.pick(_VERSIONS), taken.pick(_METHODS)
    where, *lines = taken.rest().split(b"\n")
    fields = [
        (name, value) for name, colon, value in (line.partition(b":") for line in lines) if colon
    ]

    with contextlib.suppress(BadHead):
        head = read_head(method, where, version, fields)
        names = [name for name, _ in head.headers]
        assert head.raw_path.startswith(b"/")
        assert b"#" not in head.raw_path + head.query
        assert b"?" not in head.raw_path
        assert not (head.chunked and head.length is not None)
        assert not head.chunked or version == "1.1"
        for name in _SINGLE:
            assert names.count(name) <= 1, (name, fields)
        assert version != "1.1" or names.count(b"host") == 1
        assert not any(b"_" in name for name in names)
        for name, value in head.headers:
            assert name == name.lower()
            assert value == value.strip(b" \t")
        if head.length is not None:
            assert str(head.length).encode() == dict(head.headers)[b"content-length"].lstrip(
                b"0"
            ) or (head.length == 0)
        # Said once more, it is the same head.
        again = read_head(method, head.raw_path, version, list(head.headers))
        assert (again.headers, again.chunked, again.length) == (
            head.headers,
            head.chunked,
            head.length,
        )
        assert (again.upgrade, again.close) == (head.upgrade, head.close)
