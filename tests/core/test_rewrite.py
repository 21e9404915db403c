"""Bodies with less, the rest byte for byte."""

from __future__ import annotations

import gzip
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.rewrite import rewrite
from gateway_guard.types import Dialect, Restrictions

LESS = Restrictions(max_output_tokens=100, logprobs=False, n=1)
OPENAI, ANTHROPIC, OTHER = Dialect.OPENAI, Dialect.ANTHROPIC, Dialect.OTHER


def less(
    document: dict[str, Any],
    dialect: Dialect = OPENAI,
    restrictions: Restrictions | None = LESS,
    path: str | None = None,
    force_usage: bool = False,
) -> dict[str, Any]:
    out = rewrite(
        json.dumps(document).encode(),
        [],
        dialect,
        restrictions=restrictions,
        force_usage=force_usage,
        path=path,
    )
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("more", "dialect", "expected"),
    [
        ({}, OPENAI, {"max_tokens": 100}),
        ({"max_tokens": 50}, OPENAI, {"max_tokens": 50}),
        ({"max_tokens": 500}, OPENAI, {"max_tokens": 100}),
        ({"max_tokens": 500.0}, OPENAI, {"max_tokens": 100}),
        ({"max_completion_tokens": 500}, OPENAI, {"max_completion_tokens": 100}),
        (
            {"max_completion_tokens": 500, "max_tokens": 9},
            OPENAI,
            {"max_completion_tokens": 100, "max_tokens": 9},
        ),
        ({"max_tokens": None}, OPENAI, {"max_tokens": 100}),
        ({"max_tokens": 50, "n": 5}, OPENAI, {"max_tokens": 50, "n": 1}),
        (
            {"max_tokens": 50, "n": 1, "best_of": 3},
            OPENAI,
            {"max_tokens": 50, "n": 1, "best_of": 1},
        ),
        (
            {"max_tokens": 50, "logprobs": True, "top_logprobs": 5, "prompt_logprobs": 1},
            OPENAI,
            {"max_tokens": 50},
        ),
        ({"max_tokens": 500}, ANTHROPIC, {"max_tokens": 100}),
        (
            {"max_tokens": 500, "thinking": {"type": "enabled", "budget_tokens": 400}},
            ANTHROPIC,
            {"max_tokens": 100},
        ),
        (
            {"options": {"num_predict": -1, "seed": 7}},
            OTHER,
            {"options": {"num_predict": 100, "seed": 7}, "max_tokens": 100},
        ),
    ],
)
def test_restrictions_are_applied(
    more: dict[str, Any], dialect: Dialect, expected: dict[str, Any]
) -> None:
    assert less(CHAT | more, dialect) == CHAT | expected


@pytest.mark.parametrize(
    ("document", "dialect", "path", "expected"),
    [
        ({"input": "x"}, OPENAI, None, {"max_output_tokens": 100}),
        ({"input": "x"}, OPENAI, "/v1/embeddings", {}),
        (
            {"input": "x", "include": ["a", "message.output_text.logprobs"]},
            OPENAI,
            None,
            {"include": ["a"], "max_output_tokens": 100},
        ),
        ({"prompt": "x"}, OPENAI, None, {"max_tokens": 100}),
        (CHAT, ANTHROPIC, "/v1/messages/count_tokens", {}),
        ({"contents": []}, OTHER, None, {"generationConfig": {"maxOutputTokens": 100}}),
        (
            {
                "contents": [],
                "generationConfig": {
                    "temperature": 1,
                    "candidateCount": 4,
                    "responseLogprobs": True,
                },
            },
            OTHER,
            None,
            {"generationConfig": {"temperature": 1, "candidateCount": 1, "maxOutputTokens": 100}},
        ),
        ({"prompt": "x"}, OTHER, "/api/generate", {"options": {"num_predict": 100}}),
        ({"messages": []}, OTHER, "/model/x/converse", {"inferenceConfig": {"maxTokens": 100}}),
        ({"inputs": "x"}, OTHER, "/generate", {"parameters": {"max_new_tokens": 100}}),
        ({"prompt": "x"}, OTHER, "/completion", {"n_predict": 100}),
        ({"prompt": "x"}, OTHER, "/api/v1/generate", {"max_length": 100}),
        ({"prompt": "x", "max_length": 500}, OTHER, "/api/v1/generate", {"max_length": 100}),
        ({"query": "x", "max_length": 500}, OTHER, "/rerank", {"max_length": 500}),
        ({"prompt": "x", "max_gen_len": 500}, OTHER, "/model/m/invoke", {"max_gen_len": 100}),
        (
            {"inputText": "x", "textGenerationConfig": {"maxTokenCount": 500}},
            OTHER,
            "/model/m/invoke",
            {"textGenerationConfig": {"maxTokenCount": 100}},
        ),
        (
            {"text_input": "x", "parameters": {"max_tokens": 500, "n": 4, "logprobs": 5}},
            OTHER,
            "/v2/models/m/generate",
            {"parameters": {"max_tokens": 100, "n": 1}},
        ),
        ({"prompt": "x", "n_predict": -1}, OTHER, "/completion", {"n_predict": 100}),
        (
            {"prompt": "x", "max_tokens": 5},
            OTHER,
            "/completion",
            {"max_tokens": 5, "n_predict": 100},
        ),
        ({"inputs": "x"}, OTHER, "/our/own", {"parameters": {"max_new_tokens": 100}}),
        ({"message": "x"}, OTHER, "/our/own", {"max_tokens": 100}),
        ({"sampling_params": {}}, OTHER, "/our/own", {"sampling_params": {"max_new_tokens": 100}}),
        (
            {"instances": [{"prompt": "x"}]},
            OTHER,
            "/v1/models/m:predict",
            {"instances": [{"prompt": "x"}]},
        ),
        # What headers and body say of the dialect is the client's to choose.
        ({"inputs": "x"}, OPENAI, "/generate", {"parameters": {"max_new_tokens": 100}}),
        ({"inputs": "x"}, OTHER, "/", {"parameters": {"max_new_tokens": 100}}),
        (
            {"inputs": "x", "max_tokens": 1, "parameters": {"max_tokens": 1}},
            OPENAI,
            "/generate",
            {"max_tokens": 1, "parameters": {"max_tokens": 1, "max_new_tokens": 100}},
        ),
        (
            {"inputs": "x", "messages": [], "text": "y"},
            OPENAI,
            "/invocations",
            {
                "parameters": {"max_new_tokens": 100},
                "sampling_params": {"max_new_tokens": 100},
                "max_tokens": 100,
            },
        ),
        (
            {"messages": [], "max_completion_tokens": 500},
            OPENAI,
            "/invocations",
            {"max_completion_tokens": 100},
        ),
        ({"input": "x"}, OTHER, "/api/v1/chat", {"max_output_tokens": 100}),
        (
            {"instances": [{"inputs": "x"}, {"messages": []}]},
            OTHER,
            "/vertex",
            {
                "instances": [
                    {"inputs": "x", "parameters": {"max_new_tokens": 100}},
                    {"messages": [], "max_tokens": 100},
                ]
            },
        ),
        ({"text": "x"}, OTHER, "/generate", {"sampling_params": {"max_new_tokens": 100}}),
        # What the upstream passes over is no cap, and does not say whose API it is.
        (
            CHAT | {"n_predict": 1},
            OPENAI,
            "/v1/chat/completions",
            {"n_predict": 1, "max_tokens": 100},
        ),
        (
            CHAT | {"max_output_tokens": 1},
            OPENAI,
            "/v1/chat/completions",
            {"max_output_tokens": 1, "max_tokens": 100},
        ),
        (
            CHAT | {"contents": []},
            OPENAI,
            "/v1/chat/completions",
            {"contents": [], "max_tokens": 100},
        ),
        (
            CHAT | {"sampling_params": {}},
            OPENAI,
            "/v1/chat/completions",
            {"sampling_params": {}, "max_tokens": 100},
        ),
        (
            {"input": "x", "max_tokens": 1},
            OPENAI,
            "/v1/responses",
            {"max_tokens": 1, "max_output_tokens": 100},
        ),
        (CHAT | {"n_predict": 1}, ANTHROPIC, "/v1/messages", {"n_predict": 1, "max_tokens": 100}),
        (
            CHAT | {"contents": []},
            OTHER,
            "/api/chat",
            {"contents": [], "options": {"num_predict": 100}},
        ),
        (
            {"input_ids": [1], "sampling_params": {"max_new_tokens": 900, "n": 3}},
            OTHER,
            "/generate",
            {"sampling_params": {"max_new_tokens": 100, "n": 1}},
        ),
        (
            {"contents": [], "generationConfig": {"max_output_tokens": 900}},
            OTHER,
            None,
            {"generationConfig": {"max_output_tokens": 100}},
        ),
        (
            {"contents": [], "generation_config": {"temperature": 1}},
            OTHER,
            None,
            {"generation_config": {"temperature": 1, "max_output_tokens": 100}},
        ),
        ({"model": "m", "input": "x"}, OPENAI, "/v1/audio/speech", {}),
        ({"query": "x", "documents": ["y"]}, OPENAI, "/v1/rerank", {}),
        (
            {"requests": [{"custom_id": "1", "params": CHAT | {"max_tokens": 500}}]},
            ANTHROPIC,
            None,
            {"requests": [{"custom_id": "1", "params": CHAT | {"max_tokens": 100}}]},
        ),
    ],
)
def test_every_dialect_keeps_its_cap_in_its_own_place(
    document: dict[str, Any], dialect: Dialect, path: str | None, expected: dict[str, Any]
) -> None:
    assert less(document, dialect, path=path) == document | expected


@pytest.mark.parametrize(
    ("more", "dialect", "options"),
    [
        ({"stream": True}, OPENAI, {"include_usage": True}),
        ({"stream": True, "stream_options": None}, OPENAI, {"include_usage": True}),
        (
            {"stream": True, "stream_options": {"include_usage": False}},
            OPENAI,
            {"include_usage": True},
        ),
        ({"stream": True, "stream_options": {"x": 1}}, OPENAI, {"x": 1, "include_usage": True}),
        ({"stream": False}, OPENAI, None),
        ({}, OPENAI, None),
        ({"stream": True}, ANTHROPIC, None),
        ({"stream": True}, OTHER, None),
    ],
)
def test_usage_is_asked_for_in_openai_streams_only(
    more: dict[str, Any], dialect: Dialect, options: dict[str, Any] | None
) -> None:
    out = less(CHAT | more, dialect, restrictions=None, force_usage=True)

    assert out.get("stream_options") == options


def test_a_response_stream_has_no_such_option() -> None:
    assert "stream_options" not in less(
        {"input": "x", "stream": True}, restrictions=None, force_usage=True
    )


def test_an_unchanged_body_is_the_same_object() -> None:
    body = b' {"messages" : [] ,"stream":false}\n'

    assert rewrite(body, [], OPENAI, restrictions=None, force_usage=True) is body
    asked = b'{"messages":[], "stream":true, "stream_options": {"include_usage": true}}'
    assert rewrite(asked, [], OPENAI, restrictions=None, force_usage=True) is asked


def test_a_coded_body_comes_back_plain() -> None:
    body = gzip.compress(json.dumps(CHAT | {"n": 3, "max_tokens": 5}).encode())
    headers = [(b"content-encoding", b"gzip")]

    out = rewrite(body, headers, OPENAI, restrictions=LESS, force_usage=False)

    assert json.loads(out)["n"] == 1
    assert (
        rewrite(gzip.compress(b"{}"), headers, OPENAI, restrictions=None, force_usage=True) == b"{}"
    )


def test_a_body_that_cannot_be_decoded_is_an_error() -> None:
    with pytest.raises(ValueError, match="encoding"):
        rewrite(b"x", [(b"content-encoding", b"gzip")], OPENAI, restrictions=LESS, force_usage=True)


@given(
    st.dictionaries(
        st.text(max_size=5) | st.just("text"),
        st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    ).filter(lambda d: not {"n", "stream", "input", "prompt", "options", "include"} & set(d)),
    st.none() | st.just("/v1/chat/completions"),
)
def test_other_members_keep_their_bytes(more: dict[str, Any], path: str | None) -> None:
    body = json.dumps(
        {"messages": [{"role": "user", "content": "\u00e9 x"}], "seed": 1.50} | more
    ).encode()

    out = rewrite(body, [], OPENAI, restrictions=LESS, force_usage=False, path=path)

    before = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    after = msgspec.json.decode(out, type=dict[str, msgspec.Raw])
    assert bytes(after.pop("max_tokens")) == b"100"
    assert {k: bytes(v) for k, v in after.items()} == {k: bytes(v) for k, v in before.items()}


@pytest.mark.parametrize("dialect", [OPENAI, ANTHROPIC, OTHER])
@pytest.mark.parametrize(
    ("path", "document", "expected"),
    [
        ("/api/chat", {"messages": []}, {"options": {"num_predict": 100}}),
        ("/api/generate", {"model": "m", "prompt": "x"}, {"options": {"num_predict": 100}}),
        ("/model/x/converse", {"messages": []}, {"inferenceConfig": {"maxTokens": 100}}),
        (
            "/v1beta/interactions",
            {"model": "m", "input": "x"},
            {"generation_config": {"max_output_tokens": 100}},
        ),
        (
            "/v1beta/models/g:generateContent",
            {"contents": []},
            {"generationConfig": {"maxOutputTokens": 100}},
        ),
    ],
)
def test_the_cap_stands_where_the_paths_api_reads_it_whatever_the_client_calls_itself(
    path: str, document: dict[str, Any], expected: dict[str, Any], dialect: Dialect
) -> None:
    assert less(document, dialect, path=path) == document | expected


@pytest.mark.parametrize(
    ("path", "document", "expected"),
    [
        ("/v1/chat/completions", CHAT, {"max_completion_tokens": 100}),
        (None, CHAT, {"max_completion_tokens": 100}),
        ("/v1/chat/completions", CHAT | {"max_tokens": 500}, {"max_tokens": 100}),
        ("/v1/chat/completions", CHAT | {"max_completion_tokens": 5}, {}),
        # Whoever reads these knows the one name only.
        ("/v1/completions", {"model": "m", "prompt": "x"}, {"max_tokens": 100}),
        ("/v1/messages", CHAT, {"max_tokens": 100}),
        ("/v1/responses", {"model": "m", "input": "x"}, {"max_output_tokens": 100}),
        ("/api/chat", CHAT, {"options": {"num_predict": 100}}),
    ],
)
def test_a_chat_without_a_cap_gets_it_where_the_policy_says(
    path: str | None, document: dict[str, Any], expected: dict[str, Any]
) -> None:
    taken = Restrictions(max_output_tokens=100, chat_cap="max_completion_tokens")

    assert less(document, OPENAI, taken, path=path) == document | expected


@pytest.mark.parametrize("path", ["/api/chat", "/model/x/converse"])
def test_a_cap_the_upstream_does_not_read_does_not_stand_in_for_one_it_does(path: str) -> None:
    inner = {"/api/chat": "options", "/model/x/converse": "inferenceConfig"}[path]

    assert inner in less({"messages": [], "max_tokens": 5}, OTHER, path=path)


@pytest.mark.parametrize(
    "requests", [5, "x", None, True, {}, [], [{"params": {"requests": [5], "prompt": "hi"}}]]
)
def test_requests_that_are_no_batch_are_left_as_they_are(requests: object) -> None:
    found = less({"model": "m", "requests": requests, "prompt": "hi"})

    if isinstance(requests, list) and requests:
        assert found["requests"][0]["params"]["requests"] == [5]
        assert found["requests"][0]["params"]["max_tokens"] == found["max_tokens"]
    else:
        assert found["requests"] == requests
