"""Each API a guard may stand before: its path, its body and the answer's count are understood."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import pytest

from gateway_guard.core.identify import identify
from gateway_guard.core.limits import estimates
from gateway_guard.core.sections import Identify, Inspect
from gateway_guard.core.usage import UsageReader
from gateway_guard.types import Dialect, Inspection, Outcome, Request
from tests import build
from tests.core.streams import SAMPLES

TEXT = "What is the capital of Norway, and how many people live there? " * 8
#: A quarter of its characters.
TOKENS = len(TEXT) // 4
CHAT = {"model": "m", "messages": [{"role": "user", "content": TEXT}]}


class Api(NamedTuple):
    """One path: what is posted there, how much of it generates, and how the answer counts."""

    path: str
    body: dict[str, Any]
    output: int = 1024
    model: str | None = "m"
    answer: str | None = None


APIS = [
    Api("/v1/chat/completions", CHAT, answer="chat-json"),
    Api("/v1/completions", {"model": "m", "prompt": TEXT}, answer="chat-json"),
    Api("/v1/embeddings", {"model": "m", "input": TEXT}, 0, answer="embeddings-json"),
    Api("/v1/responses", {"model": "m", "input": TEXT}, answer="message-json"),
    Api("/v1/messages", CHAT | {"max_tokens": 5}, 5, answer="message-json"),
    Api("/v1/messages/count_tokens", CHAT, 0),
    Api("/v1/moderations", {"model": "m", "input": TEXT}, 0),
    Api("/v1/audio/speech", {"model": "m", "input": TEXT, "voice": "x"}),
    Api("/v1/images/generations", {"model": "m", "prompt": TEXT}, answer="audio-json"),
    Api("/v1/videos/generations", {"model": "m", "prompt": TEXT}),
    Api("/v1/chat/moderations", {"model": "m", "input": CHAT["messages"]}, 0),
    Api("/v1/sonar", CHAT | {"max_tokens": 6}, 6, answer="chat-json"),
    Api(
        "/v1/multimodalembeddings",
        {"model": "m", "inputs": [{"content": [{"type": "text", "text": TEXT}]}]}, 0,
    ),
    Api("/v1/contextualizedembeddings", {"model": "m", "inputs": [[TEXT]]}, 0),
    Api("/predict", {"inputs": [[TEXT[:252], TEXT[252:]]]}, model=None),
    Api(
        "/generative_scoring", {"model": "m", "query": TEXT[:252], "items": [TEXT[252:]]}, 0,
    ),
    # watsonx, Snowflake, Alibaba, Bedrock's agents
    Api("/ml/v1/deployments/d/text/chat", CHAT | {"max_tokens": 6}, 6, "d", "chat-json"),
    Api(
        "/ml/v1/deployments/d/text/generation",
        {"input": TEXT, "parameters": {"max_new_tokens": 6}}, 6, "d", "watsonx-json",
    ),
    Api("/api/v2/cortex/inference:complete", CHAT | {"max_tokens": 6}, 6, answer="chat-json"),
    Api(
        "/api/v1/services/aigc/text-generation/generation",
        {"model": "m", "input": {"messages": CHAT["messages"]}, "parameters": {"max_tokens": 6}}, 6,
        answer="message-json",
    ),
    Api("/agents/A/agentAliases/B/sessions/C/text", {"inputText": TEXT}, model=None),
    Api("/retrieveAndGenerate", {"input": {"text": TEXT}}, model=None),
    # Gemini
    Api(
        "/v1beta/models/g-2:generateContent",
        {"contents": [{"parts": [{"text": TEXT}]}], "generationConfig": {"maxOutputTokens": 7}},
        7, "g-2", "gemini-json",
    ),
    Api(
        "/v1beta/models/g-2:streamGenerateContent",
        {"contents": [{"parts": [{"text": TEXT}]}], "generationConfig": {"max_output_tokens": 7}},
        7, "g-2", "gemini-sse",
    ),
    Api("/v1beta/models/g-2:countTokens", {"contents": [{"parts": [{"text": TEXT}]}]}, 0, "g-2"),
    Api("/v1beta/models/g-2:embedContent", {"content": {"parts": [{"text": TEXT}]}}, 0, "g-2"),
    Api(
        "/v1beta/models/g-2:batchEmbedContents",
        {"requests": [{"model": "models/g-2", "content": {"parts": [{"text": TEXT}]}}]},
        0, "g-2",
    ),
    # What stands at the top bounds nothing there.
    Api(
        "/v1beta/interactions",
        {"model": "m", "input": TEXT, "max_output_tokens": 1,
         "generation_config": {"max_output_tokens": 7}},
        7,
    ),
    Api("/v1beta/interactions", {"model": "m", "input": TEXT, "max_output_tokens": 1}),
    # Ollama
    Api("/api/chat", CHAT | {"options": {"num_predict": 9}}, 9, answer="ollama-chat"),
    Api("/api/generate", {"model": "m", "prompt": TEXT}, answer="ollama-generate"),
    Api("/api/embed", {"model": "m", "input": [TEXT]}, 0, answer="ollama-embed-huge"),
    Api("/api/embeddings", {"model": "m", "prompt": TEXT}, 0),
    # vLLM
    Api("/tokenize", {"model": "m", "prompt": TEXT}, 0),
    Api("/detokenize", {"model": "m", "tokens": list(range(TOKENS))}, 0),
    Api("/pooling", {"model": "m", "input": TEXT}, 0, answer="embeddings-json"),
    Api("/classify", {"model": "m", "input": TEXT}, 0),
    Api("/score", {"model": "m", "text_1": TEXT, "text_2": "x"}, 0),
    Api("/v1/score", {"model": "m", "queries": TEXT, "documents": ["x"]}, 0),
    Api("/rerank", {"model": "m", "query": "x", "documents": [TEXT]}, 0, answer="rerank-json"),
    Api("/v2/rerank", {"model": "m", "query": TEXT, "documents": [{"text": "x"}]}, 0),
    # Others
    Api("/v2/chat", CHAT, answer="cohere-json"),
    Api("/model/m/converse", {"messages": [{"role": "user", "content": [{"text": TEXT}]}]},
        answer="converse-json"),
    Api("/generate", {"inputs": TEXT, "parameters": {"max_new_tokens": 3}}, 3, None),
    Api("/generate", {"text": TEXT, "sampling_params": {"max_new_tokens": 3}}, 3, None),
    Api("/generate_stream", {"inputs": TEXT, "parameters": {"max_new_tokens": 3}}, 3, None,
        "tgi-sse-input"),
    Api("/invocations", {"inputs": TEXT, "parameters": {"max_new_tokens": 3}}, 3, None, "tgi-json"),
    Api("/", {"inputs": TEXT, "parameters": {"max_new_tokens": 3}}, 3, None, "tgi-root"),
    Api("/vertex", {"instances": [{"inputs": TEXT, "parameters": {"max_new_tokens": 3}}]}, 3, None),
    Api("/chat_tokenize", CHAT, 0),
    # Somebody else's cap bounds nothing there.
    Api("/generate", {"inputs": TEXT, "max_tokens": 1}, 1024, None),
    Api("/generate", {"inputs": TEXT, "parameters": {"max_tokens": 1}}, 1024, None),
    Api("/generate", {"text": TEXT, "parameters": {"max_new_tokens": 1}}, 1024, None),
    # LM Studio
    Api("/api/v0/chat/completions", CHAT, answer="chat-json"),
    Api("/api/v1/chat", {"model": "m", "input": TEXT, "max_output_tokens": 3}, 3, "m",
        "studio-json"),
    Api("/api/v1/chat", {"model": "m", "input": "x", "system_prompt": TEXT, "max_tokens": 1},
        answer="studio-sse"),
    # LiteLLM, without a version
    Api("/moderations", {"model": "m", "input": TEXT}, 0),
    Api("/messages/count_tokens", CHAT, 0),
    # llama.cpp and vLLM
    Api("/apply-template", CHAT, 0),
    Api("/v1/chat/completions/render", CHAT, 0),
    Api("/completion", {"prompt": TEXT, "n_predict": 3}, 3, None, "llama-json"),
    Api("/embed", {"inputs": TEXT}, 0, None),
    # Nobody's known shape: all its text is counted.
    Api("/invocations", {"rows": [{"question": TEXT}]}, 1024, None),
]  # fmt: skip


def seen(path: str, body: bytes, headers: dict[str, str] | None = None) -> Request:
    return identify(
        build.wire(path, body=body, headers=headers),
        Identify(), Inspect(), id="r", at=build.NOW, secret=build.SECRET, keys={},
    )  # fmt: skip


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.path)
def test_the_request_is_understood(api: Api) -> None:
    request = seen(api.path, msgspec.json.encode(api.body))

    assert request.model_route
    assert (request.inspection, request.model) == (Inspection.FULL, api.model)
    found = estimates(request)
    assert found is not None
    assert TOKENS <= found[0] <= TOKENS + 20
    assert found[1] == api.output


@pytest.mark.parametrize(
    ("path", "more", "expected"),
    [("/api/chat", {}, True), ("/api/chat", {"stream": False}, False), ("/v2/chat", {}, False)],
)
def test_a_stream_nobody_asked_for_is_known_as_one(
    path: str, more: dict[str, Any], expected: bool
) -> None:
    request = seen(path, msgspec.json.encode(CHAT | more))

    assert request.prompt is not None
    assert request.prompt.stream is expected


@pytest.mark.parametrize("api", [api for api in APIS if api.answer], ids=lambda api: api.path)
def test_the_answers_own_count_is_read(api: Api) -> None:
    sample = SAMPLES[api.answer or ""]
    request = seen(api.path, msgspec.json.encode(api.body))
    reader = UsageReader(request.dialect, content_type=sample.content_type)

    reader.feed(sample.body)

    usage = reader.usage(Outcome.COMPLETED, 200)
    assert (usage.input_tokens, usage.output_tokens) == (sample.read, sample.written)


def test_an_audio_form_is_understood() -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
        b"Content-Type: audio/wav\r\n\r\nRIFF\r\n--b--\r\n"
    )

    request = seen(
        "/v1/audio/transcriptions", body, {"content-type": "multipart/form-data; boundary=b"}
    )

    assert (request.dialect, request.model) == (Dialect.OPENAI, "whisper-1")
    assert request.inspection is Inspection.FULL
    assert (estimates(request) or (0, 0))[0] > 1000


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/m", "/v1beta/models", "/api/tags",
                                  "/api/ps", "/api/version", "/health"])  # fmt: skip
def test_what_only_lists_reaches_no_model(path: str) -> None:
    request = identify(
        build.wire(path, method="GET"),
        Identify(), Inspect(), id="r", at=build.NOW, secret=build.SECRET, keys={},
    )  # fmt: skip

    assert not request.model_route
    assert estimates(request) is None
