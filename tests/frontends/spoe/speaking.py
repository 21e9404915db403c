"""HAProxy's side of the protocol, as the tests need it."""

from __future__ import annotations

import ipaddress
from typing import Any

from gateway_guard.frontends.spoe import data
from gateway_guard.frontends.spoe.data import Data
from gateway_guard.frontends.spoe.frames import (
    FIN,
    HAPROXY_DISCONNECT,
    HAPROXY_HELLO,
    NOTIFY,
    Frame,
    Message,
    frame,
    messages,
    pairs,
    read_actions,
    read_frame,
    read_pairs,
)
from tests import build
from tests.frontends.asking import CHAT


def hello(**changes: Data | None) -> bytes:
    """A greeting as HAProxy 2.6 sends it; None leaves a thing out, `_` stands for `-`."""
    said: dict[str, Data | None] = {
        "supported-versions": (data.STRING, b"2.0"),
        "max-frame-size": (data.UINT32, 16380),
        "capabilities": (data.STRING, b"pipelining,async"),
        "engine-id": (data.STRING, b"8E3A2C4D-0000"),
    }
    said |= {name.replace("_", "-"): value for name, value in changes.items()}
    kept = {name.encode(): value for name, value in said.items() if value is not None}
    return frame(HAPROXY_HELLO, 0, 0, pairs(kept))


def goodbye(code: int = 0) -> bytes:
    """HAProxy ends the connection."""
    said: dict[bytes, Data] = {
        b"status-code": (data.UINT32, code), b"message": (data.STRING, b"normal"),
    }  # fmt: skip
    return frame(HAPROXY_DISCONNECT, 0, 0, pairs(said))


def block(**headers: str) -> bytes:
    """`req.hdrs`; `_` in a name stands for `-`."""
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
    return "".join([*lines, "\r\n"]).encode()


def asking(
    *, src: str | None = "192.0.2.7", method: str = "POST", path: str = CHAT, key: str = "sk-1",
    body: bytes | None = None, **more: Any,
) -> Message:  # fmt: skip
    """The message of `spoe-guard.conf`; `headers` (bytes) replaces the block, `cut` is a flag."""
    headers = more.pop("headers", None)
    fields: dict[str, str] = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    if body is not None:
        fields["content-length"] = str(len(body))
    address = None if src is None else ipaddress.ip_address(src)
    kind = data.NULL if address is None else data.IPV4 if address.version == 4 else data.IPV6
    arguments: list[tuple[bytes, Data]] = [
        (b"src", (kind, address)),
        (b"method", (data.STRING, method.encode())),
        (b"path", (data.STRING, path.encode("latin-1"))),
        (b"headers", (data.STRING, block(**fields | more) if headers is None else headers)),
    ]
    if body is not None:
        arguments.append((b"body", (data.BINARY, body)))
    return Message(b"guard-request", tuple(arguments))


def notify(
    *asked: Message,
    stream: int = 1,
    number: int = 1,
    flags: int = FIN,
    payload: bytes | None = None,
) -> bytes:
    """A NOTIFY frame."""
    said = messages(asked) if payload is None else payload
    return frame(NOTIFY, stream, number, said, flags=flags)


def chat(**more: Any) -> bytes:
    """A chat body."""
    return build.chat_body(**more)


def frames(sent: bytes) -> list[Frame]:
    """What an agent sent."""
    found = []
    while sent:
        length = int.from_bytes(sent[:4], "big")
        assert len(sent) >= 4 + length
        found.append(read_frame(sent[4 : 4 + length]))
        sent = sent[4 + length :]
    return found


def said(found: Frame) -> dict[str, Any]:
    """Names and values of a hello or goodbye."""
    return {name.decode(): value for name, (_, value) in read_pairs(found.payload).items()}


def variables(found: Frame) -> dict[str, Any]:
    """What an acknowledgement sets; strings decoded."""
    return {
        name.decode(): value.decode() if isinstance(value, bytes) else value
        for name, (_, value) in read_actions(found.payload).items()
    }
