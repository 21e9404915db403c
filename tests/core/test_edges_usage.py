"""What responses say of their cost, at the borders of what is kept, sampled and believed."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from gateway_guard.core.usage import UsageReader
from gateway_guard.core.usage_encoding import is_plain_json
from gateway_guard.core.usage_events import (
    Counts,
    both_in,
    counts_in,
    payload,
)
from gateway_guard.core.usage_text import delta_bytes, is_usage_chunk
from gateway_guard.core.usage_whole import usage_of
from gateway_guard.types import Dialect, Outcome, Usage

DONE = Outcome.COMPLETED


def json(value: Any) -> bytes:
    return msgspec.json.encode(value)


def event(value: Any) -> bytes:
    return b"data: " + json(value) + b"\n\n"


def said(text: str) -> bytes:
    return event({"choices": [{"delta": {"content": text}}]})


def streamed(*chunks: bytes, hide: bool = False, kind: bytes = b"text/event-stream") -> Usage:
    reader = UsageReader(Dialect.OPENAI, content_type=kind, hide_usage_chunk=hide)
    for chunk in chunks:
        reader.feed(chunk)
    return reader.usage(DONE, 200)


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4}, Counts(3, 4)),
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}, Counts(3, 4)),
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 6}, Counts(3, 4)),
        # Thoughts that only the total has: xAI's, and Gemini's in OpenAI's form.
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 9}, Counts(3, 6, 9)),
        ({"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 9}, Counts(3, 6, 9)),
        ({"input_tokens": 3, "output_tokens": 4, "total_tokens": 9}, Counts(3, 6, 9)),
        ({"input_tokens": 3, "output_tokens": 4, "total_tokens": 6}, Counts(3, 4, 6)),
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 10**9 + 1}, Counts(3, 4)),
        # A total may have what was read from a cache, too, and that is none of it.
        (
            {
                "input_tokens": 3,
                "output_tokens": 4,
                "total_tokens": 57,
                "cache_read_input_tokens": 50,
            },
            Counts(3, 4, 57),
        ),
        (
            {
                "input_tokens": 3,
                "output_tokens": 4,
                "total_tokens": 12,
                "cache_read_input_tokens": 0,
                "cache_creation_input_tokens": 5,
            },
            Counts(8, 4, 12),
        ),
        ({"prompt_tokens": 0, "completion_tokens": 0}, Counts(0, 0)),
        ({"prompt_tokens": 3.0, "completion_tokens": 4.9}, Counts(3, 4)),
        ({"prompt_tokens": 3}, Counts(3, None)),
        ({"completion_tokens": 4}, Counts(None, 4)),
        ({"prompt_tokens": -1, "completion_tokens": 4}, Counts(None, 4)),
        ({"prompt_tokens": 3, "completion_tokens": -1}, Counts(3, None)),
        ({"prompt_tokens": 10**9, "completion_tokens": 10**9}, Counts(10**9, 10**9)),
        ({"prompt_tokens": 10**9 + 1, "completion_tokens": 4}, Counts(None, 4)),
        ({"prompt_tokens": 3, "completion_tokens": 10**9 + 1}, Counts(3, None)),
        # A -1 that lost its sign would keep an account out for a week.
        ({"prompt_tokens": 3, "completion_tokens": 2**32 - 1}, Counts(3, None)),
        ({"input_tokens": 3, "output_tokens": 4}, Counts(3, 4)),
        ({"input_tokens": 3, "output_tokens": 4, "cache_creation_input_tokens": 5}, Counts(8, 4)),
        ({"cache_creation_input_tokens": 5}, None),
        ({"cache_creation_input_tokens": 5, "output_tokens": 4}, Counts(None, 4)),
        # What is read from a cache is none of it.
        ({"input_tokens": 3, "cache_read_input_tokens": 50, "output_tokens": 4}, Counts(3, 4)),
        ({"inputTokens": 3, "outputTokens": 4}, Counts(3, 4)),
        # Bedrock counts both apart, and has them in its total.
        (
            {
                "inputTokens": 3,
                "outputTokens": 4,
                "totalTokens": 62,
                "cacheWriteInputTokens": 5,
                "cacheReadInputTokens": 50,
            },
            Counts(8, 4),
        ),
        ({"input_tokens": 1, "inputTokens": 3, "outputTokens": 4}, Counts(1, 4)),
        ({"inputTokens": 3, "outputTokens": 4, "cacheWriteInputTokenCount": 5}, Counts(8, 4)),
        (
            {
                "inputTokens": 3,
                "outputTokens": 4,
                "cacheWriteInputTokenCount": 5,
                "cacheWriteInputTokens": 5,
            },
            Counts(8, 4),
        ),
        # Gemini's interactions
        (
            {
                "total_input_tokens": 7,
                "total_output_tokens": 20,
                "total_thought_tokens": 22,
                "total_cached_tokens": 3,
                "total_tokens": 49,
            },
            Counts(7, 42, 49),
        ),
        (
            {
                "total_input_tokens": 7,
                "total_tool_use_tokens": 2,
                "total_output_tokens": 20,
                "total_tokens": 29,
            },
            Counts(9, 20, 29),
        ),
        ({"total_tokens": 7}, Counts(7, 0, 7)),
        ({"total_tokens": 7, "prompt_tokens": 3}, Counts(3, None, 7)),
        ({"tokens": {"input_tokens": 3, "output_tokens": 4}}, Counts(3, 4)),
        ({"tokens": 5, "total_tokens": 7}, Counts(7, 0, 7)),
        ({}, None),
    ],
)
def test_whoever_counts_is_understood(usage: dict[str, Any], counts: Counts | None) -> None:
    assert counts_in(json({"usage": usage})) == counts
    assert counts_in(event({"usage": usage})) == counts
    assert counts_in(json({"response": {"usage": usage}})) == counts
    if counts is not None:
        opening = msgspec.structs.replace(counts, opening=True)
        assert counts_in(json({"message": {"usage": usage}})) == opening
        assert counts_in(json({"delta": {"usage": usage}})) == counts
        # Of a body whose beginning is lost, too.
        assert counts_in(b'nonsense "usage": ' + json(usage) + b"}", fragment=True) == counts


@pytest.mark.parametrize(
    ("document", "counts"),
    [
        ({"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}}, Counts(3, 4)),
        ({"usageMetadata": {"promptTokenCount": 3, "thoughtsTokenCount": 5}}, Counts(3, 5)),
        ({"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4,
                            "thoughtsTokenCount": 5, "toolUsePromptTokenCount": 6,
                            "totalTokenCount": 18}}, Counts(9, 9, 18)),
        ({"usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 18}}, Counts(3, None, 18)),
        ({"usageMetadata": {"totalTokenCount": 18}}, Counts(None, None, 18)),
        ({"usageMetadata": {"toolUsePromptTokenCount": 6}}, None),
        ({"usageMetadata": {}}, None),
        ({"prompt_eval_count": 3, "eval_count": 4}, Counts(3, 4)),
        ({"eval_count": 4}, Counts(None, 4)),
        ({"prompt_eval_count": 3}, Counts(3, None)),
        ({"tokens_evaluated": 3, "tokens_predicted": 4}, Counts(3, 4)),
        ({"eval_count": 4, "tokens_evaluated": 3}, Counts(None, 4)),
        ({"meta": {"tokens": {"input_tokens": 3, "output_tokens": 4}}}, Counts(3, 4)),
        ({"meta": {"billed_units": {"input_tokens": 3}}}, Counts(3, None)),
        ({"meta": {"tokens": {"input_tokens": 1}, "billed_units": {"input_tokens": 3}}},
         Counts(1, None)),
        ({"meta": {}}, None),
        ({"interaction": {"usage": {"total_input_tokens": 3, "total_output_tokens": 4}}},
         Counts(3, 4)),
        ({"interaction": {"id": "x"}}, None),
        ({"choices": [], "x_groq": {"usage": {"prompt_tokens": 3, "completion_tokens": 4}}},
         Counts(3, 4)),
        ({"delta": "text", "eval_count": 4}, Counts(None, 4)),
        ({"anything": "else"}, None),
    ],
)  # fmt: skip
def test_other_apis_count_elsewhere(document: dict[str, Any], counts: Counts | None) -> None:
    assert counts_in(json(document)) == counts


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        (b'"usage":{"prompt_tokens":1,"completion_tokens":2}', Counts(1, 2)),
        (b'"usage" \r\n\t: {"prompt_tokens":1,"completion_tokens":2}', Counts(1, 2)),
        # The last one counts, unless it says nothing.
        (b'"usage":{"prompt_tokens":1} "usage":{"prompt_tokens":5}', Counts(5, None)),
        (b'"usage":{"prompt_tokens":1} "usage":null', Counts(1, None)),
        (b'"usage":{"prompt_tokens":1} "usage":{"prompt_tokens":', Counts(1, None)),
        (b'"usage":{"prompt_tokens":1} "usage_of":{"prompt_tokens":5}', Counts(1, None)),
        (b'"usage":{"prompt_tokens":"x"}', None),
        (b'"usage":{"prompt_tokens":1,"details":{"a":{}}}', Counts(1, None)),
        (b'"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2}', Counts(1, 2)),
        (b'"usage":' + b" " * 23 + b'{"prompt_tokens":1}', Counts(1, None)),
        (b'"usage":' + b" " * 24 + b'{"prompt_tokens":1}', None),
        # 4,096 bytes of an object are looked at.
        (b'"usage":{"prompt_tokens":1' + b" " * (4096 - 19) + b"}", Counts(1, None)),
        (b'"usage":{"prompt_tokens":1' + b" " * (4096 - 18) + b"}", None),
        (b'"prompt_eval_count" : 3, "eval_count":4', Counts(3, 4)),
        (b'"eval_count":1234567890123', None),
        (b'"eval_count":123456789', Counts(None, 123456789)),
        (b'"eval_count":12345678901234', None),
        (b"", None),
    ],
)  # fmt: skip
def test_counts_are_found_in_what_is_left_of_a_body(text: bytes, counts: Counts | None) -> None:
    assert counts_in(text, fragment=True) == counts


@pytest.mark.parametrize(
    ("usage", "both"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4}, (3, 4)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, (0, 0)),
        ({"prompt_tokens": 10**9, "completion_tokens": 10**9}, (10**9, 10**9)),
        ({"prompt_tokens": 10**9 + 1, "completion_tokens": 4}, None),
        ({"prompt_tokens": 3, "completion_tokens": 10**9 + 1}, None),
        ({"prompt_tokens": -1, "completion_tokens": 4}, None),
        ({"prompt_tokens": 3, "completion_tokens": -1}, None),
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}, (3, 4)),
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 8}, None),
        ({"prompt_tokens": 3}, None),
        ({"completion_tokens": 4}, None),
        (None, None),
    ],
)
def test_a_plain_answer_says_both(usage: Any, both: tuple[int, int] | None) -> None:
    assert both_in(json({"usage": usage})) == both
    assert both_in(b" " + json({"usage": usage})) is None


@pytest.mark.parametrize(
    ("raw", "data"),
    [
        (b"data: x\n\n", b"x"),
        (b"data:x\n\n", b"x"),
        (b"event: a\ndata: x\n\n", b"x"),
        (b"data: x", b"x"),
        (b"data: x\ndata: y\n\n", b"x\ny"),
        (b"event: data: no\ndata: x\n\n", b"x"),
        (b"event: data: no\n\n", b""),
        (b": comment\n\n", b": comment\n\n"),
        (b'{"data: ": 1}', b'{"data: ": 1}'),
        (b'["data: "]', b'["data: "]'),
        (b"id: 1\ndata: x\nretry: 5\n\n", b"x"),
        (b"data: x\r\n\r\n", b"x"),
        # A carriage return alone ends no line.
        (b"data: x\ry\n\n", b"x\ry"),
        (b"event: a\ndata: x\ry\n\n", b"x\ry"),
    ],
)
def test_the_data_of_an_event_are_its_data_lines(raw: bytes, data: bytes) -> None:
    assert payload(raw) == data


@pytest.mark.parametrize(
    ("value", "only"),
    [
        ({"choices": [], "usage": {"prompt_tokens": 1}}, True),
        ({"choices": [], "usage": None}, False),
        ({"choices": []}, False),
        ({"choices": [{}], "usage": {"prompt_tokens": 1}}, False),
        ({"usage": {"prompt_tokens": 1}}, False),
        ([], False),
    ],
)
def test_an_event_of_nothing_but_usage_is_told(value: Any, only: bool) -> None:
    assert is_usage_chunk(event(value)) is only


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"choices": [{"delta": {"content": "abc"}}, {"delta": {"content": "ü"}}]}, 5),
        ({"choices": [{"text": "abc"}]}, 3),
        ({"choices": [{"delta": {"content": "a", "role": "assistant"}}]}, 1),
        ({"choices": [5, {"delta": {"content": "a"}}]}, 1),
        ({"choices": []}, 0),
        ({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "abc"}}, 3),
        ({"delta": "abc"}, 3),
        ({"type": "ping"}, 0),
        ({"candidates": [{"content": {"parts": [{"text": "abc"}]}}]}, 3),
        ({"message": {"role": "assistant", "content": "abc"}}, 3),
        ({"response": "abc"}, 3),
        ({"content": "abc"}, 3),
        ({"token": {"text": "abc"}}, 3),
        ({"token": "abc"}, 3),
        ({"token": 5}, None),
        ({"model_name": "m", "text_output": "abc"}, 3),
        ({"results": [{"generated_text": "abc", "stop_reason": "x"}]}, 3),
        ({"type": "completion", "completion": "abc", "stop_reason": None}, 3),
        ({"type": "message.output.delta", "content": "abc", "role": "assistant"}, 3),
        ({"type": "message.output.delta", "content": {"type": "text", "text": "abc"}}, 3),
        ({"type": "function.call.delta", "arguments": "abc", "name": "f"}, 3),
        ({"type": 5, "text": "abc"}, 3),
        # What was said before.
        ({"type": "transcript.text.done", "text": "abc"}, 0),
        ({"type": "response.output_text.done", "text": "abc"}, 0),
        ({"type": "response.content_part.added", "content": "abc"}, 0),
        ({"x": "abc"}, None),
        ([], None),
        # Six levels are looked into.
        ({"delta": [[[[[["abc"]]]]]]}, 3),
        ({"delta": [[[[[[["abc"]]]]]]]}, 0),
        ({"delta": {"a": {"a": {"a": {"a": {"a": {"a": "abc"}}}}}}}, 3),
        ({"delta": {"a": {"a": {"a": {"a": {"a": {"a": {"a": "abc"}}}}}}}}, 0),
    ],
)
def test_the_text_an_event_delivers_is_measured(value: Any, size: int | None) -> None:
    assert delta_bytes(event(value)) == size


def test_what_was_delivered_is_a_quarter_of_its_bytes_and_a_token_for_each_event() -> None:
    assert streamed(*[said("abcdefgh")] * 5).output_tokens == 10
    assert streamed(*[said("abcdefghi")] * 5).output_tokens == math.ceil(45 / 4)
    assert streamed(*[said("a")] * 5).output_tokens == 5
    assert streamed(*[said("a")] * 1000).output_tokens == 1000
    assert streamed(*[said("abcdefgh")] * 1000).output_tokens == 2000


def test_the_first_eight_events_tell_of_all_and_then_every_sixteenth() -> None:
    long, short = said("x" * 400), said("x" * 4)

    # Of eight that speak and eight that do not, half of all speak.
    silent = event({"choices": []})
    assert streamed(*[silent, said("a")] * 4).output_tokens == 4
    # Number 8 is not looked at, number 16 is: their bytes count in either case.
    for at in (7, 8, 9, 15, 16, 17):
        events = [short] * 40
        events[at] = long
        assert streamed(*events).output_tokens == (39 * 4 + 400) // 4


def test_at_most_twenty_four_events_are_kept() -> None:
    reader = UsageReader(Dialect.OPENAI, content_type=b"text/event-stream")
    for _ in range(2000):
        reader.feed(said("a"))

    assert len(reader._samples) == 24


@pytest.mark.parametrize(("status", "written"), [(399, None), (400, 0), (500, 0)])
def test_what_an_upstream_refused_cost_nothing(status: int, written: int | None) -> None:
    found = usage_of(b'{"error": "x"}', DONE, status)

    assert (found.input_tokens, found.output_tokens) == ((0 if written == 0 else None), written)
    assert not found.reported


def test_what_is_written_may_follow_from_the_total() -> None:
    def usage(**counts: int) -> tuple[int | None, int | None]:
        body = json({"usageMetadata": counts})
        reader = UsageReader(Dialect.OTHER, content_type=b"application/json")
        reader.feed(body)
        found, at_once = reader.usage(DONE, 200), usage_of(body, DONE, 200)
        assert found == at_once
        return found.input_tokens, found.output_tokens

    assert usage(promptTokenCount=5, totalTokenCount=12) == (5, 7)
    assert usage(promptTokenCount=5, totalTokenCount=3) == (5, 0)
    assert usage(totalTokenCount=12) == (None, None)


@pytest.mark.parametrize(("size", "whole"), [(1024 * 1024, True), (1024 * 1024 + 1, False)])
def test_of_a_body_of_more_than_a_mebibyte_the_end_is_read(size: int, whole: bool) -> None:
    usage = b'"usage":{"prompt_tokens":3,"completion_tokens":4}'
    first = b"{" + usage + b',"x":"'
    body = first + b"y" * (size - len(first) - 2) + b'"}'
    last = b'{"x":"' + b"y" * (size - len(usage) - 9) + b'",' + usage + b"}"

    assert len(body) == len(last) == size
    for text, found in ((body, whole), (last, True)):
        reader = UsageReader(Dialect.OTHER, content_type=b"application/json")
        reader.feed(text[:500_000])
        reader.feed(text[500_000:])
        one = reader.usage(DONE, 200)
        assert (one.input_tokens, one.output_tokens) == ((3, 4) if found else (None, None))
        assert usage_of(text, DONE, 200) == one


@pytest.mark.parametrize(("size", "passed"), [(65_536, b""), (65_537, b"all")])
def test_while_hiding_64_kibibytes_are_held_back(size: int, passed: bytes) -> None:
    reader = UsageReader(Dialect.OPENAI, content_type=b"text/event-stream", hide_usage_chunk=True)
    begun = b"data: " + b"x" * (size - 6)

    assert reader.feed(begun) == (begun if passed else b"")
    if not passed:
        assert reader.feed(b"\n\n") == begun + b"\n\n"


@pytest.mark.parametrize("end", [b"\n\n", b"\n\r\n", b"\r\n\r\n"])
def test_usage_after_any_blank_line_is_read_and_hidden(end: bytes) -> None:
    def one(value: Any) -> bytes:
        return b"data: " + json(value) + end

    text = one({"choices": [{"delta": {"content": "a"}}]})
    usage = one({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}})
    for cut in range(len(text + usage)):
        reader = UsageReader(
            Dialect.OPENAI, content_type=b"text/event-stream", hide_usage_chunk=True
        )
        whole = text + usage
        passed = reader.feed(whole[:cut]) + reader.feed(whole[cut:]) + reader.finish()
        assert passed == text
        found = reader.usage(DONE, 200)
        assert (found.input_tokens, found.output_tokens) == (3, 4)


def test_an_opening_count_stands_until_there_is_another() -> None:
    opening = event({"message": {"usage": {"input_tokens": 9, "output_tokens": 1}}})
    closing = event({"usage": {"output_tokens": 40}})

    first = streamed(opening)
    both = streamed(opening, closing)

    assert (first.input_tokens, first.output_tokens, first.reported) == (9, 1, False)
    assert (both.input_tokens, both.output_tokens, both.reported) == (9, 40, True)


@pytest.mark.parametrize(
    ("kind", "coding", "plain"),
    [(b"application/json", b"", True), (b"application/json; charset=utf-8", b"identity", True),
     (b"", b"", True), (b"application/vnd.api+JSON", b" Identity ", True),
     (b"application/json", b"gzip", False), (b"text/event-stream", b"", False),
     (b"application/x-ndjson", b"", False), (b"text/plain", b"", False)],
)  # fmt: skip
def test_plain_json_is_what_says_so_or_says_nothing(
    kind: bytes, coding: bytes, plain: bool
) -> None:
    assert is_plain_json(kind, coding) is plain


def test_an_event_after_one_that_came_in_pieces_is_read_from_its_beginning() -> None:
    nested = event({"x": {"usage": {"prompt_tokens": 9, "completion_tokens": 9}}})
    cut = said("a")

    assert not streamed(cut[:5], cut[5:], nested).reported
    assert not streamed(cut[:5], cut[5:] + nested[:4], nested[4:]).reported
    line = json({"response": "a"}) + b"\n"
    other = json({"x": {"eval_count": 9}}) + b"\n"
    found = streamed(line[:5], line[5:], other[:5], other[5:], kind=b"application/x-ndjson")
    assert not found.reported


def test_lines_count_like_events() -> None:
    line = json({"message": {"content": "abcdefgh"}}) + b"\n"
    last = json({"prompt_eval_count": 3, "eval_count": 4})

    for end in (b"\n", b""):
        found = streamed(line, line[:5], line[5:] + last + end, kind=b"application/x-ndjson")
        assert (found.input_tokens, found.output_tokens, found.reported) == (3, 4, True)
    assert streamed(*[line] * 9, kind=b"application/jsonl; charset=utf-8").output_tokens == 18
