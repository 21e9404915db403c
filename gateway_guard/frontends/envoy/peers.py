"""Who is at the other end of a gRPC connection, and whether a policy lets it ask."""

from __future__ import annotations

import functools
from typing import Final
from urllib.parse import unquote

from gateway_guard.core.sections import Identify
from gateway_guard.frontends.forwarded import TrustedPeers

#: An end nobody can name: trusted by no policy.
UNREADABLE: Final = "?"


@functools.lru_cache(maxsize=1024)
def address_of(peer: str) -> str | None:
    """The address in gRPC's spelling of a peer; None for a unix socket.

    `ipv4:192.0.2.1:4711`, `ipv6:%5B2001:db8::1%5D:4711`, `unix:` and what is bound to it.
    """
    scheme, _, rest = peer.partition(":")
    if scheme.startswith("unix"):
        return None
    host = unquote(rest).rpartition(":")[0]
    if scheme == "ipv4" and host:
        return host
    if scheme == "ipv6" and host[:1] == "[" and host[-1:] == "]":
        return host[1:-1].partition("%")[0]
    return UNREADABLE


class Askers:
    """Whether a peer may ask: the policy's trusted proxies, and unix sockets where it says so."""

    def __init__(self) -> None:
        self._trusted = TrustedPeers(())

    def refuses(self, peer: str, identify: Identify) -> str | None:
        """Why `peer`, as gRPC spells it, may not ask; None when it may."""
        address = address_of(peer)
        if address is None:
            trusted, name = identify.trust_unix, "a unix socket"
        else:
            if self._trusted.networks != tuple(identify.trusted):
                self._trusted = TrustedPeers(identify.trusted)
            trusted, name = address in self._trusted, address
        return None if trusted else f"{name} is not in identify.trusted_proxies"
