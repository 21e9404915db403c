"""SPOP frames: the same events and answers however the bytes are cut, one goodbye and nothing after
it; numbers, values and messages written and read again are the same; a question is a request, or
says why not."""

from __future__ import annotations

import contextlib

from gateway_guard.frontends.extauth.original import Misasked
from gateway_guard.frontends.spoe import data as spop
from gateway_guard.frontends.spoe.data import Malformed
from gateway_guard.frontends.spoe.frames import (
    HAPROXY_DISCONNECT,
    HAPROXY_HELLO,
    NOTIFY,
    Message,
    frame,
    messages,
    pairs,
    read_actions,
    read_frame,
    read_messages,
    read_pairs,
)
from gateway_guard.frontends.spoe.protocol import Agent, Ended, Event, Notify
from gateway_guard.frontends.spoe.question import Doubtful, fields, request
from gateway_guard.types import Wire
from tests.fuzz.taken import Taken, cut

HELLO = frame(
    HAPROXY_HELLO, 0, 0,
    pairs({
        b"supported-versions": (spop.STRING, b"2.0"),
        b"max-frame-size": (spop.UINT32, 16380),
        b"capabilities": (spop.STRING, b"pipelining"),
    }),
)  # fmt: skip
_ASKED = messages((
    Message(b"check", (
        (b"src", (spop.STRING, b"192.0.2.1")), (b"method", (spop.STRING, b"POST")),
        (b"path", (spop.STRING, b"/v1/messages")), (b"headers", (spop.BINARY, b"host: a\r\n\r\n")),
    )),
))  # fmt: skip
WORDS = (
    HELLO, frame(NOTIFY, 1, 1, _ASKED), _ASKED, frame(HAPROXY_DISCONNECT, 0, 0, b""),
    b"\x00\x00\x00\x07", b"\x03\x00\x00\x00\x01\x01\x01", b"\x08", b"\x09",
    b"\x06\xc0\x00\x02\x01", b"\x11", b"\xf0\xff\x01", b"\x07" + bytes(16), b"src", b"method",
    b"path", b"headers", b"body", b"\x0aname: value\r\n\r\n", b"\r\n",
    b"transfer-encoding: chunked\r\n", b"content-length: 3\r\n", b"\xff" * 9,
    b"upgrade: websocket\r\n",
)  # fmt: skip


def heard(pieces: list[bytes]) -> tuple[list[Event], bytes, bool]:
    """Everything that happens, everything answered, and whether the connection is over."""
    agent = Agent()
    events: list[Event] = []
    out = b""
    for piece in pieces:
        agent.receive(piece)
        while (event := agent.next_event()) is not None:
            assert not any(isinstance(one, Ended) for one in events)
            events.append(event)
            if isinstance(event, Notify) and (event.stream, event.frame) in agent._waiting:
                agent.acknowledge(event, b"")
        out += agent.data_to_send()
        assert agent.waiting <= len(events)
    return events, out, agent.ended


def target(data: bytes) -> None:
    """Where to cut, whether a hello comes first, then bytes."""
    taken = Taken(data)
    where, greeted = taken.piece(4), taken.byte() & 1
    rest = taken.rest()
    sent = HELLO + rest if greeted else rest

    whole = heard([sent])

    assert heard(cut(sent, where)) == whole
    assert heard([sent[at : at + 1] for at in range(len(sent))]) == whole
    events, out, over = whole
    assert over == bool(events and isinstance(events[-1], Ended))
    assert len(out) <= 400 + 64 * len(events)
    _values(rest)
    for event in events:
        if isinstance(event, Notify):
            _question(event.messages)
    with contextlib.suppress(Malformed):
        _question(read_messages(rest))
    block = fields(rest)
    if block is not None:
        assert rest.endswith(b"\r\n")
        assert len(block) == rest.count(b"\r\n") - 1
        for name, value in block:
            assert name == name.lower().strip()
            assert not set(b"\r\n\0") & set(name + value)


def _values(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        number, at = spop.read_varint(data, 0)
        assert spop.varint(number) == data[:at] or len(data[:at]) >= len(spop.varint(number))
        assert spop.read_varint(spop.varint(number), 0)[0] == number
    with contextlib.suppress(Malformed):
        (kind, value), _ = spop.read_typed(data, 0)
        assert spop.read_typed(spop.typed(kind, value), 0)[0] == (kind, value)
    with contextlib.suppress(Malformed):
        read_actions(data)
    with contextlib.suppress(Malformed):
        said = read_pairs(data)
        assert read_pairs(pairs(said)) == said
    with contextlib.suppress(Malformed):
        found = read_messages(data)
        assert read_messages(messages(found)) == found
    with contextlib.suppress(Malformed):
        one = read_frame(data)
        again = frame(one.kind, one.stream, one.frame, one.payload, flags=one.flags)
        assert read_frame(again[4:]) == one


def _question(found: tuple[Message, ...]) -> None:
    asked = request(found, max_body=100)
    if isinstance(asked, Wire):
        assert asked.raw_path.startswith(b"/")
        assert asked.body is None or len(asked.body) <= 100
        assert not any(name.startswith(b"x-guard-") for name, _ in asked.headers)
        assert not (asked.body is not None and asked.body_too_large)
    elif isinstance(asked, Doubtful):
        assert asked.status in (400, 414, 431)
    else:
        assert isinstance(asked, Misasked)
        assert asked.why
