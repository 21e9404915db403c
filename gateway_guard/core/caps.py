"""Which members of a body bound what a route generates: whatever else stands there, its upstream
passes over, and a bound that nobody keeps is none."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

#: Chat has two names for it.
CHAT: Final = ("max_tokens", "max_completion_tokens")
#: What a request of Anthropic's batches is bounded by.
BATCHED: Final = ("max_tokens",)
#: Kobold's; to others a length of something else.
LENGTH: Final = "max_length"
#: Caps that Ollama reads, where 0 is none; its own and those of OpenAI's dialect.
ENDLESS: Final = frozenset(("num_predict", "max_tokens", "max_completion_tokens"))
_OLLAMA: Final = ("options.num_predict",)
_CONVERSE: Final = ("inferenceConfig.maxTokens",)
_GEMINI: Final = (
    "generationConfig.maxOutputTokens", "generationConfig.max_output_tokens",
    "generation_config.maxOutputTokens", "generation_config.max_output_tokens",
)  # fmt: skip
#: End of a canonical path → the members its API reads, `outer.inner` for one of an object; the
#: first is the one to set where none is. Of chat that is `max_tokens`: older than its other name,
#: and the one every server of the OpenAI dialect enforces (its o-series models refuse it:
#: for them a policy says `chat_cap`).
#: Source: the APIs' references (REFERENCE: OpenAI, Anthropic, Gemini, Ollama, llama.cpp, Bedrock).
_READ: Final = (
    ("/completions", CHAT),
    ("/responses", ("max_output_tokens",)),
    ("/compact", ("max_output_tokens",)),
    ("/messages", BATCHED),
    ("/complete", ("max_tokens_to_sample",)),
    # LM Studio's, before Cohere's.
    ("/api/v1/chat", ("max_output_tokens",)),
    ("/v1/chat", ("max_tokens",)),
    ("/v2/chat", ("max_tokens",)),
    ("/api/chat", _OLLAMA),
    ("/api/generate", _OLLAMA),
    ("/api/v1/generate", (LENGTH,)),
    ("/api/extra/generate/stream", (LENGTH,)),
    ("/completion", ("n_predict",)),
    ("/infill", ("n_predict",)),
    ("/converse", _CONVERSE),
    ("/converse-stream", _CONVERSE),
    # Gemini's
    ("/interactions", ("generation_config.max_output_tokens",)),
    (":generatecontent", _GEMINI),
    (":streamgeneratecontent", _GEMINI),
)  # fmt: skip
#: Model routes that read tokens and write none, by the ends of their paths.
WRITES_NOTHING: Final = (
    "/embeddings", "/embed", "/count_tokens", "/input_tokens", "/moderations", "/rerank",
    ":countTokens", ":embedContent", ":batchEmbedContents", ":asyncBatchEmbedContent",
    ":computeTokens", "/count-tokens", "/reranking", "/score", "/classify", "/pooling", "/tokenize",
    "/detokenize", "/embedding", "/embed_all", "/embed_sparse", "/encode", "/apply-template",
    "/chat_tokenize", "/render", "/generative_scoring", "/multimodalembeddings",
    "/contextualizedembeddings", "/chat/classifications", "/text/embeddings", "/text/rerank",
    "/text/tokenization", "/text-embedding", "/text-rerank", "inference:embed",
)  # fmt: skip
#: Paths that several servers have: TGI, SGLang and vLLM, also as they run on SageMaker and Vertex.
_SHARED: Final = re.compile(
    r"/|/generate|/generate_stream|(?:.*/)?(?:async-)?invocations(?:-response-stream)?|/vertex"
)
#: The member in which one of those reads its prompt → those that bound the output there.
_BY_PROMPT: Final = (
    ("inputs", ("parameters.max_new_tokens",)),
    ("text", ("sampling_params.max_new_tokens",)),
    ("input_ids", ("sampling_params.max_new_tokens",)),
    ("prompt", ("max_tokens",)),
    ("messages", CHAT),
)
#: Adds a message to one of OpenAI's threads, and generates nothing.
_THREAD: Final = re.compile(r".*/threads/[^/]+/messages")


def caps_of(path: str) -> tuple[str, ...] | None:
    """The members that bound the output of the route at canonical `path`; None where the path does
    not tell, and any of them may.
    """
    low = path.lower().rstrip("/")
    for end, names in _READ:
        if low.endswith(end):
            return None if _THREAD.fullmatch(low) else names
    return None


def caps_told(path: str | None, members: Collection[str]) -> tuple[str, ...] | None:
    """The same, on a path that several servers have, by the members of a body: the caps of whoever
    finds a prompt there. None where any may be one.

    Whoever sends two prompts is read by each server in its own way, so both their caps count.
    """
    if not path or _SHARED.fullmatch(path.lower().rstrip("/") or "/") is None:
        return None
    found = [cap for prompt, caps in _BY_PROMPT if prompt in members for cap in caps]
    return tuple(dict.fromkeys(found)) or None
