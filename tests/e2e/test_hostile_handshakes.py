"""WebSocket handshakes and frames that are not quite: refused or declined, and nothing of what is
behind them is read as a request."""

from __future__ import annotations

import base64
import hashlib
import socket
import struct

import pytest

from tests.e2e.hostile import Case, Site, not_refused, outcomes
from tests.e2e.servers import Client, Seen, Upstream, ask

pytestmark = pytest.mark.e2e

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ADMIN = b"GET /admin?t={T} HTTP/1.1\r\nHost: api.test\r\n\r\n"
GET = b"GET /v1/models?t={T} HTTP/1.1\r\nHost: api.test\r\n\r\n"


def handshake(
    *lines: str,
    target: str = "/v1/realtime?t={T}",
    method: str = "GET",
    upgrade: str = "websocket",
    connection: str | None = "Upgrade",
    key: str | None = KEY,
    version: str | None = "13",
) -> bytes:
    fields = {
        "Host": "api.test", "Upgrade": upgrade, "Connection": connection,
        "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": version,
    }  # fmt: skip
    head = [f"{method} {target} HTTP/1.1"]
    head += [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([*head, *lines, "X-Tok: {T}", "", ""]).encode("latin-1")


REFUSED: dict[str, Case] = {
    "to a denied path": handshake(target="/admin?t={T}"),
    "to one, escaped": handshake(target="/%61dmin?t={T}"),
    "to one, full-width": handshake(target="/%ef%bc%a1dmin?t={T}"),
    "to one, by dots": handshake(target="/v1/../admin?t={T}"),
    "to one, absolute": handshake(target="http://api.test/admin?t={T}"),
    "to a ws URL": handshake(target="ws://api.test/v1/realtime?t={T}"),
    "of another host": handshake(target="http://evil.test/v1/realtime?t={T}"),
    "a short key": handshake(key="abc"),
    "no key": handshake(key=None),
    "an empty key": handshake(key=""),
    "a long key": handshake(key="a" * 5000),
    "a key of 8 bits": handshake(key="\xff" * 24),
    "two keys": handshake(f"Sec-WebSocket-Key: {KEY}"),
    "version 8": handshake(version="8"),
    "no version": handshake(version=None),
    "two versions": handshake("Sec-WebSocket-Version: 8"),
    "a list of versions": handshake(version="13, 8"),
    "version 013": handshake(version="013"),
    "a bad subprotocol": handshake("Sec-WebSocket-Protocol: a b; c"),
    "an empty subprotocol": handshake("Sec-WebSocket-Protocol: "),
    "two origins": handshake("Origin: a", "Origin: b"),
    "a length": handshake("Content-Length: 5") + b"hello",
    "chunks": handshake("Transfer-Encoding: chunked") + b"0\r\n\r\n" + ADMIN,
    "a body for h2c": handshake("Content-Length: 5", upgrade="h2c") + b"hello",
    "a request behind it": handshake() + ADMIN,
    "a frame behind it": handshake() + b"\x81\x85\0\0\0\0hello",
    "half a frame behind it": handshake() + b"\x81",
    "behind a refusal": (ADMIN + handshake(), {"requests": 2}),
}

#: Declined: answered as if no upgrade had been asked for, and what is behind is not read.
DECLINED: dict[str, Case] = {
    "h2c": handshake(upgrade="h2c") + ADMIN,
    "TLS": handshake(upgrade="TLS/1.0") + ADMIN,
    "a list": handshake(upgrade="websocket, h2c") + ADMIN,
    "a list, the other first": handshake(upgrade="h2c, websocket") + ADMIN,
    "two lines": handshake("Upgrade: h2c") + ADMIN,
    "with a version": handshake(upgrade="websocket/13") + ADMIN,
    "quoted": handshake(upgrade='"websocket"') + ADMIN,
    "by POST": handshake(method="POST") + ADMIN,
    "by OPTIONS": handshake(method="OPTIONS") + ADMIN,
    "by HTTP/1.0": handshake().replace(b"HTTP/1.1", b"HTTP/1.0") + ADMIN,
}


FIN, TEXT, BYTES, CLOSE, PING = 0x80, 0x1, 0x2, 0x8, 0x9


def accepts(connection: socket.socket, request: Seen, upstream: Upstream) -> bool:
    """An upstream that takes a handshake, and keeps what comes after it."""
    digest = hashlib.sha1(
        (request["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()
    ).digest()
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )
    while data := connection.recv(65536):
        request.body += data
        if data[0] == FIN | CLOSE:
            break
    return False


@pytest.fixture(scope="module")
def where(where: Site) -> Site:
    where.upstream.scripts["/v1/live"] = accepts
    return where


def test_a_handshake_that_is_none_is_refused(where: Site) -> None:
    assert not_refused(where, REFUSED) == {}


def test_another_upgrade_is_declined_and_nothing_behind_it_is_read(where: Site) -> None:
    wrong = {
        name: found
        for name, found in outcomes(where, DECLINED)
        if isinstance(found, str) or found.statuses != [200] or len(found.arrived) != 1
    }

    assert wrong == {}


def test_refused_handshakes_are_no_errors_in_the_log(where: Site) -> None:
    denied = ask(where.port, handshake(target="/admin"))
    declined = ask(where.port, handshake(target="/v1/realtime"))

    assert (denied.status, declined.status) == (403, 200)
    assert [line for line in where.sidecar.lines if "ERROR" in line] == []


def frame(first: int, payload: bytes = b"", *, masked: bool = True, length: int = -1) -> bytes:
    """One frame; `length` is said in place of the payload's."""
    said = len(payload) if length < 0 else length
    bit = 0x80 if masked else 0
    head = bytes((first, bit | said)) if said < 126 else (
        bytes((first, bit | 126)) + struct.pack("!H", said) if said < 65536 else
        bytes((first, bit | 127)) + struct.pack("!Q", said)
    )  # fmt: skip
    return head + (bytes(4) if masked else b"") + payload


BROKEN = {
    "not masked": frame(FIN | TEXT, b"hidden", masked=False),
    "a reserved bit": frame(FIN | 0x40 | TEXT, b"hidden"),
    "a reserved kind": frame(FIN | 0x3, b"hidden"),
    "a reserved control": frame(FIN | 0xB, b"hidden"),
    "a ping in pieces": frame(PING, b"hidden"),
    "a long ping": frame(FIN | PING, b"hidden" * 30),
    "a piece of nothing": frame(FIN | 0x0, b"hidden"),
    "a message in a message": frame(TEXT, b"hid") + frame(FIN | TEXT, b"den"),
    "text that is none": frame(FIN | TEXT, b"hidden\xff\xfe"),
    "a surrogate": frame(FIN | TEXT, b"hidden\xed\xa0\x80"),
    "a message without end": frame(FIN | BYTES, b"hidden", length=1 << 40),
    "a length below zero": frame(FIN | BYTES, b"hidden", length=(1 << 64) - 1),
    "a close of one byte": frame(FIN | CLOSE, b"h"),
    "a close for no reason": frame(FIN | CLOSE, struct.pack("!H", 999) + b"hidden"),
    "a close that is no text": frame(FIN | CLOSE, struct.pack("!H", 1000) + b"hidden\xff"),
    "a request": ADMIN,
    "after the close": frame(FIN | CLOSE, struct.pack("!H", 1000)) + frame(FIN | TEXT, b"hidden"),
}


def test_a_broken_frame_ends_the_connection_and_never_arrives(where: Site) -> None:
    for how, frames in BROKEN.items():
        with Client(where.port) as client:
            raw = handshake(target="/v1/live").replace(b"{T}", how.encode())
            assert client.send(raw).answer(head_only=True).status == 101, how

            client.send(frames)

            assert client.closed, how
        (seen,) = [request for request in where.upstream.seen if request["x-tok"] == how]
        assert b"hidden" not in unmasked(seen.body), how
        assert b"/admin" not in unmasked(seen.body), how


def unmasked(frames: bytes) -> bytes:
    """What client frames carry."""
    found = b""
    at = 0
    while at + 6 <= len(frames):
        size = frames[at + 1] & 0x7F
        at += 2
        if size == 126:
            size = struct.unpack_from("!H", frames, at)[0]
            at += 2
        mask, payload = frames[at : at + 4], frames[at + 4 : at + 4 + size]
        found += bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload)) + b"|"
        at += 4 + size
    return found
