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


def gemini(text: str, **counts: int) -> dict[str, object]:
    """One answer of Gemini, or one piece of it."""
    content = {"role": "model", "parts": [{"text": text}]}
    return {"candidates": [{"content": content, "index": 0}], "usageMetadata": counts}


_PIECES = [gemini(f" word{i}", promptTokenCount=9, totalTokenCount=9 + i) for i in range(1, 8)]
_GEMINI = gemini(
    "Oslo", promptTokenCount=9, toolUsePromptTokenCount=4, candidatesTokenCount=2,
    thoughtsTokenCount=30, totalTokenCount=45,
)  # fmt: skip
#: Without `alt=sse` a stream of Gemini's is one array, written piece by piece.
_GEMINI_ARRAY = b"[" + b",\r\n".join(msgspec.json.encode(piece) for piece in _PIECES) + b"]"


def ollama(words: int, *, finished: bool = True, chat: bool = True) -> bytes:
    """A stream of Ollama's: lines of JSON, the last with the counts."""

    def line(text: str, **more: object) -> bytes:
        said = {"message": {"role": "assistant", "content": text}} if chat else {"response": text}
        return msgspec.json.encode({"model": "m", **said, "done": bool(more), **more}) + b"\n"

    lines = [line(f" word{i}") for i in range(words)]
    if finished:
        lines.append(line("", total_duration=5, prompt_eval_count=26, eval_count=words + 1))
    return b"".join(lines)


_OLLAMA_EMBED = {
    "model": "m", "embeddings": [[0.25] * 400_000], "load_duration": 3, "prompt_eval_count": 8,
}  # fmt: skip
_COHERE_USAGE = {
    "billed_units": {"input_tokens": 5, "output_tokens": 4},
    "tokens": {"input_tokens": 71, "output_tokens": 4},
}
_COHERE_END = {"type": "message-end", "delta": {"finish_reason": "C", "usage": _COHERE_USAGE}}
_COHERE_DELTA = {"type": "content-delta", "delta": {"message": {"content": {"text": "hi"}}}}
_CONVERSE = {"output": {}, "usage": {"inputTokens": 30, "outputTokens": 6, "totalTokens": 36}}
_LLAMA = {"content": "Oslo", "stop": True, "tokens_predicted": 3, "tokens_evaluated": 11}
_LLAMA_ARRAY = [_LLAMA, _LLAMA | {"tokens_predicted": 4}]


def sglang(text: str, written: int, **more: object) -> dict[str, object]:
    """One answer of SGLang's own API, or all of it that there is so far."""
    counts = {"id": "1", "finish_reason": None, "prompt_tokens": 9, "completion_tokens": written}
    return {"text": text, "output_ids": [1, 2], "meta_info": counts, **more}


_SGLANG_SSE = b"".join(event(sglang(" word" * i, i)) for i in range(1, 41)) + DONE
#: Two prompts' answers, in turns.
_SGLANG_TWO = b"".join(event(sglang(" word", i // 2, index=i % 2)) for i in range(2, 42)) + DONE
_RERANK = {"id": "r", "results": [], "usage": {"total_tokens": 56}}
_SPEECH = {"text": "Oslo", "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 45}}
_SECONDS = {"text": "Oslo", "usage": {"type": "duration", "seconds": 3}}
NDJSON: Final = b"application/x-ndjson"

_O, _A, _X = Dialect.OPENAI, Dialect.ANTHROPIC, Dialect.OTHER
_encode = msgspec.json.encode


def tgi(words: int, **counts: object) -> bytes:
    """A stream of TGI's own API, which counts in its last event."""
    parts = []
    for i in range(words):
        last = i == words - 1
        token = {"id": i, "text": f" word{i}", "logprob": -0.1, "special": False}
        details = {"finish_reason": "length", "generated_tokens": words, "seed": None, **counts}
        parts.append(
            event({"index": i + 1, "token": token, "generated_text": " word" if last else None,
                   "details": details if last else None})
        )  # fmt: skip
    return b"".join(parts)


_TGI: Final = {
    "generated_text": "Oslo",
    "details": {"finish_reason": "length", "generated_tokens": 3, "prefill": [], "tokens": []},
}
_TGI_BEST: Final = {
    "generated_text": "Oslo",
    "details": {
        "generated_tokens": 3,
        "best_of_sequences": [{"generated_text": "Rome", "generated_tokens": 4}],
    },
}
_STUDIO: Final = {
    "model_instance_id": "m",
    "output": [{"type": "message", "content": "Oslo"}],
    "stats": {"input_tokens": 12, "total_output_tokens": 8, "reasoning_output_tokens": 5},
}
_STUDIO_SSE: Final = b"".join((
    event({"type": "chat.start", "model_instance_id": "m"}, "chat.start"),
    event({"type": "message.delta", "content": "Os"}, "message.delta"),
    event({"type": "message.delta", "content": "lo"}, "message.delta"),
    event({"type": "chat.end", "result": _STUDIO}, "chat.end"),
))  # fmt: skip
#: What a client wrote into its tools, which OpenAI repeats in the first event, changes nothing.
_REPEATED: Final = b"".join((
    event({"type": "response.created", "response": {"tools": [{"parameters": {"enum": [
        "chat.start", {"token": 1, "generated_text": 2}]}}]}}, "response.created"),
    event({"type": "response.completed", "response": {
        "usage": {"input_tokens": 37, "output_tokens": 11}}}, "response.completed"),
))  # fmt: skip


_GENERATED: Final = {"generated_text": "x", "generated_token_count": 6, "input_token_count": 5}
_ANSWERED: Final = {"response": "x", "usage": {"prompt_tokens": 5, "completion_tokens": 6}}
#: Of a conversation that was summed up first, and in which an advisor was asked.
_COMPACTED: Final = {
    "input_tokens": 23_000, "output_tokens": 1_000,
    "iterations": [
        {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500},
        {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000},
        {"type": "advisor_message", "model": "b", "input_tokens": 400, "output_tokens": 12,
         "cache_creation_input_tokens": 100},
        {"type": "something new", "input_tokens": 7, "output_tokens": 7},
    ],
}  # fmt: skip

SAMPLES: Final = {
    "tgi-json": Sample(_X, JSON, _encode(_TGI), None, 3),
    "tgi-json-best-of": Sample(_X, JSON, _encode(_TGI_BEST), None, 7),
    "tgi-root": Sample(_X, JSON, _encode([_TGI]), None, 3),
    "tgi-json-no-details": Sample(_X, JSON, b'[{"generated_text":"Oslo"}]', None, None),
    "tgi-json-wrong-types": Sample(_X, JSON, b'{"details":{"generated_tokens":"3"}}', None, None),
    "tgi-sse": Sample(_X, SSE, tgi(40), None, 40),
    "tgi-sse-input": Sample(_X, SSE, tgi(40, input_length=11), 11, 40),
    "studio-json": Sample(_X, JSON, _encode(_STUDIO), 12, 8),
    "studio-sse": Sample(_X, SSE, _STUDIO_SSE, 12, 8),
    "studio-sse-odd": Sample(
        _X, SSE, b'data: "chat.start", cut\n\n' + event(usage_chunk(5, 6)), 5, 6
    ),
    "studio-json-odd": Sample(_X, JSON, b'{"result":"x","stats":7}', None, None),
    "responses-sse-repeating": Sample(_O, SSE, _REPEATED, 37, 11),
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
    "watsonx-json": Sample(_X, JSON, _encode({"results": [_GENERATED, _GENERATED]}), 10, 12),
    "no-results-json": Sample(_X, JSON, b'{"results": []}', None, None),
    "cloudflare-json": Sample(_X, JSON, _encode({"result": _ANSWERED, "success": True}), 5, 6),
    "message-json-compacted": Sample(_A, JSON, _encode({"usage": _COMPACTED}), 203_500, 4_512),
    "message-sse": Sample(_A, SSE, anthropic_stream(["Hello", " world"]), 25, 57),
    "gemini-json": Sample(_X, JSON, _encode(_GEMINI), 13, 32),
    "gemini-json-blocked": Sample(
        _X, JSON, _encode({"usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9}}), 9, 0
    ),
    "gemini-sse": Sample(_X, SSE, b"".join(event(p, end=b"\r\n") for p in _PIECES), 9, 7),
    "gemini-array": Sample(_X, JSON, _GEMINI_ARRAY, 9, 7),
    "gemini-empty": Sample(_X, JSON, b'{"usageMetadata":{}}', None, None),
    "ollama-chat": Sample(_X, NDJSON, ollama(40), 26, 41),
    "ollama-generate": Sample(_X, NDJSON, ollama(40, chat=False), 26, 41),
    "ollama-json": Sample(_X, JSON, ollama(0), 26, 1),
    "ollama-embed-huge": Sample(_X, JSON, _encode(_OLLAMA_EMBED), 8, None),
    "cohere-json": Sample(_X, JSON, _encode({"usage": _COHERE_USAGE}), 71, 4),
    "cohere-json-v1": Sample(_X, JSON, _encode({"meta": _COHERE_USAGE}), 71, 4),
    "cohere-sse": Sample(_X, SSE, event(_COHERE_DELTA) * 9 + event(_COHERE_END), 71, 4),
    "converse-json": Sample(_X, JSON, _encode(_CONVERSE), 30, 6),
    "llama-json": Sample(_X, JSON, _encode(_LLAMA), 11, 3),
    "llama-array": Sample(_X, JSON, _encode(_LLAMA_ARRAY), 22, 7),
    "sglang-json": Sample(_X, JSON, _encode(sglang("Oslo", 3)), 9, 3),
    "sglang-array-of-one": Sample(_X, JSON, _encode([sglang("Oslo", 3)]), 9, 3),
    "sglang-array": Sample(_X, JSON, _encode([sglang("Oslo", 3), sglang("Rome", 4)]), None, 7),
    "sglang-sse": Sample(_X, SSE, _SGLANG_SSE, 9, 40),
    "sglang-sse-two": Sample(_X, SSE, _SGLANG_TWO, None, 40),
    "rerank-json": Sample(_O, JSON, _encode(_RERANK), 56, 0),
    "audio-json": Sample(_O, JSON, _encode(_SPEECH), 14, 45),
    "audio-json-seconds": Sample(_O, JSON, _encode(_SECONDS), None, None),
}
