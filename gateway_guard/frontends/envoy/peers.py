"""Who is at the other end of a gRPC connection."""

from __future__ import annotations

import functools
from typing import Final
from urllib.parse import unquote

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
