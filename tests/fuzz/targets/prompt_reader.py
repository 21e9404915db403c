"""What the guard says of a prompt is what the upstream's parser reads, whatever the spelling: by
CPython's `json` and by msgspec, member by member; anything else is called unknown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from gateway_guard.core.caps import caps_of
from gateway_guard.core.identify import identify
from gateway_guard.core.sections import Identify, Inspect
from gateway_guard.types import Inspection, Request, Wire
from tests.fuzz.taken import Taken
from tests.fuzz.targets.json_body import WORDS as JSON_WORDS
from tests.fuzz.targets.json_body import reasons

#: Looked for in every text.
PLANTED: Final = "planted phrase"
#: One path for each dialect and kind of call.
PATHS: Final = (
    b"/v1/chat/completions", b"/v1/completions", b"/v1/responses", b"/v1/embeddings",
    b"/v1/messages", b"/v1/messages/batches", b"/v1beta/models/gemini-2.0:generateContent",
    b"/api/chat", b"/api/generate", b"/v1/chat", b"/generate", b"/v1/rerank",
)  # fmt: skip
WORDS = (
    *JSON_WORDS, b"planted phrase", b"PLANTED  phrase", b"planted\\u0020phrase",
    b'{"type":"text","text":"planted phrase"}', b'"role":"system"', b'"role":"user"', b'"parts":[',
    b'"contents":[{"role":"user","parts":[{"text":"planted phrase"}]}]',
    b'"prompt":"planted phrase"', b'"input":["planted ","phrase"]',
    b'"system":[{"type":"text","text":"planted phrase"}]', b'"max_tokens":5', b'"n":3',
    b'"stream":true', b'"Messages":', b'"maxOutputTokens":7', b'"generationConfig":{',
    b'"options":{"num_predict":-1}', b'"tools":[{}]', b'"chat_history":[',
    b'"message":"planted phrase"', b'"inferenceConfig":{"maxTokens":9}',
    b'"requests":[{"params":{',
)  # fmt: skip

_IDENTIFY: Final = Identify()
_INSPECT: Final = Inspect(phrases=(PLANTED,), max_body=1 << 20)
_SECRET: Final = b"0123456789abcdef"
_CAPS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_tokens_to_sample")


def seen(path: bytes, body: bytes) -> Request:
    """The request as the guard identifies it."""
    headers = [(b"content-type", b"application/json"), (b"host", b"api.test")]
    wire = Wire(method="POST", raw_path=path, headers=headers, peer="192.0.2.1", body=body)
    return identify(
        wire, _IDENTIFY, _INSPECT, id="r_1", at=1_790_000_000.0, secret=_SECRET, keys={}
    )


def told(value: Any) -> Iterator[str]:
    """The texts an upstream of any dialect takes from a document, simply."""
    for name in ("messages", "contents"):
        for turn in value.get(name) or ():
            if isinstance(turn, dict):
                yield from _texts(turn.get("content") if name == "messages" else turn.get("parts"))
    yield from _texts(value.get("system"))
    for name in ("prompt", "instructions", "message", "inputs"):
        if isinstance(value.get(name), str):
            yield value[name]
    if isinstance(value.get("input"), str):
        yield value["input"]
    elif isinstance(value.get("input"), list):
        yield from (item for item in value["input"] if isinstance(item, str))


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, str):
                yield part
            elif isinstance(part, dict) and isinstance(part.get("text"), str):
                yield part["text"]


def target(data: bytes) -> None:
    """Which path, then a body."""
    taken = Taken(data)
    check(taken.pick(PATHS), taken.rest())


def check(path: bytes, body: bytes) -> None:
    """The properties, for one body sent to one path."""
    request = seen(path, body)

    if not body:
        assert request.inspection is Inspection.NONE
        return
    assert (request.prompt is None) == (request.inspection is not Inspection.FULL)
    because = reasons(body)
    if because:
        assert request.inspection.unknown, (body, because)
    if request.inspection is not Inspection.FULL:
        assert request.inspection.unknown
        assert because or request.inspection is Inspection.SHAPE, body
        return
    shape = request.prompt
    assert shape is not None
    value = json.loads(body)
    assert value == msgspec.json.decode(body)
    # Another spelling of the same value is the same request.
    for spelled in (
        json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1),
        json.dumps(value, separators=(",", ":")),
    ):  # fmt: skip
        again = seen(path, spelled.encode())
        assert again == request, (body, spelled)
    texts = list(told(value))
    assert shape.chars >= sum(map(len, texts)), (body, texts, shape)
    if any(PLANTED in text.lower() for text in texts):
        assert shape.phrases == (PLANTED,), body
    for name in ("messages", "contents"):
        if isinstance(value.get(name), list):
            assert shape.messages >= len(value[name])
    if isinstance(value.get("model"), str) and path.startswith(b"/v1/"):
        assert request.model == (value["model"].strip() or request.model)
    own = caps_of(path.decode())
    if own is None or any(value.get(name) is not None for name in own):
        for name in _CAPS:
            cap = value.get(name)
            if type(cap) is int and shape.max_output_tokens is not None:
                assert shape.max_output_tokens >= min(cap, 1 << 31) or shape.batch
            elif type(cap) is int:
                # Of several one bounds nothing: below nothing to llama.cpp, 0 to Ollama.
                assert b"-" in body or b"0" in body
    elif not any("." in name or name == "n_predict" for name in own):
        # What its upstream passes over is no bound.
        assert shape.max_output_tokens is None or shape.batch
    if type(value.get("n")) is int:
        assert shape.n >= min(value["n"], 4096)
    if value.get("stream") is True:
        assert shape.stream
    if isinstance(value.get("tools"), list):
        assert shape.tools >= len(value["tools"])
    assert shape.input_tokens > 0
    assert len(shape.shingles) <= 64
