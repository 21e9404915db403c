"""Where the networks end that no client on the Internet can have, to the address."""

from __future__ import annotations

import ipaddress

import pytest

from gateway_guard.core.address import embedded_ipv4

INSIDE = (
    "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255",
    "127.0.0.1", "127.255.255.255", "169.254.0.0", "169.254.255.255", "172.16.0.0",
    "172.31.255.255", "192.168.0.0", "192.168.255.255", "224.0.0.0", "255.255.255.255",
)  # fmt: skip
OUTSIDE = (
    "1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
    "192.167.255.255", "192.169.0.0", "223.255.255.255",
)  # fmt: skip


@pytest.mark.parametrize("prefix", ["64:ff9b::", "2002:"])
@pytest.mark.parametrize(
    ("inside", "addresses"), [(True, INSIDE), (False, OUTSIDE)], ids=["inside", "outside"]
)
def test_an_address_within_an_address_counts_where_a_client_can_have_it(
    prefix: str, inside: bool, addresses: tuple[str, ...]
) -> None:
    for text in addresses:
        v4 = ipaddress.IPv4Address(text)
        written = f"{prefix}{text}" if prefix.endswith("::") else _six_to_four(prefix, v4)

        found = embedded_ipv4(ipaddress.IPv6Address(written).packed)

        assert found == (None if inside else v4.packed), text


def _six_to_four(prefix: str, v4: ipaddress.IPv4Address) -> str:
    octets = v4.packed
    return f"{prefix}{octets[0]:02x}{octets[1]:02x}:{octets[2]:02x}{octets[3]:02x}::1"
