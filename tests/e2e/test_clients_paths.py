"""Every path of Gemini, Ollama, Bedrock and vLLM: understood on the way in, counted on the way
out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import pytest

from tests.e2e.clients import Guarded, guarded
from tests.e2e.mock_models import ARN, READ, WRITTEN

pytestmark = pytest.mark.e2e

POLICY = """\
version: 1
mode: enforce
identify: { account: [{ header: authorization }, { header: x-goog-api-key }] }
limits:
  tokens: { per: account, tokens: 1000000/minute }
rules:
  - { name: forbidden, when: { model: "forbidden*" }, then: deny }
  - name: unmanaged
    when: { model_route: false, not: { method: [GET, HEAD, OPTIONS] } }
    then: deny
"""
TEXT = "What is the capital of Norway?"
CHAT = {"model": "m", "messages": [{"role": "user", "content": TEXT}]}
CONTENTS = {"contents": [{"parts": [{"text": TEXT}]}]}
CONVERSE = {"messages": [{"role": "user", "content": [{"text": TEXT}]}]}
NOT_SAID = -1


class Call(NamedTuple):
    """One path, what is posted there, and what its answer says was written and read."""

    path: str
    body: dict[str, Any]
    written: int
    read: int = READ
    model: str = "m"


CALLS = [
    Call("/v1beta/models/g-2:generateContent", CONTENTS, WRITTEN, model="g-2"),
    Call("/v1beta/models/g-2:streamGenerateContent", CONTENTS, WRITTEN, model="g-2"),
    Call("/v1beta/models/g-2:countTokens", CONTENTS, NOT_SAID, NOT_SAID, "g-2"),
    Call("/v1beta/models/g-2:embedContent", {"content": CONTENTS}, NOT_SAID, NOT_SAID, "g-2"),
    Call("/model/nova-1/converse", CONVERSE, WRITTEN, model="nova-1"),
    Call("/api/chat", CHAT, WRITTEN),
    Call("/api/chat", CHAT | {"stream": False}, WRITTEN),
    Call("/api/generate", {"model": "m", "prompt": TEXT}, WRITTEN),
    Call("/api/generate", {"model": "m", "prompt": TEXT, "stream": False}, WRITTEN),
    Call("/api/embed", {"model": "m", "input": TEXT}, NOT_SAID),
    Call("/tokenize", {"model": "m", "prompt": TEXT}, NOT_SAID, NOT_SAID),
    Call("/detokenize", {"model": "m", "tokens": [1, 2]}, NOT_SAID, NOT_SAID),
    Call("/pooling", {"model": "m", "input": TEXT}, 0),
    Call("/classify", {"model": "m", "input": TEXT}, 0),
    Call("/score", {"model": "m", "text_1": TEXT, "text_2": TEXT}, 0),
    Call("/v1/score", {"model": "m", "text_1": TEXT, "text_2": TEXT}, 0),
    Call("/rerank", {"model": "m", "query": TEXT, "documents": [TEXT]}, 0),
    Call("/v1/rerank", {"model": "m", "query": TEXT, "documents": [TEXT]}, 0),
    Call("/v2/rerank", {"model": "m", "query": TEXT, "documents": [TEXT]}, 0),
]


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded(tmp_path_factory.mktemp("paths"), POLICY) as running:
        yield running


@pytest.fixture(scope="module")
def http(guard: Guarded) -> Iterator[httpx.Client]:
    headers = {"authorization": "Bearer sk-paths"}
    with httpx.Client(base_url=guard.url, headers=headers, verify=False) as client:
        yield client


def test_every_call_is_understood_and_counted(guard: Guarded, http: httpx.Client) -> None:
    before = len(guard.decisions(method="POST"))

    answers = [http.post(call.path, json=call.body) for call in CALLS]

    assert {answer.status_code for answer in answers} == {200}
    lines = guard.decisions(method="POST")[before:]
    seen = [
        Call(
            line["path"], call.body, line.get("output_tokens", NOT_SAID),
            line.get("input_tokens", NOT_SAID), line["model"],
        )
        for call, line in zip(CALLS, lines, strict=True)
    ]  # fmt: skip
    assert seen == CALLS
    assert {line["inspection"] for line in lines} == {"full"}
    # Each was reserved for and is in the account's quota.
    assert all(line["limits"][0]["cost"] >= 1 for line in lines)


def test_a_stream_of_lines_passes_line_by_line(http: httpx.Client) -> None:
    with http.stream("POST", "/api/chat", json=CHAT) as answer:
        lines = list(answer.iter_lines())

    assert answer.headers["content-type"] == "application/x-ndjson"
    assert len(lines) == 5


@pytest.mark.parametrize("call", [call for call in CALLS if call.model == "m"][:3])
def test_rules_see_the_model_on_every_path(http: httpx.Client, call: Call) -> None:
    answer = http.post(call.path, json=call.body | {"model": "Forbidden-1"})

    assert answer.status_code == 403


def test_rules_see_the_model_in_a_path(http: httpx.Client) -> None:
    answer = http.post("/v1beta/models/forbidden-1:generateContent", json=CONTENTS | {"model": "m"})

    assert answer.status_code == 403


def test_rules_see_the_model_in_a_form(http: httpx.Client) -> None:
    files = {"file": ("a.wav", b"RIFF")}

    good = http.post("/v1/audio/transcriptions", data={"model": "m"}, files=files)
    bad = http.post("/v1/audio/transcriptions", data={"model": "forbidden"}, files=files)
    odd = http.post("/v1/audio/transcriptions", data={"model": ["m", "forbidden"]}, files=files)

    assert (good.status_code, bad.status_code, odd.status_code) == (200, 403, 400)


@pytest.mark.parametrize("path", ["/api/pull", "/api/delete", "/v1/load_lora_adapter", "/v9/new"])
def test_what_nobody_knows_can_be_refused_as_such(http: httpx.Client, path: str) -> None:
    assert http.post(path, json={"model": "m"}).status_code == 403


@pytest.mark.parametrize("path", ["/v1/models", "/api/tags"])
def test_what_only_lists_passes(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code in (200, 404)


def signed(
    guard: Guarded, model: str, number: int, key: str = "IOSFODNN7EXAMPLE"
) -> httpx.Response:
    """What boto3 gets: another signature each time, the model's name escaped."""
    scope = f"AKIA{key}/20261124/eu-west-1/bedrock/aws4_request"
    said = f"Credential={scope}, SignedHeaders=content-type;host, Signature={number:064x}"
    return httpx.post(
        f"{guard.url}/model/{quote(model, safe='')}/converse",
        json=CONVERSE, headers={"authorization": f"AWS4-HMAC-SHA256 {said}"}, verify=False,
    )  # fmt: skip


def test_requests_signed_for_aws_are_one_account_whatever_the_signature(guard: Guarded) -> None:
    answers = [
        signed(guard, "nova-1", 1),
        signed(guard, ARN, 2),
        signed(guard, "nova-1", 3, "OTHER" * 4),
    ]

    assert [answer.json()["stopReason"] for answer in answers] == ["end_turn"] * 3
    lines = guard.decisions(credential="aws4-hmac-sha256", action="allow")
    one, other, stranger = (line["account"] for line in lines)
    assert one == other != stranger
    assert [line["model"] for line in lines] == ["nova-1", ARN, "nova-1"]
    assert {(line["input_tokens"], line["output_tokens"]) for line in lines} == {(READ, WRITTEN)}


def test_a_refusal_of_a_signed_request_is_amazons_exception(guard: Guarded) -> None:
    answer = signed(guard, "forbidden", 4)

    assert (answer.status_code, answer.json()) == (403, {"message": "This request was refused."})
    assert answer.headers["x-amzn-errortype"] == "AccessDeniedException"


def test_ollama_is_asked_as_its_manual_does_it_with_curl(http: httpx.Client) -> None:
    text = b'{"model": "m", "messages": [{"role": "user", "content": "R&D?"}], "stream": false}'
    curl = {"content-type": "application/x-www-form-urlencoded"}

    undeclared = http.post("/api/chat", content=text)
    declared = http.post("/api/chat", content=text, headers=curl)
    elsewhere = http.post("/v1/chat/completions", content=text, headers=curl)

    assert "content-type" not in undeclared.request.headers
    assert undeclared.json()["message"] == declared.json()["message"]
    assert elsewhere.status_code == 415
