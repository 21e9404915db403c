"""Who is at the other end of a gRPC connection."""

from __future__ import annotations

import ipaddress

import pytest

from gateway_guard.core.sections import Identify
from gateway_guard.frontends.envoy.peers import UNREADABLE, Askers, address_of

TRUSTED = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8::/32"))


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


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [("ipv4:10.0.0.1:1", True), ("ipv6:%5B2001:db8::1%5D:1", True),
     ("ipv6:%5B::ffff:10.0.0.1%5D:1", True), ("ipv4:192.0.2.1:1", False), ("unix:", False),
     ("nonsense", False)],
)  # fmt: skip
def test_only_trusted_proxies_may_ask(peer: str, trusted: bool) -> None:
    why = Askers().refuses(peer, Identify(trusted=TRUSTED))

    assert (why is None) is trusted
    assert why is None or "is not in identify.trusted_proxies" in why


def test_a_unix_socket_may_ask_where_the_policy_says_so() -> None:
    assert Askers().refuses("unix:", Identify(trust_unix=True)) is None


def test_with_no_proxies_nobody_may_ask() -> None:
    assert Askers().refuses("ipv4:127.0.0.1:1", Identify()) is not None


def test_a_policy_that_changes_is_heeded() -> None:
    askers = Askers()
    assert askers.refuses("ipv4:10.0.0.1:1", Identify(trusted=TRUSTED)) is None

    assert askers.refuses("ipv4:10.0.0.1:1", Identify(trusted=TRUSTED[1:])) is not None
