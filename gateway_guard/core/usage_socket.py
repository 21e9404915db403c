"""What a message over a model API's WebSocket says of a response: that it began, or what it cost.

The events of OpenAI's Realtime API and of its Responses over a WebSocket, which vLLM, xAI and
others send, too. Source: OpenAI's API reference (server events), vLLM's `entrypoints/openai`
(`realtime/connection.py`). Pure and total.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from gateway_guard.core.usage_events import Counts, counts_in, last_usage
from gateway_guard.errors import UNDECODABLE

#: Longest message decoded, characters. It holds all that was written, but no audio; of a longer one
#: the end is looked at, because that usage stands there, and clients can make one as long as they
#: like: theirs are the instructions and tools that it repeats.
LARGEST: Final = 1024 * 1024
_TAIL: Final = 64 * 1024
#: How far from either end of a message its type stands. Sorted by name, `type` is the last member.
_EDGE: Final = 256

_BEGINS: Final = "response.created"
_FAILS: Final = "response.failed"
_ENDS: Final = frozenset(("response.done", "response.completed", "response.incomplete", _FAILS))
#: What a transcription cost, which is no part of a response.
_ASIDE: Final = frozenset(
    ("transcription.done", "conversation.item.input_audio_transcription.completed")
)
_KNOWN: Final = (_BEGINS, *sorted(_ENDS), *sorted(_ASIDE))
#: Text in strings cannot look so: its quotation marks are escaped.
_TYPE: Final = re.compile(rf'"type"\s*:\s*"({"|".join(map(re.escape, _KNOWN))})"')


class SocketEvent(msgspec.Struct, frozen=True, gc=False):
    """One message that matters.

    Attributes:
        begins: whether a response begins; nothing else is told then.
        ends: whether one ends. Neither: something beside the responses was counted.
        failed: whether the upstream failed at it.
        read, written: tokens; None where nobody says.
    """

    begins: bool = False
    ends: bool = False
    failed: bool = False
    read: int | None = None
    written: int | None = None


class _Response(msgspec.Struct, gc=False):
    status: str | None = None


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    response: _Response | None = None


_decode: Final = msgspec.json.Decoder(_Event).decode


def event_in(text: str) -> SocketEvent | None:
    """What a message says of a response; None for nearly all of them, at next to no cost."""
    found = _TYPE.search(text, 0, _EDGE)
    if found is None:
        if len(text) <= _EDGE:
            return None
        found = _TYPE.search(text, len(text) - _EDGE)
        if found is None:
            return None
    kind, failed = found[1], False
    if len(text) > LARGEST:
        counts = last_usage(text[-_TAIL:].encode("utf-8", "replace"))
    else:
        data = text.encode("utf-8", "replace")
        try:
            event = _decode(data)
        except UNDECODABLE:
            # Clients can have something in it that no decoder takes, and must not be free by that.
            counts = last_usage(data[-_TAIL:])
        else:
            kind = event.type
            failed = event.response is not None and event.response.status == "failed"
            counts = counts_in(data)
    if kind == _BEGINS:
        return SocketEvent(begins=True)
    if kind in _ENDS:
        return _told(counts or Counts(), ends=True, failed=failed or kind == _FAILS)
    if kind in _ASIDE and counts is not None:
        return _told(counts, ends=False, failed=False)
    return None


def _told(counts: Counts, *, ends: bool, failed: bool) -> SocketEvent:
    return SocketEvent(ends=ends, failed=failed, read=counts.read, written=counts.written)
