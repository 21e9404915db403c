"""Addresses at the borders: networks, hops, lengths, spellings."""

from __future__ import annotations

import ipaddress

import pytest

from gateway_guard.core.address import parse_ip, subnet_of
from gateway_guard.core.client_ip import Trust, forwarded, forwarded_for, hop, peer_address, single
from tests import build

NOW = build.NOW
NOBODY = Trust(())


@pytest.mark.parametrize(
    ("ip", "kept"),
    [
        ("0.0.0.1", False), ("1.0.0.0", True), ("9.255.0.1", True), ("10.0.0.1", False),
        ("11.0.0.1", True), ("100.63.0.1", True), ("100.64.0.1", False), ("100.127.0.1", False),
        ("100.128.0.1", True), ("101.64.0.1", True), ("126.0.0.1", True), ("127.0.0.1", False),
        ("128.0.0.1", True), ("169.253.0.1", True), ("169.254.0.1", False), ("169.255.0.1", True),
        ("168.254.0.1", True), ("170.254.0.1", True), ("172.15.0.1", True), ("172.16.0.1", False),
        ("172.31.0.1", False), ("172.32.0.1", True), ("171.16.0.1", True), ("173.16.0.1", True),
        ("192.167.0.1", True), ("192.168.0.1", False), ("192.169.0.1", True),
        ("191.168.0.1", True), ("193.168.0.1", True), ("223.255.0.1", True), ("224.0.0.1", False),
        ("255.255.255.255", False),
    ],
)  # fmt: skip
def test_only_an_address_of_the_internet_is_taken_out_of_another(ip: str, kept: bool) -> None:
    packed = ipaddress.IPv4Address(ip).packed
    six_to_four = ipaddress.IPv6Address(b"\x20\x02" + packed + bytes(10))
    inverted = bytes(octet ^ 255 for octet in packed)
    teredo = ipaddress.IPv6Address(b"\x20\x01" + bytes(10) + inverted)
    nat64 = ipaddress.IPv6Address("64:ff9b::").packed[:12] + packed

    for outer in (six_to_four, teredo, ipaddress.IPv6Address(nat64)):
        assert parse_ip(str(outer)) == (ip if kept else str(outer))
    # What the kernel maps is the peer itself.
    assert parse_ip(f"::ffff:{ip}") == ip


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("64:ff9b:1:c000:0:201::", "64:ff9b:1:c000:0:201::"),
        ("64:ff9b:1:c000:2:100::", "192.0.2.1"),
        # RFC 6052's layouts: behind 48, 56, 64 and 96 bits, octet 8 left out.
        ("64:ff9b:1:909:9:900::", "9.9.9.9"),
        ("64:ff9b:1:ab09:9:909::", "9.9.9.9"),
        ("64:ff9b:1:abcd:9:909:900:0", "9.9.9.9"),
        ("64:ff9b:1::909:909", "9.9.9.9"),
        ("64:ff9b:2::909:909", "64:ff9b:2::909:909"),
        ("::909:909", "9.9.9.9"),
        ("::1:909:909", "::1:909:909"),
        ("::1", "::1"),
        ("::", "::"),
        ("::fffe:909:909", "::fffe:909:909"),
        ("::0.1.0.0", "::1:0"),
        ("::10.1.2.3", "::a01:203"),
        ("0:0:0:0:0:0:0:0", "::"),
        ("2001:1::909:909", "2001:1::909:909"),
        ("2003:909:909::", "2003:909:909::"),
        ("1:2::", "1:2::"),
        ("1:2222:3333:4444:5555:6666:123.123.123.123", "1:2222:3333:4444:5555:6666:7b7b:7b7b"),
        ("1111:2222:3333:4444:5555:6666:103.113.123.123",
         "1111:2222:3333:4444:5555:6666:6771:7b7b"),
        ("01.2.3.4", None), ("1.2.3", None), ("1.2.3.4 ", None), ("1.2.3.256", None),
        ("1::2::3", None), ("g::", None), ("", None), ("1.2.3.4\0", None), ("\ud800:", None),
    ],
)  # fmt: skip
def test_one_address_has_one_spelling(text: str, address: str | None) -> None:
    assert parse_ip(text) == address


def test_limits_count_a_24_and_a_64() -> None:
    assert subnet_of("192.0.2.255") == "192.0.2.0/24"
    assert subnet_of("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64"
    for wrong in ("", "name", "1::2::3"):
        with pytest.raises(ValueError, match="not an IP address"):
            subnet_of(wrong)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"), ("192.0.2.1:1", "192.0.2.1"), ("192.0.2.1:65535", "192.0.2.1"),
        ("192.0.2.1:65536", None), ("192.0.2.1:123456", None), ("192.0.2.1:", None),
        ("192.0.2.1:x", None), ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:65535", "2001:db8::1"), ("[2001:db8::1]:65536", None),
        ("[2001:db8::1]x", None), ("[2001:db8::1]:", None), ("[2001:db8::1", None),
        ("[192.0.2.1]", None), ("2001:db8::1", "2001:db8::1"), ("0.0.0.0", None), ("::", None),
        ("[::]", None), ("0.0.0.0:80", None), ("name", None), ("", None), ("fe80::1%eth0", None),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)  # fmt: skip
def test_a_hop_is_an_address_and_perhaps_a_port(text: str, address: str | None) -> None:
    assert hop(text) == address


@pytest.mark.parametrize(
    ("peer", "address"),
    [("fe80::1%eth0", "fe80::1"), ("192.0.2.1%x", "192.0.2.1"), ("192.0.2.1", "192.0.2.1"),
     ("%", None), ("name", None), ("0.0.0.0", None), (None, None)],
)  # fmt: skip
def test_the_zone_of_a_peer_is_dropped(peer: str | None, address: str | None) -> None:
    assert peer_address(peer) == address


def test_a_network_covers_its_first_and_last_address_and_no_other() -> None:
    trust = Trust([
        ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("2001:db8::/33"),
        ipaddress.ip_network("::ffff:192.0.2.0/120"),
    ])  # fmt: skip

    covered = ["10.1.0.0", "10.1.255.255", "2001:db8::", "2001:db8:7fff:ffff::", "192.0.2.255"]
    others = ["10.0.255.255", "10.2.0.0", "2001:db7:ffff::", "2001:db8:8000::", "192.0.3.0"]
    assert [trust.covers(ip) for ip in covered] == [True] * 5
    assert [trust.covers(ip) for ip in others] == [False] * 5
    assert trust.anybody
    assert not NOBODY.anybody
    everybody = Trust([ipaddress.ip_network("::ffff:0:0/96")])
    assert everybody.covers("192.0.2.1")
    assert not everybody.covers("2001:db8::1")


@pytest.mark.parametrize(("hops", "known"), [(64, True), (65, False)])
def test_sixty_four_hops_are_walked(hops: int, known: bool) -> None:
    trust = Trust([ipaddress.ip_network("10.0.0.0/8")])
    chain = b", ".join([b"192.0.2.1", *[b"10.0.0.1"] * (hops - 1)])

    address, how = forwarded_for([chain], trust)

    assert address == ("192.0.2.1" if known else None)
    assert how == (
        f"hop {hops} of x-forwarded-for"
        if known
        else "x-forwarded-for has more than 64 trusted hops"
    )


def test_where_all_hops_are_trusted_the_first_one_is_the_client() -> None:
    trust = Trust([ipaddress.ip_network("10.0.0.0/8")])

    assert forwarded_for([b"10.0.0.9", b"10.0.0.1"], trust) == (
        "10.0.0.9", "hop 2 of x-forwarded-for",
    )  # fmt: skip
    assert forwarded_for([b"192.0.2.1, x, 10.0.0.1"], trust) == (
        None, "hop 2 of x-forwarded-for is not an address",
    )  # fmt: skip


@pytest.mark.parametrize(("size", "known"), [(16_384, True), (16_385, False)])
def test_sixteen_kilobytes_of_a_forwarding_header_are_read_from_the_right(
    size: int, known: bool
) -> None:
    trust = Trust([ipaddress.ip_network("10.0.0.0/8")])
    right = b"," + b",".join([b"10.0.0.1" + b" " * 400] * 40)
    line = b"192.0.2.1" + b" " * (size - len(right) - 9) + right

    assert len(line) == size
    assert (forwarded_for([line], trust)[0] == "192.0.2.1") is (known and len(right) < size)


@pytest.mark.parametrize(
    ("line", "address"),
    [
        (b"for=192.0.2.1", "192.0.2.1"),
        (b"For=192.0.2.1;proto=https;by=x", "192.0.2.1"),
        (b'for="192.0.2.1:80"', "192.0.2.1"),
        (b'for="[2001:db8::1]:80"', "2001:db8::1"),
        (b'for="[2001:db8::1]"', "2001:db8::1"),
        (b'for="2001:db8::1"', None),
        (b"for=[2001:db8::1]", None),
        (b"for=192.0.2.1:80", None),
        (b"for=unknown", None),
        (b"for=_x", None),
        (b"proto=https", None),
        (b"for=192.0.2.1;for=192.0.2.1", None),
        (b"for=192.0.2.1;FOR=192.0.2.2", None),
        (b"for=192.0.2.1;", None),
        (b"for=192.0.2.1 ; proto=http", "192.0.2.1"),
        (b"for = 192.0.2.1", None),
        (b'for="192.0.2.1', None),
        (rb'for="192.0.2\.1"', "192.0.2.1"),
        (b'by="a,b";for=192.0.2.1', "192.0.2.1"),
        (b'for=192.0.2.9, by="a,b";for=192.0.2.1', "192.0.2.1"),
        (b'x=", for=192.0.2.1', "192.0.2.1"),
        (b"for=192.0.2.1;x=" + b"y" * 496, "192.0.2.1"),
        (b"for=192.0.2.1;x=" + b"y" * 497, None),
    ],
)
def test_a_forwarded_element_is_read_by_its_grammar(line: bytes, address: str | None) -> None:
    assert forwarded([line], NOBODY)[0] == address


def test_one_header_with_one_address_is_one() -> None:
    assert single([b" 192.0.2.1\t"], "x-ip") == ("192.0.2.1", "x-ip")
    assert single([b"192.0.2.1", b"192.0.2.1"], "x-ip") == (None, "x-ip given 2 times")
    assert single([], "x-ip") == (None, "no x-ip")
    assert single([b"192.0.2.1, 192.0.2.2"], "x-ip") == (None, "x-ip is not one address")
    assert single([b"192.0.2.1" + b" " * 600], "x-ip")[0] == "192.0.2.1"
    assert single([b"\xff"], "x-ip")[0] is None
