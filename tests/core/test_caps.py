"""A bound on the output counts where its upstream reads it; elsewhere it is an ornament."""

from __future__ import annotations

from typing import Any

import pytest

from gateway_guard.core.caps import caps_of
from gateway_guard.core.identify import identify
from gateway_guard.core.members import counts
from gateway_guard.core.sections import Identify, Inspect
from gateway_guard.types import Inspection, Request
from tests import build

CHAT = "/v1/chat/completions"


def seen(**members: Any) -> Request:
    return identify(
        build.wire(CHAT, body=build.chat_body(**members)), Identify(), Inspect(),
        id="r_1", at=build.NOW, secret=build.SECRET, keys={},
    )  # fmt: skip


def capped(**members: Any) -> int | None:
    prompt = seen(**members).prompt
    assert prompt is not None
    return prompt.max_output_tokens


@pytest.mark.parametrize(
    "foreign",
    [
        {"n_predict": 1},
        {"max_output_tokens": 1},
        {"max_tokens_to_sample": 0},
        {"generationConfig": {"maxOutputTokens": 0}},
        {"options": {"num_predict": 1}},
        {"sampling_params": {"max_new_tokens": 1}},
        {"parameters": {"max_new_tokens": 1}},
        {"inferenceConfig": {"maxTokens": 1}},
    ],
    ids=str,
)
def test_a_cap_the_upstream_passes_over_bounds_nothing(foreign: dict[str, object]) -> None:
    assert capped(**foreign) is None


def test_beside_the_routes_own_cap_the_larger_counts() -> None:
    assert capped(max_tokens=7, n_predict=90) == 90
    assert capped(max_completion_tokens=7, n_predict=1) == 7


@pytest.mark.parametrize(
    "members",
    [{"max_tokens": 0}, {"max_completion_tokens": 0}, {"max_tokens": 0, "n": 1},
     {"max_tokens": -0.0}, {"max_tokens": 5, "max_completion_tokens": 0}],
    ids=str,
)  # fmt: skip
def test_a_cap_of_nothing_bounds_nothing_where_ollama_may_read_it(
    members: dict[str, object],
) -> None:
    assert capped(**members) is None


def test_to_anthropic_a_cap_of_nothing_is_one() -> None:
    request = identify(
        build.wire("/v1/messages", body=build.chat_body(max_tokens=0)), Identify(), Inspect(),
        id="r_1", at=build.NOW, secret=build.SECRET, keys={},
    )  # fmt: skip

    assert request.prompt is not None
    assert request.prompt.max_output_tokens == 0


def test_what_is_wrong_in_a_foreign_cap_is_refused_all_the_same() -> None:
    assert seen(n_predict="many").inspection is Inspection.SHAPE


def test_on_a_path_that_does_not_tell_any_cap_counts() -> None:
    assert caps_of("/our/own/route") is None
    assert counts({"n_predict": 5}, None) == (5, 1)


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/v1/responses", {"max_output_tokens": 5}),
        ("/V1/Messages/", {"max_tokens": 5}),
        ("/v1/complete", {"max_tokens_to_sample": 5}),
        ("/api/chat", {"options": {"num_predict": 5}}),
        ("/api/generate", {"options": {"num_predict": 5}}),
        ("/completion", {"n_predict": 5}),
        ("/infill", {"n_predict": 5}),
        ("/model/m/converse", {"inferenceConfig": {"maxTokens": 5}}),
        ("/model/m/converse-stream", {"inferenceConfig": {"maxTokens": 5}}),
        ("/v1beta/models/g:generateContent", {"generationConfig": {"maxOutputTokens": 5}}),
        ("/v1beta/models/g:streamGenerateContent", {"generation_config": {"max_output_tokens": 5}}),
        ("/v2/chat", {"max_tokens": 5}),
        ("/api/v1/generate", {"max_length": 5}),
        ("/api/extra/generate/stream", {"max_length": 5}),
    ],
)
def test_each_route_reads_its_own_cap_and_no_other(path: str, own: dict[str, object]) -> None:
    other = {"max_tokens": 5} if "max_tokens" not in own else {"max_output_tokens": 5}

    assert counts(own, caps_of(path)) == (5, 1)
    assert counts(other, caps_of(path)) == (None, 1)


@pytest.mark.parametrize(
    ("path", "own", "expected"),
    [
        ("/v2/models/m/generate", {"parameters": {"max_tokens": 5, "n": 3}}, (5, 3)),
        ("/model/m/invoke", {"max_gen_len": 5}, (5, 1)),
        ("/model/m/invoke", {"textGenerationConfig": {"maxTokenCount": 5}}, (5, 1)),
        ("/model/m/invoke", {"inferenceConfig": {"max_new_tokens": 5}}, (5, 1)),
        # A length of something else: of what is to be ranked, for example.
        ("/rerank", {"max_length": 5}, (None, 1)),
    ],
)
def test_a_cap_is_found_where_tritons_and_bedrocks_models_read_it(
    path: str, own: dict[str, object], expected: tuple[int | None, int]
) -> None:
    assert counts(own, caps_of(path)) == expected
