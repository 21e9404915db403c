"""Errors in the words of APIs that are known by their paths: Google's, Amazon's and Ollama's."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway_guard.core.identify import identify
from gateway_guard.core.sections import Identify, Inspect
from gateway_guard.frontends.refusals import OVERLOADED, refusal, upstream_failure
from gateway_guard.types import Action, Dialect
from tests import build

GEMINI = "/v1beta/models/gemini-3-pro:generateContent"
OLLAMA = "/api/chat"
DENIED: dict[str, Any] = {"action": Action.DENY, "status": 403, "rule": "harvesting"}


def told(
    path: str, accept: bytes = b"", **decision: Any
) -> tuple[int, dict[bytes, bytes], dict[str, Any]]:
    exchange = build.exchange(
        request=build.request(dialect=Dialect.OTHER, path=path), decision=build.decision(**decision)
    )
    status, headers, body = refusal(exchange, accept=accept)
    return status, dict(headers), msgspec.json.decode(body)


@pytest.mark.parametrize(
    "path",
    [
        GEMINI,
        "/v1beta/models/gemini-3-pro:streamGenerateContent",
        "/v1/models/gemini-3-pro:countTokens",
        "/v1/projects/p/locations/eu/publishers/google/models/gemini-3-pro:predict",
        "/v1beta1/projects/p/locations/eu/endpoints/7:generateContent",
        "/google/v1beta/models",
    ],
)
def test_a_denial_for_googles_clients(path: str) -> None:
    status, headers, body = told(path, **DENIED)

    assert (status, headers[b"content-type"]) == (403, b"application/json")
    assert body == {
        "error": {
            "code": 403,
            "message": "This request was refused.",
            "status": "PERMISSION_DENIED",
        }
    }


def test_a_throttling_for_googles_clients_says_when_to_come_back() -> None:
    status, headers, body = told(
        GEMINI, action=Action.THROTTLE, status=429, rule="limit:requests", retry_after=12.2
    )

    assert (status, headers[b"retry-after"]) == (429, b"13")
    assert b"retry-after-ms" not in headers
    assert body["error"]["status"] == "RESOURCE_EXHAUSTED"
    assert body["error"]["details"] == [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "13s"}
    ]


def test_a_challenge_for_googles_clients_says_where_to_verify() -> None:
    _, _, body = told(
        GEMINI, action=Action.CHALLENGE, status=401, challenge_url="https://api.test/verify?t=x"
    )

    assert body["error"]["status"] == "UNAUTHENTICATED"
    assert body["error"]["details"] == [
        {
            "@type": "type.googleapis.com/google.rpc.Help",
            "links": [{"description": "Verify this account", "url": "https://api.test/verify?t=x"}],
        }
    ]


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (400, "INVALID_ARGUMENT"),
        (402, "FAILED_PRECONDITION"),
        (413, "INVALID_ARGUMENT"),
        (451, "FAILED_PRECONDITION"),
        (500, "INTERNAL"),
        (503, "UNAVAILABLE"),
    ],
)
def test_every_status_has_googles_word(status: int, word: str) -> None:
    assert told(GEMINI, **DENIED | {"status": status})[2]["error"]["status"] == word


@pytest.mark.parametrize("path", [OLLAMA, "/ollama/api/generate/", "/api/embed", "/api/tags"])
def test_a_denial_for_ollamas_clients(path: str) -> None:
    status, headers, body = told(path, **DENIED)

    assert (status, headers[b"content-type"]) == (403, b"application/json")
    assert body == {"error": "This request was refused."}


CONVERSE = "/model/amazon.nova-pro-v1:0/converse"


@pytest.mark.parametrize(
    "path",
    [
        CONVERSE,
        "/bedrock/model/m/invoke-with-response-stream",
        "/model/arn:aws:bedrock:us-east-1:1:inference-profile%2Fus.m/converse-stream",
        "/agents/A/agentAliases/B/sessions/S/text",
        "/retrieveAndGenerate",
        "/endpoints/mine/invocations",
    ],
)
@pytest.mark.parametrize("dialect", Dialect)
def test_a_denial_for_amazons_clients_whatever_the_body_looks_like(
    path: str, dialect: Dialect
) -> None:
    exchange = build.exchange(
        request=build.request(dialect=dialect, path=path), decision=build.decision(**DENIED)
    )

    status, headers, body = refusal(exchange)

    said = dict(headers)
    assert (status, msgspec.json.decode(body)) == (403, {"message": "This request was refused."})
    assert said[b"content-type"] == b"application/json"
    assert said[b"x-amzn-errortype"] == b"AccessDeniedException"
    assert said[b"x-amzn-requestid"] == exchange.request.id.encode()


def test_databricks_serving_endpoints_are_not_amazons() -> None:
    assert b"x-amzn-errortype" not in told("/serving-endpoints/e/invocations", **DENIED)[1]


def test_a_throttling_for_amazons_clients_says_when_to_come_back_in_milliseconds() -> None:
    status, headers, _ = told(
        CONVERSE, action=Action.THROTTLE, status=429, rule="limit:requests", retry_after=2.3456
    )

    assert (status, headers[b"x-amzn-errortype"]) == (429, b"ThrottlingException")
    assert (headers[b"x-amz-retry-after"], headers[b"retry-after"]) == (b"2346", b"3")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, "ValidationException"),
        (401, "UnrecognizedClientException"),
        (404, "ResourceNotFoundException"),
        (413, "ValidationException"),
        (451, "AccessDeniedException"),
        (500, "InternalServerException"),
        (503, "ServiceUnavailableException"),
    ],
)
def test_every_status_has_amazons_exception(status: int, error: str) -> None:
    headers = told(CONVERSE, **DENIED | {"status": status})[1]

    assert headers[b"x-amzn-errortype"] == error.encode()
    assert b"x-amz-retry-after" not in headers


def test_an_upstream_that_does_not_answer_is_amazons_error_too() -> None:
    _, headers, body = upstream_failure(build.request(path=CONVERSE), 502, "No answer.")

    assert dict(headers)[b"x-amzn-errortype"] == b"ServiceUnavailableException"
    assert msgspec.json.decode(body) == {"message": "No answer."}


_MESSAGES: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
_INPUT: dict[str, Any] = {"model": "m", "input": "hi"}


@pytest.mark.parametrize(
    ("path", "body", "headers", "words"),
    [
        # Bodies and keys like OpenAI's or Anthropic's: the path says whose clients they are.
        ("/api/chat", _MESSAGES, {}, "ollama"),
        ("/api/generate", {"model": "m", "prompt": "hi"}, {}, "ollama"),
        ("/api/embed", _INPUT, {}, "ollama"),
        ("/api/chat", _MESSAGES, {"x-api-key": "k"}, "ollama"),
        ("/v1beta/interactions", _INPUT, {"x-goog-api-key": "k"}, "google"),
        ("/v1/interactions", _INPUT, {"x-goog-api-key": "k"}, "google"),
        (GEMINI, {"contents": []}, {"x-api-key": "k"}, "google"),
        # What Vertex hands on to others' models is in theirs.
        ("/v1/projects/p/locations/eu/publishers/anthropic/models/c:rawPredict",
         _MESSAGES | {"anthropic_version": "vertex-2023-10-16"}, {}, "anthropic"),
        ("/model/anthropic.claude/invoke", _MESSAGES | {"anthropic_version": "bedrock-2023-05-31"},
         {"x-stainless-lang": "python"}, "amazon"),
        ("/v2/chat", _MESSAGES, {}, "openai"),
        # Where no model is asked.
        ("/api/tags", None, {"x-api-key": "k"}, "ollama"),
        ("/v1beta/models", None, {"x-api-key": "k"}, "google"),
        ("/v1/models", None, {"x-api-key": "k"}, "anthropic"),
        ("/v1/models", None, {"x-stainless-lang": "python", "authorization": "Bearer k"}, "openai"),
        ("/v1/files", None,
         {"x-stainless-lang": "js", "authorization": "Bearer k", "anthropic-version": "2023-06-01"},
         "anthropic"),
    ],
)  # fmt: skip
def test_a_request_as_it_comes_is_refused_in_its_clients_words(
    path: str, body: dict[str, Any] | None, headers: dict[str, str], words: str
) -> None:
    content = None if body is None else msgspec.json.encode(body)
    method = "GET" if body is None else "POST"
    wire = build.wire(path, method=method, body=content, headers=headers, key=None)
    request = identify(
        wire, Identify(), Inspect(), id="r_1", at=build.NOW, secret=build.SECRET, keys={}
    )
    exchange = build.exchange(request=request, decision=build.decision(**DENIED))

    said = msgspec.json.decode(refusal(exchange)[2])

    text = "This request was refused."
    assert said == {
        "ollama": {"error": text},
        "amazon": {"message": text},
        "google": {"error": {"code": 403, "message": text, "status": "PERMISSION_DENIED"}},
        "anthropic": {"type": "error", "error": {"type": "permission_error", "message": text},
                      "request_id": "r_1"},
        "openai": {"error": {"message": text, "type": "request_forbidden", "param": None,
                             "code": "request_refused"}},
    }[words]  # fmt: skip


def test_a_challenge_for_ollamas_clients_says_where_to_verify() -> None:
    _, _, body = told(
        OLLAMA, action=Action.CHALLENGE, status=401, challenge_url="https://api.test/verify?t=x"
    )

    assert body["signin_url"] == "https://api.test/verify?t=x"


def test_too_much_is_told_in_their_words() -> None:
    overloaded: dict[str, Any] = DENIED | {"status": 503, "rule": OVERLOADED, "retry_after": 2.0}

    google, ollama = (told(path, **overloaded)[2] for path in (GEMINI, OLLAMA))

    assert google["error"]["status"] == "UNAVAILABLE"
    assert google["error"]["details"][0]["retryDelay"] == "2s"
    assert ollama["error"].startswith("The service has more to do")


@pytest.mark.parametrize("path", [GEMINI, OLLAMA])
def test_whoever_asks_for_problem_details_gets_them(path: str) -> None:
    _, headers, body = told(path, b"application/problem+json", **DENIED)

    assert headers[b"content-type"] == b"application/problem+json"
    assert body["status"] == 403


@pytest.mark.parametrize("path", ["/api/orders", "/api/chats", "/v1/rooms/7", "/models/7"])
def test_paths_of_nobody_known_get_problem_details(path: str) -> None:
    _, headers, _ = told(path, **DENIED)

    assert headers[b"content-type"] == b"application/problem+json"


def test_a_failure_of_the_upstream_is_told_in_their_words() -> None:
    request = build.request(dialect=Dialect.OTHER, path=GEMINI)

    status, headers, body = upstream_failure(request, 504, "The model took too long.")

    assert (status, dict(headers)[b"content-type"]) == (504, b"application/json")
    assert msgspec.json.decode(body) == {
        "error": {
            "code": 504,
            "message": "The model took too long.",
            "status": "DEADLINE_EXCEEDED",
        }
    }
