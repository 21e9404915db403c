"""Response bodies shaped as model APIs send them, with what they say they cost."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from gateway_guard.types import Dialect


class Sample(NamedTuple):
    """One response: its dialect, content type, bytes, and the counts it reports."""

    dialect: Dialect
    content_type: bytes
    body: bytes
    read: int | None
    written: int | None


SSE: Final = b"text/event-stream; charset=utf-8"
JSON: Final = b"application/json"


def event(data: object, name: str | None = None, end: bytes = b"\n") -> bytes:
    """One server-sent event."""
    head = b"" if name is None else b"event: " + name.encode() + end
    return head + b"data: " + msgspec.json.encode(data) + end + end


def openai_delta(text: str, **more: object) -> dict[str, object]:
    """One chunk of a chat completion."""
    delta = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [delta], **more}


def openai_usage(read: int, written: int) -> dict[str, int]:
    """OpenAI's usage object."""
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
    }


def usage_chunk(read: int, written: int) -> dict[str, object]:
    """The chunk `include_usage` adds."""
    return {"id": "chatcmpl-1", "choices": [], "usage": openai_usage(read, written)}


DONE: Final = b"data: [DONE]\n\n"


def openai_stream(words: int, *, usage: bool = True, end: bytes = b"\n") -> bytes:
    """A chat stream as sent with `include_usage`: `"usage":null` on every chunk but the last."""
    parts = [event(openai_delta(f" word{i}", usage=None), end=end) for i in range(words)]
    if usage:
        parts.append(event(usage_chunk(11, words), end=end))
    parts.append(b"data: [DONE]" + end + end)
    return b"".join(parts)


def anthropic_stream(texts: list[str], *, finished: bool = True) -> bytes:
    """A message stream; cut before its `message_delta` unless `finished`."""
    opening = {"type": "message", "usage": {"input_tokens": 25, "output_tokens": 1}}
    parts = [
        event({"type": "message_start", "message": opening}, "message_start"),
        event(
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text"}},
            "content_block_start",
        ),
        event({"type": "ping"}, "ping"),
    ]
    for text in texts:
        delta = {"type": "text_delta", "text": text}
        parts.append(event({"type": "content_block_delta", "delta": delta}, "content_block_delta"))
    if finished:
        done = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
        parts.append(event({**done, "usage": {"output_tokens": 57}}, "message_delta"))
        parts.append(event({"type": "message_stop"}, "message_stop"))
    return b"".join(parts)


_CONTINUOUS = b"".join(event(openai_delta("x", usage=openai_usage(9, i + 1))) for i in range(30))
_RESPONSES = (
    event({"type": "response.created", "response": {"usage": None}}, "response.created")
    + event({"type": "response.output_text.delta", "delta": "Hi"}, "response.output_text.delta")
    + event(
        {
            "type": "response.completed",
            "response": {
                "output": [{"text": 'says "usage": {"input_tokens": 1}'}],
                "usage": {"input_tokens": 37, "output_tokens": 11, "total_tokens": 48},
            },
        },
        "response.completed",
    )
)
_HUGE = msgspec.json.encode(
    {
        "choices": [{"message": {"content": "y" * 1_500_000}}],
        "usage": {**openai_usage(4, 300_000), "prompt_tokens_details": {"cached_tokens": 0}},
    }
)
_CHAT = {"choices": [{"message": {"content": "Oslo"}}], "usage": openai_usage(14, 2)}
_ZERO = {"choices": [], "usage": openai_usage(0, 0)}
_EMBEDDINGS = {"data": [], "usage": {"prompt_tokens": 8, "total_tokens": 8}}
_MESSAGE = {"content": [], "usage": {"input_tokens": 12, "output_tokens": 6}}
_CACHED = {
    "usage": {
        "input_tokens": 12,
        "cache_creation_input_tokens": 100,
        "cache_read_input_tokens": 5000,
        "output_tokens": 6,
    }
}

_O, _A = Dialect.OPENAI, Dialect.ANTHROPIC
_encode = msgspec.json.encode

SAMPLES: Final = {
    "chat-json": Sample(_O, JSON, _encode(_CHAT), 14, 2),
    "chat-json-zero": Sample(_O, JSON, _encode(_ZERO), 0, 0),
    "chat-json-no-usage": Sample(_O, JSON, b'{"choices":[]}', None, None),
    "chat-json-null": Sample(_O, JSON, b'{"usage":null}', None, None),
    "json-broken": Sample(_O, JSON, b'{"usage": [1', None, None),
    "json-wrong-types": Sample(_O, JSON, b'{"usage":{"prompt_tokens":"7"}}', None, None),
    "json-negative": Sample(_O, JSON, b'{"usage":{"prompt_tokens":-7}}', None, None),
    "json-absurd": Sample(_O, JSON, b'{"usage":{"prompt_tokens":1e300}}', None, None),
    "json-huge": Sample(_O, JSON, _HUGE, 4, 300_000),
    "json-empty": Sample(_O, JSON, b"", None, None),
    "embeddings-json": Sample(_O, JSON, _encode(_EMBEDDINGS), 8, 0),
    "chat-sse": Sample(_O, SSE, openai_stream(40), 11, 40),
    "chat-sse-crlf": Sample(_O, SSE, openai_stream(40, end=b"\r\n"), 11, 40),
    "chat-sse-continuous": Sample(_O, SSE, _CONTINUOUS, 9, 30),
    "responses-sse": Sample(_O, SSE, _RESPONSES, 37, 11),
    "message-json": Sample(_A, JSON, _encode(_MESSAGE), 12, 6),
    "message-json-cached": Sample(_A, JSON, _encode(_CACHED), 112, 6),
    "message-sse": Sample(_A, SSE, anthropic_stream(["Hello", " world"]), 25, 57),
}
