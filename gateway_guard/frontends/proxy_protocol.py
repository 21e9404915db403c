"""PROXY protocol, versions 1 and 2: who is behind the load balancer. Sans-I/O.

Source: HAProxy's proxy-protocol.txt (2020-03-05 revision). Strict: a connection on a listener that
speaks it begins with exactly one well-formed header or is closed. `LOCAL` (v2) and `UNKNOWN`
(v1) name
nobody: the peer's own address stands, as for a load balancer's health check.
"""

from __future__ import annotations

import re
import socket
from typing import Final

import msgspec

V2_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
#: Longest v1 line, CRLF included.
MAX_V1: Final = 107
#: Longest v2 payload accepted, bytes: addresses and type-length-values. The format allows
#: 65,535; real balancers send well under 1 KiB.
MAX_V2: Final = 4096

_V1: Final = re.compile(
    rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?|(TCP[46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) "
    rb"(0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4}))\r\n"
)


class ProxyProtocolError(ValueError):
    """The bytes are not a PROXY protocol header."""


class Found(msgspec.Struct, frozen=True, gc=False):
    """A header, read.

    Attributes:
        source: (address, port) of the client; None when the header names nobody.
        rest: bytes behind the header.
    """

    source: tuple[str, int] | None
    rest: bytes


class ProxyReader:
    """Collects bytes until the header is whole."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Found | None:
        """The header and what follows it; None while more bytes are needed.

        Raises:
            ProxyProtocolError: there is no header here.
        """
        buffer = self._buffer = self._buffer + data
        start = buffer[: len(V2_SIGNATURE)]
        if V2_SIGNATURE.startswith(start):
            return read_v2(buffer) if len(buffer) >= 16 else None
        if not b"PROXY ".startswith(buffer[:6]):
            raise ProxyProtocolError("no PROXY protocol header")
        end = buffer.find(b"\r\n", 0, MAX_V1)
        if end < 0:
            if len(buffer) >= MAX_V1:
                raise ProxyProtocolError("a version 1 header longer than 107 bytes")
            return None
        return Found(read_v1(buffer[: end + 2]), buffer[end + 2 :])


def read_v1(line: bytes) -> tuple[str, int] | None:
    """The source a version 1 `line` (with its CRLF) names.

    Raises:
        ProxyProtocolError: it is malformed.
    """
    match = _V1.fullmatch(line)
    if match is None:
        raise ProxyProtocolError("a malformed version 1 header")
    family, source, destination, source_port, destination_port = match.groups()
    if family is None:
        return None
    ports = int(source_port), int(destination_port)
    if max(ports) > 65535:
        raise ProxyProtocolError("a port above 65535")
    kind = socket.AF_INET if family == b"TCP4" else socket.AF_INET6
    _address(kind, destination)
    return _address(kind, source), ports[0]


def _address(family: socket.AddressFamily, text: bytes) -> str:
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, text.decode("ascii")))
    except OSError:
        raise ProxyProtocolError("an address that is none") from None


def read_v2(buffer: bytes) -> Found | None:
    """A version 2 header; `buffer` holds at least its 16 fixed bytes. None: more are needed.

    Raises:
        ProxyProtocolError: it is malformed.
    """
    version, command = buffer[12] >> 4, buffer[12] & 15
    family, transport = buffer[13] >> 4, buffer[13] & 15
    length = int.from_bytes(buffer[14:16], "big")
    if version != 2 or command > 1:
        raise ProxyProtocolError("an unknown version or command")
    if length > MAX_V2:
        raise ProxyProtocolError(f"a version 2 header longer than {MAX_V2} bytes")
    if command and (family > 3 or transport > 2):
        raise ProxyProtocolError("an unknown address family or transport")
    if len(buffer) < 16 + length:
        return None
    payload, rest = buffer[16 : 16 + length], buffer[16 + length :]
    if not command:
        return Found(None, rest)  # whatever addresses it has
    if family == 3 and length < 216:
        raise ProxyProtocolError("unix socket addresses cut short")
    if family in (0, 3):
        return Found(None, rest)
    kind, size = (socket.AF_INET, 4) if family == 1 else (socket.AF_INET6, 16)
    if transport != 1 or len(payload) < 2 * size + 4:
        raise ProxyProtocolError("not a TCP connection, or addresses cut short")
    port = int.from_bytes(payload[2 * size : 2 * size + 2], "big")
    _check_values(payload[2 * size + 4 :])
    return Found((socket.inet_ntop(kind, payload[:size]), port), rest)


def _check_values(data: bytes) -> None:
    """Type-length-values are not used, but must fill the header exactly."""
    while data:
        if len(data) < 3:
            raise ProxyProtocolError("a value cut short")
        length = int.from_bytes(data[1:3], "big")
        if len(data) < 3 + length:
            raise ProxyProtocolError("a value cut short")
        data = data[3 + length :]
