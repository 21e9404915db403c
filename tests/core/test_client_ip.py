"""The client's address: every spelling, every chain, every header."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.client_ip import MOST_HOPS, Trust, hop, peer_address
from gateway_guard.core.identify import identify
from gateway_guard.core.sections import Identify, Inspect
from gateway_guard.types import Wire

CLIENT, OTHER = "198.51.100.10", "203.0.113.9"
PROXY, EDGE = "10.0.0.1", "10.0.0.2"


def networks(*texts: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


TRUSTED = networks("10.0.0.0/8", "2001:db8:ff::/48")


def located(
    *header_lines: tuple[str, str | bytes],
    how: str = "x-forwarded-for",
    peer: str | None = PROXY,
    trusted: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = TRUSTED,
    trust_unix: bool = False,
) -> tuple[str | None, str]:
    """The client IP and its source for a request with these header lines."""
    wire = Wire(
        method="GET",
        raw_path=b"/",
        headers=[
            (name.encode(), value if isinstance(value, bytes) else value.encode("utf-8"))
            for name, value in header_lines
        ],
        peer=peer,
    )
    rules = Identify(client_ip=how, trusted=trusted, trust_unix=trust_unix)
    request = identify(wire, rules, Inspect(), id="r", at=0.0, secret=b"s" * 32, keys={})
    return request.client_ip, request.ip_source


ADDRESSES = [
    ("192.0.2.1", "192.0.2.1"),
    ("0.0.0.1", "0.0.0.1"),
    ("255.255.255.255", "255.255.255.255"),
    ("127.0.0.1", "127.0.0.1"),
    ("2001:db8::1", "2001:db8::1"),
    ("2001:DB8::1", "2001:db8::1"),
    ("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
    ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
    ("fe80::1", "fe80::1"),
    ("::1", "::1"),
    ("::ffff:192.0.2.1", "192.0.2.1"),
    ("::FFFF:192.0.2.1", "192.0.2.1"),
    ("::ffff:c000:201", "192.0.2.1"),
    ("0:0:0:0:0:ffff:c000:0201", "192.0.2.1"),
    ("64:ff9b::192.0.2.1", "192.0.2.1"),
    ("64:ff9b::c000:201", "192.0.2.1"),
    ("2002:c000:201::1", "192.0.2.1"),
    ("2001:0:c000:201::3fff:fdfe", "192.0.2.1"),
    ("::192.0.2.1", "192.0.2.1"),
    ("192.0.2.1:0", "192.0.2.1"),
    ("192.0.2.1:80", "192.0.2.1"),
    ("192.0.2.1:65535", "192.0.2.1"),
    ("192.0.2.1:00080", "192.0.2.1"),
    ("[2001:db8::1]", "2001:db8::1"),
    ("[2001:db8::1]:443", "2001:db8::1"),
    ("[2001:db8::1]:0", "2001:db8::1"),
    ("[::ffff:192.0.2.1]:4711", "192.0.2.1"),
    ("[::ffff:192.0.2.1]", "192.0.2.1"),
    ("2001:db8::1:443", "2001:db8::1:443"),
]
NOT_ADDRESSES = [
    "", " ", ".", ":", "::", "0.0.0.0", "::ffff:0.0.0.0", "0.0.0.0:80", "[::]", "[::]:80",
    "unknown", "_hidden", "localhost", "example.com", "not-an-ip", "-", "null", "None", "nil",
    "192.0.2", "192.0.2.1.5", "192.0.2.256", "192.0.2.-1", "192.0.2.1.", ".192.0.2.1",
    "192.0.2.01", "192.000.002.001", "0300.0.2.1", "0xc0.0.2.1", "0xc0000201", "3221225985",
    "192.0.513", "192.2.1", "192", "1e3.0.0.1", "192.0.2.1/32", "192.0.2.0/24", "192.0.2.1/",
    "192.0.2.1 192.0.2.2", "192.0.2.1;192.0.2.2", "192.0.2.1\t", " 192.0.2.1", "192. 0.2.1",
    "192.0.2.1\0", "192.0.2.1\n", "192.0.2.1\r\n", "192.0.2.1\x0b", "192.0.2.1\xa0",
    "１９２.0.2.1", "192。0.2.1", "١٩٢.0.2.1", "192.0.2.1\u200b", "\ufeff192.0.2.1",
    '"192.0.2.1"', "'192.0.2.1'", "<192.0.2.1>", "(192.0.2.1)", "[192.0.2.1]", "[192.0.2.1]:80",
    "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:99999", "192.0.2.1:123456", "192.0.2.1:-1",
    "192.0.2.1:+80", "192.0.2.1:8 0", "192.0.2.1:http", "192.0.2.1:80:80", ":80", "192.0.2.1:８０",
    "2001:db8::1::2", "2001:db8", "2001:db8:::1", ":2001:db8::1", "2001:db8::1:",
    "2001:db8::g", "2001:db8::12345", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8:9",
    "2001:db8::1%eth0", "fe80::1%1", "2001:db8::1%25eth0", "[fe80::1%eth0]", "[fe80::1%eth0]:80",
    "2001:db8::1/64", "[2001:db8::1", "2001:db8::1]", "[2001:db8::1]443", "[2001:db8::1]:",
    "[2001:db8::1]:65536", "[2001:db8::1]:x", "[2001:db8::1]]", "[[2001:db8::1]]", "[]", "[]:80",
    "[2001:db8::1] :80", "[ 2001:db8::1]", "::ffff:192.0.2.256", "::ffff:192.0.2", "::192.0.2.01",
    "2001:db8:66:1::203.0.113", "2001:db8::1 ", "for=192.0.2.1", "ipv6:2001:db8::1", "1" * 100,
    "a" * 60_000, "\ud800",
]  # fmt: skip


@pytest.mark.parametrize(("text", "address"), ADDRESSES)
def test_an_element_that_is_one_address_is_read(text: str, address: str) -> None:
    assert hop(text) == address


@pytest.mark.parametrize("text", NOT_ADDRESSES, ids=lambda text: ascii(text)[:40])
def test_an_element_that_is_not_exactly_one_address_is_unknown(text: str) -> None:
    assert hop(text) is None


XFF_CHAINS: list[tuple[str, list[str | bytes], str | None]] = [
    ("one hop", [CLIENT], CLIENT),
    ("rightmost untrusted counts", [f"{CLIENT}, {OTHER}"], OTHER),
    ("spoof on the left line", [CLIENT, OTHER], OTHER),
    ("the later line is nearer", [OTHER, CLIENT], CLIENT),
    ("trusted hop passed", [f"{CLIENT}, {EDGE}"], CLIENT),
    ("two trusted hops passed", [f"{CLIENT}, {EDGE}, 10.9.9.9"], CLIENT),
    ("trusted hops over lines", [CLIENT, EDGE, "10.9.9.9"], CLIENT),
    ("spoof behind trusted hop", [f"{OTHER}, {CLIENT}, {EDGE}"], CLIENT),
    ("trusted address spoofed on the left", [f"{EDGE}, {CLIENT}"], CLIENT),
    ("all trusted: leftmost", [f"10.1.1.1, {EDGE}"], "10.1.1.1"),
    ("one trusted", [EDGE], EDGE),
    ("no space", [f"{OTHER},{CLIENT}"], CLIENT),
    ("tabs and spaces", [f"{OTHER} ,\t {CLIENT} \t"], CLIENT),
    ("port", [f"{OTHER}, {CLIENT}:4711"], CLIENT),
    ("bracketed IPv6", ["[2001:db8:66::1]:443"], "2001:db8:66::1"),
    ("IPv6", ["2001:db8:66::1"], "2001:db8:66::1"),
    ("mapped", [f"::ffff:{CLIENT}"], CLIENT),
    ("trusted IPv6 hop", [f"{CLIENT}, 2001:db8:ff::7"], CLIENT),
    ("mapped trusted hop", [f"{CLIENT}, ::ffff:10.0.0.2"], CLIENT),
    ("unknown hop", ["unknown"], None),
    ("garbage nearest", [f"{CLIENT}, not-an-ip"], None),
    ("garbage behind a trusted hop", [f"{CLIENT}, not-an-ip, {EDGE}"], None),
    ("garbage left of the client is the client's", [f"not-an-ip, {CLIENT}"], CLIENT),
    ("empty line", [""], None),
    ("blank line", [" \t "], None),
    ("empty nearest element", [f"{CLIENT}, "], None),
    ("empty element between", [f"{CLIENT}, , {EDGE}"], None),
    ("empty last line", [CLIENT, ""], None),
    ("empty first line", ["", CLIENT], CLIENT),
    ("only commas", [",,,"], None),
    ("20,000 commas", ["," * 20_000], None),
    ("60 KiB of letters", ["a" * 60_000], None),
    ("60 KiB of spaces, then the client", [" " * 60_000 + CLIENT], None),
    ("60 KiB of forgery on the left", [f"{OTHER}, " * 4_000 + CLIENT], CLIENT),
    ("500 lines", [*[OTHER] * 499, CLIENT], CLIENT),
    ("1,000 trusted hops", [", ".join([EDGE] * 1000)], None),
    ("most trusted hops allowed", [CLIENT + f", {EDGE}" * (MOST_HOPS - 1)], CLIENT),
    ("one more", [CLIENT + f", {EDGE}" * MOST_HOPS], None),
    ("space instead of comma", [f"{OTHER} {CLIENT}"], None),
    ("semicolon instead of comma", [f"{OTHER};{CLIENT}"], None),
    ("quoted", [f'"{CLIENT}"'], None),
    ("CIDR", [f"{CLIENT}/32"], None),
    ("leading zero", ["198.51.100.010"], None),
    ("zone", ["2001:db8:66::1%eth0"], None),
    ("unspecified", ["0.0.0.0"], None),
    ("non-breaking space", [CLIENT.encode() + b"\xa0"], None),
    ("vertical tab", [CLIENT.encode() + b"\x0b"], None),
    ("NUL", [CLIENT.encode() + b"\0"], None),
    ("not ASCII", [b"\xff\xfe"], None),
    ("full-width digits", ["１９８.51.100.10"], None),
    ("Forwarded syntax", [f"for={CLIENT}"], None),
]


@pytest.mark.parametrize(
    ("values", "address"),
    [(values, address) for _, values, address in XFF_CHAINS],
    ids=[name for name, _, _ in XFF_CHAINS],
)
def test_x_forwarded_for_is_walked_from_the_right(
    values: list[str | bytes], address: str | None
) -> None:
    assert located(*[("x-forwarded-for", value) for value in values])[0] == address


V6 = "2001:db8:66::1"
FORWARDED_CHAINS: list[tuple[str, list[str], str | None]] = [
    ("IPv4", [f"for={CLIENT}"], CLIENT),
    ("name in capitals", [f"For={CLIENT}"], CLIENT),
    ("quoted IPv4", [f'for="{CLIENT}"'], CLIENT),
    ("quoted IPv4 with port", [f'for="{CLIENT}:4711"'], CLIENT),
    ("quoted IPv6", [f'for="[{V6}]"'], V6),
    ("quoted IPv6 with port", [f'for="[{V6}]:4711"'], V6),
    ("quoted pairs", [f'for="\\1{CLIENT[1:]}"'], CLIENT),
    ("mapped", [f'for="[::ffff:{CLIENT}]"'], CLIENT),
    ("other parameters", [f"for={CLIENT};proto=https;by={EDGE};host=a.test"], CLIENT),
    ("other parameters first", [f'proto=https;host="a.test:80";for={CLIENT}'], CLIENT),
    ("spaces around semicolons", [f"for={CLIENT} ; proto=https"], CLIENT),
    ("rightmost counts", [f"for={OTHER}, for={CLIENT}"], CLIENT),
    ("lines joined", [f"for={OTHER}", f"for={CLIENT}"], CLIENT),
    ("trusted hop passed", [f"for={CLIENT}, for={EDGE};proto=http"], CLIENT),
    ("all trusted: leftmost", [f"for=10.3.3.3, for={EDGE}"], "10.3.3.3"),
    ("comma in a quoted string", [f'for={OTHER}, for={CLIENT};host="a,b"'], CLIENT),
    ("open quote on the left swallows nothing", [f'for="{OTHER}, for={CLIENT}'], CLIENT),
    ("open quote on the first line", ['for="', f"for={CLIENT}"], CLIENT),
    ("unknown", ["for=unknown"], None),
    ("obfuscated", ["for=_hidden"], None),
    ("obfuscated port", [f'for="{CLIENT}:_p"'], None),
    ("without for", ["proto=https"], None),
    ("nearest without for", [f"for={CLIENT}, proto=https"], None),
    ("for twice", [f"for={CLIENT};for={OTHER}"], None),
    ("for twice, other case", [f"for={CLIENT};FOR={OTHER}"], None),
    ("unquoted port", [f"for={CLIENT}:80"], None),
    ("unquoted IPv6", [f"for={V6}"], None),
    ("unquoted brackets", [f"for=[{V6}]"], None),
    ("quoted IPv6 without brackets", [f'for="{V6}"'], None),
    ("brackets around IPv4", [f'for="[{CLIENT}]"'], None),
    ("space before equals", [f"for ={CLIENT}"], None),
    ("space after equals", [f"for= {CLIENT}"], None),
    ("no name", [f"={CLIENT}"], None),
    ("bare address", [CLIENT], None),
    ("empty value", ["for="], None),
    ("empty quoted value", ['for=""'], None),
    ("trailing semicolon", [f"for={CLIENT};"], None),
    ("double semicolon", [f"for={CLIENT};;proto=http"], None),
    ("open quote nearest", [f'for="{CLIENT}'], None),
    ("text after the quote", [f'for="{CLIENT}"x'], None),
    ("empty", [""], None),
    ("only commas", [",,"], None),
    ("60 KiB of quotes", ['"' * 60_000], None),
    ("60 KiB of backslashes", ['for="' + "\\" * 60_000], None),
    ("60 KiB of pairs", ["a=b;" * 15_000 + f"for={CLIENT}"], None),
]


@pytest.mark.parametrize(
    ("values", "address"),
    [(values, address) for _, values, address in FORWARDED_CHAINS],
    ids=[name for name, _, _ in FORWARDED_CHAINS],
)
def test_forwarded_is_read_strictly_and_from_the_right(
    values: list[str], address: str | None
) -> None:
    assert located(*[("forwarded", value) for value in values], how="forwarded")[0] == address


@pytest.mark.parametrize(
    ("values", "address"),
    [
        ([CLIENT], CLIENT),
        ([f" {CLIENT}\t"], CLIENT),
        ([V6], V6),
        ([f"[{V6}]:443"], V6),
        ([f"::ffff:{CLIENT}"], CLIENT),
        ([], None),
        ([""], None),
        ([CLIENT, CLIENT], None),
        ([CLIENT, OTHER], None),
        ([f"{CLIENT}, {OTHER}"], None),
        ([f"{CLIENT} {OTHER}"], None),
        (["unknown"], None),
        (["a" * 60_000], None),
    ],
)
def test_a_single_header_holds_exactly_one_address(values: list[str], address: str | None) -> None:
    lines = [("cf-connecting-ip", value) for value in values]

    assert located(*lines, how="cf-connecting-ip")[0] == address


@pytest.mark.parametrize("how", ["x-forwarded-for", "forwarded", "cf-connecting-ip", "x-real-ip"])
@pytest.mark.parametrize(
    ("peer", "trusted"),
    [(OTHER, TRUSTED), (PROXY, ()), (OTHER, ()), ("2001:db8::9", TRUSTED)],
    ids=["stranger", "nobody trusted", "stranger, nobody trusted", "IPv6 stranger"],
)
def test_who_is_not_trusted_is_judged_by_its_own_address(
    how: str, peer: str, trusted: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
) -> None:
    claim = f"for={CLIENT}" if how == "forwarded" else CLIENT

    assert located((how, claim), how=how, peer=peer, trusted=trusted) == (peer, "peer")


@pytest.mark.parametrize(
    "name",
    [
        "x-real-ip", "forwarded", "cf-connecting-ip", "true-client-ip", "x-client-ip",
        "x_forwarded_for", "x-forwarded_for", "x.forwarded.for", "x-forwarded", "forwarded-for",
        "x-original-forwarded-for", "x-cluster-client-ip", "fastly-client-ip", "x-guard-client-ip",
    ],
)  # fmt: skip
def test_only_the_header_the_policy_names_is_read(name: str) -> None:
    assert located(("x-forwarded-for", OTHER), (name, CLIENT))[0] == OTHER


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::", None),
        ("0.0.0.0", None),
        ("testclient", None),
        ("", None),
        ("%", None),
        ("/run/guard.sock", None),
        (None, None),
    ],
)
def test_the_peer_is_an_address_or_unknown(peer: str | None, address: str | None) -> None:
    assert peer_address(peer) == address


@pytest.mark.parametrize(
    ("peer", "trusted", "believed"),
    [
        ("::ffff:10.0.0.1", TRUSTED, True),
        ("10.255.255.255", TRUSTED, True),
        ("11.0.0.0", TRUSTED, False),
        ("9.255.255.255", TRUSTED, False),
        ("2001:db8:ff:1::1", TRUSTED, True),
        ("2001:db8:fe::1", TRUSTED, False),
        ("10.0.0.1", networks("::ffff:10.0.0.0/104"), True),
        ("11.0.0.1", networks("::ffff:10.0.0.0/104"), False),
        ("192.0.2.1", networks("0.0.0.0/0"), True),
        ("2001:db8::1", networks("0.0.0.0/0"), False),
        ("192.0.2.1", networks("::/0"), False),
        ("192.0.2.1", networks("192.0.2.1/32"), True),
        ("192.0.2.2", networks("192.0.2.1/32"), False),
        (None, TRUSTED, False),
    ],
)
def test_trust_is_a_matter_of_networks(
    peer: str | None,
    trusted: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...],
    believed: bool,
) -> None:
    found, _ = located(("x-forwarded-for", "203.0.113.5"), peer=peer, trusted=trusted)

    assert (found == "203.0.113.5") is believed


def test_a_unix_socket_is_trusted_only_when_the_policy_says_so() -> None:
    line = ("x-forwarded-for", CLIENT)

    assert located(line, peer=None)[0] is None
    assert located(line, peer=None, trust_unix=True)[0] == CLIENT
    assert located(line, peer="garbage", trust_unix=True)[0] is None


def test_a_trusted_peer_without_a_forwarding_list_is_the_client() -> None:
    assert located() == (PROXY, "peer, trusted, without x-forwarded-for")
    assert located(how="forwarded")[0] == PROXY


def test_the_source_says_which_hop_it_was() -> None:
    assert located(("x-forwarded-for", f"{CLIENT}, {EDGE}"))[1] == "hop 2 of x-forwarded-for"
    assert located(("x-forwarded-for", "x"))[1] == "hop 1 of x-forwarded-for is not an address"
    assert located(("cf-connecting-ip", CLIENT), how="cf-connecting-ip")[1] == "cf-connecting-ip"


@given(
    forged=st.lists(st.ip_addresses().map(str) | st.text(max_size=20), max_size=5),
    hops=st.integers(min_value=0, max_value=4),
    client=st.ip_addresses(v=4),
)
def test_what_a_client_writes_never_changes_its_address(
    forged: list[str], hops: int, client: ipaddress.IPv4Address
) -> None:
    trusted = networks("10.0.0.0/8")
    if client in trusted[0] or client == ipaddress.IPv4Address(0):
        return
    chain = [*forged, str(client), *[f"10.0.0.{hop}" for hop in range(hops)]]

    found, _ = (
        located(("x-forwarded-for", ", ".join(chain)), trusted=trusted)
        if all(text.isprintable() for text in forged)
        else (str(client), "")
    )

    assert found == str(client)


@given(
    st.lists(st.binary(max_size=60), max_size=4), st.sampled_from(["x-forwarded-for", "forwarded"])
)
def test_no_bytes_make_the_walk_raise(values: list[bytes], how: str) -> None:
    address, _ = located(*[(how, value) for value in values], how=how)

    assert address is None or str(ipaddress.ip_address(address))


@given(st.ip_addresses(), st.lists(st.ip_addresses(), max_size=4), st.integers(0, 32))
def test_trust_agrees_with_the_standard_library(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
    starts: list[ipaddress.IPv4Address | ipaddress.IPv6Address],
    prefix: int,
) -> None:
    nets = [ipaddress.ip_network((start, prefix), strict=False) for start in starts]

    assert Trust(nets).covers(str(address)) == any(address in net for net in nets)
