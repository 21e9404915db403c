"""PROXY protocol: however the bytes arrive, the same client or the same refusal, and bytes behind
the header untouched; version 1 by splitting at blanks, version 2 by `struct`."""

from __future__ import annotations

import ipaddress
import struct

from gateway_guard.frontends.proxy_protocol import (
    MAX_V1,
    MAX_V2,
    V2_SIGNATURE,
    Found,
    ProxyProtocolError,
    ProxyReader,
)
from tests.fuzz.taken import Taken, cut

WORDS = (
    b"PROXY ", b"TCP4 ", b"TCP6 ", b"UNKNOWN", b"\r\n", V2_SIGNATURE, b"\x21\x11\x00\x0c",
    b"\x21\x21\x00\x24", b"\x20\x00\x00\x00", b"192.0.2.1 ", b"198.51.100.1 ", b"56324 ", b"443",
    b"2001:db8::1 ", b"65535", b"65536", b"0", b"\x04\x00\x01",
)  # fmt: skip


def read(pieces: list[bytes]) -> Found | str | None:
    """What comes of feeding these one after the other; bytes fed too late are behind the header."""
    reader = ProxyReader()
    for at, piece in enumerate(pieces):
        try:
            found = reader.feed(piece)
        except ProxyProtocolError as error:
            return str(error)
        if found is not None:
            return Found(found.source, found.rest + b"".join(pieces[at + 1 :]))
    return None


def version_1(data: bytes) -> tuple[str, int] | None:
    """The source of a line known to be sound."""
    _, family, *rest = data.partition(b"\r\n")[0].split(b" ")
    if family == b"UNKNOWN":
        return None
    return str(ipaddress.ip_address(rest[0].decode())), int(rest[2])


def version_2(data: bytes) -> tuple[str, int] | None:
    """The source of a header known to be sound."""
    command, family = data[12] & 15, data[13] >> 4
    if command == 0 or family not in (1, 2):
        return None
    if family == 1:
        host, _, port, _ = struct.unpack_from(">4s4sHH", data, 16)
    else:
        host, _, port, _ = struct.unpack_from(">16s16sHH", data, 16)
    return str(ipaddress.ip_address(host)), port


def target(data: bytes) -> None:
    """Where to cut, then a connection's first bytes."""
    taken = Taken(data)
    where = taken.piece(4)
    sent = taken.rest()

    whole = read([sent])

    # Reading stops at the first bytes that cannot be: a reason may name less, never a client.
    for pieces in (cut(sent, where), [sent[i : i + 1] for i in range(len(sent))][:6000]):
        if len(b"".join(pieces)) == len(sent):
            again = read(pieces)
            assert type(again) is type(whole), (sent, whole, again)
            if isinstance(whole, Found) and isinstance(again, Found):
                assert (again.source, again.rest) == (whole.source, whole.rest)
    if isinstance(whole, Found):
        head = sent[: len(sent) - len(whole.rest)]
        assert head + whole.rest == sent
        assert len(head) <= max(MAX_V1, 16 + MAX_V2)
        said = version_1(head) if head.startswith(b"PROXY") else version_2(head)
        if said is not None and whole.source is not None:
            ours = (str(ipaddress.ip_address(whole.source[0])), whole.source[1])
            assert ours == said, (head, ours, said)
        assert (said is None) == (whole.source is None)
    elif whole is None:
        assert len(sent) < 16 + MAX_V2
