"""RFC 7239 `Forwarded`: what reads as its grammar from the left is walked alike; what a client
wrote, however it quotes, does not change what the proxy appended."""

from __future__ import annotations

import contextlib

from gateway_guard.core.client_ip import LONGEST, MOST_HOPS, forwarded
from tests.fuzz import oracles
from tests.fuzz.targets.forwarded_for import TRUST, covered

WORDS = (
    b"for=", b"For=", b'for="[2001:db8::1]:443"', b"for=10.0.0.1", b"for=203.0.113.9", b";", b",",
    b"proto=https", b'by="10.0.0.2"', b"host=a", b'"', b'\\"', b"\\", b"for=unknown", b"for=_a",
    b'for="\\1\\0.0.0.1"', b" ; ", b" , ", b"=", b"for=10.0.0.1;for=10.0.0.2",
)  # fmt: skip

_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def elements(line: bytes) -> list[bytes | None] | None:
    """The `for` of each element, read from the left by RFC 7239 §4; None where it is not of that
    grammar. An element's None: it names nobody in a way that is understood."""
    found: list[bytes | None] = []
    at, size = 0, len(line)

    def white(at: int) -> int:
        while at < size and line[at] in b" \t":
            at += 1
        return at

    while True:
        pairs: dict[bytes, bytes] = {}
        at = white(at)
        while True:
            start = at
            while at < size and line[at] in _TOKEN:
                at += 1
            name = line[start:at].lower()
            if not name or at >= size or line[at] != 0x3D or name in pairs:
                return None
            at += 1
            value = bytearray()
            if at < size and line[at] == 0x22:
                at += 1
                while at < size and line[at] != 0x22:
                    if line[at] == 0x5C:
                        at += 1
                    if at >= size or (line[at] < 0x20 and line[at] != 9) or line[at] > 0x7E:
                        return None
                    value.append(line[at])
                    at += 1
                if at >= size:
                    return None
                at += 1
            else:
                while at < size and line[at] in _TOKEN:
                    value.append(line[at])
                    at += 1
                if not value:
                    return None
            pairs[name] = bytes(value)
            at = white(at)
            if at < size and line[at] == 0x3B:
                at = white(at + 1)
                continue
            break
        found.append(pairs.get(b"for"))
        if at == size:
            return found
        if line[at] != 0x2C:
            return None
        at += 1


def walked(names: list[bytes | None]) -> str | None:
    """The client by the names of all hops, from the right."""
    found = None
    for count, name in enumerate(reversed(names), 1):
        if count > MOST_HOPS or name is None:
            return None
        text = name.decode("ascii")
        # An IPv6 address stands in brackets (RFC 7239 §6).
        found = None if text.count(":") > 1 and text[0] != "[" else oracles.hop(text)
        if found is None or not covered(found):
            return found
    return found


def target(data: bytes) -> None:
    """A list of elements."""
    if len(data) > LONGEST:
        return

    found, _ = forwarded([data], TRUST)

    names = elements(data)
    if names is not None and all(len(part) <= 400 for part in data.split(b",")):
        with contextlib.suppress(oracles.Guessed):
            assert found == walked(names), (data, found, walked(names))
    for seen in (b"for=203.0.113.9", b'For="203.0.113.9:80";proto=https'):
        assert forwarded([data + b", " + seen], TRUST)[0] == "203.0.113.9", data
        assert forwarded([data, seen], TRUST)[0] == "203.0.113.9", data
        assert forwarded([data, seen + b",for=10.1.2.3"], TRUST)[0] == "203.0.113.9", data
