"""Amazon's event streams, in which Bedrock answers, as lines of JSON: read beside the stream,
bounded.

A frame is its length, that of its headers, a checksum, headers, payload and another checksum; all
numbers have four bytes. The payload of `converse-stream` is an event; that of
`invoke-with-response-stream` holds one of the model's own, in base64, the last of them with what
Bedrock counted.
Source: "Event stream encoding", smithy.io; "InvokeModelWithResponseStream", Bedrock's reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from gateway_guard.errors import UNDECODABLE

_PRELUDE: Final = 12
#: Most bytes of a frame; Amazon's own bound is 16 MB, a frame of text has a few hundred.
_MOST: Final = 1024 * 1024


class _Part(msgspec.Struct):
    inner: bytes = msgspec.field(name="bytes")


class _Metrics(msgspec.Struct):
    read: int = msgspec.field(name="inputTokenCount")
    written: int = msgspec.field(name="outputTokenCount")
    cached: int = msgspec.field(name="cacheWriteInputTokenCount", default=0)


class _Last(msgspec.Struct):
    metrics: _Metrics = msgspec.field(name="amazon-bedrock-invocationMetrics")


_part: Final = msgspec.json.Decoder(_Part).decode
_last: Final = msgspec.json.Decoder(_Last).decode


class Frames:
    """Reads one response.

    Attributes:
        failed: what came is no frame, or too long a one; nothing more comes.
    """

    __slots__ = ("_carry", "failed")

    def __init__(self) -> None:
        self._carry = bytearray()
        self.failed = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """A line for each frame that ends in `chunk`."""
        if self.failed:
            return
        carry = self._carry
        carry += chunk
        at = 0
        while len(carry) - at >= _PRELUDE:
            size = int.from_bytes(carry[at : at + 4], "big")
            start = _PRELUDE + int.from_bytes(carry[at + 4 : at + 8], "big")
            if not start + 4 <= size <= _MOST:
                self.failed = True
                return
            if len(carry) - at < size:
                break
            yield _line(bytes(carry[at + start : at + size - 4]))
            at += size
        del carry[:at]


def _line(payload: bytes) -> bytes:
    if payload.startswith(b'{"bytes"'):
        try:
            payload = _part(payload).inner
        except UNDECODABLE:
            return b"\n"
        if b"invocationMetrics" in payload:
            try:
                told = _last(payload).metrics
            except UNDECODABLE:
                return b"\n"
            # After what the model says of itself, which leaves some of it out.
            read = told.read + told.cached  # what went into a cache counts, what came from it not
            counts = b'{"usage":{"input_tokens":%d,"output_tokens":%d}}' % (read, told.written)
            return payload.replace(b"\n", b" ") + b"\n" + counts + b"\n"
    return payload.replace(b"\n", b" ") + b"\n"
