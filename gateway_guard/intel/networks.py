"""Which address ranges an indicator may name: none so broad that strangers are hit, none private.

The smallest range handed on is a /24 (IPv4) or a /48 (IPv6): never one address, which is often one
customer; the broadest taken in is the same unless the operator allows more. A single address may
be taken in: whoever said so answers for it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

import msgspec

from gateway_guard.errors import IntelError

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Prefix lengths of what is handed on; and of the broadest that is taken in by default.
SHARED_V4: Final = 24
SHARED_V6: Final = 48

#: Where no client on the Internet is (RFC 6890). Documentation ranges pass: nobody is there, and
#: examples need some.
_RESERVED_V4: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3",
    )
)  # fmt: skip
_RESERVED_V6: Final = tuple(
    ipaddress.IPv6Network(text) for text in ("::/8", "fc00::/7", "fe80::/10", "ff00::/8")
)
#: What carries an IPv4 client inside: those are unwrapped before they are compared.
_WRAPPED: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in ("::ffff:0:0/96", "2002::/16", "2001::/32", "64:ff9b::/96", "64:ff9b:1::/48")
)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What an indicator may name.

    Attributes:
        widest_v4, widest_v6: prefix length of the broadest network, 8 to 32 and 16 to 128.
        allowed: networks no indicator may touch: one's own, partners', known shared exits.
    """

    widest_v4: int = SHARED_V4
    widest_v6: int = SHARED_V6
    allowed: tuple[IPNetwork, ...] = ()


def fit_network(text: str, limits: Limits) -> str:
    """The network or address `text` in canonical CIDR form.

    Raises:
        IntelError: it is none, is private or reserved, is too broad, or touches an allowed
            network; says which and what to do.
    """
    network = read_network(text)
    if network.version == 4:
        widest, reserved = limits.widest_v4, touching(network, _RESERVED_V4)
    else:
        widest, reserved = limits.widest_v6, touching(network, _RESERVED_V6)
        if touching(network, _WRAPPED):
            raise IntelError(
                f"{network} holds addresses that carry IPv4 clients: name the IPv4 network"
            )
    if reserved is not None:
        raise IntelError(f"{network} is within or around {reserved}, where no client can be")
    if network.prefixlen < widest:
        raise IntelError(
            f"{network} is broader than /{widest}: it would match strangers. Ask its source for "
            "narrower ones, or allow more with GATEWAY_GUARD_INTEL_WIDEST"
        )
    mine = touching(network, limits.allowed)
    if mine is not None:
        raise IntelError(f"{network} touches {mine}, which GATEWAY_GUARD_INTEL_ALLOW protects")
    return str(network)


def read_network(text: str) -> IPNetwork:
    """The network or single address `text` spells; host bits are cut off.

    Raises:
        IntelError: it spells none.
    """
    try:
        if len(text) > 64 or "%" in text or not text.isascii() or text != text.strip():
            raise ValueError
        _, slash, length = text.partition("/")
        if slash and not length.isdigit():
            raise ValueError  # a netmask: two spellings of one thing
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        quoted = repr(text[:64])
        raise IntelError(f"{quoted} is no address or network: e.g. 192.0.2.0/24") from None


def touching(network: IPNetwork, others: Iterable[IPNetwork]) -> IPNetwork | None:
    """The first of `others` that shares an address with `network`; None when none does."""
    for other in others:
        if (
            isinstance(network, ipaddress.IPv4Network)
            and isinstance(other, ipaddress.IPv4Network)
            and network.overlaps(other)
        ) or (
            isinstance(network, ipaddress.IPv6Network)
            and isinstance(other, ipaddress.IPv6Network)
            and network.overlaps(other)
        ):
            return other
    return None


def shared_network(ip: str) -> str:
    """The network of the client IP `ip` as it may be handed on: its /24 or /48.

    Raises:
        IntelError: `ip` is no address.
    """
    network = read_network(ip)
    length = SHARED_V4 if network.version == 4 else SHARED_V6
    if network.prefixlen > length:
        network = network.supernet(new_prefix=length)
    return str(network)
