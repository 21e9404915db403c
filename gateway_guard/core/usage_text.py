"""How much text one response event delivers. Pure and total."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway_guard.core.usage_events import payload
from gateway_guard.errors import UNDECODABLE


class _Shape(msgspec.Struct, gc=False):
    choices: list[msgspec.Raw] | None = None
    usage: dict[str, msgspec.Raw] | None = None


_any: Final = msgspec.json.Decoder().decode
_shape: Final = msgspec.json.Decoder(_Shape).decode


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
    if "delta" in found:
        return _text(found["delta"])
    if "type" in found:
        return _typed(found)
    for name in _SAYING:
        if name in found:
            return _text(found[name])
    token = found.get("token")
    if isinstance(token, str):
        return _text(token)
    return _text(token.get("text")) if isinstance(token, dict) else None


#: Where other APIs put what they say: Gemini; Ollama (chat, generate); llama.cpp; Triton; watsonx.
#: TGI and Kobold: `token`.
_SAYING: Final = ("candidates", "message", "response", "content", "text_output", "results")
#: Where events put it that name their type and have no `delta`: Anthropic's old completions;
#: Mistral's conversations.
_TYPED: Final = ("completion", "content", "arguments", "text")
#: Types of such events that repeat what was said before.
_SAID: Final = ("done", "completed")


def _typed(event: dict[str, Any]) -> int:
    kind = event["type"]
    if type(kind) is str and (kind.startswith("response.") or kind.endswith(_SAID)):
        return 0
    return sum(_text(event.get(name)) for name in _TYPED)


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
