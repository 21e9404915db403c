"""What a session over a WebSocket cost: no message makes it less, or unbounded; of a plain event it
is what CPython's `json` reads; and what is charged meanwhile and at the end is together that."""

from __future__ import annotations

import json
from typing import Any, Final

from gateway_guard.core.limits import actuals
from gateway_guard.core.tally import Tally, owing
from gateway_guard.core.usage_socket import event_in
from gateway_guard.types import Charge, Outcome
from tests import build
from tests.fuzz.taken import Taken

WORDS = (
    b'{"type":"response.created","response":{}}', b'{"type":"response.done"', b'"response":{',
    b'{"type":"response.done","response":{"usage":{"input_tokens":3,"output_tokens":4}}}',
    b'{"type":"response.completed","response":{"usage":{"input_tokens":3,"output_tokens":4}}}',
    b'{"response":{"status":"failed"},"type":"response.failed"}', b'"usage":{', b'"usage":null',
    b'"input_tokens":', b'"output_tokens":', b'"total_tokens":7', b'"status":"failed"', b"1e999",
    b"-1", b"99999999999999999999", b"NaN", b"3.5", b'"\\ud800"', b"\xed\xa0\x80", b"\xff", b"\x00",
    b'{"type":"transcription.done","usage":{"prompt_tokens":5,"completion_tokens":2}}',
    b'{"type":"conversation.item.input_audio_transcription.completed"', b"[" * 60, b"}}", b"\x1e",
)  # fmt: skip
#: Between two messages.
_SEPARATOR: Final = b"\x1e"
_ENDS: Final = ("response.done", "response.completed", "response.incomplete", "response.failed")
#: More than any response costs.
_MOST: Final = 10**15


def target(data: bytes) -> None:
    """What a limit holds, then messages."""
    taken = Taken(data)
    capacity, unit = 1.0 + taken.number(2), taken.pick(("tokens", "input-tokens", "output-tokens"))
    charges = (build.charge(unit=unit, cost=2048.0, capacity=capacity, rate=1.0),)
    tally, charged = Tally(), (0.0,)
    for message in taken.rest().split(_SEPARATOR):
        text = _text(message)
        before = tally.read, tally.written
        said = tally.hear(text)
        assert tally.read >= before[0]
        assert tally.written >= before[1]
        assert said or (tally.read, tally.written) == before
        assert min(tally.open, tally.ended, tally.events) >= 0
        _plain(text)
        (due,) = owing(charges, charged, tally.read, tally.written)
        assert due >= 0.0
        charged = (charged[0] + due,)
    _settled(tally, charges, charged)


def _text(message: bytes) -> str:
    """As an application may send it: half a character in it, too."""
    try:
        return message.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return message.decode("utf-8", "replace")


def _settled(tally: Tally, charges: tuple[Charge, ...], charged: tuple[float, ...]) -> None:
    usage = tally.usage(Outcome.CLIENT_GONE)
    read, written = usage.input_tokens, usage.output_tokens
    (rest,) = actuals(charges, build.request(), usage, charged)
    if read is None or written is None:
        assert charged == (0.0,)
        return
    assert 0 <= read < _MOST
    assert 0 <= written < _MOST
    used = {"tokens": read + written, "input-tokens": read, "output-tokens": written}
    assert charged[0] + rest == used[charges[0].unit]


def _plain(text: str) -> None:
    """An event that says no more than it must is read as CPython reads it."""
    try:
        found: Any = json.loads(text)
        usage = found["response"]["usage"]
        counts = usage["input_tokens"], usage["output_tokens"]
    except (ValueError, KeyError, TypeError, RecursionError, IndexError):
        return
    plain = (
        set(found) == {"type", "response"}
        and found["type"] in _ENDS
        and set(found["response"]) == {"usage"}
        and set(usage) == {"input_tokens", "output_tokens"}
        and all(type(count) is int and 0 <= count < 10**9 for count in counts)
        and text.count('"usage"') == text.count('"type"') == text.count('"response"') == 1
        and text.count('_tokens"') == 2
        and text.index('"type"') < 100
    )
    if plain:
        event = event_in(text)
        assert event is not None
        assert (event.ends, event.read, event.written) == (True, *counts)
