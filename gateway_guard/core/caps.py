"""Which members of a body bound what a route generates: whatever else stands there, its upstream
passes over, and a bound that nobody keeps is none."""

from __future__ import annotations

from typing import Final

_CHAT: Final = frozenset(("max_tokens", "max_completion_tokens"))
_GEMINI: Final = frozenset((
    "generationConfig.maxOutputTokens", "generationConfig.max_output_tokens",
    "generation_config.maxOutputTokens", "generation_config.max_output_tokens",
))  # fmt: skip
#: What a request of Anthropic's batches is bounded by.
BATCHED: Final = frozenset(("max_tokens",))
#: End of a canonical path → the members its API reads, `outer.inner` for one of an object.
#: Source: the APIs' references (REFERENCE: OpenAI, Anthropic, Gemini, Ollama, llama.cpp, Bedrock).
_READ: Final = (
    ("/completions", _CHAT),
    ("/responses", frozenset(("max_output_tokens",))),
    ("/messages", BATCHED),
    ("/complete", frozenset(("max_tokens_to_sample",))),
    ("/v1/chat", BATCHED),
    ("/v2/chat", BATCHED),
    ("/api/chat", frozenset(("options.num_predict",))),
    ("/api/generate", frozenset(("options.num_predict",))),
    ("/completion", frozenset(("n_predict",))),
    ("/infill", frozenset(("n_predict",))),
    ("/converse", frozenset(("inferenceConfig.maxTokens",))),
    ("/converse-stream", frozenset(("inferenceConfig.maxTokens",))),
    (":generatecontent", _GEMINI),
    (":streamgeneratecontent", _GEMINI),
)  # fmt: skip


def caps_of(path: str) -> frozenset[str] | None:
    """The members that bound the output of the route at canonical `path`; None where the path does
    not tell, and any of them may.
    """
    low = path.lower().rstrip("/")
    for end, names in _READ:
        if low.endswith(end):
            return names
    return None
