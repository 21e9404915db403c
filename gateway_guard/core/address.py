"""Addresses: one strict reading, one canonical spelling, and the IPv4 address inside an IPv6 one.

Everything that compares, counts or looks up an address compares the text `parse_ip` gives, so that
one client has one spelling: `::ffff:192.0.2.1` and `192.0.2.1` share a quota and a country.
"""

from __future__ import annotations

import functools
import socket
from typing import Final

_pton = socket.inet_pton
_ntop = socket.inet_ntop
_V4: Final = socket.AF_INET
_V6: Final = socket.AF_INET6

#: Longest accepted spelling: six groups and a dotted tail (`INET6_ADDRSTRLEN` - 1).
_LONGEST: Final = 45
_ZERO10: Final = bytes(10)
_ZERO12: Final = bytes(12)
_NAT64: Final = bytes.fromhex("0064ff9b0000000000000000")
_NAT64_LOCAL: Final = bytes.fromhex("0064ff9b0001")
_TEREDO: Final = b"\x20\x01\x00\x00"


def parse_ip(text: str) -> str | None:
    """The canonical spelling of the address `text`, or None when it is not one.

    Accepted is what POSIX `inet_pton` accepts: four decimal octets without leading zeros, or IPv6.
    No white space, brackets, ports, zone ids, prefix lengths, octal, hexadecimal or short forms.
    The result is dotted decimal or RFC 5952 text. An IPv6 address that carries the client's IPv4
    address becomes that IPv4 address:

    - IPv4-mapped `::ffff:0:0/96` and IPv4-compatible `::/96` (RFC 4291 §2.5.5);
    - 6to4 `2002::/16` (RFC 3056 §2) and Teredo `2001::/32` (RFC 4380 §4: the client's address is
      the last 32 bits, inverted);
    - NAT64 `64:ff9b::/96` (RFC 6052 §2.1) and `64:ff9b:1::/48` (RFC 8215, any layout of RFC 6052).

    Except for IPv4-mapped, an address that carries a private, loopback, shared, link-local,
    multicast or reserved IPv4 address stays IPv6: those never cross the Internet, and unwrapping
    them would let a stranger dress as `10.0.0.1` and pass for a trusted proxy.

    Total: never raises on any string. The last 8,192 results are remembered.
    """
    return _remembered(text) if len(text) <= _LONGEST else None


def parse_ip_afresh(text: str) -> str | None:
    """`parse_ip` without its memory, for those who remember something larger themselves."""
    try:
        if ":" in text:
            return _canonical_v6(_pton(_V6, text))
        packed = _pton(_V4, text)
    except (OSError, ValueError):  # ValueError: an embedded NUL or a lone surrogate
        return None
    return text if _PTON_IS_STRICT or _ntop(_V4, packed) == text else None


_remembered = functools.lru_cache(maxsize=8_192)(parse_ip_afresh)


def _reads(text: str) -> bool:
    try:
        _pton(_V4, text)
    except OSError:
        return False
    return True


#: Some C libraries let `inet_pton` read leading zeros, as octal or not, or white space; there the
#: text must equal what `inet_ntop` makes of it.
_PTON_IS_STRICT: Final = not any(map(_reads, ("01.2.3.4", "1.2.3.007", "1.2.3.4 ", "1.2.3")))


def _canonical_v6(packed: bytes) -> str | None:
    inner = embedded_ipv4(packed)
    if inner is not None:
        return _ntop(_V4, inner)
    if packed[:12] == _ZERO12:
        # `inet_ntop` would write `::0.1.0.0`; RFC 5952 wants dotted text for known prefixes only.
        high = int.from_bytes(packed[12:14], "big")
        low = int.from_bytes(packed[14:], "big")
        if high:
            return f"::{high:x}:{low:x}"
    return _ntop(_V6, packed)


def embedded_ipv4(packed: bytes) -> bytes | None:
    """The four octets of the IPv4 client inside a 16-octet address, or None when there is none."""
    first = packed[0]
    if first == 0x20:
        if packed[1] == 0x02:
            return _public(packed[2:6])
        if packed[:4] == _TEREDO:
            return _public(bytes(octet ^ 0xFF for octet in packed[12:]))
        return None
    if first != 0:
        return None
    if packed[:10] == _ZERO10:
        if packed[10:12] == b"\xff\xff":
            return packed[12:]
        return _public(packed[12:]) if packed[10:12] == b"\0\0" else None
    if packed[:12] == _NAT64:
        return _public(packed[12:])
    if packed[:6] == _NAT64_LOCAL:
        return _public(_nat64_local(packed))
    return None


def _nat64_local(packed: bytes) -> bytes:
    """The IPv4 octets under one of the prefixes (/48, /56, /64, /96) an operator may choose.

    RFC 6052 §2.2 puts the address right behind the prefix, skips octet 8 and leaves a suffix of
    zeros, and a client's last octet is hardly ever 0: so the last non-zero octet tells the layout.
    """
    last = len(packed.rstrip(b"\0")) - 1
    if last >= 13:
        return packed[12:16]
    if last == 12:
        return packed[9:13]
    if last == 11:
        return packed[7:8] + packed[9:12]
    return packed[6:8] + packed[9:11]


def _public(v4: bytes) -> bytes | None:
    """`v4` unless no client on the Internet can have it (RFC 6890; documentation ranges pass)."""
    first, second = v4[0], v4[1]
    if (
        first in (0, 10, 127)
        or first >= 224
        or (first == 100 and 64 <= second < 128)
        or (first == 169 and second == 254)
        or (first == 172 and 16 <= second < 32)
        or (first == 192 and second == 168)
    ):
        return None
    return v4


def subnet_of(ip: str) -> str:
    """The network that limits count as one client: /24 for IPv4, /64 for IPv6, in CIDR form.

    `ip` is canonical, as `parse_ip` gives it. Raises `ValueError` for anything else.
    """
    if ":" in ip:
        try:
            return _ntop(_V6, _pton(_V6, ip)[:8] + bytes(8)) + "/64"
        except OSError:
            raise ValueError(f"not an IP address: {ip!r}") from None
    head, dot, _ = ip.rpartition(".")
    if not dot:
        raise ValueError(f"not an IP address: {ip!r}")
    return head + ".0/24"
