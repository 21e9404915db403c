"""What a hostile upstream, or a client whose words an upstream repeats, cannot do to usage."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import msgspec
import pytest
import zstandard

from gateway_guard.core import usage, usage_events
from gateway_guard.core.usage import UsageReader
from gateway_guard.core.usage_encoding import decoder_for
from gateway_guard.core.usage_events import counts_in, last_usage
from gateway_guard.core.usage_pieces import LONG, each, parted, repeated, split, worth
from gateway_guard.core.usage_whole import usage_of
from gateway_guard.types import Dialect, Outcome, Usage
from tests.core import streams
from tests.core.streams import SSE
from tests.costs import within

MIB = 1024 * 1024
NOTHING = {"usage": {"input_tokens": 0, "output_tokens": 0}}
PACK: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"br": lambda data: brotli.compress(data, quality=4),
    b"zstd": zstandard.compress,
}
KINDS = (SSE, streams.NDJSON, streams.JSON)


def reader(kind: bytes = SSE, coding: bytes = b"", *, hide: bool = False) -> UsageReader:
    return UsageReader(
        Dialect.OPENAI, content_type=kind, content_encoding=coding, hide_usage_chunk=hide
    )


def fed(
    body: bytes, kind: bytes = SSE, outcome: Outcome = Outcome.COMPLETED, size: int = 65_536
) -> Usage:
    subject = reader(kind)
    for at in range(0, len(body), size):
        subject.feed(body[at : at + size])
    return subject.usage(outcome, 200)


def completed(tools: list[Any], text: str = "word ", **after: object) -> bytes:
    """The last event of OpenAI's responses, in the order of its own documentation."""
    said = [{"type": "message", "content": [{"type": "output_text", "text": text}]}]
    counts = {"input_tokens": 10, "output_tokens": 4000}
    response = {"id": "r", "output": said, "tools": tools, "usage": counts, "user": None, **after}
    event = {"type": "response.completed", "response": response}
    return streams.event(event, "response.completed")


@pytest.mark.parametrize("unit", [b'"usage":{', b'"usage":{"a":', b'"usageMetadata":{', b'"usage"'])
def test_a_megabyte_of_counts_that_never_end_takes_no_time(unit: bytes) -> None:
    body = (unit * MIB)[:MIB]

    event = b"data: " + body + b"\n\n"

    assert not within(0.5, lambda: fed(event)).reported
    assert not within(0.5, lambda: usage_of(body, Outcome.COMPLETED, 200)).reported
    assert not within(0.5, lambda: usage_of(b" " + body, Outcome.COMPLETED, 200)).reported


@pytest.mark.parametrize(("false", "found"), [(15, True), (16, False)])
def test_sixteen_places_are_looked_at_for_what_counts(
    monkeypatch: pytest.MonkeyPatch, false: int, found: bool
) -> None:
    looked: list[int] = []
    look = usage_events._usage_at

    def counted(text: bytes, at: int) -> Any:
        looked.append(at)
        return look(text, at)

    monkeypatch.setattr(usage_events, "_usage_at", counted)
    text = b'"usage":{"prompt_tokens":1},"x":[' + b'{"usage":{' * false

    assert (last_usage(text) is not None) is found
    assert len(looked) == 16


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (b'"usage":{"prompt_tokens":1}}', 1),
        (b'"usage":{"prompt_tokens":1}}}', 1),
        (b'"usage":{"prompt_tokens":1}}}}', None),
        (b'"usage":{"prompt_tokens":1}}]}', None),
        # Brackets in strings, escapes among them, close nothing.
        (b'"usage":{"prompt_tokens":1},"a":"}}}","b":"\\"}}"}', 1),
        (b'"usage":{"prompt_tokens":1},"x":{"a":[{"usage":{"prompt_tokens":2}}]}}', 1),
        (b'"usage":{"prompt_tokens":1,"usage":{"prompt_tokens":3},"b":{}}}}', 1),
        (b'"usage":{"prompt_tokens":1},"x":{"a":[{"eval_count":2}]},"eval_count":3}', 1),
        (b'"a":[{"x":[{"prompt_eval_count":2}]}]}', None),
    ],
)
def test_what_stands_deeper_than_any_api_counts_is_no_count(text: bytes, read: int | None) -> None:
    found = last_usage(text)

    assert (None if found is None else found.read) == read


def test_a_client_that_leaves_in_the_last_event_is_not_believed_what_it_had_repeated() -> None:
    tools = [{"type": "function", "parameters": {f"x{i}": NOTHING for i in range(400)}}]
    said = streams.event({"type": "response.output_text.delta", "delta": "word "})
    last = completed(tools)

    for cut in range(3, len(last), 997):
        usage = fed(said * 40 + last[:-cut], outcome=Outcome.CLIENT_GONE)
        assert not usage.reported
        # Of an event that hardly began, some bytes pass for text.
        assert usage.output_tokens == pytest.approx(50, abs=LONG / 4)
    whole = fed(said * 40 + last, outcome=Outcome.CLIENT_GONE)
    assert (whole.input_tokens, whole.output_tokens, whole.reported) == (10, 4000, True)


@pytest.mark.parametrize("long", [b"", b"a" * 1_200_000])
def test_nor_where_only_the_end_of_that_event_was_kept(long: bytes) -> None:
    tools = [{"type": "function", "parameters": {f"x{i}": NOTHING for i in range(1500)}}]
    last = completed(tools, long.decode(), metadata={"usage": '{"output_tokens":0}'})

    for cut in (90, 200, 2_000):
        assert not fed(last[:-cut], outcome=Outcome.CLIENT_GONE).reported
    for outcome in (Outcome.CLIENT_GONE, Outcome.COMPLETED):
        whole = fed(last, outcome=outcome)
        assert (whole.output_tokens, whole.reported) == (4000, True)


def test_a_document_that_was_cut_short_reports_nothing() -> None:
    body = msgspec.json.encode({"tools": [NOTHING], "usage": {"prompt_tokens": 1}})

    for blanks in (0, 2 * MIB):
        for cut in range(1, len(body)):
            gone = fed(b" " * blanks + body[:-cut], streams.JSON, Outcome.CLIENT_GONE, 4 * MIB)
            assert not gone.reported
            assert gone.input_tokens is None


@pytest.mark.parametrize(("cut", "written"), [(0, 7), (1, 7), (12, 6), (300, 4), (10_000, None)])
def test_of_an_array_of_answers_that_was_cut_the_last_whole_one_counts(
    cut: int, written: int | None
) -> None:
    body = streams.SAMPLES["gemini-array"].body
    kept = body[: max(1, len(body) - cut)]

    usage = fed(kept, streams.JSON, Outcome.CLIENT_GONE)

    assert (usage.input_tokens, usage.output_tokens) == (written and 9, written)


@pytest.mark.parametrize(
    ("event", "read"),
    [
        ({"message": "hi", "usage": {"prompt_tokens": 3}}, 3),
        ({"message": "hi", "response": {"usage": {"prompt_tokens": 3}}}, 3),
        ({"usage": 5, "response": {}, "message": {"usage": {"input_tokens": 3}}}, 3),
        ({"usage": 5, "response": {}, "delta": {"usage": {"input_tokens": 3}}}, 3),
        ({"response": "hi", "delta": 5, "usageMetadata": {"promptTokenCount": 3}}, 3),
        ({"message": "hi", "tools": [{"usage": {"prompt_tokens": 3}}], "delta": 5}, None),
    ],
)
def test_what_counts_is_found_beside_members_of_odd_types(
    event: dict[str, Any], read: int | None
) -> None:
    found = counts_in(msgspec.json.encode(event))

    assert (None if found is None else found.read) == read


@pytest.mark.parametrize("coding", sorted(PACK))
@pytest.mark.parametrize("plain", [b"\n", b"\r\n", b"\0", b'data: {"usage":{}}\n\n'])
@pytest.mark.parametrize("kind", KINDS)
def test_a_bomb_is_decoded_no_further_than_its_bound(
    coding: bytes, plain: bytes, kind: bytes
) -> None:
    bomb = PACK[coding](plain * (50_000_000 // len(plain)))[:65_536]

    decoder = decoder_for(coding)
    assert decoder is not None
    sizes = [len(piece) for piece in decoder.feed(bomb)]

    assert decoder.failed
    assert sum(sizes) <= 1.5 * MIB
    subject = reader(kind, coding)
    tracemalloc.start()
    try:
        assert subject.feed(bomb) == bomb
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # What zlib, brotli and zstandard hold themselves is not traced.
    assert peak < 24 * MIB
    assert not subject.usage(Outcome.COMPLETED, 200).reported


@pytest.mark.parametrize("coding", sorted(PACK))
def test_an_honest_stream_of_megabytes_is_read_to_its_end(coding: bytes) -> None:
    body = streams.openai_stream(30_000)
    packed = PACK[coding](body)
    subject = reader(SSE, coding)

    for at in range(0, len(packed), 4096):
        subject.feed(packed[at : at + 4096])
    found = subject.usage(Outcome.COMPLETED, 200)

    assert len(body) > 4 * MIB
    assert (found.output_tokens, found.reported) == (30_000, True)


def test_what_follows_the_end_of_a_compressed_answer_costs_nothing() -> None:
    decoder = decoder_for(b"gzip")
    assert decoder is not None

    plain = b"".join(decoder.feed(gzip.compress(b"x") + bytes(MIB)))
    more = within(0.5, lambda: b"".join(decoder.feed(bytes(4 * MIB))))

    assert (plain, more, decoder.failed) == (b"x", b"", False)


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\n"])
def test_of_many_events_at_once_the_first_and_the_last_are_read(
    monkeypatch: pytest.MonkeyPatch, end: bytes
) -> None:
    kind = streams.NDJSON if end == b"\n" else SSE
    looked: list[bytes] = []

    def counted(event: bytes) -> Any:
        looked.append(event)
        return counts_in(event)

    monkeypatch.setattr(usage, "counts_in", counted)
    head = b"" if end == b"\n" else b"data: "
    body = b"".join(head + b'{"usage":{"output_tokens":%d}}' % i + end for i in range(50_000))

    for hide in (False, True):
        looked.clear()
        subject = reader(kind, hide=hide)
        assert subject.feed(body) == body
        assert subject.usage(Outcome.COMPLETED, 200).output_tokens == 49_999
        assert len(looked) <= 2 * 512
        assert b":0}" in looked[0]


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize(
    "unit", [b"\n", b"\r\n", b"a\n\n", b"a\n\r\n", b"a", b"\n" + b"b" * 70_000]
)
def test_of_a_large_piece_little_is_split_and_nothing_lost(unit: bytes, lines: bool) -> None:
    data = unit * (max(2, 300_000 // len(unit)))

    first, between, last = parted(data, lines)

    assert b"".join(first) + between + b"".join(last) == data
    assert sum(map(len, [*first, *last])) <= 64 * 1024 + 2 * len(max(split(data, lines), key=len))
    assert list(each(data[:1000], lines)) == split(data[:1000], lines)


def test_of_a_thousand_events_that_may_count_the_outer_ones_are_worth_reading() -> None:
    numbers = worth([b'"usage'] * 1000, False)

    assert numbers == [*range(32), *range(520, 1000)]


@pytest.mark.parametrize("plain", [b"\n", b"\r\n", b"\n\n", b'data: {"usage":{}}\n\n', b'"usage\n'])
@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_of_nothing_takes_no_time(plain: bytes, kind: bytes) -> None:
    body = plain * (MIB // len(plain))

    # 1 to 10 ms on a busy machine.
    within(0.3, lambda: reader(kind).feed(body))


def test_what_is_said_again_is_not_counted_again() -> None:
    said = b"".join(
        streams.event({"type": "response.output_text.delta", "delta": "word "}) for _ in range(800)
    )
    tools = [{"type": "function", "parameters": {"x": "y" * 3000}}]
    created = {"type": "response.created", "response": {"tools": tools}}
    done = {"type": "response.output_text.done", "text": "word " * 800}
    last = completed(tools, "word " * 800)
    plain = fed(said, outcome=Outcome.CLIENT_GONE).output_tokens

    for end in (b"", last[:-5], last[: len(last) // 2]):
        body = streams.event(created) + said + streams.event(done, str(done["type"])) + end
        for size in (65_536, 700):
            usage = fed(body, outcome=Outcome.CLIENT_GONE, size=size)
            assert plain == 1000
            assert usage.output_tokens == pytest.approx(plain, abs=2)
            assert not usage.reported


def test_nor_where_it_is_too_long_to_be_kept() -> None:
    said = streams.event({"type": "response.output_text.delta", "delta": "word "}) * 40
    last = completed([], "x" * 3_000_000)

    for end in (last[:-20], last[:-20] + b"\n\n"):
        usage = fed(said + end, outcome=Outcome.CLIENT_GONE)
        assert usage.output_tokens == pytest.approx(50, abs=2)


@pytest.mark.parametrize(("size", "events"), [(LONG, 0), (LONG + 1, 1)])
@pytest.mark.parametrize("name", ["completed", "output_text.done", "created", "output_item.added"])
def test_only_long_events_are_looked_at_for_what_they_repeat(
    name: str, size: int, events: int
) -> None:
    head = b'data: {"type":"response.%b",' % name.encode()
    named = b"event: response.%b\r\ndata: {" % name.encode()

    for begun in (head, named):
        event = begun.ljust(size - 1, b"x") + b"\n"
        assert repeated(event + b"\n") == (events, size * events)
    delta = b'data: {"type":"response.output_text.delta",'.ljust(size, b"x")
    assert repeated(delta) == (0, 0)


def test_line_ends_that_two_kinds_of_blank_line_share_are_hardly_events() -> None:
    body = b"\n\n\r\n\n" + streams.event(streams.openai_delta("word"))

    assert fed(body).output_tokens in range(1, 5)


def test_deep_in_an_array_nothing_counts() -> None:
    piece = b'{"x":{"usageMetadata":{"promptTokenCount":1}}},'

    for count in (1, 2, 3):
        assert fed(b"[" + piece * count, streams.JSON, Outcome.CLIENT_GONE).input_tokens is None
