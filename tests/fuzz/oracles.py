"""The same readings by other means: slow, and by the standard library."""

from __future__ import annotations

import ipaddress
from typing import Final

#: What no client on the Internet has, so that no transition address unwraps to it.
_PRIVATE: Final = tuple(
    map(
        ipaddress.IPv4Network,
        ("0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16",
         "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3"),
    )
)  # fmt: skip
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_NAT64_LOCAL: Final = ipaddress.IPv6Network("64:ff9b:1::/48")


class Guessed(Exception):  # noqa: N818 - no fault
    """An address of the one prefix whose layouts have to be guessed: there is no other way."""


def canonical(text: str) -> str | None:
    """`core.address.parse_ip` by `ipaddress`; raises `Guessed` for `64:ff9b:1::/48`."""
    if "%" in text or not text.isascii() or len(text) > 45:
        return None
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    if found in _NAT64_LOCAL:
        raise Guessed
    inner = found.sixtofour
    if found.teredo is not None:
        inner = found.teredo[1]
    elif found in _COMPATIBLE or found in _NAT64:
        inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    if inner is not None and not any(inner in network for network in _PRIVATE):
        return str(inner)
    return str(found)


def hop(text: str) -> str | None:
    """One element of a forwarding list: an address, perhaps with a port."""
    bare, port = text, ""
    if text.startswith("["):
        bare, bracket, port = text[1:].partition("]")
        if not bracket or ":" not in bare:
            return None
        if port and not port.startswith(":"):
            return None
        if port == ":":
            return None
        port = port[1:]
    elif text.count(":") == 1:
        bare, _, port = text.partition(":")
        if not port:
            return None
    if port and not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 65536):
        return None
    found = canonical(bare)
    return None if found in ("0.0.0.0", "::") else found
