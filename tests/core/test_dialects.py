"""Model routes and dialects."""

from __future__ import annotations

import pytest

from gateway_guard.core import dialects
from gateway_guard.core.dialects import (
    by_body,
    by_headers,
    compile_routes,
    model_by_path,
    model_in_path,
    route,
    streams,
)
from gateway_guard.types import Dialect
from tests.costs import within

OPENAI, ANTHROPIC, OTHER = Dialect.OPENAI, Dialect.ANTHROPIC, Dialect.OTHER


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/v1/chat/completions", OPENAI),
        ("/v1/chat/completions/", OPENAI),
        ("/V1/CHAT/COMPLETIONS", OPENAI),
        ("/chat/completions", OPENAI),
        ("/openai/v1/chat/completions", OPENAI),
        ("/api/v1/chat/completions", OPENAI),
        ("/openai/deployments/my-gpt/chat/completions", OPENAI),
        ("/v1/completions", OPENAI),
        ("/v1/embeddings", OPENAI),
        ("/v1/responses", OPENAI),
        ("/v1/realtime", OPENAI),
        ("/v1/threads/t_1/runs", OPENAI),
        ("/v1/threads/runs", OPENAI),
        ("/v1/threads/t_1/messages", OPENAI),
        ("/v1/messages", ANTHROPIC),
        ("/v1/Messages", ANTHROPIC),
        ("/v1/messages/count_tokens", ANTHROPIC),
        ("/v1/messages/batches", ANTHROPIC),
        ("/anthropic/v1/messages", ANTHROPIC),
        ("/v1/complete", ANTHROPIC),
        ("/v1beta/models/g-2:generateContent", OTHER),
        ("/v1beta/models/g-2:streamGenerateContent", OTHER),
        ("/model/a.b-v1:0/invoke", OTHER),
        ("/model/x/converse-stream", OTHER),
        ("/api/chat", OTHER),
        ("/api/generate", OTHER),
        ("/api/embeddings", OTHER),
        ("/generate_stream", OTHER),
        ("/v1beta/openai/embeddings", OPENAI),
        ("/openai/responses", OPENAI),
        ("/completions", OPENAI),
        ("/v1/generate", OTHER),
        ("/invocations", OTHER),
        ("/vertex", OTHER),
        ("/apply-template", OPENAI),
        ("/chat_tokenize", OPENAI),
        ("/moderations", OPENAI),
        ("/batches", OPENAI),
        ("/threads/t_1/runs", OPENAI),
        ("/threads/runs", OPENAI),
        ("/messages/count_tokens", ANTHROPIC),
        ("/v1/completions/render", OPENAI),
        ("/endpoints/chat/async-invocations", OTHER),
        ("/invocations-bidirectional-stream", OTHER),
        ("/render", None),
        ("/projects/p/runs", None),
        ("/v1/responses/resp_1/compact", OPENAI),
        ("/v1/evals/eval_1/runs", OPENAI),
        ("/v1/fine_tuning/alpha/graders/run", OPENAI),
        ("/ws/google.ai.GenerativeService.BidiGenerateContentConstrained", OTHER),
        ("/ws/google.ai.GenerativeService.BidiGenerateMusic", OTHER),
        ("/v1/projects/p/locations/l/reasoningEngines/7:streamQuery", OTHER),
        ("/serving-endpoints/chat/invocations", OTHER),
        ("/endpoints/chat/invocations-response-stream", OTHER),
        ("/client/v4/accounts/a/ai/run/@cf/meta/llama", OTHER),
        ("/inference/embeddings", OTHER),
        ("/models/embeddings", OTHER),
        ("/ml/v1/text/chat_stream", OTHER),
        ("/ml/v1/text/generation", OTHER),
        ("/generate/stream", OTHER),
        ("/predict", OTHER),
        ("/similarity", OTHER),
        ("/v1/evals", None),
        ("/endpoints/chat/config", None),
        ("/weather/predict", None),
        ("/surveys/7/responses", None),
        ("/rooms/7/messages", None),
        ("/reports/generate", None),
        ("/functions/f/invoke", None),
        ("/team/chat", None),
        ("/health", None),
        ("/v1/models", None),
        ("/v1/chat/completions/list", None),
        ("/v1/files", None),
        ("/v1/audio/transcriptions", OPENAI),
        ("/v1/audio/translations", OPENAI),
        ("/v1/audio/speech", OPENAI),
        ("/openai/deployments/whisper/audio/transcriptions", OPENAI),
        ("/v1/images/generations", OPENAI),
        ("/v1/moderations", OPENAI),
        ("/v1/batches", OPENAI),
        # Azure has no version in some of its paths.
        ("/openai/batches", OPENAI),
        ("/openai/threads/t_1/runs", OPENAI),
        ("/openai/threads/t_1/messages", OPENAI),
        ("/openai/evals/e_1/runs", OPENAI),
        ("/openai/realtimeapi/sessions", OPENAI),
        ("/openai/v1/video/generations/jobs", OPENAI),
        ("/threads/t_1/messages", None),
        ("/v1/realtime/client_secrets", OPENAI),
        ("/v1/threads/t_1/runs/r_1/submit_tool_outputs", OPENAI),
        ("/tokenize", OPENAI),
        ("/detokenize", OPENAI),
        ("/pooling", OPENAI),
        ("/classify", OPENAI),
        ("/score", OPENAI),
        ("/v1/score", OPENAI),
        ("/rerank", OPENAI),
        ("/v1/rerank", OPENAI),
        ("/v2/rerank", OPENAI),
        ("/api/embed", OTHER),
        ("/v2/chat", OTHER),
        ("/v2/embed", OTHER),
        ("/embedding", OTHER),
        ("/embed_sparse", OTHER),
        ("/v1beta/models/g-2:predictLongRunning", OTHER),
        ("/v1beta/tunedModels/mine:generateContent", OTHER),
        ("/v1/projects/p/locations/l/publishers/google/models/g:computeTokens", OTHER),
        ("/v1/projects/p/locations/l/endpoints/7:serverStreamingPredict", OTHER),
        ("/model/a.b-v1:0/count-tokens", OTHER),
        ("/v1/realtime/calls/rtc_1/accept", OPENAI),
        ("/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent", OTHER),
        ("/google.ai.generativelanguage.v1beta.GenerativeService/StreamGenerateContent", OTHER),
        ("/v1/conversations/conv_1/restart", OTHER),
        ("/v1/batch/jobs", OTHER),
        ("/v1/ocr", OTHER),
        ("/v2/models/llama/generate_stream", OTHER),
        ("/v2/models/llama/versions/1/infer", OTHER),
        ("/vertex_generate", OTHER),
        ("/v1/realtime/calls/rtc_1/hangup", None),
        ("/v2/models/llama/ready", None),
        ("/v2/models/llama/config", None),
        ("/api/tags", None),
        ("/api/show", None),
        ("/api/pull", None),
        ("/v1beta/models", None),
        ("/v1beta/models/g-2", None),
        ("/model/5/edit", None),
        ("/team/score", None),
        ("/images/7", None),
        ("/openai/deployments/azure/embed/embeddings", OPENAI),
        ("/engines/a/b/c/completions", OPENAI),
        ("/models/images/embeddings", OTHER),
        ("/images/embeddings", OTHER),
        ("/v1/videos/generations", OPENAI),
        ("/v1/videos/extensions", OPENAI),
        ("/v1/videos/v_1", None),
        ("/v1/realtime/translations", OPENAI),
        ("/v1/realtime/translations/calls", OPENAI),
        ("/v1/realtime/translations/client_secrets", OPENAI),
        ("/v1/chat/moderations", OPENAI),
        ("/v1/deployments/o/n/predictions", OTHER),
        ("/api/v2/cortex/agent:run", OTHER),
        ("/api/v1/apps/a_1/completion", OTHER),
        ("/api/v1/services/status", None),
        ("/agents/A/agentAliases/B/sessions/C/text", OTHER),
        ("/agents/A/agentAliases/B/sessions/C", None),
        ("/retrieveAndGenerateStream", OTHER),
        ("/providers/mistral/azure/ocr", OTHER),
        ("/providers/blackforestlabs/v1/flux-2-pro", OTHER),
        ("/providers/mistral/settings", None),
        ("/", None),
    ],
)
def test_model_routes_are_known_by_how_they_end(path: str, dialect: Dialect | None) -> None:
    assert route(path) is dialect


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("/llm/*", "/llm/x", True),
        ("/llm/*", "/LLM/X/", True),
        ("/llm/*", "/llm/x/y", False),
        ("/llm/**", "/llm/x/y", True),
        ("/llm/**", "/llm", True),
        ("/llm/**", "/llmx", False),
        ("/**/ask", "/a/b/ask", True),
        ("/**/ask", "/ask", True),
        ("/v*/ask", "/v12/ask", True),
        ("/a.c", "/abc", False),
        ("/llm/", "/llm", True),
    ],
)
def test_policy_routes_are_globs_by_segment(glob: str, path: str, matches: bool) -> None:
    assert (route(path, compile_routes([glob])) is OTHER) is matches


def test_headers_tell_a_dialect_where_the_path_does_not() -> None:
    assert by_headers({b"anthropic-version": b"2023-06-01"}) is ANTHROPIC
    assert by_headers({b"x-api-key": b"k"}) is ANTHROPIC
    assert by_headers({b"x-api-key": b"k", b"authorization": b"Bearer k"}) is OTHER
    assert by_headers({b"openai-organization": b"o"}) is OPENAI
    assert by_headers({}) is OTHER


def test_bodies_tell_a_dialect_where_headers_do_not() -> None:
    assert by_body({"messages": [], "system": "x"}) is ANTHROPIC
    assert by_body({"messages": []}) is OPENAI
    assert by_body({"input": "x"}) is OPENAI
    assert by_body({"model": "m", "prompt": "x"}) is OPENAI
    assert by_body({"contents": []}) is OTHER


def test_a_model_may_stand_in_the_path() -> None:
    assert model_in_path("/v1beta/models/gem-2:generateContent") == "gem-2"
    assert model_in_path("/openai/deployments/mine/chat/completions") == "mine"
    assert model_in_path("/model/a.b/invoke") == "a.b"
    assert model_in_path("/v1/chat/completions") is None
    assert model_by_path("/v2/models/llama/versions/1/generate") == "llama"
    assert model_by_path("/accounts/1/ai/run/@cf/meta/llama-3") == "@cf/meta/llama-3"
    assert model_by_path("/serving-endpoints/llama/invocations") == "llama"
    assert model_by_path("/openai/deployments/azure/gpt-4/chat/completions") == "azure/gpt-4"
    assert model_by_path("/openai/deployments/d/extensions/chat/completions") == "d"
    assert model_by_path("/engines/a/b/c/d/completions") == "a/b/c/d"
    assert model_by_path("/openai/deployments/d/chat/completions") == "d"
    assert model_by_path("/v1/deployments/owner/name/predictions") == "owner/name"
    assert model_by_path("/ml/v1/deployments/d-1/text/chat_stream") == "d-1"
    assert model_by_path("/v1beta/models/vertex_ai/gem:generateContent") == "vertex_ai/gem"
    assert model_by_path("/v1/projects/p/publishers/google/models/gem:countTokens") == "gem"
    assert model_by_path("/endpoints/llama/invocations-response-stream") == "llama"
    assert model_by_path("/v1/projects/p/locations/l/endpoints/77:predict") == "77"
    assert model_by_path("/v1/projects/p/locations/l/endpoints/openapi/chat/completions") is None


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/api/chat", {}, True),
        ("/ollama/api/generate/", {"stream": True}, True),
        ("/api/chat", {"stream": None}, True),
        ("/api/chat", {"stream": False}, False),
        ("/v1beta/models/g:streamGenerateContent", {}, True),
        ("/v1beta/models/g:generateContent", {}, False),
        ("/model/m/converse-stream", {}, True),
        ("/generate", {}, False),
        (None, {}, False),
    ],
)
def test_some_paths_stream_without_being_asked(
    path: str | None, body: dict[str, object], expected: bool
) -> None:
    assert streams(path, body) is expected


@pytest.mark.parametrize(
    "path",
    [
        "/v" + "1" * 16_000, "/v1" * 5000, "/v1beta" + "1" * 16_000, "/v1/threads/a/runs" * 800,
        "/openai/threads/a/runs" * 700, "/openai" * 2300,
        "/models/a" * 1700 + ":", "/a:generate" * 1400, "/v2/models/a/versions" * 700,
        "/a/b/c" * 2600,
    ],
)  # fmt: skip
def test_no_path_takes_long_to_route_in_no_time(path: str) -> None:
    own = compile_routes(["/**/a/**/b/**/d", "/x/*a*b*c*d", "/**/models/**/*a*/**/z"])

    def routed() -> None:
        route(path, own)
        model_by_path(path)
        model_in_path(path)
        streams(path, {})

    # 3 ms on a quiet machine; it was 1.7 s, and minutes.
    within(0.2, routed)


def test_long_paths_are_not_remembered() -> None:
    before = dialects._remembered.cache_info().currsize

    for number in range(3):
        assert dialects.own_words(f"/{number}{'x' * 300}/v1beta/models")
        assert not dialects.own_words(f"/{number}{'x' * 300}/v1/chat")

    assert dialects._remembered.cache_info().currsize == before
