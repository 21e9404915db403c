"""PROXY protocol headers, both versions, in any cut."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.frontends.proxy_protocol import (
    MAX_V1,
    V2_SIGNATURE,
    Found,
    ProxyProtocolError,
    ProxyReader,
)

PORTS = st.integers(0, 65535)


def v2(command: int, kind: int, payload: bytes) -> bytes:
    return V2_SIGNATURE + bytes((0x20 | command, kind)) + len(payload).to_bytes(2, "big") + payload


def feed(data: bytes, cut: int) -> Found | None:
    reader = ProxyReader()
    return reader.feed(data[:cut]) or reader.feed(data[cut:])


@given(st.ip_addresses(), PORTS, st.integers(0, 60))
def test_what_version_1_says_is_read_in_any_cut(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, cut: int
) -> None:
    line = f"PROXY TCP{address.version} {address} {address} {port} 80\r\n".encode()

    found = feed(line + b"GET", min(cut, len(line) - 1))

    assert found is not None
    assert found.source is not None
    assert ipaddress.ip_address(found.source[0]) == address
    assert found.source[1] == port


@given(st.ip_addresses(), PORTS, st.binary(max_size=30), st.integers(0, 60))
def test_what_version_2_says_is_read_in_any_cut(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, value: bytes, cut: int
) -> None:
    ports = port.to_bytes(2, "big") + b"\0\x50"
    values = b"\x04" + len(value).to_bytes(2, "big") + value
    kind = 0x11 if address.version == 4 else 0x21
    raw = v2(1, kind, address.packed * 2 + ports + values)

    found = feed(raw + b"GET", min(cut, len(raw) - 1))

    assert found is not None
    assert found.source is not None
    assert ipaddress.ip_address(found.source[0]) == address
    assert (found.source[1], found.rest) == (port, b"GET")


@pytest.mark.parametrize(
    "raw",
    [
        b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ::1 ::2 1 2\r\n", v2(0, 0, b""), v2(0, 0x11, b"x"),
        v2(0, 0x31, b""), v2(0, 0x99, b"x"), v2(1, 0x31, bytes(216)),
    ],
)  # fmt: skip
def test_a_header_that_names_nobody_leaves_the_peer(raw: bytes) -> None:
    found = ProxyReader().feed(raw + b"rest")

    assert found == Found(None, b"rest")


ADDRESSES = socket.inet_aton("1.2.3.4") * 2


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\n",
        b"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
        b"PROXY UNKNOWN\n" + b"x" * MAX_V1,
        b"PROXY " + b"x" * MAX_V1,
        V2_SIGNATURE + b"\x11\x11\x00\x0c" + ADDRESSES + b"\0\1\0\2",
        v2(2, 0x11, ADDRESSES + b"\0\1\0\2"),
        v2(1, 0x11, ADDRESSES),
        v2(1, 0x12, ADDRESSES + b"\0\1\0\2"),
        v2(1, 0x41, ADDRESSES + b"\0\1\0\2"),
        v2(1, 0x31, b"short"),
        v2(1, 0x11, ADDRESSES + b"\0\1\0\2" + b"\x04\x00"),
        v2(1, 0x11, ADDRESSES + b"\0\1\0\2" + b"\x04\x00\x09x"),
        V2_SIGNATURE + b"\x21\x11\xff\xff",
    ],
)
def test_anything_malformed_is_refused(raw: bytes) -> None:
    with pytest.raises(ProxyProtocolError):
        ProxyReader().feed(raw)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_header_or_an_error_or_too_few(data: bytes) -> None:
    try:
        found = ProxyReader().feed(data)
    except ProxyProtocolError:
        return
    assert found is not None or len(data) < 16 + 4096
