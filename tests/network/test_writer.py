"""Our MMDB files, read back by the reference readers: C and pure Python."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import maxminddb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway_guard.network.mmdb import Decoder, open_bytes
from gateway_guard.network.ranges import flatten, parse_range, union
from gateway_guard.network.writer import Encoder, Value, write_mmdb

MODES = [maxminddb.MODE_MMAP_EXT, maxminddb.MODE_FILE]


def write(
    entries: list[tuple[str, Value]], *, ip_version: int = 6, record_size: int | None = None
) -> bytes:
    ranges = sorted((*parse_range(prefix), at) for at, (prefix, _) in enumerate(entries))
    return write_mmdb(
        ranges,
        [value for _, value in entries],
        database_type="test",
        description="a test",
        build_epoch=1_772_452_800,
        ip_version=ip_version,
        record_size=record_size,
    )


def saved(path: Path, data: bytes) -> str:
    file = path / "x.mmdb"
    file.write_bytes(data)
    return str(file)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("record_size", [24, 28, 32])
def test_every_record_size_is_read_by_the_reference_readers(
    tmp_path: Path, mode: int, record_size: int
) -> None:
    data = write(
        [
            ("192.0.2.0/24", {"n": "v4"}),
            ("0.0.0.0/8", {"n": "low"}),
            ("2001:db8::/32", {"n": "v6"}),
        ],
        record_size=record_size,
    )

    with maxminddb.open_database(saved(tmp_path, data), mode) as reader:
        found = [reader.get(ip) for ip in ("192.0.2.9", "0.1.2.3", "2001:db8::9", "192.0.3.0")]
        assert reader.get_with_prefix_len("192.0.2.9")[1] == 24
        assert reader.metadata().record_size == record_size
        assert reader.metadata().description == {"en": "a test"}
        assert reader.metadata().build_epoch == 1_772_452_800

    assert found == [{"n": "v4"}, {"n": "low"}, {"n": "v6"}, None]


@pytest.mark.parametrize("mode", MODES)
def test_an_ipv4_file_is_read_by_the_reference_readers(tmp_path: Path, mode: int) -> None:
    data = write([("192.0.2.0/24", "yes"), ("128.0.0.0/2", "half")], ip_version=4)

    with maxminddb.open_database(saved(tmp_path, data), mode) as reader:
        assert reader.get("192.0.2.200") == "yes"
        assert reader.get("129.0.0.1") == "half"
        assert reader.get("1.1.1.1") is None


VALUES: list[Any] = [
    {}, [], "", "a", "é€😀", "x" * 28, "x" * 29, "x" * 284, "x" * 285, "x" * 65_820, "x" * 65_821,
    "x" * 70_000, 0, 1, 65_535, 65_536, 2**32 - 1, 2**32, 2**64 - 1, 2**64, 2**128 - 1, True, False,
    1.5, -0.0, 1e300, b"", b"\x00\xff", [1, "a", [2, {"b": []}]],
    {"a": {"a": {"a": "aaa"}}, "names": {"en": "Norway", "de": "Norwegen"}},
    {f"key{n}": n for n in range(40)}, ["same text"] * 300,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:30])
@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_value_comes_back(tmp_path: Path, mode: int, value: Any) -> None:
    data = write([("192.0.2.0/24", {"value": value, "again": value})])

    with maxminddb.open_database(saved(tmp_path, data), mode) as reader:
        record: Any = reader.get("192.0.2.1")

    expected = bytearray(value) if isinstance(value, bytes) else value
    assert record == {"value": expected, "again": expected}


JSON_LIKE = st.recursive(
    st.text(max_size=20) | st.integers(0, 2**128 - 1) | st.booleans() | st.binary(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


@given(st.lists(JSON_LIKE, min_size=1, max_size=6))
def test_our_decoder_reads_what_our_encoder_writes(values: list[Any]) -> None:
    encoder = Encoder()

    places = [encoder.record(value) for value in values]

    data = bytes(encoder.data)
    assert [Decoder(data, 0, len(data)).decode(place) for place in places] == values


def test_every_size_of_pointer_reaches() -> None:
    encoder = Encoder()
    first = encoder.record({"marker": "begin"})
    fillers = [encoder.record("y" * 60_000 + str(n)) for n in range(12)]
    last = encoder.record({"marker": "begin", "far": "y" * 60_000 + "11"})

    decoder = Decoder(bytes(encoder.data), 0, len(encoder.data))

    assert decoder.decode(first) == {"marker": "begin"}
    assert decoder.decode(fillers[5]) == "y" * 60_000 + "5"
    assert decoder.decode(last) == {"marker": "begin", "far": "y" * 60_000 + "11"}


def test_equal_records_and_strings_are_stored_once() -> None:
    encoder = Encoder()
    name = "An Operator With A Long Name"

    first = encoder.record({"as_org": name, "asn": 1})
    second = encoder.record({"as_org": name, "asn": 2})
    again = encoder.record({"as_org": name, "asn": 1})

    assert first == again != second
    assert bytes(encoder.data).count(name.encode()) == 1


V4 = st.integers(0, 2**32 - 1)
V6 = st.integers(2**32, 2**128 - 1)


@given(
    st.lists(
        st.one_of(st.tuples(V4, V4), st.tuples(V6, V6)).map(lambda p: (min(p), max(p))),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_address_gets_the_record_of_its_range(
    tmp_path: Path, ranges: list[tuple[int, int]]
) -> None:
    layers = [[(first, last, at)] for at, (first, last) in enumerate(ranges)]
    flat = list(flatten(layers))

    data = write_mmdb(
        [(first, last, at) for at, (first, last, _) in enumerate(flat)],
        [[v for v in values if isinstance(v, int)] for _, _, values in flat],
        database_type="test",
        description="",
        build_epoch=1,
    )

    with maxminddb.open_database(saved(tmp_path, data)) as reader:
        for first, last, values in flat:
            for number in (first, last, (first + last) // 2):
                ip = ipaddress.IPv4Address(number) if number < 2**32 else None
                record = reader.get(ip or ipaddress.IPv6Address(number))
                assert record == [v for v in values if v is not None]
        covered = union(ranges)
        for _, last in covered:
            beyond = last + 1
            if 2**32 < beyond < 2**128 and not any(a <= beyond <= b for a, b in covered):
                assert reader.get(ipaddress.IPv6Address(beyond)) is None


def test_the_same_input_gives_the_same_bytes() -> None:
    entries: list[tuple[str, Value]] = [("192.0.2.0/24", {"a": "b"}), ("10.0.0.0/9", {"a": "c"})]

    assert write(entries) == write(entries)


def test_what_we_write_passes_our_own_check() -> None:
    opened = open_bytes(write([("192.0.2.0/24", {"a": "b"})]), "x")

    assert opened.sample == ({"a": "b"},)
    assert opened.reader.get("192.0.2.3") == {"a": "b"}


@pytest.mark.parametrize(
    "ranges",
    [
        [(0, 10, 0), (10, 20, 0)],
        [(20, 30, 0), (0, 10, 0)],
        [(5, 4, 0)],
        [(0, 1 << 128, 0)],
        [(0, (1 << 128) - 1, 0)],
    ],
)
def test_ranges_that_overlap_or_leave_the_space_are_refused(
    ranges: list[tuple[int, int, int]],
) -> None:
    with pytest.raises(ValueError, match="out of order or out of space"):
        write_mmdb(ranges, ["x"], database_type="t", description="", build_epoch=1)


def test_an_ipv6_range_does_not_go_into_an_ipv4_file() -> None:
    with pytest.raises(ValueError, match="out of space"):
        write([("2001:db8::/32", "x")], ip_version=4)


def test_a_file_too_large_for_its_records_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        write([("192.0.2.0/24", "x")], record_size=16)


def test_a_negative_number_is_refused() -> None:
    with pytest.raises(ValueError, match="unsigned"):
        write([("192.0.2.0/24", {"n": -1})])


def test_a_build_date_of_zero_is_refused_as_the_c_reader_would() -> None:
    with pytest.raises(ValueError, match="build_epoch"):
        write_mmdb([], [], database_type="t", description="", build_epoch=0)
