"""What traces say of an exchange: by the conventions where there are any, and bounded."""

from __future__ import annotations

from typing import Any

import pytest

from gateway_guard.record import spans
from gateway_guard.types import CampaignFacts, Dialect, Outcome, Usage
from tests import build


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/v1/chat/completions", "chat"),
        ("/openai/v1/chat/completions", "chat"),
        ("/v1/completions", "text_completion"),
        ("/v1/embeddings", "embeddings"),
        ("/v1/responses", "chat"),
        ("/v1/messages", "chat"),
        ("/v1/messages/count_tokens", None),
        ("/v1beta/models/gemini-pro:generateContent", "generate_content"),
        ("/v1beta/models/gemini-pro:streamGenerateContent", "generate_content"),
        ("/model/m/converse-stream", "chat"),
        ("/api/generate", "text_completion"),
        ("/v1/images/generations", None),
        (None, None),
    ],
)
def test_a_path_says_what_a_model_is_asked_for(path: str | None, operation: str | None) -> None:
    assert spans.operation_of(build.request(path=path)) == operation


def test_what_is_no_model_route_asks_no_model() -> None:
    assert spans.operation_of(build.request(path="/surveys/messages", model_route=False)) is None
    assert spans.gen_ai(build.exchange(request=build.request(model_route=False))) == {}


@pytest.mark.parametrize(
    ("dialect", "path", "provider"),
    [
        (Dialect.OPENAI, "/v1/chat/completions", "openai"),
        (Dialect.ANTHROPIC, "/v1/messages", "anthropic"),
        (Dialect.OTHER, "/v1beta/models/m:generateContent", "gcp.gen_ai"),
        (Dialect.OTHER, "/model/m/converse", "aws.bedrock"),
        (Dialect.OTHER, "/api/chat", None),
    ],
)
def test_the_provider_is_whose_interface_is_spoken(
    dialect: Dialect, path: str, provider: str | None
) -> None:
    assert spans.provider_of(build.request(dialect=dialect, path=path)) == provider


def test_tokens_are_told_only_where_the_upstream_counted() -> None:
    counted = Usage(input_tokens=3, output_tokens=4, reported=True)
    guessed = Usage(input_tokens=3, output_tokens=4)

    assert spans.gen_ai(build.exchange(usage=counted))["gen_ai.usage.output_tokens"] == 4
    assert "gen_ai.usage.output_tokens" not in spans.gen_ai(build.exchange(usage=guessed))


@pytest.mark.parametrize(
    ("risk", "band"), [(0.0, "none"), (0.2, "low"), (0.5, "medium"), (0.85, "high"), (1.0, "high")]
)
def test_risk_has_four_bands(risk: float, band: str) -> None:
    assert spans.band(risk) == band


def test_a_verdict_names_what_decided_and_nobody() -> None:
    exchange = build.exchange(
        facts=build.facts(campaign=CampaignFacts(id="c_1", confidence=0.5)),
        decision=build.decision(rule="limit:tokens", degraded=("store",)),
        usage=Usage(outcome=Outcome.REFUSED),
    )

    said = spans.verdict(exchange)

    assert said["gateway_guard.rule"] == "limit:tokens"
    assert said["gateway_guard.campaign"] == "c_1"
    assert said["gateway_guard.degraded"] == ("store",)
    assert said["gateway_guard.outcome"] == "refused"
    for secret in ("acct_test", "198.51.100", "NO"):
        assert secret not in [*said.values()]


@pytest.mark.parametrize(
    ("usage", "answered"),
    [
        (Usage(reported=True, status=200), True),
        (Usage(reported=True, status=404), False),
        (Usage(reported=False, status=200), False),
        (Usage(reported=True, outcome=Outcome.REFUSED), False),
        (None, False),
    ],
)
def test_a_model_has_answered_where_its_upstream_counted(usage: Any, answered: bool) -> None:
    assert spans.answered(build.exchange(usage=usage)) is answered


def test_long_and_odd_requests_are_cut_and_named_other() -> None:
    said = spans.request_attributes("BREW" * 50, "/" + "x" * 1_000, "javascript", "")

    assert said["http.request.method"] == "_OTHER"
    assert said["url.scheme"] == "_OTHER"
    assert len(str(said["http.request.method_original"])) <= 32
    assert len(str(said["url.path"])) == 256
    assert "network.protocol.version" not in said


def test_only_so_many_names_are_known() -> None:
    names = spans.Names(2)

    assert [names.admit(name) for name in ("a", "b", "c", "a")] == ["a", "b", "_OTHER", "a"]
    assert (names.known("b"), names.known("c"), len(names)) == ("b", "_OTHER", 2)
    assert spans.Names().admit("x" * 200) == "_OTHER"


def test_what_is_no_unicode_is_written_so_that_it_can_be_sent() -> None:
    odd = "/v1/\ud800/completions"
    request = build.request(path=odd, model="m-\udfff")

    said = [
        *spans.request_attributes("\ud800", odd, "http", "1.1").values(),
        *spans.gen_ai(build.exchange(request=request)).values(),
    ]

    assert all(str(value).encode() for value in said)
    assert spans.Names().admit("m-\udfff") == "_OTHER"
