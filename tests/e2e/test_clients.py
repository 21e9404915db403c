"""The vendors' own Python clients, against the sidecar: answers, streams, tools, refusals, waits.

Each test has a key of its own, hence an account.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.e2e.clients import Guarded, guarded

openai = pytest.importorskip("openai", reason="the openai package is not installed")
anthropic = pytest.importorskip("anthropic", reason="the anthropic package is not installed")

pytestmark = pytest.mark.e2e

ASK: Any = [{"role": "user", "content": "What is the capital of Norway?"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
_keys = itertools.count()


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded(tmp_path_factory.mktemp("clients")) as running:
        yield running


def a_key() -> str:
    return f"sk-test-{next(_keys)}"


@pytest.fixture(scope="module")
def clients(guard: Guarded) -> Iterator[tuple[Any, Any]]:
    with (
        openai.OpenAI(api_key=a_key(), base_url=f"{guard.url}/v1") as gpt,
        anthropic.Anthropic(api_key=a_key(), base_url=guard.url) as claude,
    ):
        yield gpt, claude


@pytest.fixture
def gpt(clients: tuple[Any, Any]) -> Any:
    return clients[0].with_options(api_key=a_key())


@pytest.fixture
def claude(clients: tuple[Any, Any]) -> Any:
    return clients[1].with_options(api_key=a_key())


def asked(client: Any, model: str = "m", **more: Any) -> Any:
    """One question to either vendor's client."""
    if hasattr(client, "chat"):
        return client.chat.completions.create(model=model, messages=ASK, **more)
    return client.messages.create(model=model, max_tokens=50, messages=ASK, **more)


def last(guard: Guarded, **fields: object) -> dict[str, Any]:
    return guard.decisions(**fields)[-1]


def test_openai_chats_and_is_counted_as_the_answer_says(gpt: Any, guard: Guarded) -> None:
    answer = asked(gpt, model="plain-openai")

    assert answer.choices[0].message.content.startswith("The quick")
    line = last(guard, model="plain-openai")
    assert (line["input_tokens"], line["output_tokens"]) == (
        answer.usage.prompt_tokens, answer.usage.completion_tokens,
    )  # fmt: skip
    # Whoever asks the operator about it has the name under which the log knows it.
    assert answer._request_id == line["id"]


def test_anthropic_chats_and_is_counted_as_the_answer_says(claude: Any, guard: Guarded) -> None:
    answer = asked(claude, model="plain-anthropic")

    assert answer.content[0].text.startswith("The quick")
    line = last(guard, model="plain-anthropic")
    assert (line["input_tokens"], line["output_tokens"]) == (
        answer.usage.input_tokens, answer.usage.output_tokens,
    )  # fmt: skip
    assert answer._request_id == line["id"]


def test_openai_streams_without_a_chunk_the_guard_asked_for(gpt: Any, guard: Guarded) -> None:
    with asked(gpt, model="stream-openai", stream=True) as stream:
        chunks = list(stream)

    assert "".join(c.choices[0].delta.content or "" for c in chunks).startswith("The quick")
    assert all(chunk.usage is None for chunk in chunks)
    line = last(guard, model="stream-openai")
    assert (line["output_tokens"], line["usage_reported"]) == (20, True)


def test_openai_gets_the_usage_it_asked_for_itself(gpt: Any) -> None:
    options = {"include_usage": True}

    with asked(gpt, stream=True, stream_options=options) as stream:
        chunks = list(stream)

    assert chunks[-1].usage.completion_tokens == 20


def test_anthropic_streams(claude: Any, guard: Guarded) -> None:
    with claude.messages.stream(model="stream-anthropic", max_tokens=50, messages=ASK) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()

    assert text.startswith("The quick")
    assert final.usage.output_tokens == 20
    line = last(guard, model="stream-anthropic")
    assert (line["output_tokens"], line["usage_reported"]) == (20, True)


@pytest.mark.parametrize("stream", [False, True])
def test_openai_is_told_to_call_a_tool(gpt: Any, stream: bool) -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}

    answer = asked(gpt, tools=[tool], stream=stream)

    if stream:
        calls = [call for c in answer for call in c.choices[0].delta.tool_calls or []]
        name = calls[0].function.name
        arguments = "".join(call.function.arguments for call in calls)
    else:
        function = answer.choices[0].message.tool_calls[0].function
        name, arguments = function.name, function.arguments
    assert (name, arguments) == ("weather", '{"city": "Oslo"}')


@pytest.mark.parametrize("stream", [False, True])
def test_anthropic_is_told_to_use_a_tool(claude: Any, stream: bool) -> None:
    tools: Any = [{"name": "weather", "input_schema": SCHEMA}]

    if stream:
        with claude.messages.stream(model="m", max_tokens=50, messages=ASK, tools=tools) as running:
            answer = running.get_final_message()
    else:
        answer = asked(claude, tools=tools)

    assert answer.stop_reason == "tool_use"
    assert (answer.content[0].name, answer.content[0].input) == ("weather", {"city": "Oslo"})


def test_openais_other_apis_work_and_are_counted(gpt: Any, guard: Guarded) -> None:
    completion = gpt.completions.create(model="other-1", prompt="Oslo is")
    pieces = list(gpt.completions.create(model="other-2", prompt="Oslo is", stream=True))
    vectors = gpt.embeddings.create(model="other-3", input=["a", "b"], encoding_format="float")
    response = gpt.responses.create(model="other-4", input="Oslo?")
    final = list(gpt.responses.create(model="other-5", input="Oslo?", stream=True))[-1].response
    heard = gpt.audio.transcriptions.create(model="other-6", file=("a.wav", b"RIFF"))
    safe = gpt.moderations.create(model="other-7", input="Oslo?")
    models = [model.id for model in gpt.models.list()]

    assert completion.choices[0].text.startswith("The quick")
    assert "".join(piece.choices[0].text for piece in pieces).startswith("The quick")
    assert len(vectors.data) == 2
    assert response.output_text.startswith("The quick")
    assert final.output_text.startswith("The quick")
    assert (heard.text, safe.results[0].flagged) == ("Oslo", False)
    assert "mock-large" in models
    written = {
        line["model"]: line.get("output_tokens")
        for line in guard.decisions(dialect="openai", action="allow")
        if str(line.get("model")).startswith("other-")
    }
    assert written == {
        "other-1": 20, "other-2": 20, "other-3": 0, "other-4": 20, "other-5": 20, "other-6": 5,
        "other-7": None,
    }  # fmt: skip


def test_anthropics_other_apis_work(claude: Any, guard: Guarded) -> None:
    counted = claude.messages.count_tokens(model="count", messages=ASK)
    models = [model.id for model in claude.models.list()]

    assert counted.input_tokens > 0
    assert "mock-large" in models
    assert last(guard, model="count")["path"] == "/v1/messages/count_tokens"


def test_the_async_clients_run_streams_side_by_side(guard: Guarded) -> None:
    many = 8

    async def chat(client: Any) -> str:
        stream = await asked(client, model="many-openai", stream=True)
        return "".join([c.choices[0].delta.content or "" async for c in stream])

    async def message(client: Any) -> str:
        async with client.messages.stream(
            model="many-anthropic", max_tokens=50, messages=ASK
        ) as stream:
            return "".join([text async for text in stream.text_stream])

    async def main() -> list[str]:
        async with (
            openai.AsyncOpenAI(api_key=a_key(), base_url=f"{guard.url}/v1") as gpt,
            anthropic.AsyncAnthropic(api_key=a_key(), base_url=guard.url) as claude,
        ):
            return await asyncio.gather(
                *(chat(gpt) for _ in range(many)), *(message(claude) for _ in range(many))
            )

    texts = asyncio.run(main())

    assert len(set(texts)) == 1
    assert len(texts) == 2 * many
    for model in ("many-openai", "many-anthropic"):
        lines = guard.decisions(model=model)
        assert [line["output_tokens"] for line in lines] == [20] * many


@pytest.mark.parametrize(
    ("model", "stream", "status", "error", "words"),
    [
        ("refused", False, 403, "PermissionDeniedError", "This request was refused."),
        ("refused", True, 403, "PermissionDeniedError", "This request was refused."),
        ("unverified", False, 403, "PermissionDeniedError", "Verify at https://verify.example/you"),
        ("embargoed", False, 451, "APIStatusError", "Country, region, or territory not supported"),
        ("stale", False, 401, "AuthenticationError", "The credential of this request is not valid"),
        ("gone", False, 404, "NotFoundError", "refused"),
    ],
)
@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_a_denial_is_raised_as_the_vendors_own_error_and_never_tried_again(
    guard: Guarded, gpt: Any, claude: Any, vendor: str, model: str, stream: bool, status: int,
    error: str, words: str,
) -> None:  # fmt: skip
    library, client = (openai, gpt) if vendor == "openai" else (anthropic, claude)
    before = len(guard.decisions(model=model))

    with pytest.raises(library.APIStatusError) as caught:
        asked(client, model=model, stream=stream)

    assert client.max_retries == 2
    assert type(caught.value) is getattr(library, error)
    assert caught.value.status_code == status
    assert words in str(caught.value)
    lines = guard.decisions(model=model)
    assert len(lines) == before + 1
    # Whoever asks the operator has the name under which the log knows it.
    assert caught.value.request_id == lines[-1]["id"]


def test_a_challenge_carries_the_address_where_it_is_met(gpt: Any, claude: Any) -> None:
    with pytest.raises(openai.PermissionDeniedError) as one:
        asked(gpt, model="unverified")
    with pytest.raises(anthropic.PermissionDeniedError) as other:
        asked(claude, model="unverified")

    url = "https://verify.example/you"
    assert one.value.code == "verification_required"
    assert one.value.body["verification_url"] == url
    assert other.value.body["error"]["details"]["verification_url"] == url
    assert {e.value.response.headers["x-guard-challenge-url"] for e in (one, other)} == {url}


def test_two_keys_at_once_are_an_authentication_error(guard: Guarded, gpt: Any) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        asked(gpt, model="two-keys", extra_headers={"x-api-key": a_key()})

    assert caught.value.code == "invalid_api_key"
    assert len(guard.decisions(model="two-keys")) == 1


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds the clients would have waited before each new attempt; they do not."""
    waits: list[float] = []
    clock = SimpleNamespace(**(vars(time) | {"sleep": waits.append}))
    monkeypatch.setattr("openai._base_client.time", clock)
    monkeypatch.setattr("anthropic._base_client.time", clock)
    return waits


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_a_short_throttle_is_waited_out_to_the_millisecond(
    guard: Guarded, gpt: Any, claude: Any, vendor: str, slept: list[float]
) -> None:
    library, client = (openai, gpt) if vendor == "openai" else (anthropic, claude)
    asked(client, model="scarce")

    with pytest.raises(library.RateLimitError) as caught:
        asked(client, model="scarce")

    headers = caught.value.response.headers
    assert "Please try again in" in str(caught.value)
    assert 0 < int(headers["retry-after-ms"]) <= 30_000
    assert 0 < int(headers["retry-after"]) <= 30
    assert "x-should-retry" not in headers
    # Two waits of what the guard said, not of the client's own making (0.5 s, then 1 s).
    assert len(slept) == 2
    assert all(1.0 < wait <= 30.0 for wait in slept)
    assert slept[0] >= int(headers["retry-after-ms"]) / 1000


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_a_long_throttle_is_not_tried_again(
    guard: Guarded, gpt: Any, claude: Any, vendor: str, slept: list[float]
) -> None:
    library, client = (openai, gpt) if vendor == "openai" else (anthropic, claude)
    asked(client, model="rare")
    before = len(guard.decisions(model="rare", action="throttle"))

    with pytest.raises(library.RateLimitError) as caught:
        asked(client, model="rare")

    headers = caught.value.response.headers
    assert headers["x-should-retry"] == "false"
    assert 60 < int(headers["retry-after"]) <= 1800
    assert slept == []
    assert len(guard.decisions(model="rare", action="throttle")) == before + 1


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_a_service_that_is_busy_is_a_server_error_and_tried_again_when_it_said(
    guard: Guarded, gpt: Any, claude: Any, vendor: str, slept: list[float]
) -> None:
    library, client = (openai, gpt) if vendor == "openai" else (anthropic, claude)

    with pytest.raises(library.InternalServerError) as caught:
        asked(client, model="busy")

    assert caught.value.status_code == 503
    assert slept == [7.0, 7.0]


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_the_upstreams_own_errors_come_through_and_cost_nothing(
    guard: Guarded, gpt: Any, claude: Any, vendor: str
) -> None:
    library, client = (openai, gpt) if vendor == "openai" else (anthropic, claude)
    model = f"broken-{vendor}"

    with pytest.raises(library.InternalServerError, match="told to fail"):
        asked(client.with_options(max_retries=0), model, extra_headers={"x-mock-status": "529"})

    line = last(guard, model=model)
    assert (line["upstream_status"], line["input_tokens"], line["output_tokens"]) == (529, 0, 0)


def test_a_second_stream_at_once_is_refused_before_it_starts(guard: Guarded, gpt: Any) -> None:
    impatient = gpt.with_options(max_retries=0)
    guard.models.go.clear()

    try:
        with asked(gpt, model="single", stream=True) as first:
            next(iter(first))
            with pytest.raises(openai.RateLimitError, match="in flight") as caught:
                asked(impatient, model="single", stream=True)
    finally:
        guard.models.go.set()

    assert caught.value.status_code == 429


def test_raw_responses_show_what_is_left(gpt: Any, claude: Any) -> None:
    one = gpt.chat.completions.with_raw_response.create(model="scarce", messages=ASK)
    other = claude.messages.with_raw_response.create(model="scarce", max_tokens=50, messages=ASK)

    assert one.parse().choices[0].message.content.startswith("The quick")
    assert one.headers["x-ratelimit-limit-requests"] == "2"
    assert one.headers["x-ratelimit-remaining-requests"] == "0"
    assert int(one.headers["x-ratelimit-remaining-tokens"]) < 1_000_000
    assert one.headers["x-ratelimit-reset-requests"].endswith("s")
    assert other.headers["anthropic-ratelimit-requests-limit"] == "2"
    assert other.headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert other.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    for answer in (one, other):
        assert '"soon";q=2;w=60' in answer.headers["ratelimit-policy"]
        assert '"soon";r=0;t=' in answer.headers["ratelimit"]
