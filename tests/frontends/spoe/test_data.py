"""Numbers, strings and typed values: the known spellings, and every value read back."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway_guard.frontends.spoe import data
from gateway_guard.frontends.spoe.data import (
    Data,
    Malformed,
    Value,
    read_string,
    read_typed,
    read_varint,
    string,
    typed,
    varint,
)

VALUES: st.SearchStrategy[Data] = st.one_of(
    st.just((data.NULL, None)),
    st.tuples(st.just(data.BOOL), st.booleans()),
    st.tuples(st.just(data.INT32), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.just(data.UINT32), st.integers(0, 2**32 - 1)),
    st.tuples(st.just(data.INT64), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just(data.UINT64), st.integers(0, 2**64 - 1)),
    st.tuples(st.just(data.IPV4), st.ip_addresses(v=4)),
    st.tuples(st.just(data.IPV6), st.ip_addresses(v=6)),
    st.tuples(st.sampled_from((data.STRING, data.BINARY)), st.binary(max_size=600)),
)


@pytest.mark.parametrize(
    ("number", "spelling"),
    [(0, "00"), (239, "ef"), (240, "f000"), (2287, "ff7f"), (2288, "f08000"), (264431, "ffff7f"),
     (264432, "f0808000")],
)  # fmt: skip
def test_numbers_are_spelled_as_haproxy_spells_them(number: int, spelling: str) -> None:
    assert varint(number).hex() == spelling
    assert read_varint(bytes.fromhex(spelling), 0) == (number, len(spelling) // 2)


@given(st.integers(0, 2**64 - 1), st.binary(max_size=8))
@example(2**64 - 1, b"")
def test_a_number_is_read_back_whatever_follows(number: int, rest: bytes) -> None:
    spelled = varint(number)

    assert read_varint(b"?" + spelled + rest, 1) == (number, 1 + len(spelled))
    assert len(spelled) <= 10


@given(st.binary(min_size=1, max_size=12))
def test_every_number_has_one_spelling(spelling: bytes) -> None:
    try:
        number, end = read_varint(spelling, 0)
    except Malformed:
        return

    assert varint(number) == spelling[:end]


@pytest.mark.parametrize(
    "spelling", ["", "f0", "f080", "ff" * 9 + "80", "ff" * 10 + "7f", "ff" * 99]
)
def test_a_number_cut_short_or_too_large_is_none(spelling: str) -> None:
    with pytest.raises(Malformed):
        read_varint(bytes.fromhex(spelling), 0)


@pytest.mark.parametrize("number", [-1, 2**64])
def test_what_does_not_fit_into_64_bits_is_not_written(number: int) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        varint(number)


@given(VALUES, st.binary(max_size=8))
def test_a_value_is_read_back_with_its_type(value: Data, rest: bytes) -> None:
    written = typed(*value)

    assert read_typed(written + rest, 0) == (value, len(written))


@given(VALUES.filter(lambda value: value[0] != data.NULL), st.data())
def test_a_value_cut_short_is_none(value: Data, draw: st.DataObject) -> None:
    written = typed(*value)
    cut = draw.draw(st.integers(0, len(written) - 1))

    with pytest.raises(Malformed):
        read_typed(written[:cut], 0)


@given(st.binary(max_size=64))
def test_no_bytes_make_reading_fail_in_another_way(noise: bytes) -> None:
    for read in (read_typed, read_string, read_varint):
        try:
            _, end = read(noise, 0)
        except Malformed:
            continue
        assert 0 < end <= len(noise)


def test_a_flag_is_in_the_high_half_of_the_first_byte() -> None:
    assert (typed(data.BOOL, True), typed(data.BOOL, False)) == (b"\x11", b"\x01")


def test_negative_numbers_are_64_bits_of_twos_complement() -> None:
    assert read_typed(bytes((data.INT32,)) + varint(2**64 - 1), 0)[0] == (data.INT32, -1)


@pytest.mark.parametrize(
    "written", [b"\x0a", b"\x0f", b"\x03" + varint(2**32), b"\x02" + varint(2**31)]
)
def test_unknown_types_and_numbers_too_large_for_theirs_are_refused(written: bytes) -> None:
    with pytest.raises(Malformed):
        read_typed(written, 0)


@pytest.mark.parametrize(
    ("kind", "value"),
    [(data.NULL, 0), (data.BOOL, 1), (data.UINT32, -1), (data.UINT32, True), (data.STRING, None),
     (data.IPV6, ipaddress.ip_address("192.0.2.1")), (data.IPV4, ipaddress.ip_address("::1")),
     (10, b"")],
)  # fmt: skip
def test_a_value_of_another_type_is_not_written(kind: int, value: Value) -> None:
    with pytest.raises(ValueError, match="no value of type"):
        typed(kind, value)


def test_a_string_longer_than_what_is_there_is_cut_short() -> None:
    assert read_string(string(b"abc") + b"d", 0) == (b"abc", 4)
    with pytest.raises(Malformed):
        read_string(varint(2**63) + b"abc", 0)
