"""What one response event or body says: its token counts and its text. Pure and total."""

from __future__ import annotations

import contextlib
import re
from typing import Any, Final

import msgspec

from gateway_guard.errors import UNDECODABLE

#: No upstream counts more tokens than this in one response; a larger number is noise.
_MOST: Final = 10**12
#: Longest usage object looked for in a fragment, bytes.
_LONGEST: Final = 4096


class _Pair(msgspec.Struct, gc=False):
    """Cohere's."""

    input_tokens: float | None = None
    output_tokens: float | None = None


class _Numbers(msgspec.Struct, gc=False):
    prompt_tokens: float | None = None
    completion_tokens: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    cache_creation_input_tokens: float | None = None
    total_tokens: float | None = None
    input_bedrock: float | None = msgspec.field(default=None, name="inputTokens")
    output_bedrock: float | None = msgspec.field(default=None, name="outputTokens")
    tokens: msgspec.Raw = msgspec.Raw(b"")


class _Gemini(msgspec.Struct, gc=False, rename="camel"):
    prompt_token_count: float | None = None
    tool_use_prompt_token_count: float | None = None
    candidates_token_count: float | None = None
    thoughts_token_count: float | None = None
    total_token_count: float | None = None


class _Holder(msgspec.Struct, gc=False):
    usage: _Numbers | None = None


class _Meta(msgspec.Struct, gc=False):
    tokens: _Pair | None = None
    billed_units: _Pair | None = None


class _Event(msgspec.Struct, gc=False):
    usage: _Numbers | None = None
    message: _Holder | None = None
    response: _Holder | None = None


class _Others(msgspec.Struct, gc=False):
    """Where other APIs count."""

    gemini: _Gemini | None = msgspec.field(default=None, name="usageMetadata")
    prompt_eval_count: float | None = None
    eval_count: float | None = None
    tokens_evaluated: float | None = None
    tokens_predicted: float | None = None
    meta: _Meta | None = None
    delta: _Holder | str | None = None


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
_others: Final = msgspec.json.Decoder(_Others).decode
_gemini: Final = msgspec.json.Decoder(_Gemini).decode
_pair: Final = msgspec.json.Decoder(_Pair).decode
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
    if fragment:
        return _last_usage(event)
    data = payload(event)
    try:
        found = _event(data)
    except UNDECODABLE:
        return _otherwise(data) or _last_usage(event)
    usage = found.usage
    if usage is not None:
        return _counts(usage, opening=False)
    if found.response is not None and found.response.usage is not None:
        return _counts(found.response.usage, opening=False)
    if found.message is not None and found.message.usage is not None:
        return _counts(found.message.usage, opening=True)
    return _otherwise(data)


def _otherwise(data: bytes) -> Counts | None:
    """The counts of APIs that have no `usage` at the top: Gemini, Ollama, llama.cpp, Cohere."""
    try:
        found = _others(data)
    except UNDECODABLE:
        return None
    if found.gemini is not None:
        return _of_gemini(found.gemini)
    delta, meta = found.delta, found.meta
    if isinstance(delta, _Holder) and delta.usage is not None:
        return _counts(delta.usage, opening=False)
    if meta is not None:
        pair = meta.tokens or meta.billed_units
        return None if pair is None else _told(pair.input_tokens, pair.output_tokens)
    read, written = found.prompt_eval_count, found.eval_count
    if read is None and written is None:
        read, written = found.tokens_evaluated, found.tokens_predicted
    return _told(read, written)


def _told(read: float | None, written: float | None) -> Counts | None:
    asked, answered = _whole(read), _whole(written)
    return None if asked is None and answered is None else Counts(asked, answered)


def _of_gemini(numbers: _Gemini) -> Counts | None:
    """Thoughts are written, results of tools are read. Numbers that are 0 are left out (proto3)."""
    read, total = _whole(numbers.prompt_token_count), _whole(numbers.total_token_count)
    if read is not None:
        read += _whole(numbers.tool_use_prompt_token_count) or 0
    answer = _whole(numbers.candidates_token_count)
    thoughts = _whole(numbers.thoughts_token_count)
    written = None if answer is None and thoughts is None else (answer or 0) + (thoughts or 0)
    if read is None and written is None and total is None:
        return None
    return Counts(read, written, total)


def both_in(body: bytes) -> tuple[int, int] | None:
    """Tokens read and written by a plain answer to a chat; None where `counts_in` must look."""
    if not body.startswith(b"{"):
        return None
    try:
        usage = _event(body).usage
    except UNDECODABLE:
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


#: Ollama's counts, where the object around them was not kept whole.
_EVALUATED: Final = re.compile(rb'"(prompt_eval_count|eval_count)"\s*:\s*([0-9]{1,13})\b')


def _last_usage(text: bytes) -> Counts | None:
    at = text.rfind(b'"usage')
    while at >= 0:
        start = text.find(b"{", at, at + 32)
        name = text[at + 6 : start].rstrip(b" :\r\n\t") if start >= 0 else b""
        if name in _COUNTERS:
            end = _close(text, start)
            if end > 0:
                with contextlib.suppress(*UNDECODABLE):
                    if name == b'"':
                        return _counts(_numbers(text[start:end]), opening=False)
                    return _of_gemini(_gemini(text[start:end]))
        at = text.rfind(b'"usage', 0, at)
    told = {name: float(count) for name, count in _EVALUATED.findall(text)}
    return _told(told.get(b"prompt_eval_count"), told.get(b"eval_count"))


#: What may follow `"usage` in the name of the object that counts.
_COUNTERS: Final = (b'"', b'Metadata"')


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
    if numbers.tokens:
        with contextlib.suppress(*UNDECODABLE):
            pair = _pair(numbers.tokens)
            numbers.input_tokens, numbers.output_tokens = pair.input_tokens, pair.output_tokens
    if read is None:
        read = _whole(numbers.input_tokens)
        if read is None:
            read = _whole(numbers.input_bedrock)
        cached = _whole(numbers.cache_creation_input_tokens)
        if cached is not None:
            read = (read or 0) + cached
    if written is None:
        written = _whole(numbers.output_tokens)
        if written is None:
            written = _whole(numbers.output_bedrock)
    total = _whole(numbers.total_tokens)
    if read is None and written is None:
        # A total alone is what rankers say, which write nothing.
        return None if total is None else Counts(total, 0, total, opening)
    return Counts(read, written, total, opening)


def _whole(number: float | None) -> int | None:
    return int(number) if number is not None and 0 <= number <= _MOST else None


def is_usage_chunk(event: bytes) -> bool:
    """Whether an event carries usage and nothing else: the one `include_usage` adds (OpenAI)."""
    try:
        found = _shape(payload(event))
    except UNDECODABLE:
        return False
    return found.choices == [] and found.usage is not None


def delta_bytes(event: bytes) -> int | None:
    """Bytes of generated text an event delivers, UTF-8; None when its shape is not known."""
    try:
        found = _any(payload(event))
    except UNDECODABLE:
        return None
    if not isinstance(found, dict):
        return None
    choices = found.get("choices")
    if isinstance(choices, list):
        return sum(_text(c.get("delta", c.get("text"))) for c in choices if isinstance(c, dict))
    if "type" in found or "delta" in found:
        return _text(found.get("delta"))
    for name in _SAYING:
        if name in found:
            return _text(found[name])
    token = found.get("token")
    return _text(token.get("text")) if isinstance(token, dict) else None


#: Where other APIs put what they say: Gemini; Ollama (chat, generate); llama.cpp. TGI: `token`.
_SAYING: Final = ("candidates", "message", "response", "content")


#: Members of a delta that name things instead of saying them.
_NAMES: Final = frozenset({
    "role", "type", "id", "stop_reason", "stop_sequence", "signature",
    "finishReason", "finishMessage", "thoughtSignature", "safetyRatings", "citationMetadata",
    "groundingMetadata",
})  # fmt: skip


def _text(delta: Any, depth: int = 6) -> int:
    if isinstance(delta, str):
        return len(delta.encode("utf-8", "surrogatepass"))
    if depth and isinstance(delta, dict):
        return sum(_text(v, depth - 1) for k, v in delta.items() if k not in _NAMES)
    if depth and isinstance(delta, list):
        return sum(_text(item, depth - 1) for item in delta)
    return 0
