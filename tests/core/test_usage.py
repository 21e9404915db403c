"""Reading what a response cost, however it is cut, coded or broken off."""

from __future__ import annotations

import gzip
import itertools
import math
import struct
import zlib

import brotli
import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_guard.core.usage import UsageReader
from gateway_guard.core.usage_encoding import is_plain_json
from gateway_guard.core.usage_events import counts_in
from gateway_guard.core.usage_text import delta_bytes
from gateway_guard.core.usage_whole import usage_of
from gateway_guard.types import Dialect, Outcome, Usage
from tests.core import streams
from tests.core.streams import SAMPLES, SSE, Sample
from tests.costs import within

_status = st.sampled_from([200, 400, 500])
WORD = streams.event({"choices": [{"delta": {"content": "word"}}]})
SILENT = streams.event({"choices": [], "padding": "x" * 400})
_cuts = st.lists(st.integers(0, 10_000), max_size=40)


def pieces(body: bytes, cuts: list[int]) -> list[bytes]:
    """`body` cut at `cuts`, wrapped round its length."""
    places = sorted({cut % (len(body) + 1) for cut in cuts} | {0, len(body)})
    return [body[a:b] for a, b in itertools.pairwise(places)]


def reader(sample: Sample, *, encoding: bytes = b"", hide: bool = False) -> UsageReader:
    return UsageReader(
        sample.dialect,
        content_type=sample.content_type,
        content_encoding=encoding,
        hide_usage_chunk=hide,
    )


def read(
    sample: Sample, chunks: list[bytes], *, encoding: bytes = b"", hide: bool = False
) -> tuple[bytes, Usage]:
    """Everything passed on, and the usage."""
    subject = reader(sample, encoding=encoding, hide=hide)
    passed = b"".join([*(subject.feed(chunk) for chunk in chunks), subject.finish()])
    return passed, subject.usage(Outcome.COMPLETED, 200)


def sse(body: bytes, dialect: Dialect = Dialect.OPENAI) -> Sample:
    return Sample(dialect, SSE, body, None, None)


@pytest.mark.parametrize(
    ("first", "last", "counted"),
    [
        ({"input_tokens": 90}, {"input_tokens": 0, "output_tokens": 7}, (90, 7)),
        ({"input_tokens": 0}, {"input_tokens": 90, "output_tokens": 7}, (90, 7)),
        ({"input_tokens": 90}, {"input_tokens": 80, "output_tokens": 7}, (80, 7)),
        ({"input_tokens": 0}, {"input_tokens": 0, "output_tokens": 0}, (0, 0)),
        ({"input_tokens": 9, "output_tokens": 7}, {"input_tokens": 0, "output_tokens": 0}, (9, 7)),
        (
            {"input_tokens": 10, "cache_creation_input_tokens": 100},
            {"input_tokens": None, "cache_creation_input_tokens": 100, "output_tokens": 7},
            (110, 7),
        ),
    ],
)
def test_a_0_behind_a_count_is_what_a_translator_did_not_know(
    first: dict[str, int], last: dict[str, int], counted: tuple[int, int]
) -> None:
    """In Go, what nobody set is written as 0: whole prompts were free."""
    events = [{"type": "x", "usage": first}, {"type": "message_delta", "usage": last}]
    body = b"".join(b"data: " + msgspec.json.encode(event) + b"\n\n" for event in events)

    _, usage = read(sse(body, Dialect.ANTHROPIC), [body])

    assert (usage.input_tokens, usage.output_tokens) == counted


@pytest.mark.parametrize(
    ("iterations", "read", "written"),
    [
        ([{"type": "compaction", "input_tokens": 100, "output_tokens": 9}], 105, 15),
        ([{"type": "compaction", "input_tokens": -1, "output_tokens": 1e30}], 5, 6),
        ([{"type": "compaction"}, {}], 5, 6),
        ([{"type": 5}], 5, 6),
        ("compaction", 5, 6),
        (None, 5, 6),
    ],
)
def test_a_stream_says_at_its_end_what_was_summed_up_beside_it(
    iterations: object, read: int, written: int
) -> None:
    usage = {"input_tokens": 5, "output_tokens": 6, "iterations": iterations}
    event = msgspec.json.encode({"type": "message_delta", "delta": {}, "usage": usage})

    found = counts_in(b"event: message_delta\ndata: %b\n\n" % event)

    assert found is not None
    assert (found.read, found.written) == (read, written)


@given(_cuts)
def test_a_stream_of_geminis_interactions_is_read(cuts: list[int]) -> None:
    usage = {"total_input_tokens": 7, "total_output_tokens": 20, "total_thought_tokens": 22}
    events = [
        {"event_type": "interaction.start", "interaction": {"id": "x", "status": "in_progress"}},
        {"event_type": "content.delta", "delta": {"type": "text", "text": "word"}},
        {"event_type": "interaction.complete", "interaction": {"id": "x", "usage": usage}},
    ]
    body = b"".join(b"data: " + msgspec.json.encode(event) + b"\n\n" for event in events)

    _, found = read(sse(body, Dialect.OTHER), pieces(body, cuts))

    assert (found.input_tokens, found.output_tokens, found.reported) == (7, 42, True)


@pytest.mark.parametrize(
    ("opening", "word"),
    [
        (
            {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 0}},
            {"choices": [{"delta": {"content": "word"}}]},
        ),
        (
            {"usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9}},
            {"candidates": [{"content": {"parts": [{"text": "word"}]}}]},
        ),
    ],
)
@pytest.mark.parametrize(
    ("outcome", "written"), [(Outcome.CLIENT_GONE, 40), (Outcome.UPSTREAM_CUT, 40),
                             (Outcome.COMPLETED, 0)],
)  # fmt: skip
def test_a_stream_that_began_with_a_count_of_0_costs_what_was_delivered_until_it_was_cut(
    opening: dict[str, object], word: dict[str, object], outcome: Outcome, written: int
) -> None:
    body = b"".join(b"data: " + msgspec.json.encode(e) + b"\n\n" for e in (opening, *[word] * 40))
    subject = reader(sse(body))
    subject.feed(body)

    usage = subject.usage(outcome, 200)

    assert usage.input_tokens == 9
    assert usage.output_tokens == pytest.approx(written, rel=0.1)
    assert usage.reported is (outcome is Outcome.COMPLETED)


@pytest.mark.parametrize("outcome", [Outcome.CLIENT_GONE, Outcome.UPSTREAM_CUT])
def test_a_stream_cut_before_its_first_word_cost_its_prompt(outcome: Outcome) -> None:
    opening = {
        "choices": [{"delta": {"role": "assistant", "content": ""}}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 0},
    }
    subject = reader(sse(b""))
    subject.feed(b"data: " + msgspec.json.encode(opening) + b"\n\n")

    usage = subject.usage(outcome, 200)

    assert (usage.input_tokens, usage.output_tokens) == (9, 0)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_upstreams_own_count_is_read(name: str) -> None:
    sample = SAMPLES[name]

    passed, usage = read(sample, [sample.body])

    assert passed == sample.body
    assert (usage.input_tokens, usage.output_tokens) == (sample.read, sample.written)
    assert usage.reported is (sample.written is not None)


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - {"json-huge", "ollama-embed-huge"}))
@given(cuts=_cuts)
@settings(max_examples=25, deadline=None)
def test_however_a_body_is_cut_the_bytes_and_the_usage_are_the_same(
    name: str, cuts: list[int]
) -> None:
    sample = SAMPLES[name]

    whole = read(sample, [sample.body])

    assert read(sample, pieces(sample.body, cuts)) == whole


@given(cuts=_cuts)
@settings(max_examples=50, deadline=None)
def test_an_estimate_does_not_depend_on_how_the_stream_is_cut(cuts: list[int]) -> None:
    sample = sse(streams.openai_stream(45, usage=False))

    assert read(sample, pieces(sample.body, cuts)) == read(sample, [sample.body])


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@given(cuts=_cuts)
@settings(max_examples=40, deadline=None)
def test_hiding_takes_out_exactly_the_usage_event(end: bytes, cuts: list[int]) -> None:
    sample = sse(streams.openai_stream(12, end=end))
    hidden = streams.event(streams.usage_chunk(11, 12), end=end)

    passed, usage = read(sample, pieces(sample.body, cuts), hide=True)

    assert passed == sample.body.replace(hidden, b"")
    assert (usage.input_tokens, usage.output_tokens, usage.reported) == (11, 12, True)


def test_hiding_keeps_usage_that_comes_with_content() -> None:
    sample = SAMPLES["chat-sse-continuous"]

    passed, _ = read(sample, [sample.body], hide=True)

    assert passed == sample.body


def test_hiding_keeps_an_opening_chunk_without_choices_or_usage() -> None:
    body = streams.event({"choices": [], "usage": None, "prompt_filter_results": []})

    passed, _ = read(sse(body), [body], hide=True)

    assert passed == body


def test_hiding_takes_out_a_usage_event_the_stream_ends_on_without_a_blank_line() -> None:
    body = streams.event(streams.openai_delta("a")) + streams.event(streams.usage_chunk(1, 2))

    passed, usage = read(sse(body), [body[:-2]], hide=True)

    assert passed == streams.event(streams.openai_delta("a"))
    assert usage.output_tokens == 2


def test_while_hiding_whole_events_pass_at_once() -> None:
    subject = reader(sse(b""), hide=True)
    first, second = (streams.event(streams.openai_delta(text)) for text in "ab")

    passed = [subject.feed(first + second[:30]), subject.feed(second[30:])]

    assert passed == [first, second]


@pytest.mark.parametrize("end", [b":\n\n", b"\n\n", b": keep-alive\n\n", b"\r\n\r\n"])
def test_while_hiding_a_keep_alive_passes_at_once(end: bytes) -> None:
    subject = reader(sse(b""), hide=True)

    assert subject.feed(end) == end


def test_hiding_gives_up_rather_than_hold_back_an_endless_event() -> None:
    subject = reader(sse(b""), hide=True)
    chunk = b"data: " + b"x" * 994

    passed = [subject.feed(chunk) for _ in range(100)]

    assert b"".join(passed) == chunk * 100
    assert passed.index(chunk * 66) == 65


def test_nothing_is_hidden_from_anthropic_clients() -> None:
    body = streams.event(streams.usage_chunk(1, 2))

    passed, _ = read(sse(body, Dialect.ANTHROPIC), [body[:9], body[9:]], hide=True)

    assert passed == body


def test_without_hiding_every_chunk_passes_at_once() -> None:
    subject = reader(sse(b""))
    chunks = [streams.openai_stream(3)[i : i + 7] for i in range(0, 300, 7)]

    assert [subject.feed(chunk) for chunk in chunks] == chunks


def test_a_client_gone_mid_stream_pays_for_what_was_delivered() -> None:
    text = "one two three four five six seven"
    body = b"".join(streams.event(streams.openai_delta(text)) for _ in range(100))
    subject = reader(sse(b""))
    subject.feed(body)

    usage = subject.usage(Outcome.CLIENT_GONE, 200)

    assert usage.input_tokens is None
    assert usage.output_tokens == pytest.approx(100 * len(text) / 4, rel=0.02)
    assert (usage.outcome, usage.reported) == (Outcome.CLIENT_GONE, False)


def test_every_event_with_text_counts_for_one_token_at_least() -> None:
    body = b"".join(streams.event(streams.openai_delta("a")) for _ in range(64))

    _, usage = read(sse(body), [body])

    assert usage.output_tokens == 64


def test_a_cut_anthropic_stream_knows_its_input_and_estimates_its_output() -> None:
    texts = ["word " * 8] * 50
    body = streams.anthropic_stream(texts, finished=False)

    _, usage = read(sse(body, Dialect.ANTHROPIC), [body])

    assert usage.input_tokens == 25
    assert usage.output_tokens == pytest.approx(50 * 40 / 4, rel=0.1)
    assert not usage.reported


def test_a_stream_of_which_nothing_was_delivered_wrote_nothing() -> None:
    usage = reader(sse(b"")).usage(Outcome.CLIENT_GONE, 200)

    assert (usage.input_tokens, usage.output_tokens) == (None, 0)


@pytest.mark.parametrize("status", [400, 429, 500, 529])
def test_a_refusal_by_the_upstream_cost_nothing(status: int) -> None:
    subject = reader(SAMPLES["chat-json"])
    subject.feed(b'{"error":{"message":"no"}}')

    usage = subject.usage(Outcome.UPSTREAM_ERROR, status)

    assert (usage.input_tokens, usage.output_tokens, usage.reported) == (0, 0, False)


def test_an_opaque_stream_counts_by_its_bytes() -> None:
    subject = reader(sse(b""), encoding=b"compress")
    subject.feed(bytes(400))

    usage = subject.usage(Outcome.CLIENT_GONE, 200)

    assert (usage.input_tokens, usage.output_tokens, usage.reported) == (None, 100, False)


@pytest.mark.parametrize("said", [b"[1]", b"no json", b'{"token":5}', b'{"x":"' + b"y" * 9000])
def test_a_stream_of_unknown_shape_counts_by_its_bytes(said: bytes) -> None:
    body = (b"data: " + said + b"\n\n") * 4

    _, usage = read(sse(body), [body])

    assert usage.output_tokens == math.ceil(len(body) / 4)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (streams.openai_delta("Größe"), 7),
        ({"choices": [{"text": "abc"}]}, 3),
        ({"choices": ["?"]}, 0),
        ({"choices": [{"delta": {"role": "assistant", "content": None}}]}, 0),
        ({"choices": [{"delta": {"reasoning_content": "hm"}}]}, 2),
        ({"choices": [{"delta": {"tool_calls": [{"function": {"arguments": "{}"}}]}}]}, 2),
        ({"type": "ping"}, 0),
        ({"type": "x", "delta": {"type": "input_json_delta", "partial_json": "[1]"}}, 3),
        ({"type": "response.output_text.delta", "delta": "Hi"}, 2),
        ({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, 0),
    ],
)
def test_the_text_of_an_event_is_measured(event: object, said: int) -> None:
    assert delta_bytes(streams.event(event)) == said


def test_an_event_in_several_data_lines_is_read() -> None:
    counts = b'"usage":{"prompt_tokens":3,"completion_tokens":4}}'
    body = b'data: {"choices":[],\ndata: ' + counts + b"\n\n"

    passed, usage = read(sse(body), [body], hide=True)

    assert (passed, usage.input_tokens, usage.output_tokens) == (b"", 3, 4)


def test_usage_in_an_event_of_an_odd_shape_is_read_but_not_hidden() -> None:
    body = b'data: {"choices":[],"message":"hi","usage":{"prompt_tokens":3}}\n\n'
    odd = b'data: {"choices":7,"message":"hi","usage":{"prompt_tokens":3}}\n\n'

    assert read(sse(body), [body], hide=True)[0] == b""
    passed, usage = read(sse(odd), [odd], hide=True)

    assert (passed, usage.input_tokens) == (odd, 3)


def test_hiding_gives_up_on_the_rest_after_a_whole_event_too() -> None:
    subject = reader(sse(b""), hide=True)
    first = streams.event(streams.openai_delta("a"))
    rest = b"data: " + b"x" * 70_000

    assert subject.feed(first + rest) == first + rest
    assert subject.feed(b"y") == b"y"


@pytest.mark.parametrize(
    "first",
    [{"type": "response.created", "response": {"metadata": {"meta_info": "x"}}},
     {"meta_info": 5}, {"meta_info": {}}, {"meta_info": {"completion_tokens": 1}, "index": -1},
     {"meta_info": {"completion_tokens": 1}, "index": "x"},
     {"meta_info": {"completion_tokens": 1}, "index": 1 << 40}],
)  # fmt: skip
def test_what_only_looks_like_an_answer_of_sglangs_hides_no_usage(first: object) -> None:
    body = streams.event(first) + streams.openai_stream(40)

    assert read(sse(body), [body])[1].output_tokens == 40


def test_an_answer_of_sglangs_that_is_cut_cost_what_it_said_last() -> None:
    sample = SAMPLES["sglang-sse"]
    body = sample.body[: len(sample.body) // 2]
    subject = reader(sample)
    subject.feed(body)

    usage = subject.usage(Outcome.CLIENT_GONE, 200)

    assert usage.output_tokens == body.count(b"\n\n")


def test_an_estimate_looks_at_single_events_too() -> None:
    chunk = streams.event(streams.openai_delta("four"))
    subject = reader(sse(b""))
    for _ in range(1_000):
        subject.feed(chunk)

    assert subject.usage(Outcome.UPSTREAM_CUT, 200).output_tokens == 1_000


def test_a_body_that_is_no_text_says_nothing() -> None:
    subject = UsageReader(Dialect.OPENAI, content_type=b"audio/mpeg")
    subject.feed(b'{"usage":{"prompt_tokens":1}}')

    usage = subject.usage(Outcome.COMPLETED, 200)

    assert (usage.input_tokens, usage.output_tokens) == (None, None)


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def _members(data: bytes) -> bytes:
    """An event, or line, in a member each, and padding behind."""
    mark = b"\n\n" if b"\n\n" in data else b"\n"
    return b"".join(map(gzip.compress, data.replace(mark, mark + b"\0").split(b"\0"))) + bytes(40)


_CODINGS = {
    b"gzip": gzip.compress,
    b"x-gzip": _members,
    b"GZIP": gzip.compress,
    b"deflate": zlib.compress,
    b"br": brotli.compress,
    b"zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("name", ["chat-json", "chat-sse", "message-sse", "responses-sse"])
@pytest.mark.parametrize("coding", sorted(_CODINGS))
@given(cuts=_cuts)
@settings(max_examples=8, deadline=None)
def test_compressed_responses_are_read_and_passed_on_as_they_are(
    coding: bytes, name: str, cuts: list[int]
) -> None:
    sample = SAMPLES[name]
    body = _CODINGS[coding](sample.body)

    passed, usage = read(sample, pieces(body, cuts), encoding=coding, hide=True)

    assert passed == body
    assert (usage.input_tokens, usage.output_tokens) == (sample.read, sample.written)


def test_raw_deflate_is_read_too() -> None:
    sample = SAMPLES["chat-json"]
    body = _raw_deflate(sample.body)

    _, usage = read(sample, [body], encoding=b"deflate")

    assert usage.output_tokens == sample.written


def test_raw_deflate_whose_first_byte_is_nearly_that_of_a_header_is_read_too() -> None:
    sample = SAMPLES["chat-json"]
    size = len(sample.body)
    # One last block, stored; four bits nobody reads make its first half byte a nine.
    body = b"\x09" + struct.pack("<HH", size, 0xFFFF ^ size) + sample.body

    _, usage = read(sample, [body], encoding=b"deflate")

    assert usage.output_tokens == sample.written


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"zstd", b"compress", b"gzip, br"])
def test_what_cannot_be_decoded_passes_and_is_unknown(coding: bytes) -> None:
    sample = SAMPLES["chat-json"]

    passed, usage = read(sample, [b"not ", b"that coding at all"], encoding=coding)

    assert passed == b"not that coding at all"
    assert (usage.input_tokens, usage.output_tokens) == (None, None)


def test_a_decompression_bomb_is_read_no_further_than_its_bound() -> None:
    sample = SAMPLES["chat-json"]
    body = gzip.compress(bytes(80_000_000), 9)

    passed, usage = read(sample, [body], encoding=b"gzip")

    assert passed == body
    assert usage.output_tokens is None


def test_usage_at_the_end_of_an_event_too_long_to_keep_is_found() -> None:
    output = "z" * 1_200_000
    response = {"output": output, "usage": {"input_tokens": 3, "output_tokens": 300_000}}
    body = streams.event({"type": "response.completed", "response": response})

    _, usage = read(sse(body), [body[i : i + 65_536] for i in range(0, len(body), 65_536)])

    assert (usage.input_tokens, usage.output_tokens) == (3, 300_000)


@given(chunks=st.lists(st.binary(max_size=60), max_size=20), hide=st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_bytes_pass_unharmed(chunks: list[bytes], hide: bool) -> None:
    passed, _ = read(sse(b""), chunks, hide=hide)

    assert passed == b"".join(chunks)


_words = st.sampled_from(
    [b"data: ", b'{"usage"', b":", b"{", b"}", b"null", b"\n", b"\r\n", b"\n\n", b'"delta":',
     b'"choices":[]', b",", b"[", b"]", b"7", b'"x"', b'"prompt_tokens"', b"data:"]
)  # fmt: skip


@given(words=st.lists(_words, max_size=40), cuts=_cuts)
@settings(max_examples=200, deadline=None)
def test_broken_streams_never_raise(words: list[bytes], cuts: list[int]) -> None:
    body = b"".join(words)

    passed, usage = read(sse(body), pieces(body, cuts))

    assert passed == body
    assert usage.output_tokens is None or usage.output_tokens >= 0


_numbers = st.one_of(st.integers(-5, 10**10), st.floats(allow_nan=False), st.none())
_usages = st.dictionaries(
    st.sampled_from(
        ["prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "total_tokens",
         "cache_creation_input_tokens"]
    ),
    _numbers,
)  # fmt: skip


def _as_reader(body: bytes, status: int) -> Usage:
    subject = UsageReader(Dialect.OTHER, content_type=b"application/json")
    assert subject.feed(body) == body
    return subject.usage(Outcome.COMPLETED, status)


@given(usage=_usages, holder=st.sampled_from(["", "message", "response"]), status=_status)
@settings(deadline=None)
def test_a_body_in_one_piece_reads_as_a_stream_of_it_does(
    usage: dict[str, float | None], holder: str, status: int
) -> None:
    said = {"usage": usage, "id": "x"}
    body = msgspec.json.encode({holder: said} if holder else said)

    assert usage_of(body, Outcome.COMPLETED, status) == _as_reader(body, status)


@given(body=st.binary(max_size=200), status=_status)
@settings(deadline=None)
def test_any_bytes_in_one_piece_read_as_a_stream_of_them_does(body: bytes, status: int) -> None:
    assert usage_of(body, Outcome.COMPLETED, status) == _as_reader(body, status)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"usage":null}',
        b'{"usage":{"prompt_tokens":5,"total_tokens":9}}',
        b'{"usage":{"prompt_tokens":5,"completion_tokens":-1}}',
        b'{"usage":{"prompt_tokens":5.0,"completion_tokens":7}}',
        b' {"usage":{"prompt_tokens":5,"completion_tokens":7}}',
        b'{"usage":{"prompt_tokens":5,"completion_tokens":7},"usage":{"prompt_tokens":1}}',
    ],
)
def test_an_odd_body_in_one_piece_reads_as_a_stream_of_it_does(body: bytes) -> None:
    assert usage_of(body, Outcome.COMPLETED, 200) == _as_reader(body, 200)


def test_a_huge_body_in_one_piece_is_read_at_its_end() -> None:
    sample = SAMPLES["json-huge"]

    usage = usage_of(sample.body, Outcome.COMPLETED, 200)

    assert (usage.input_tokens, usage.output_tokens) == (sample.read, sample.written)
    assert usage.reported


@pytest.mark.parametrize(
    ("content_type", "coding", "plain"),
    [
        (b"application/json", b"", True),
        (b"Application/JSON; charset=utf-8", b"Identity", True),
        (b"", b"", True),
        (b"application/json", b"gzip", False),
        (b"text/event-stream", b"", False),
        (b"audio/mpeg", b"", False),
    ],
)
def test_only_plain_json_is_read_in_one_piece(
    content_type: bytes, coding: bytes, plain: bool
) -> None:
    assert is_plain_json(content_type, coding) is plain


@pytest.mark.parametrize("chat", [True, False])
def test_a_cut_stream_of_lines_costs_what_was_delivered(chat: bool) -> None:
    body = streams.ollama(40, finished=False, chat=chat)
    sample = Sample(Dialect.OTHER, streams.NDJSON, body, None, None)

    whole, cut = read(sample, [body]), read(sample, [body[:200], body[200:-7]])

    assert whole[1].input_tokens is None
    assert whole[1].output_tokens == sum(len(f" word{i}") for i in range(40)) // 4 + 1
    assert not whole[1].reported
    assert cut[0] == body[:-7]
    assert cut[1].output_tokens is not None
    assert 30 <= cut[1].output_tokens <= whole[1].output_tokens


def test_a_cut_stream_of_geminis_costs_what_was_counted_last() -> None:
    body = SAMPLES["gemini-sse"].body
    sample = Sample(Dialect.OTHER, SSE, body, None, None)

    _, usage = read(sample, [body[: body.index(b"word5") - 4]])

    assert (usage.input_tokens, usage.output_tokens, usage.reported) == (9, 4, True)


def test_what_a_model_writes_is_no_count_of_its_own() -> None:
    line = {"response": '"eval_count": 1, "usage": {"completion_tokens": 1}', "done": False}
    body = msgspec.json.encode(line) + b"\n"

    _, usage = read(Sample(Dialect.OTHER, streams.NDJSON, body, None, None), [body])

    assert not usage.reported


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"candidates": [{"content": {"parts": [{"text": "four"}]}, "finishReason": "STOP"}]}, 4),
        ({"message": {"role": "assistant", "content": "four"}}, 4),
        ({"response": "four", "done": False}, 4),
        ({"content": "four", "stop": False}, 4),
        ({"index": 1, "token": {"id": 5, "text": "four", "logprob": -1}}, 4),
        ({"token": 5}, None),
    ],
)
def test_the_text_in_events_of_other_apis(event: dict[str, object], said: int | None) -> None:
    assert delta_bytes(msgspec.json.encode(event)) == said


def test_a_compressed_stream_of_lines_is_read() -> None:
    sample = SAMPLES["ollama-chat"]
    coded = gzip.compress(sample.body)

    passed, usage = read(sample, [coded[:50], coded[50:]], encoding=b"gzip")

    assert passed == coded
    assert (usage.input_tokens, usage.output_tokens) == (sample.read, sample.written)


@pytest.mark.parametrize("content_type", [SSE, b"application/json", b"application/x-ndjson"])
def test_an_answer_nested_deeper_than_the_stack_passes_unharmed(content_type: bytes) -> None:
    body = b'data: {"usage":' + b"[" * 100_000 + b"\n\n"
    subject = UsageReader(Dialect.OPENAI, content_type=content_type)

    passed = subject.feed(body) + subject.finish()

    assert passed == body
    assert not subject.usage(Outcome.COMPLETED, 200).reported


@pytest.mark.parametrize("cut", [0, 20, 40])
def test_an_event_without_usage_counts_nothing_whatever_comes_in_one_piece_with_it(
    cut: int,
) -> None:
    body = b'data: {"eval_count":7}\n\ndata: {"choices":[],"usage":null,"id":1}\n\n'
    body += b'data: {"x":"\\"usage"}\n\n'

    chunks = [body[:cut], body[cut:]] if cut else [body]

    assert not read(sse(body), chunks)[1].reported


def test_splitting_a_stream_of_nothing_but_line_ends_takes_no_time() -> None:
    body = b"\r\n" * (1 << 17) + b'data: {"usage":null}\r\n\r\n'
    subject = reader(sse(body))

    passed = within(0.5, lambda: subject.feed(body))

    assert passed == body


@pytest.mark.parametrize("cut", [3, 8, 14])
def test_a_lone_carriage_return_ends_no_line_of_json(cut: int) -> None:
    body = b'{"a":\r1}\n{"response":" word",\r"done":false}\n' * 20
    sample = Sample(Dialect.OTHER, b"application/x-ndjson", body, None, None)

    whole = read(sample, [body])

    assert read(sample, [body[at : at + cut] for at in range(0, len(body), cut)]) == whole
    assert whole[1].output_tokens is not None
    assert 0 < whole[1].output_tokens < len(body) / 4


NESTED = b'{"x":{"usage":{"prompt_tokens":3,"completion_tokens":4}}}'
LAST = b'{"x":{"eval_count":4,"prompt_eval_count":3}}'


@pytest.mark.parametrize(
    ("kind", "head", "last"),
    [
        (SSE, b"data: ", NESTED + b"\n\n"),
        (SSE, b"data: ", NESTED),
        (streams.NDJSON, b"", LAST + b"\n"),
    ],
)
def test_where_only_the_end_of_an_event_was_kept_what_counts_in_it_counts_in_any_member(
    kind: bytes, head: bytes, last: bytes
) -> None:
    def counted(blanks: int) -> tuple[int | None, int | None]:
        chunks = [head, b" " * blanks, last]
        _, usage = read(Sample(Dialect.OTHER, kind, b"", None, None), chunks)
        return usage.input_tokens, usage.output_tokens if usage.reported else None

    # Some servers send blanks to keep the connection up.
    assert counted(2_000_000) == (3, 4)
    assert counted(200) == (None, None)


def test_of_several_that_count_in_the_end_of_a_long_body_the_outermost_does() -> None:
    first = b'{"usage":{"prompt_tokens":1,"completion_tokens":2},"more":'

    for blanks, counts in ((200, (1, 2)), (2_000_000, (1, 2))):
        body = b" " * blanks + first + NESTED + b"}"
        _, fed = read(Sample(Dialect.OTHER, streams.JSON, body, None, None), [body])
        assert (fed.input_tokens, fed.output_tokens) == counts
        assert usage_of(body, Outcome.COMPLETED, 200) == fed


def test_a_document_written_over_several_lines_is_one_whether_compressed_or_not() -> None:
    body = b'{\n "usage": {\n  "prompt_tokens": 3,\n  "completion_tokens": 4\n }\n}\n'
    sample = Sample(Dialect.OPENAI, streams.JSON, body, 3, 4)

    for encoding, sent in ((b"", body), (b"gzip", gzip.compress(body)), (b"zstd", zstd(body))):
        _, usage = read(sample, [sent], encoding=encoding)
        assert (usage.input_tokens, usage.output_tokens) == (3, 4)


def zstd(body: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(body)


@pytest.mark.parametrize("kind", [SSE, streams.NDJSON])
def test_a_long_compressed_stream_is_counted_as_it_passes(kind: bytes) -> None:
    piece = msgspec.json.encode({"response": "a" * 1000})
    one = piece + b"\n" if kind == streams.NDJSON else b"data: " + piece + b"\n\n"
    sample = Sample(Dialect.OTHER, kind, one * 1200, None, None)

    _, plain = read(sample, [one] * 1200)
    _, packed = read(sample, [gzip.compress(sample.body)], encoding=b"gzip")

    assert plain.output_tokens == packed.output_tokens == 300_000


@pytest.mark.parametrize("blank", [b"\n\n", b"\n\r\n", b"\r\n\r\n"])
def test_blank_lines_before_an_event_are_passed_on_at_once(blank: bytes) -> None:
    subject = reader(sse(b""), hide=True)

    assert subject.feed(blank + b"data: a") == blank
    assert subject.feed(b"\n\n") == b"data: a\n\n"


@pytest.mark.parametrize("blank", [b"\n\n", b"\n\r\n", b"\r\n\r\n"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_blank_lines_before_a_hidden_event_stay(blank: bytes, end: bytes) -> None:
    hidden = streams.event(streams.usage_chunk(1, 2), end=end)

    for behind in (b"", WORD, b"data: a\r\n\r\n"):
        passed, usage = read(sse(b""), [blank + hidden + behind], hide=True)
        assert passed == blank + behind
        assert (usage.input_tokens, usage.output_tokens) == (1, 2)


@pytest.mark.parametrize(
    "end", [b"", b"\n", b"\nb\n", b"\nb\nc\n", b"\r\n", b"\n\nb\n", b"\nb\r\n"]
)
def test_what_no_blank_line_ends_is_held_back_to_the_end_and_then_passed_on(end: bytes) -> None:
    subject = reader(sse(b""), hide=True)
    chunk = b"data: a" + end
    whole, mark, rest = chunk.rpartition(b"\n\n")

    assert subject.feed(chunk) == whole + mark
    assert subject.finish() == rest
    # It is over: whatever comes now is nobody's.
    subject.feed(b"data: b")
    assert subject.finish() == b""


def test_unless_told_to_a_reader_hides_nothing() -> None:
    body = streams.event(streams.usage_chunk(1, 2))
    subject = UsageReader(Dialect.OPENAI, content_type=SSE)

    assert subject.feed(body[:20]) + subject.feed(body[20:]) == body
    assert subject.feed(b"data: a") == b"data: a"


@pytest.mark.parametrize(("size", "tokens"), [(4096, 16), (4097, 4097)])
def test_an_event_of_more_than_four_kilobytes_is_not_looked_into(size: int, tokens: int) -> None:
    event = streams.event(streams.openai_delta("a" * 16))
    padded = event[:-2] + b" " * (size - len(event)) + b"\n\n"

    _, usage = read(sse(b""), [padded] * 4)

    # Of what nobody looked into every byte may be text.
    assert usage.output_tokens == tokens


@pytest.mark.parametrize("end", [b"", b"\n\t", b"\n ", b"\nb", b"\r", b"\n \r"])
def test_while_hiding_an_event_is_held_back_until_its_blank_line(end: bytes) -> None:
    subject = reader(sse(b""), hide=True)

    assert subject.feed(b"data: a" + end) == b""
    assert subject.feed(b"\n") == b""
    assert subject.feed(b"\n") == b"data: a" + end + b"\n\n"
    # Of a blank line, too.
    assert subject.feed(b"\n") == b""
    assert subject.feed(b"\n") == b"\n\n"


@pytest.mark.parametrize("line", [b'data:":null', b'data:": null', b'"usage', b'x"usage":nul'])
@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_what_only_looks_like_usage_is_passed_on_as_it_is(line: bytes, end: bytes) -> None:
    for hide in (False, True):
        passed, usage = read(sse(b""), [line + end], hide=hide)
        assert passed == line + end
        assert not usage.reported


def test_a_stream_may_end_on_a_usage_event_of_lines_that_end_in_crlf() -> None:
    last = b"data: " + msgspec.json.encode(streams.usage_chunk(1, 2)) + b"\r\n"

    passed, usage = read(sse(b""), [last], hide=True)

    assert passed == b""
    assert (usage.input_tokens, usage.output_tokens, usage.reported) == (1, 2, True)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("at", [0, 1, 2, 6, 7, 16, 32, 240, 256])
def test_what_is_no_text_in_an_event_that_is_looked_at_is_not_counted(at: int, end: bytes) -> None:
    for size in (1, 2, 3, 7):
        events = [WORD.replace(b"\n", end)] * 300
        events[at] = SILENT.replace(b"\n", end)
        chunks = [b"".join(events[i : i + size]) for i in range(0, 300, size)]
        _, usage = read(sse(b""), chunks)
        # Somewhat fewer than 300 of four letters each: of those looked at, one said nothing.
        assert usage.output_tokens is not None
        assert 280 <= usage.output_tokens <= 299


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("at", [8, 9, 15, 17, 31, 33, 255, 257, 272, 299])
def test_of_the_others_all_bytes_but_the_usual_wrapping_are_taken_for_text(
    at: int, end: bytes
) -> None:
    for size in (1, 2, 3, 7):
        events = [WORD.replace(b"\n", end)] * 300
        events[at] = SILENT.replace(b"\n", end)
        chunks = [b"".join(events[i : i + size]) for i in range(0, 300, size)]
        _, usage = read(sse(b""), chunks)
        assert usage.output_tokens == 300 + math.ceil((len(SILENT) - len(WORD)) / 4)


@pytest.mark.parametrize(("size", "passed"), [(65_536, False), (65_537, True)])
def test_behind_a_whole_event_64_kibibytes_of_the_next_are_held_back(
    size: int, passed: bool
) -> None:
    subject = reader(sse(b""), hide=True)
    begun = b"data: ".ljust(size, b"x")

    assert subject.feed(WORD + begun) == WORD + (begun if passed else b"")


@pytest.mark.parametrize(("more", "found"), [(0, True), (1, False)])
def test_of_a_long_body_the_last_64_kibibytes_are_kept(more: int, found: bool) -> None:
    usage = b'"usage":{"prompt_tokens":3,"completion_tokens":4}'
    body = b'{"x":"'.ljust(2_000_000, b"y") + b'",' + usage
    body += b',"z":"' + b"y" * (65_536 - len(usage) - 8 + more) + b'"}'
    counts = (3, 4) if found else (None, None)

    _, fed = read(Sample(Dialect.OTHER, streams.JSON, body, None, None), [body])
    at_once = usage_of(body, Outcome.COMPLETED, 200)

    assert (fed.input_tokens, fed.output_tokens) == counts
    assert at_once == fed


def test_usage_is_read_wherever_in_its_event_another_is_null() -> None:
    counted = {"prompt_tokens": 3, "completion_tokens": 4}

    for event in (
        {"response": {"usage": counted}, "usage": None},
        {"usage": counted, "x": {"usage": None}, "y": {"usage": None}},
        {"usage": None, "message": None, "response": {"usage": counted}},
    ):
        chunk = streams.event(event)
        for chunks in ([chunk], [chunk[:9], chunk[9:]], [WORD + chunk]):
            _, usage = read(sse(b""), chunks)
            assert (usage.input_tokens, usage.output_tokens) == (3, 4)


@pytest.mark.parametrize("kind", [streams.JSON, streams.NDJSON, b"text/plain", b"audio/mpeg"])
def test_only_of_server_sent_events_anything_is_ever_held_back(kind: bytes) -> None:
    sample = Sample(Dialect.OPENAI, kind, b"", None, None)
    chunk = msgspec.json.encode(streams.usage_chunk(1, 2))

    for rest in (b"", b"\n", b"\n\n"):
        subject = reader(sample, hide=True)
        assert subject.feed(chunk + rest) == chunk + rest
        assert subject.finish() == b""


@pytest.mark.parametrize(("size", "tokens"), [(8, 2), (9, 3), (12, 3), (13, 4)])
def test_a_stream_nobody_can_read_costs_a_token_for_four_bytes(size: int, tokens: int) -> None:
    event = b"data:".ljust(size - 2, b"x") + b"\n\n"

    for chunks in ([event], [event[:6], event[6:]], [event[:-1], event[-1:]], [event[:-2]]):
        _, usage = read(sse(b""), chunks)
        assert usage.output_tokens == (
            tokens if len(chunks) > 1 or chunks[0] == event else math.ceil((size - 2) / 4)
        )


@pytest.mark.parametrize("kind", [SSE, streams.NDJSON])
def test_an_event_that_nothing_ends_is_one(kind: bytes) -> None:
    one = b'{"response":"word"}\n' if kind == streams.NDJSON else WORD
    sample = Sample(Dialect.OTHER, kind, one * 300, None, None)

    for chunks in ([one] * 299 + [one.rstrip()], [sample.body.rstrip()]):
        _, usage = read(sample, chunks)
        assert usage.output_tokens == 300


def test_events_shorter_than_the_usual_wrapping_take_nothing_from_what_was_said() -> None:
    said = streams.event({"choices": [{"delta": {"content": "abcdefgh"}}]})

    for count in (0, 1, 7):
        _, usage = read(sse(b""), [said] * 8 + [b"data:\n\n"] * count)
        assert usage.output_tokens == 16


@pytest.mark.parametrize("rest", [b"", b"\n", b" \n", b"\r\n", b" "])
def test_blanks_at_the_end_are_passed_on_once(rest: bytes) -> None:
    for hide in (False, True):
        for chunks in ([WORD, rest], [WORD + rest]):
            passed, usage = read(sse(b""), chunks, hide=hide)
            assert passed == WORD + rest
            assert usage.output_tokens == 1
