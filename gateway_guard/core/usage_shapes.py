"""How model APIs write their token counts: what of an answer is decoded. Pure.

Numbers are read as floats: some gateways write `12.0`. Other members are passed over.
"""

from __future__ import annotations

from typing import Final

import msgspec


class Pair(msgspec.Struct, gc=False):  # Cohere's
    input_tokens: float | None = None
    output_tokens: float | None = None


class Numbers(msgspec.Struct, gc=False):
    prompt_tokens: float | None = None
    completion_tokens: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    cache_creation_input_tokens: float | None = None
    cache_read_input_tokens: float | None = None
    total_tokens: float | None = None
    input_bedrock: float | None = msgspec.field(default=None, name="inputTokens")
    output_bedrock: float | None = msgspec.field(default=None, name="outputTokens")
    cached_bedrock: float | None = msgspec.field(default=None, name="cacheWriteInputTokens")
    cached_nova: float | None = msgspec.field(default=None, name="cacheWriteInputTokenCount")
    # Of an interaction (Gemini).
    total_input_tokens: float | None = None
    total_tool_use_tokens: float | None = None
    total_output_tokens: float | None = None
    total_thought_tokens: float | None = None
    tokens: msgspec.Raw = msgspec.Raw(b"")
    iterations: msgspec.Raw = msgspec.Raw(b"")


class Iteration(msgspec.Struct, gc=False):
    """One of several samplings of an answer of Anthropic's."""

    type: str = ""
    input_tokens: float | None = None
    output_tokens: float | None = None
    cache_creation_input_tokens: float | None = None


class Gemini(msgspec.Struct, gc=False, rename="camel"):
    prompt_token_count: float | None = None
    tool_use_prompt_token_count: float | None = None
    candidates_token_count: float | None = None
    thoughts_token_count: float | None = None
    total_token_count: float | None = None


class Holder(msgspec.Struct, gc=False):
    usage: Numbers | None = None


class Meta(msgspec.Struct, gc=False):
    tokens: Pair | None = None
    billed_units: Pair | None = None


class Event(msgspec.Struct, gc=False):
    usage: Numbers | None = None
    message: Holder | None = None
    response: Holder | None = None


class Others(msgspec.Struct, gc=False):
    """Where other APIs count."""

    gemini: Gemini | None = msgspec.field(default=None, name="usageMetadata")
    prompt_eval_count: float | None = None
    eval_count: float | None = None
    tokens_evaluated: float | None = None
    tokens_predicted: float | None = None
    meta: Meta | None = None
    delta: Holder | str | None = None
    meta_info: Numbers | None = None
    interaction: Holder | None = None
    x_groq: Holder | None = None
    index: msgspec.Raw = msgspec.Raw(b"")


class Loose(msgspec.Struct, gc=False):
    """An event whose other members are of no known shape."""

    usage: msgspec.Raw = msgspec.Raw(b"")
    response: msgspec.Raw = msgspec.Raw(b"")
    message: msgspec.Raw = msgspec.Raw(b"")
    delta: msgspec.Raw = msgspec.Raw(b"")
    gemini: msgspec.Raw = msgspec.field(default=msgspec.Raw(b""), name="usageMetadata")


decode_event: Final = msgspec.json.Decoder(Event).decode
decode_numbers: Final = msgspec.json.Decoder(Numbers).decode
decode_holder: Final = msgspec.json.Decoder(Holder).decode
decode_loose: Final = msgspec.json.Decoder(Loose).decode
decode_others: Final = msgspec.json.Decoder(Others).decode
decode_gemini: Final = msgspec.json.Decoder(Gemini).decode
decode_iterations: Final = msgspec.json.Decoder(list[Iteration]).decode
decode_pair: Final = msgspec.json.Decoder(Pair).decode
decode_several: Final = msgspec.json.Decoder(list[Others]).decode
decode_index: Final = msgspec.json.Decoder(int).decode
