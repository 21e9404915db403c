"""An address has one spelling, which reads as itself, and is what `ipaddress` makes of it."""

from __future__ import annotations

import contextlib
import ipaddress

from gateway_guard.core.address import parse_ip, parse_ip_afresh, subnet_of
from gateway_guard.core.client_ip import hop
from tests.fuzz import oracles

WORDS = (
    b"::ffff:", b"::", b"2002:", b"2001:0:", b"64:ff9b::", b"64:ff9b:1:", b"192.0.2.1",
    b"10.0.0.1", b"127.0.0.1", b"[", b"]", b":443", b"%eth0", b"0", b"255", b"fe80::1", b"ffff",
    b"00",
)  # fmt: skip


def target(data: bytes) -> None:
    """Any text."""
    text = data.decode("utf-8", "surrogateescape")

    found = parse_ip(text)

    with contextlib.suppress(oracles.Guessed):
        assert found == oracles.canonical(text), (text, found, oracles.canonical(text))
        assert hop(text) == oracles.hop(text), (text, hop(text), oracles.hop(text))
    if found is None:
        return
    assert parse_ip_afresh(found) == found
    net, _, length = subnet_of(found).partition("/")
    assert str(ipaddress.ip_address(net)) == net or net.endswith("::")
    assert length == ("64" if ":" in found else "24")
