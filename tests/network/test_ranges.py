"""Range arithmetic, held against sets of single addresses."""

from __future__ import annotations

import ipaddress
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.network.ranges import (
    apart,
    difference,
    flatten,
    parse_range,
    prefixes,
    union,
)

SPAN = 64
RANGE = st.tuples(st.integers(0, SPAN - 1), st.integers(0, SPAN - 1)).map(
    lambda pair: (min(pair), max(pair))
)
RANGES = st.lists(RANGE, max_size=8)


def members(ranges: list[tuple[int, int]]) -> set[int]:
    return {at for first, last in ranges for at in range(first, last + 1)}


@given(RANGES)
def test_a_union_has_the_same_addresses_in_ranges_that_do_not_touch(
    ranges: list[tuple[int, int]],
) -> None:
    merged = union(ranges)

    assert members(merged) == members(ranges)
    assert all(a[1] + 1 < b[0] for a, b in itertools.pairwise(merged))


@given(RANGES, RANGES)
def test_a_difference_is_what_is_left(
    ranges: list[tuple[int, int]], removed: list[tuple[int, int]]
) -> None:
    left = difference(ranges, removed)

    assert members(left) == members(ranges) - members(removed)
    assert left == union(left)


@given(RANGES)
def test_of_ranges_that_overlap_the_one_that_begins_last_counts(
    ranges: list[tuple[int, int]],
) -> None:
    said = apart((first, last, at) for at, (first, last) in enumerate(ranges))

    told = [(at, value) for first, last, value in said for at in range(first, last + 1)]
    assert told == sorted(told)
    assert len(told) == len(dict(told)) == len(members(ranges))
    for at, value in told:
        around = [(-f, last, n) for n, (f, last) in enumerate(ranges) if f <= at <= last]
        assert value == min(around)[2]


@given(st.lists(RANGES, min_size=1, max_size=4))
def test_flattening_keeps_every_flag_of_every_list(lists: list[list[tuple[int, int]]]) -> None:
    layers = [[(a, b, "x") for a, b in union(ranges)] for ranges in lists]

    flat = list(flatten(layers))

    for at in range(SPAN):
        expected = tuple("x" if at in members(ranges) else None for ranges in lists)
        found = [values for first, last, values in flat if first <= at <= last]
        assert found == ([expected] if any(expected) else [])
    assert all(a[1] < b[0] for a, b in itertools.pairwise(flat))
    assert not any(a[1] + 1 == b[0] and a[2] == b[2] for a, b in itertools.pairwise(flat))


@given(RANGE)
def test_prefixes_cover_a_range_exactly_and_agree_with_the_standard_library(
    pair: tuple[int, int],
) -> None:
    first, last = pair

    found = [ipaddress.IPv4Network((address, length)) for address, length in prefixes(*pair, 32)]

    expected = ipaddress.summarize_address_range(
        ipaddress.IPv4Address(first), ipaddress.IPv4Address(last)
    )
    assert found == list(expected)


def test_a_whole_space_is_one_prefix() -> None:
    assert list(prefixes(0, (1 << 32) - 1, 32)) == [(0, 0)]


@given(st.ip_addresses(), st.integers(0, 128))
def test_a_prefix_names_the_range_the_standard_library_says(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address, length: int
) -> None:
    length = min(length, ip.max_prefixlen)
    network = ipaddress.ip_network((ip, length), strict=False)
    first = int(network.network_address)
    if network.version == 6 and (first < 1 << 32 or (first >> 32 == 0xFFFF and length >= 96)):
        return

    assert parse_range(f"{ip}/{length}") == (first, int(network.broadcast_address))


def test_a_mapped_prefix_is_the_ipv4_prefix() -> None:
    assert parse_range("::ffff:192.0.2.0/120") == parse_range("192.0.2.0/24")
    assert parse_range("::ffff:192.0.2.1") == parse_range("192.0.2.1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not an IP address"),
        ("1.2.3", "not an IP address"),
        ("1.2.3.4/33", "longer than the address"),
        ("::2/129", "longer than the address"),
        ("1.2.3.4/", "not a prefix length"),
        ("1.2.3.4/x", "not a prefix length"),
        ("1.2.3.4/+8", "not a prefix length"),
        ("1.2.3.4/0000008", "not a prefix length"),
        ("1.2.3.4/255.0.0.0", "not a prefix length"),
        ("::/0", "inside IPv6"),
        ("::1", "inside IPv6"),
    ],
)
def test_a_bad_prefix_says_why(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_range(text)
