"""Many requests in one body: what all of them ask for together."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway_guard.core.batches import instances, read_batch, requests_in
from gateway_guard.core.conversation import Reader
from gateway_guard.core.identify import identify
from gateway_guard.core.limits import estimates
from gateway_guard.core.members import Misshapen
from gateway_guard.core.rewrite import rewrite
from gateway_guard.core.sections import Identify, Inspect
from gateway_guard.types import Dialect, Request, Restrictions
from tests import build

TURNS = [{"role": "user", "content": "hi"}]
CHAT = {"model": "m", "messages": TURNS, "max_tokens": 5000}
MISTRAL = "/v1/batch/jobs"
GEMINI = "/v1beta/models/g:batchGenerateContent"


def gemini(*requests: dict[str, Any], config: str = "input_config") -> dict[str, Any]:
    """A batch of Gemini's with its requests inline."""
    return {"batch": {config: {"requests": {"requests": [{"request": one} for one in requests]}}}}


def contents(cap: int) -> dict[str, Any]:
    return {"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"maxOutputTokens": cap}}


def seen(path: str, document: dict[str, Any]) -> Request:
    wire = build.wire(path, body=msgspec.json.encode(document))
    return identify(wire, Identify(), Inspect(), id="r", at=build.NOW, secret=build.SECRET, keys={})


def reserved(path: str, document: dict[str, Any]) -> int | None:
    """Output tokens taken for a request."""
    found = estimates(seen(path, document))
    return None if found is None else found[1]


def test_a_batch_asks_for_what_each_of_its_requests_asks_for() -> None:
    reader = Reader(system=[])
    requests = [
        {"params": {"prompt": "ab", "max_tokens": 10}},
        {"params": {"prompt": ["c", "d", "e"], "n": 2}},
        {"params": {"prompt": "f", "max_tokens": 0}},
        {"params": {"tools": [{}], "max_tokens": 5, "n": 3}},
        {"content": {"parts": [{"text": "ghi"}]}},
        {"body": {"messages": [{"role": "user", "content": "jk"}], "max_completion_tokens": 7}},
        {"request": {"contents": [{"parts": [{"text": "l"}]}]}},
        {"request": {"content": {"parts": [{"text": "m"}]}}},
        {"nobody": "n"},
    ]

    total = read_batch({}, requests, reader, 100)

    assert total == 10 + 100 * 2 * 3 + 0 + 15 + 0 + 7 + 100 + 0 + 100
    assert reader.chars == 2 + 3 + 1 + 4 + 3 + 2 + 1 + 1 + 1


@pytest.mark.parametrize(
    "request_",
    [5, {"params": 5}, {"body": "text"}, {"request": []}, {"params": {"Model": "x"}},
     {"body": {"Messages": []}}],
)  # fmt: skip
def test_a_request_of_another_shape_is_refused(request_: object) -> None:
    with pytest.raises(Misshapen):
        read_batch({}, [request_], Reader(system=[]), 100)


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [("/v1/embeddings", 0), ("/v1/chat/completions", 7), (None, 7), (5, 7)],
)
def test_a_batch_of_embeddings_writes_nothing(endpoint: object, expected: int) -> None:
    requests = [{"body": {"input": "x", "max_tokens": 7}}]

    assert read_batch({"endpoint": endpoint}, requests, Reader(system=[]), 100) == expected


@pytest.mark.parametrize(
    "document",
    [{}, {"requests": 5}, {"requests": []}, {"batch": 5}, {"batch": {"input_config": 5}},
     {"batch": {"input_config": {"requests": 5}}},
     {"batch": {"inputConfig": {"requests": {"requests": 5}}}},
     {"batch": {"input_config": {"file_name": "files/1"}}}],
)  # fmt: skip
def test_what_is_no_batch_has_no_requests(document: dict[str, Any]) -> None:
    assert requests_in(document) == []


@pytest.mark.parametrize(
    ("path", "document", "expected"),
    [
        (MISTRAL, {"model": "m", "requests": [{"body": CHAT}, {"body": CHAT}]}, 10_000),
        (GEMINI, gemini(contents(3000), contents(20_000)), 23_000),
        (GEMINI, gemini(contents(3000), config="inputConfig"), 3000),
        ("/v1/messages/batches", {"requests": [{"params": CHAT}]}, 5000),
        ("/v1/models/m:predict", {"instances": [{"prompt": "a", "max_tokens": 9}] * 20}, 180),
        ("/v1/models/m:predict",
         {"instances": [{"prompt": "a"}] * 20, "parameters": {"maxOutputTokens": 9}}, 180),
        ("/generate", {"text": ["a"] * 20, "sampling_params": {"max_new_tokens": 9, "n": 2}}, 360),
    ],
)  # fmt: skip
def test_everything_in_one_body_is_reserved(
    path: str, document: dict[str, Any], expected: int
) -> None:
    assert reserved(path, document) == expected


@pytest.mark.parametrize(
    "requests",
    [[{}], [{"content": "x"}], [{"params": {"max_tokens": 0}}], [{"request": {"content": "x"}}]],
)
def test_a_batch_that_nobody_reads_takes_nothing_off_a_chat(requests: list[object]) -> None:
    taken = reserved("/v1/chat/completions", CHAT | {"requests": requests})

    assert taken is not None
    assert taken >= 5000


def test_a_batch_that_says_nothing_of_what_it_writes_writes_something() -> None:
    assert reserved(MISTRAL, {"requests": [{"content": "x"}]}) == 1024


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([{"prompt": "a", "max_tokens": 5}, {"messages": [], "max_tokens": 9, "n": 3}], (9, 4)),
        ([{"prompt": "a"}, {"inputs": "b"}], (None, 2)),
        ([{"content": "embed me"}, {"content": "and me"}, [1.0], "x"], (None, 1)),
        ([], (None, 1)),
        (5, (None, 1)),
    ],
)
def test_of_instances_those_write_that_ask_a_model(
    found: object, expected: tuple[int | None, int]
) -> None:
    assert instances({"instances": found}, None) == expected


def test_the_larger_cap_counts_of_instances_and_what_stands_beside_them() -> None:
    assert instances({"instances": [{"prompt": "a", "max_tokens": 5}]}, 7) == (7, 1)
    assert instances({"instances": [{"prompt": "a", "max_tokens": 9}]}, 7) == (9, 1)


def test_a_batch_for_two_models_is_not_read() -> None:
    document = {"model": "m", "requests": [{"body": CHAT | {"model": "other"}}]}

    assert seen(MISTRAL, document).prompt is None


@pytest.mark.parametrize(
    ("path", "document", "expected"),
    [
        (MISTRAL, {"requests": [{"body": {"messages": TURNS, "max_tokens": 900, "n": 4}}]},
         {"requests": [{"body": {"messages": TURNS, "max_tokens": 50, "n": 1}}]}),
        (MISTRAL, {"requests": [{"body": {"messages": TURNS}}]},
         {"requests": [{"body": {"messages": TURNS, "max_tokens": 50}}]}),
        (GEMINI, gemini(contents(900), contents(3)), gemini(contents(50), contents(3))),
        (GEMINI, gemini(contents(900), config="inputConfig"),
         gemini(contents(50), config="inputConfig")),
        (GEMINI, {"batch": {"input_config": {"file_name": "f"}}},
         {"batch": {"input_config": {"file_name": "f"}}}),
        ("/v1/models/m:predict", {"instances": [{"prompt": "a", "max_tokens": 900}, "x", {}]},
         {"instances": [{"prompt": "a", "max_tokens": 50}, "x", {}]}),
        ("/v1/models/m:predict", {"instances": "x", "parameters": {"maxOutputTokens": 900}},
         {"instances": "x", "parameters": {"maxOutputTokens": 50}}),
    ],
)  # fmt: skip
def test_a_restriction_holds_for_everything_in_a_body(
    path: str, document: dict[str, Any], expected: dict[str, Any]
) -> None:
    less = rewrite(
        msgspec.json.encode(document), [], Dialect.OTHER,
        restrictions=Restrictions(max_output_tokens=50, n=1), force_usage=False, path=path,
    )  # fmt: skip

    assert msgspec.json.decode(less) == expected
