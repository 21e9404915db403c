"""Which address a request comes from: the peer, or what a trusted peer says of it.

A forwarding header is believed only as far as trusted hops wrote it. It is walked from the right
(the nearest hop): each element was appended by the hop to its right, so the walk goes on only
while the element just read is itself trusted. What a client wrote stands left of where the walk
stops.

The answer is an address or *unknown* (None), never a guess. An element that nobody can read stops
the walk with *unknown*: the proxy's own address and whatever stands further left would both be
wrong.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from gateway_guard.core.address import parse_ip

#: Most hops walked; a longer chain of trusted hops is a forgery or a loop. Real chains have < 10.
MOST_HOPS: Final = 64
#: Longest header walked, bytes, all lines together. 64 hops of the longest form need under 5 KiB.
LONGEST: Final = 16_384
#: Longest element of a list: a quoted, bracketed IPv6 address with port and room for parameters.
_LONGEST_ELEMENT: Final = 512

_UNSPECIFIED: Final = frozenset(("0.0.0.0", "::"))  # noqa: S104 - addresses to refuse
_PORT: Final = re.compile(r"[0-9]{1,5}")

#: An address and where it came from, in words. None: unknown, and the words say why.
Found = tuple[str | None, str]


class Trust:
    """Whose forwarding headers are believed. With no networks: nobody's.

    `networks` are CIDR networks of either family; an IPv4-mapped network also covers its IPv4 form.
    """

    def __init__(self, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> None:
        self._v4: list[tuple[int, int]] = []
        self._v6: list[tuple[int, int]] = []
        for network in networks:
            self._add(network)
        self.anybody = bool(networks)
        # Peers are few (the operator's own proxies) and come with every request.
        self.covers: Callable[[str], bool] = functools.lru_cache(maxsize=1024)(self._covers)

    def _add(self, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> None:
        if isinstance(network, ipaddress.IPv6Network):
            inner = network.network_address.ipv4_mapped
            if inner is not None and network.prefixlen >= 96:
                self._add(ipaddress.IPv4Network((inner, network.prefixlen - 96)))
            self._v6.append((int(network.netmask), int(network.network_address)))
        else:
            self._v4.append((int(network.netmask), int(network.network_address)))

    def _covers(self, ip: str) -> bool:
        if ":" in ip:
            number, networks = int(ipaddress.IPv6Address(ip)), self._v6
        else:
            number, networks = int(ipaddress.IPv4Address(ip)), self._v4
        return any(number & mask == start for mask, start in networks)


def peer_address(peer: str | None) -> str | None:
    """The canonical address of the other end of the connection; None when there is none.

    A zone (`fe80::1%eth0`) is dropped: the kernel wrote it, not the client.
    """
    if peer is None:
        return None
    address = parse_ip(peer)
    if address is None and "%" in peer:
        address = parse_ip(peer.partition("%")[0])
    return None if address in _UNSPECIFIED else address


def hop(text: str) -> str | None:
    """The address in one element of a forwarding list; None when it is not exactly one.

    Besides a bare address: `192.0.2.1:4711`, `[2001:db8::1]` and `[2001:db8::1]:4711`, because load
    balancers append ports and these cannot be read otherwise. Not: a bare IPv6 address with a port
    (that *is* another address), brackets around IPv4, zones, quotes, names. The unspecified address
    is nobody's.
    """
    address = parse_ip(text)
    if address is None:
        if text[:1] == "[":
            inside, bracket, rest = text[1:].partition("]")
            if not bracket or ":" not in inside or not (rest == "" or _is_port(rest)):
                return None
            address = parse_ip(inside)
        elif text.count(":") == 1:
            address, _, port = text.partition(":")
            address = parse_ip(address) if _is_port(":" + port) else None
    return None if address in _UNSPECIFIED else address


def _is_port(text: str) -> bool:
    return text[0] == ":" and _PORT.fullmatch(text, 1) is not None and int(text[1:]) <= 65_535


def forwarded_for(lines: Sequence[bytes], trust: Trust) -> Found:
    """The client by `X-Forwarded-For`, all lines joined in order of arrival.

    The first element from the right that is not a trusted hop is the client; when all are trusted,
    the leftmost is. Only call it for a trusted peer.
    """
    return _walk(_elements(lines), trust, _read_plain, "x-forwarded-for")


def forwarded(lines: Sequence[bytes], trust: Trust) -> Found:
    """The client by RFC 7239 `Forwarded`: the `for` parameters, walked as in `forwarded_for`.

    An element without `for`, with two, with `unknown` or an obfuscated `_name`, or not of the
    grammar of RFC 7239 §4 stops the walk with unknown. Only call it for a trusted peer.
    """
    return _walk(_quoted_elements(lines), trust, _read_forwarded, "forwarded")


def single(lines: Sequence[bytes], name: str) -> Found:
    """The client by a header in which the edge writes one address, e.g. `CF-Connecting-IP`.

    Exactly one line with exactly one address. Only call it for a trusted peer.
    """
    if len(lines) != 1:
        return None, f"{name} given {len(lines)} times" if lines else f"no {name}"
    address = hop(_text(lines[0].strip(b" \t")) or "")
    return address, name if address is not None else f"{name} is not one address"


def _walk(
    elements: Iterator[bytes], trust: Trust, read: Callable[[bytes], str | None], name: str
) -> Found:
    address: str | None = None
    count = 0
    for element in elements:
        count += 1
        if count > MOST_HOPS:
            return None, f"{name} has more than {MOST_HOPS} trusted hops"
        address = read(element)
        if address is None:
            return None, f"hop {count} of {name} is not an address"
        if not trust.covers(address):
            break
    return address, _HOPS.get((name, count)) or f"hop {count} of {name}"


#: The usual answers, so that the hot path formats nothing.
_HOPS: Final = {
    (name, count): f"hop {count} of {name}"
    for name in ("x-forwarded-for", "forwarded")
    for count in range(1, 5)
}


def _text(value: bytes) -> str | None:
    return value.decode("ascii") if value.isascii() and len(value) <= _LONGEST_ELEMENT else None


def _read_plain(element: bytes) -> str | None:
    text = _text(element)
    return hop(text) if text is not None else None


def _elements(lines: Sequence[bytes]) -> Iterator[bytes]:
    """The elements of a comma list from the right, without the white space HTTP allows."""
    rest = lines[0] if len(lines) == 1 else b",".join(lines)
    if len(rest) > LONGEST:
        rest = b"," + rest[-LONGEST:].partition(b",")[2]
    more = b","
    while more:
        rest, more, element = rest.rpartition(b",")
        yield element.strip(b" \t")


def _quoted_elements(lines: Sequence[bytes]) -> Iterator[bytes]:
    """The same, keeping commas inside quoted strings.

    Read from the right, so that an unbalanced quote the client wrote cannot swallow what the proxy
    appended: an element is extended to the left only while its own quotes do not balance.
    """
    whole: list[bytes] = []
    for part in _elements(lines):
        whole.insert(0, part)
        element = b",".join(whole)
        if element.count(b'"') % 2 == 0 or len(element) > _LONGEST_ELEMENT:
            whole.clear()
            yield element
    if whole:
        yield b",".join(whole)


_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED: Final = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e]|\\[\t \x21-\x7e])*"'
_PAIR: Final = re.compile(
    rb"(" + _TOKEN + rb")=(?:(" + _TOKEN + rb")|(" + _QUOTED + rb"))[ \t]*(?:;[ \t]*|$)"
)
_ESCAPED: Final = re.compile(rb"\\(.)")


def _read_forwarded(element: bytes) -> str | None:
    if len(element) > _LONGEST_ELEMENT or element[-1:] == b";":
        return None
    node: bytes | None = None
    seen: set[bytes] = set()
    at = 0
    while at < len(element):
        pair = _PAIR.match(element, at)
        if pair is None:
            return None
        name, token, quoted = pair[1].lower(), pair[2], pair[3]
        if name in seen:
            return None
        seen.add(name)
        if name == b"for":
            # A colon or bracket may only stand in a quoted string (RFC 7239 §4).
            node = token if quoted is None else _ESCAPED.sub(rb"\1", quoted[1:-1])
        at = pair.end()
    if node is None:
        return None
    text = node.decode("ascii")
    return hop(text) if text[:1] == "[" or ":" not in text or text.count(":") == 1 else None
