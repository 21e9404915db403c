"""SPOP frames: from bytes, to bytes, and what is in them. Pure.

    frame    length:u32  type:u8  flags:u32  stream-id:varint  frame-id:varint  payload

Lengths and flags are big-endian; the length counts what follows it. Source: HAProxy 2.6,
`doc/SPOE.txt` §3.2.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from gateway_guard.frontends.spoe.data import (
    Data,
    Malformed,
    read_string,
    read_typed,
    read_varint,
    string,
    typed,
    varint,
)

UNSET: Final = 0
HAPROXY_HELLO: Final = 1
HAPROXY_DISCONNECT: Final = 2
NOTIFY: Final = 3
AGENT_HELLO: Final = 101
AGENT_DISCONNECT: Final = 102
ACK: Final = 103

FIN: Final = 0x1
ABORT: Final = 0x2

#: Most bytes of a frame before its payload, the length itself not counted.
OVERHEAD: Final = 1 + 4 + 10 + 10
#: Bytes of the length.
PREFIX: Final = 4

_HEAD: Final = struct.Struct(">BI")
_START: Final = struct.Struct(">IBI")
#: `type flags stream frame` of the least frame.
_LEAST: Final = _HEAD.size + 2


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame, its payload not read yet."""

    kind: int
    flags: int
    stream: int
    frame: int
    payload: bytes


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message of a NOTIFY: its name and its arguments in order, as (name, typed value)."""

    name: bytes
    arguments: tuple[tuple[bytes, Data], ...]


def frame(kind: int, stream: int, number: int, payload: bytes, *, flags: int = FIN) -> bytes:
    """A whole frame, its length before it."""
    ids = varint(stream) + varint(number)
    return _START.pack(_HEAD.size + len(ids) + len(payload), kind, flags) + ids + payload


def read_frame(data: bytes) -> Frame:
    """The frame in `data`, which is all that its length counted.

    Raises:
        Malformed: it is shorter than any frame.
    """
    if len(data) < _LEAST:
        raise Malformed("a frame shorter than any frame is")
    kind, flags = _HEAD.unpack_from(data)
    stream, at = read_varint(data, _HEAD.size)
    number, at = read_varint(data, at)
    return Frame(kind, flags, stream, number, data[at:])


def pairs(values: dict[bytes, Data]) -> bytes:
    """A list of names and values."""
    return b"".join(string(name) + typed(*value) for name, value in values.items())


def read_pairs(payload: bytes) -> dict[bytes, Data]:
    """The names and values that fill `payload`.

    Raises:
        Malformed: they do not fill it exactly, or a name comes twice.
    """
    found: dict[bytes, Data] = {}
    at = 0
    while at < len(payload):
        name, at = read_string(payload, at)
        if name in found:
            raise Malformed("a name that comes twice")
        found[name], at = read_typed(payload, at)
    return found


def messages(found: tuple[Message, ...]) -> bytes:
    """A list of messages, as HAProxy writes it.

    Raises:
        ValueError: a message has more than 255 arguments.
    """
    out = b""
    for message in found:
        out += string(message.name) + bytes((len(message.arguments),))
        for name, value in message.arguments:
            out += string(name) + typed(*value)
    return out


def read_messages(payload: bytes) -> tuple[Message, ...]:
    """The messages that fill `payload`.

    Raises:
        Malformed: they do not fill it exactly.
    """
    found = []
    at = 0
    while at < len(payload):
        name, at = read_string(payload, at)
        if at >= len(payload):
            raise Malformed("a message cut short")
        count = payload[at]
        at += 1
        arguments = []
        for _ in range(count):
            argument, at = read_string(payload, at)
            value, at = read_typed(payload, at)
            arguments.append((argument, value))
        found.append(Message(name, tuple(arguments)))
    return tuple(found)


#: Type of the action, number of its arguments, and scope: the transaction, which is one request and
#: its answer.
_SET_VAR: Final = b"\x01\x03\x02"


def set_variable(name: bytes, value: bytes) -> bytes:
    """The action that sets a variable of the transaction. `value` is typed already; HAProxy puts
    its prefix before the name."""
    return _SET_VAR + string(name) + value


def read_actions(payload: bytes) -> dict[bytes, Data]:
    """The variables of the transaction that the actions in `payload` set.

    Raises:
        Malformed: they set none, or do something else.
    """
    found: dict[bytes, Data] = {}
    at = 0
    while at < len(payload):
        if payload[at : at + 3] != _SET_VAR:
            raise Malformed("an action that sets no variable of the transaction")
        name, at = read_string(payload, at + 3)
        found[name], at = read_typed(payload, at)
    return found
