"""What Bedrock's streams cost, which come in Amazon's own frames."""

from __future__ import annotations

import base64
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.usage import UsageReader
from gateway_guard.core.usage_frames import Frames
from gateway_guard.types import Dialect, Outcome, Usage

TYPE = b"application/vnd.amazon.eventstream"


def frame(payload: object, kind: bytes = b"chunk") -> bytes:
    data = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    headers = b"\x0b:event-type\x07" + struct.pack(">H", len(kind)) + kind
    head = struct.pack(">II", len(headers) + len(data) + 16, len(headers))
    return head + b"crc1" + headers + data + b"crc2"


def said(text: str) -> dict[str, object]:
    return {"contentBlockIndex": 0, "delta": {"text": text}, "p": "abcdef"}


def inner(document: object) -> dict[str, str]:
    return {"bytes": base64.b64encode(msgspec.json.encode(document)).decode(), "p": "abc"}


def read(stream: bytes, *, by: int = 1 << 20, coding: bytes = b"") -> Usage:
    reader = UsageReader(Dialect.OTHER, content_type=TYPE, content_encoding=coding)
    for start in range(0, len(stream), by):
        piece = stream[start : start + by]
        assert reader.feed(piece) == piece
    assert reader.finish() == b""
    return reader.usage(Outcome.COMPLETED, 200)


WORDS = b"".join(frame(said("word " * 20)) for _ in range(200))
COUNTED = frame({"usage": {"inputTokens": 12, "outputTokens": 900, "totalTokens": 912}})
METRICS = {"inputTokenCount": 7, "outputTokenCount": 80, "invocationLatency": 5}
OWN = b"".join((
    frame(inner({"type": "message_start", "message": {"usage": {"output_tokens": 1}}})),
    frame(inner({"type": "content_block_delta", "delta": {"text": "a\nb"}})),
    frame(inner({"type": "message_stop", "amazon-bedrock-invocationMetrics": METRICS})),
))  # fmt: skip


@pytest.mark.parametrize(
    ("stream", "counts"), [(WORDS + COUNTED, (12, 900)), (OWN, (7, 80))], ids=["converse", "invoke"]
)
@given(by=st.integers(1, 3000))
def test_what_bedrock_counted_is_read_however_the_stream_is_cut(
    stream: bytes, counts: tuple[int, int], by: int
) -> None:
    usage = read(stream, by=by)

    assert (usage.input_tokens, usage.output_tokens) == counts
    assert usage.reported


def test_what_went_into_a_cache_was_read_and_what_came_from_it_was_not() -> None:
    cached = METRICS | {"cacheReadInputTokenCount": 900, "cacheWriteInputTokenCount": 50}
    # As Claude says it on Bedrock, before Bedrock itself does.
    own = {"input_tokens": 7, "cache_creation_input_tokens": 50, "cache_read_input_tokens": 900}
    invoked = frame(inner({"type": "message_start", "message": {"usage": own}})) + frame(
        inner({"type": "message_stop", "amazon-bedrock-invocationMetrics": cached})
    )
    conversed = WORDS + frame(
        {"usage": {"inputTokens": 7, "outputTokens": 80, "totalTokens": 1037,
                   "cacheReadInputTokens": 900, "cacheWriteInputTokens": 50}}
    )  # fmt: skip

    for stream in (invoked, conversed):
        usage = read(stream)
        assert (usage.input_tokens, usage.output_tokens) == (57, 80)


def test_a_stream_cut_before_its_counts_costs_what_was_delivered() -> None:
    usage = read(WORDS)

    assert usage.input_tokens is None
    assert not usage.reported
    assert usage.output_tokens == pytest.approx(200 * 25, rel=0.02)


@pytest.mark.parametrize(
    "rest",
    [b"\0" * 40, struct.pack(">II", 15, 0) + b"crc1", struct.pack(">II", 100, 90) + b"crc1",
     struct.pack(">II", 1 << 21, 0) + b"crc1", b"\xff" * 12],
)  # fmt: skip
def test_what_is_no_frame_is_read_no_further(rest: bytes) -> None:
    frames = Frames()

    assert list(frames.feed(frame({"a": 1}) + rest)) == [b'{"a":1}\n']
    assert frames.failed
    assert list(frames.feed(frame({"a": 1}))) == []
    assert not read(WORDS + rest + COUNTED).reported


@pytest.mark.parametrize(
    "payload",
    [b"", b"no JSON", b'{"bytes":"%"}', b'{"bytes":5}', frame(b"")[:20],
     msgspec.json.encode(inner({"amazon-bedrock-invocationMetrics": 5}))],
)  # fmt: skip
def test_a_payload_nobody_understands_counts_nothing(payload: bytes) -> None:
    usage = read(frame(payload) + COUNTED)

    assert (usage.input_tokens, usage.output_tokens) == (12, 900)


def test_frames_in_a_coding_are_not_read() -> None:
    assert read(WORDS + COUNTED, coding=b"gzip").output_tokens is None


@given(st.binary(max_size=200))
def test_any_bytes_give_lines_or_nothing(data: bytes) -> None:
    for line in Frames().feed(data):
        assert line.endswith(b"\n")
