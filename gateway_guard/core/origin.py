"""Where a request comes from: the client's address and subnet, and whether the peer is believed."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

from gateway_guard.core import client_ip
from gateway_guard.core.address import subnet_of
from gateway_guard.core.fields import lines_of
from gateway_guard.core.prepared import Prepared
from gateway_guard.types import Wire

#: (client IP, its subnet, where it came from in words, whether the peer is trusted); None: unknown.
Origin = tuple[str | None, str | None, str, bool]

#: Longest spelling of a peer that is remembered, characters: an IPv6 address with a zone.
_LONGEST_PEER: Final = 64
_subnet_of: Final = functools.lru_cache(maxsize=8192)(subnet_of)


def origin(wire: Wire, ready: Prepared, fields: Mapping[bytes, bytes], repeated: bool) -> Origin:
    """The origin of a request; `fields` and `repeated` as in `core.fields.lines_of`."""
    if ready.by_peer:
        return _peer(wire.peer)
    address, source, trusted = _client_ip(wire, ready, fields, repeated)
    return address, None if address is None else _subnet_of(address), source, trusted


def _peer(peer: str | None) -> Origin:
    """The other end of the connection, believed about nothing."""
    if peer is None or len(peer) > _LONGEST_PEER:
        return _read_peer(peer)
    return _remembered_peer(peer)


def _read_peer(peer: str | None) -> Origin:
    address = client_ip.peer_address(peer)
    if address is None:
        return None, None, "the peer has no address", False
    return address, subnet_of(address), "peer", False


_remembered_peer: Final = functools.lru_cache(maxsize=8192)(_read_peer)


def _client_ip(
    wire: Wire, ready: Prepared, fields: Mapping[bytes, bytes], repeated: bool
) -> tuple[str | None, str, bool]:
    """The client's address, where it came from, and whether the peer is trusted."""
    peer, _, said, _ = _peer(wire.peer)
    trust = ready.trust
    if peer is None:
        trusted = ready.identify.trust_unix and wire.peer is None
    else:
        trusted = trust.anybody and trust.covers(peer)
    how = ready.identify.client_ip
    if how == "peer" or not trusted:
        return peer, said, trusted
    found = lines_of(wire.headers, fields, repeated, how.encode())
    if how == "x-forwarded-for":
        if not found:
            return peer, "peer, trusted, without x-forwarded-for", True
        address, source = client_ip.forwarded_for(found, trust)
    elif how == "forwarded":
        if not found:
            return peer, "peer, trusted, without forwarded", True
        address, source = client_ip.forwarded(found, trust)
    else:
        address, source = client_ip.single(found, how)
    return address, source, True
