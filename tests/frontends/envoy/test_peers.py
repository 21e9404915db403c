"""Who is at the other end of a gRPC connection."""

from __future__ import annotations

import pytest

from gateway_guard.frontends.envoy.peers import UNREADABLE, address_of


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.0.0.1:4711", "10.0.0.1"),
        ("ipv6:%5B2001:db8::1%5D:4711", "2001:db8::1"),
        ("ipv6:[2001:db8::1]:4711", "2001:db8::1"),
        ("ipv6:%5Bfe80::1%25eth0%5D:4711", "fe80::1"),
        ("unix:", None),
        ("unix:/run/guard.sock", None),
        ("unix-abstract:guard", None),
        ("ipv4:", UNREADABLE),
        ("ipv6:2001:db8::1", UNREADABLE),
        ("", UNREADABLE),
        ("vsock:3:4", UNREADABLE),
    ],
)
def test_grpc_spells_peers_in_its_own_way(peer: str, address: str | None) -> None:
    assert address_of(peer) == address
