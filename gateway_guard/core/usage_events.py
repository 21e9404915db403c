"""What one response event or body says: its token counts and its text. Pure and total."""

from __future__ import annotations

import contextlib
from typing import Any, Final

import msgspec

#: No upstream counts more tokens than this in one response; a larger number is noise.
_MOST: Final = 10**12
#: Longest usage object looked for in a fragment, bytes.
_LONGEST: Final = 4096


class _Numbers(msgspec.Struct, gc=False):
    prompt_tokens: float | None = None
    completion_tokens: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    cache_creation_input_tokens: float | None = None
    total_tokens: float | None = None


class _Holder(msgspec.Struct, gc=False):
    usage: _Numbers | None = None


class _Event(msgspec.Struct, gc=False):
    usage: _Numbers | None = None
    message: _Holder | None = None
    response: _Holder | None = None


class _Shape(msgspec.Struct, gc=False):
    choices: list[msgspec.Raw] | None = None
    usage: _Numbers | None = None


class Counts(msgspec.Struct, frozen=True, gc=False):
    """Token counts one event reports; None for what it does not say.

    Attributes:
        read: input tokens; Anthropic's cache writes included, its cache reads not, as its own
            limits count (REFERENCE §4).
        written: output tokens.
        total: both together.
        opening: stated before anything was written (Anthropic's `message_start`).
    """

    read: int | None = None
    written: int | None = None
    total: int | None = None
    opening: bool = False


_JSON: Final = (b"{", b"[")
_event: Final = msgspec.json.Decoder(_Event).decode
_numbers: Final = msgspec.json.Decoder(_Numbers).decode
_shape: Final = msgspec.json.Decoder(_Shape).decode
_any: Final = msgspec.json.Decoder().decode


def payload(event: bytes) -> bytes:
    """The data of a server-sent event, its `data:` lines joined; a bare JSON body as it is."""
    if event.startswith(_JSON):
        return event
    at = event.find(b"data:")
    if at < 0:
        return event
    if event.find(b"\ndata:", at) < 0 and (at == 0 or event[at - 1 : at] == b"\n"):
        end = event.find(b"\n", at)
        return event[at + 5 : end if end >= 0 else None].strip()
    lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines)


def counts_in(event: bytes, *, fragment: bool = False) -> Counts | None:
    """The counts an event or body reports; None when it reports none.

    `fragment` says that its beginning was not kept: then the last usage object in it counts.
    """
    if not fragment:
        try:
            found = _event(payload(event))
        except (msgspec.DecodeError, ValueError):
            return _last_usage(event)
        usage = found.usage
        if usage is not None:
            return _counts(usage, opening=False)
        if found.response is not None and found.response.usage is not None:
            return _counts(found.response.usage, opening=False)
        if found.message is not None and found.message.usage is not None:
            return _counts(found.message.usage, opening=True)
        return None
    return _last_usage(event)


def both_in(body: bytes) -> tuple[int, int] | None:
    """Tokens read and written by a plain answer to a chat; None where `counts_in` must look."""
    if not body.startswith(b"{"):
        return None
    try:
        usage = _event(body).usage
    except (msgspec.DecodeError, ValueError):
        return None
    if usage is None:
        return None
    asked, answered = usage.prompt_tokens, usage.completion_tokens
    if (
        asked is None or answered is None
        or not 0.0 <= asked <= _MOST or not 0.0 <= answered <= _MOST
    ):  # fmt: skip
        return None
    return int(asked), int(answered)


def _last_usage(text: bytes) -> Counts | None:
    at = text.rfind(b'"usage"')
    while at >= 0:
        start = text.find(b"{", at, at + 32)
        if start >= 0 and not text[at + 7 : start].strip(b" :\r\n\t"):
            end = _close(text, start)
            if end > 0:
                with contextlib.suppress(msgspec.DecodeError, ValueError):
                    return _counts(_numbers(text[start:end]), opening=False)
        at = text.rfind(b'"usage"', 0, at)
    return None


def _close(text: bytes, start: int) -> int:
    """Where the object opened at `start` ends; 0 when it does not, or is too long."""
    depth = 0
    for i in range(start, min(len(text), start + _LONGEST)):
        byte = text[i]
        if byte == 0x7B:
            depth += 1
        elif byte == 0x7D:
            depth -= 1
            if depth == 0:
                return i + 1
    return 0


def _counts(numbers: _Numbers, *, opening: bool) -> Counts | None:
    asked, answered = numbers.prompt_tokens, numbers.completion_tokens
    if (
        asked is not None
        and answered is not None
        and 0.0 <= asked <= _MOST
        and 0.0 <= answered <= _MOST
    ):
        # What nearly every answer says needs no second thought; nor a total beside both its parts.
        return Counts(int(asked), int(answered), None, opening)
    read, written = _whole(asked), _whole(answered)
    if read is None:
        read = _whole(numbers.input_tokens)
        cached = _whole(numbers.cache_creation_input_tokens)
        if cached is not None:
            read = (read or 0) + cached
    if written is None:
        written = _whole(numbers.output_tokens)
    total = _whole(numbers.total_tokens)
    if read is None and written is None and total is None:
        return None
    return Counts(read, written, total, opening)


def _whole(number: float | None) -> int | None:
    return int(number) if number is not None and 0 <= number <= _MOST else None


def is_usage_chunk(event: bytes) -> bool:
    """Whether an event carries usage and nothing else: the one `include_usage` adds (OpenAI)."""
    try:
        found = _shape(payload(event))
    except (msgspec.DecodeError, ValueError):
        return False
    return found.choices == [] and found.usage is not None


def delta_bytes(event: bytes) -> int | None:
    """Bytes of generated text an event delivers, UTF-8; None when its shape is not known."""
    try:
        found = _any(payload(event))
    except (msgspec.DecodeError, ValueError):
        return None
    if not isinstance(found, dict):
        return None
    choices = found.get("choices")
    if isinstance(choices, list):
        return sum(_text(c.get("delta", c.get("text"))) for c in choices if isinstance(c, dict))
    return _text(found.get("delta")) if "type" in found or "delta" in found else None


#: Members of a delta that name things instead of saying them.
_NAMES: Final = frozenset({"role", "type", "id", "stop_reason", "stop_sequence", "signature"})


def _text(delta: Any, depth: int = 4) -> int:
    if isinstance(delta, str):
        return len(delta.encode("utf-8", "surrogatepass"))
    if depth and isinstance(delta, dict):
        return sum(_text(v, depth - 1) for k, v in delta.items() if k not in _NAMES)
    if depth and isinstance(delta, list):
        return sum(_text(item, depth - 1) for item in delta)
    return 0
