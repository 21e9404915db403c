"""Lists of addresses and prefixes: each entry the range `ipaddress` sees, errors name the line;
ranges joined, cut out and split into prefixes stay the same addresses."""

from __future__ import annotations

import ipaddress
import itertools
import re

from gateway_guard.errors import SourceError
from gateway_guard.network.lists import MAX_LINE, parse_ranges
from gateway_guard.network.ranges import V4_END, Range, difference, parse_range, prefixes, union

WORDS = (
    b"192.0.2.0/24", b"2001:db8::/32", b"\n", b"# ", b"; ", b",", b"/", b"/0", b"/129", b"::/0",
    b"::ffff:10.0.0.0/104", b"10.0.0.1:8080", b'"', b"\xef\xbb\xbf", b"\r\n", b"0.0.0.0/0", b" ",
    b"255.255.255.255", b"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", b"/032", b"01.2.3.4",
)  # fmt: skip


def by_ipaddress(word: str) -> Range | None:
    """The range of one entry; None where `ipaddress` sees none."""
    if "%" in word:
        return None
    low, dash, high = word.partition("-")
    if dash:
        ends = by_ipaddress(low.strip()), by_ipaddress(high.strip())
        return (ends[0][0], ends[1][1]) if ends[0] is not None and ends[1] is not None else None
    try:
        network = ipaddress.ip_network(word, strict=False)
    except ValueError:
        return None
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.version == 6 and first >> 32 == 0xFFFF and network.prefixlen >= 96:
        return first & 0xFFFFFFFF, last & 0xFFFFFFFF
    return first, last


def target(data: bytes) -> None:
    """A list file."""
    try:
        found = parse_ranges(data, "list")
    except SourceError as error:
        found, said = [], str(error)
    if not found:
        where = re.match(r"list:(?:([0-9]+):)?", said)
        assert where is not None, said
        assert where[1] is None or 1 <= int(where[1]) <= data.count(b"\n") + 1
        assert len(said) < 400
        return

    assert 0 < len(found) <= data.count(b"\n") + 1
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    assert max(map(len, lines)) <= MAX_LINE
    words = [re.split(rb"[#;,]", line)[0].decode("ascii").strip().strip('"') for line in lines]
    for word, one in zip(filter(None, words), found, strict=True):
        again = by_ipaddress(word) or by_ipaddress(word.rpartition(":")[0])
        assert one == again, (word, one, again)
        assert "-" in word or not by_ipaddress(word) or one == parse_range(word)
    joined = union(found)
    assert union(joined) == joined
    assert all(one[1] + 1 < other[0] for one, other in itertools.pairwise(joined))
    assert difference(found, found) == []
    odd, even = found[::2], found[1::2]
    assert union([*difference(odd, even), *even]) == joined
    for first, last in joined[:20]:
        bits = 32 if last < V4_END else 128
        if last - first < 1 << 64 or bits == 128:
            parts = [(at, at + (1 << (bits - n)) - 1) for at, n in prefixes(first, last, bits)]
            assert union(parts) == [(first, last)]
            assert len(parts) <= 2 * bits
