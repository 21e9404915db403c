"""Paths of body, prompt and rewriting that the larger tests pass by."""

from __future__ import annotations

import json
from typing import Any

import brotli
import pytest

from gateway_guard.core.body import MOST_STRINGS, decoded, parse
from gateway_guard.core.members import Misshapen, counts, model_of
from gateway_guard.core.phrases import Phrases
from gateway_guard.core.prompt import shape
from gateway_guard.core.rewrite import rewrite
from gateway_guard.core.seeds import seeds
from gateway_guard.core.shapes import fragments
from gateway_guard.types import Dialect, Inspection, Restrictions
from tests.build import SECRET

KEYS = seeds(SECRET)
NOTHING = Phrases([])


class SoftLimit:
    """A brotli stream that hands out `first`, then `second`, whatever the limit."""

    first, second, ends = b"a" * 4, b"b" * 4, True

    def __init__(self) -> None:
        self._calls = 0

    def process(self, _data: bytes, output_buffer_limit: int) -> bytes:
        self._calls += 1
        return self.first if self._calls == 1 else self.second

    def is_finished(self) -> bool:
        return self._calls > 1 and self.ends


@pytest.mark.parametrize(
    ("limit", "ends", "expected"),
    [(8, True, b"aaaabbbb"), (7, True, Inspection.TOO_LARGE), (8, False, Inspection.ENCODING)],
)
def test_a_soft_limit_of_brotli_is_asked_for_the_rest_and_bounded(
    limit: int, ends: bool, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SoftLimit, "ends", ends)
    monkeypatch.setattr("gateway_guard.core.body.brotli.Decompressor", SoftLimit)

    assert decoded(b"irrelevant", [b"br"], limit) == expected


def test_brotli_is_read() -> None:
    assert decoded(brotli.compress(b"{}"), [b"br"], 100) == b"{}"


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_caps_the_larger_is_reckoned_with(order: int) -> None:
    caps = [("max_tokens", 500), ("max_completion_tokens", 5)]

    assert counts(dict(caps[::order]))[0] == 500
    assert counts({"max_tokens": 5, "max_completion_tokens": 500})[0] == 500


def test_no_phrases_find_nothing() -> None:
    assert Phrases([]).find(b"anything") == ()
    assert Phrases([("", "empty")]).find(b"anything") == ()


def test_empty_parts_and_empty_system_texts_are_no_text() -> None:
    parts = [None, "hello", {"type": "text", "text": "there"}]
    document = {"model": "m", "system": "", "messages": [{"role": "user", "content": parts}]}

    found = shape(document, KEYS, NOTHING)

    assert [role.role for role in found.roles] == ["user"]
    assert shape({**document, "system": None}, KEYS, NOTHING).chars == found.chars


def test_text_without_latin_words_is_cut_into_fragments_too() -> None:
    window = ("次の記事を読んで、内容を三つの文で要約してください。" * 40).encode()

    assert len(fragments(window, KEYS)) > 1


def test_a_crowd_of_fragments_is_bounded() -> None:
    window = b" th".join(b"fragment number %d is long enough" % n for n in range(500))

    assert 0 < len(fragments(window, KEYS)) <= 64


def less(document: dict[str, Any], **taken: Any) -> Any:
    return json.loads(
        rewrite(
            json.dumps(document).encode(), [], Dialect.OTHER,
            restrictions=Restrictions(**taken), force_usage=False,
        )
    )  # fmt: skip


NESTED: dict[str, Any] = {
    "contents": [],
    "generationConfig": {"maxOutputTokens": 900, "candidateCount": 4, "responseLogprobs": True},
}


@pytest.mark.parametrize(
    ("taken", "left"),
    [
        ({"max_output_tokens": 9}, {"maxOutputTokens": 9}),
        ({"n": 1}, {"candidateCount": 1}),
        ({"logprobs": False}, {"responseLogprobs": None}),
    ],
)
def test_each_restriction_takes_only_its_own(taken: dict[str, Any], left: dict[str, Any]) -> None:
    before = NESTED["generationConfig"]

    after = less(NESTED, **taken)["generationConfig"]

    for name, value in before.items():
        expected = left.get(name, value)
        assert after.get(name) == expected, name


def test_a_nested_object_that_is_empty_or_small_enough_is_left_alone() -> None:
    document: dict[str, Any] = {
        "contents": [],
        "generationConfig": {"maxOutputTokens": 5},
        "options": {},
        "parameters": None,
    }

    assert less(document, n=2) == document


def test_a_batch_is_restricted_request_by_request() -> None:
    params = {"model": "m", "max_tokens": 900, "messages": []}
    small = {"model": "m", "max_tokens": 5, "messages": []}
    document = {"requests": [{"params": params}, {"params": small}, {"custom_id": "c"}]}

    found = less(document, max_output_tokens=9)["requests"]

    assert [one.get("params", {}).get("max_tokens") for one in found] == [9, 5, None]


@pytest.mark.parametrize("thinking", [{"type": "disabled"}, {"budget_tokens": 5}])
def test_thinking_within_the_cap_stays(thinking: dict[str, Any]) -> None:
    document = {"model": "m", "max_tokens": 50, "messages": [], "thinking": thinking}

    assert less(document, max_output_tokens=9)["thinking"] == thinking


def test_a_body_of_too_many_strings_is_not_read_but_quotes_in_a_string_are_no_strings() -> None:
    most = b",".join([b'"a"'] * MOST_STRINGS)

    assert isinstance(parse(b'{"x":[' + most.removeprefix(b'"a",') + b"]}"), dict)
    assert parse(b'{"x":[' + most + b',"a"]}') is Inspection.SHAPE
    assert isinstance(parse(b'{"x":"' + b'\\"' * 3 * MOST_STRINGS + b'"}'), dict)


@pytest.mark.parametrize("model", [7, "x" * 300, "a\nb"])
def test_the_model_of_a_member_of_a_batch_is_a_name(model: Any) -> None:
    with pytest.raises(Misshapen):
        model_of({"requests": [{"params": {"messages": []}}, {"params": {"model": model}}]})
