"""Strict reading of addresses, unwrapping, and the networks that count as one client."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core import address
from gateway_guard.core.address import parse_ip, parse_ip_afresh, subnet_of

REFUSED = [
    # not an address at all
    "", " ", "a", "localhost", "example.com", "unknown", "_hidden", "none", "null", "-", ".", ":",
    "*", "/", "0", "1", "12", "134744072", "0x08080808", "4294967295", "1e9", "+1", "-1",
    # short and long dotted forms that inet_aton reads
    "8", "8.8", "8.8.8", "8.8.2056", "127.1", "127.0.1", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3",
    "1.2.3.4.", ".1.2.3.4", "1.2..4", "...", "1.2.3.4.5.6",
    # octets out of range, or not plain decimal
    "256.1.1.1", "1.256.1.1", "1.1.256.1", "1.1.1.256", "999.1.1.1", "1.1.1.1000", "1.1.1.-1",
    "1.1.1.+1", "1.1.1.1e0", "0x1.2.3.4", "1.0x2.3.4", "0X7f.0.0.1", "01.2.3.4", "1.02.3.4",
    "1.2.03.4", "1.2.3.04", "001.2.3.4", "1.2.3.00", "010.8.8.8", "0177.0.0.1", "00.0.0.0",
    "1.2.3.a", "a.b.c.d", "1.2.3.4a", "x1.2.3.4",
    # white space and control characters
    " 1.2.3.4", "1.2.3.4 ", "\t1.2.3.4", "1.2.3.4\n", "1.2.3.4\r\n", "1. 2.3.4", "1.2.3.4\x00",
    "\x001.2.3.4", "1.2.3.4\x0b", "1.2.3.4\u00a0", "\ufeff1.2.3.4", "1.2.3.4\x7f", " ::1", "::1 ",
    "::1\n", "::1\x00", ": :1",
    # digits that are not ASCII, and text that is not Unicode
    "１.２.３.４", "1.2.3.４", "١.٢.٣.٤", "1｡2｡3｡4", "1。2。3。4", "1·2·3·4", "⑧.8.8.8", "\udc80",
    "1.2.3.\udcff", "::\udc80", "：：1", "２００１:db8::1",
    # ports, prefixes, brackets, zones, quotes, URLs, lists
    "1.2.3.4:80", "1.2.3.4/32", "1.2.3.4/24", "1.2.3.0/24", "1.2.3.4%eth0", "[1.2.3.4]",
    "[1.2.3.4]:80", "1.2.3.4,5.6.7.8", "1.2.3.4, 5.6.7.8", "1.2.3.4-1.2.3.9", "1.2.3.*",
    '"1.2.3.4"', "'1.2.3.4'", "http://1.2.3.4", "1.2.3.4;", "for=1.2.3.4", "[::1]", "[::1]:443",
    "::1/128", "2001:db8::/32", "::1%1", "fe80::1%eth0", "fe80::1%25eth0", "fe80::1%", "%eth0",
    '"[2001:db8::1]"', "[2001:db8::1", "2001:db8::1]", "2001-db8--1.ipv6-literal.net",
    # malformed IPv6
    ":::", "::::", "1::2::3", "::1::", "1:::2", ":1", "1:", "::1:", ":1::", "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::8:9", "12345::",
    "::12345", "g::", "::g", "::-1", "::+1", "::0x1", "2001:db8:::1", "1:2:3:4:5:6:7:",
    ":2:3:4:5:6:7:8",
    "2001:db8::00001", "::ffff:0x7f.0.0.1",
    # malformed dotted tails
    "::1.2.3", "::1.2.3.4.5", "::1.2.3.256", "::ffff:1.2.3.04", "::ffff:01.2.3.4", "::1.2.3.4:5",
    "::ffff:1.2.3.4/96", "1:2:3:4:5:6:7:1.2.3.4", "1.2.3.4::", "::1.2.3.4%0", "::ffff:1.2.3",
    "::ffff:1.2.3.4 ", "::ffff:8.8.2056", "1:2:3:4:5:1.2.3.4:6",
]  # fmt: skip

ACCEPTED = [
    ("0.0.0.0", "0.0.0.0"),
    ("1.2.3.4", "1.2.3.4"),
    ("8.8.8.8", "8.8.8.8"),
    ("9.99.199.0", "9.99.199.0"),
    ("10.0.0.1", "10.0.0.1"),
    ("127.0.0.1", "127.0.0.1"),
    ("100.64.0.1", "100.64.0.1"),
    ("192.0.2.1", "192.0.2.1"),
    ("255.255.255.255", "255.255.255.255"),
    ("::", "::"),
    ("::1", "::1"),
    ("0:0:0:0:0:0:0:1", "::1"),
    ("0000:0000:0000:0000:0000:0000:0000:0001", "::1"),
    ("2001:db8::1", "2001:db8::1"),
    ("2001:DB8::1", "2001:db8::1"),
    ("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
    ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
    ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
    ("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
    ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
    ("2001:db8::192.0.2.33", "2001:db8::c000:221"),
    ("FE80::ABCD", "fe80::abcd"),
    ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
    ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
    ("::1:0", "::1:0"),
    ("::1:0:0", "::1:0:0"),
    ("::0.1.0.0", "::1:0"),
    ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
]

UNWRAPPED = [
    # IPv4-mapped: always, a dual-stack socket says this of its private peers too
    ("::ffff:8.8.8.8", "8.8.8.8"),
    ("::FFFF:8.8.8.8", "8.8.8.8"),
    ("::ffff:808:808", "8.8.8.8"),
    ("0:0:0:0:0:ffff:8.8.8.8", "8.8.8.8"),
    ("0000:0000:0000:0000:0000:ffff:255.255.255.255", "255.255.255.255"),
    ("::ffff:10.0.0.1", "10.0.0.1"),
    ("::ffff:127.0.0.1", "127.0.0.1"),
    ("::ffff:0:0", "0.0.0.0"),
    # IPv4-compatible
    ("::8.8.8.8", "8.8.8.8"),
    ("::808:808", "8.8.8.8"),
    ("::192.0.2.1", "192.0.2.1"),
    ("::1.0.0.0", "1.0.0.0"),
    # 6to4
    ("2002:808:808::", "8.8.8.8"),
    ("2002:808:808::1", "8.8.8.8"),
    ("2002:c000:204:ffff::1", "192.0.2.4"),
    ("2002:0102:0304:0506:0708:090a:0b0c:0d0e", "1.2.3.4"),
    # Teredo: the last 32 bits, inverted (the example of RFC 4380 §4 has 192.0.2.45)
    ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "192.0.2.45"),
    ("2001::f7f7:f7f7", "8.8.8.8"),
    # NAT64, well-known prefix
    ("64:ff9b::8.8.8.8", "8.8.8.8"),
    ("64:ff9b::808:808", "8.8.8.8"),
    ("64:ff9b::192.0.2.33", "192.0.2.33"),
    # NAT64, local-use prefix in the layouts of RFC 6052 §2.2: /96, /64, /56, /48
    ("64:ff9b:1::8.8.8.8", "8.8.8.8"),
    ("64:ff9b:1:ffff:0:1:808:808", "8.8.8.8"),
    ("64:ff9b:1:abcd:8:808:800::", "8.8.8.8"),
    ("64:ff9b:1:ab08:8:808::", "8.8.8.8"),
    ("64:ff9b:1:c000:2:2100::", "192.0.2.33"),
]

STAYS_IPV6 = [
    "2002:a00:1::1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "2002:a9fe:a9fe::",
    "2002:6440:1::",
    "2002:e000:1::",
    "2002::1",
    "2001::f5ff:fffe",
    "2001::80ff:fffe",
    "64:ff9b::a00:1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "64:ff9b:1::",
    "::10.0.0.1",
    "::127.0.0.1",
    # neighbours of the transition prefixes
    "2001:1::1",
    "2003::808:808",
    "64:ff9a::808:808",
    "64:ff9b:2::808:808",
    "64:ff9b:0:1::808:808",
    "::fffe:808:808",
    "::1:ffff:808:808",
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_inet_pton_would_not_read_is_no_address(text: str) -> None:
    assert parse_ip(text) is None


@pytest.mark.parametrize("size", [46, 100, 65_536])
def test_a_long_text_is_refused_and_not_remembered(size: int) -> None:
    before = address._remembered.cache_info().currsize

    result = parse_ip("1" * size)

    assert result is None
    assert address._remembered.cache_info().currsize == before


@pytest.mark.parametrize(("text", "canonical"), ACCEPTED)
def test_one_address_has_one_spelling(text: str, canonical: str) -> None:
    assert parse_ip(text) == canonical


@pytest.mark.parametrize(("text", "inner"), UNWRAPPED)
def test_the_ipv4_address_inside_is_the_client(text: str, inner: str) -> None:
    assert parse_ip(text) == inner


@pytest.mark.parametrize("text", STAYS_IPV6)
def test_a_wrapped_private_address_never_becomes_a_trusted_one(text: str) -> None:
    result = parse_ip(text)

    assert result is not None
    assert ":" in result
    assert ipaddress.ip_address(result) == ipaddress.ip_address(text)


def test_the_table_is_large_enough_to_mean_something() -> None:
    assert len(set(REFUSED)) + len(ACCEPTED) + len(UNWRAPPED) + len(STAYS_IPV6) >= 185


@pytest.mark.skipif(not address.__file__.endswith(".py"), reason="compiled: nothing to patch")
def test_a_lenient_inet_pton_is_checked_against_its_own_spelling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lenient(family: int, text: str) -> bytes:
        return bytes(int(part) for part in text.split("."))

    monkeypatch.setattr(address, "_pton", lenient)
    monkeypatch.setattr(address, "_PTON_IS_STRICT", False)

    assert parse_ip_afresh("8.8.8.010") is None
    assert parse_ip_afresh("8.8.8.10") == "8.8.8.10"


@given(st.ip_addresses(v=4))
def test_every_ipv4_address_is_its_own_spelling(ip: ipaddress.IPv4Address) -> None:
    assert parse_ip(str(ip)) == str(ip)


@given(st.ip_addresses(v=6))
def test_ipv6_agrees_with_the_standard_library(ip: ipaddress.IPv6Address) -> None:
    result = parse_ip(ip.exploded)

    assert result is not None
    if ":" in result:
        assert result == str(ip)
    else:
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            assert result == str(inner)


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:{}", "::FFFF:{}", "0:0:0:0:0:ffff:{}"]))
def test_every_mapped_address_is_unwrapped(ip: ipaddress.IPv4Address, form: str) -> None:
    assert parse_ip(form.format(ip)) == str(ip)


@given(st.ip_addresses(v=4).filter(lambda ip: ip.is_global and not ip.is_multicast))
def test_every_global_client_behind_a_transition_is_unwrapped(ip: ipaddress.IPv4Address) -> None:
    number = int(ip)
    inverted = number ^ 0xFFFFFFFF

    assert parse_ip(f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1") == str(ip)
    assert parse_ip(f"2001::{inverted >> 16:x}:{inverted & 0xFFFF:x}") == str(ip)
    assert parse_ip(f"64:ff9b::{ip}") == str(ip)


@given(st.text(max_size=50))
def test_any_text_is_read_or_refused_as_the_standard_library_does(text: str) -> None:
    result = parse_ip(text)

    try:
        expected: object = ipaddress.ip_address(text)
    except ValueError:
        expected = None
    if expected is None or "%" in text:
        assert result is None
    else:
        assert result is not None


@given(st.text(alphabet="0123456789abcdef.:%/[] \x00x", max_size=46))
def test_text_like_an_address_is_read_as_the_standard_library_does(text: str) -> None:
    try:
        ipaddress.ip_address(text)
        readable = "%" not in text
    except ValueError:
        readable = False

    assert (parse_ip(text) is not None) == readable


@given(st.ip_addresses())
def test_reading_a_canonical_address_changes_nothing(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    once = parse_ip(str(ip))

    assert once is not None
    assert parse_ip(once) == once


@given(st.ip_addresses())
def test_a_subnet_holds_its_address(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    canonical = parse_ip(str(ip))
    assert canonical is not None

    network = ipaddress.ip_network(subnet_of(canonical))

    assert ipaddress.ip_address(canonical) in network
    assert network.prefixlen == (24 if network.version == 4 else 64)


@pytest.mark.parametrize(
    ("ip", "subnet"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("0.0.0.0", "0.0.0.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8::1", "2001:db8::/64"),
        ("::1", "::/64"),
    ],
)
def test_a_client_is_a_24_or_a_64(ip: str, subnet: str) -> None:
    assert subnet_of(ip) == subnet


@pytest.mark.parametrize("text", ["", "example", "::x", "1:2"])
def test_a_subnet_of_no_address_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="not an IP address"):
        subnet_of(text)


def test_leniency_of_the_c_library_is_found_out() -> None:
    assert address._reads("1.2.3.4")
    assert not address._reads("1.2.3.4 x")
