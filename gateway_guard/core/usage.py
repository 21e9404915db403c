"""Reads what a response really cost while it passes by. Sans-I/O; changes no byte it passes on,
except that it can leave out the one event the guard itself asked for.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

from gateway_guard.core.usage_encoding import Decoder, decoder_for
from gateway_guard.core.usage_events import Counts, both_in, counts_in, delta_bytes, is_usage_chunk
from gateway_guard.types import Dialect, Outcome, Usage

#: Most bytes of a partial event held back from the client while hiding.
_HOLD: Final = 64 * 1024
#: Most bytes of one event or one JSON body kept to look for usage, and how much of the end is
#: kept beyond that: usage stands near the end of every known body.
_KEEP: Final = 1024 * 1024
_TAIL: Final = 64 * 1024
#: Events kept to estimate what was delivered: the first ones, then one in `_EVERY`.
_FIRST: Final = 8
_EVERY: Final = 16
_SAMPLES: Final = 24
#: Later than any event: no further samples.
_NEVER: Final = 1 << 62
_SAMPLE_BYTES: Final = 4096
#: Characters per token of ordinary text. Source: the usual rule of thumb, also bitrouter's and
#: open-ace's fallback; not measured here.
_BYTES_PER_TOKEN: Final = 4.0

#: How the names of the objects begin that count: `usage`, Gemini's `usageMetadata`.
_KEY: Final = b'"usage'
_NULLS: Final = (b'":null', b'": null')
#: How the name ends of what counts at the end of Ollama's lines.
_LINE_KEY: Final = b'eval_count"'

_SSE, _JSON, _OPAQUE, _LINES = 0, 1, 2, 3
_LINE_TYPES: Final = frozenset((
    b"application/x-ndjson", b"application/ndjson", b"application/jsonl",
    b"application/x-jsonlines", b"application/stream+json",
))  # fmt: skip
_PLAIN_JSON: Final = (_JSON, b"")


@lru_cache(maxsize=256)
def _form(content_type: bytes, content_encoding: bytes) -> tuple[int, bytes]:
    """How to read a response, and its content coding, empty for none."""
    kind = content_type.partition(b";")[0].strip().lower()
    coding = content_encoding.strip().lower()
    if coding == b"identity":
        coding = b""
    if kind == b"text/event-stream":
        return _SSE, coding
    if kind in _LINE_TYPES:
        return _LINES, coding
    return (_JSON if not kind or b"json" in kind else _OPAQUE), coding


@lru_cache(maxsize=256)
def is_plain_json(content_type: bytes, content_encoding: bytes) -> bool:
    """Whether `usage_of` reads such a response when it comes in one piece."""
    return _form(content_type, content_encoding) == _PLAIN_JSON


def usage_of(body: bytes, outcome: Outcome, status: int) -> Usage:
    """As a `UsageReader` that was fed all of a plain JSON body at once, for a third of the cost."""
    both = both_in(body) if len(body) <= _KEEP else None
    if both is not None:
        return Usage(
            input_tokens=both[0], output_tokens=both[1], outcome=outcome, status=status,
            reported=True,
        )  # fmt: skip
    counts = counts_in(body) if len(body) <= _KEEP else counts_in(body[-_TAIL:], fragment=True)
    if counts is not None:
        read, written = counts.read, counts.written
        if not counts.opening:
            if written is None and read is not None and counts.total is not None:
                written = max(0, counts.total - read)
            if written is not None:
                return Usage(
                    input_tokens=read, output_tokens=written, outcome=outcome, status=status,
                    reported=True,
                )  # fmt: skip
    reader = UsageReader(Dialect.OTHER)
    reader.feed(body)
    return reader.usage(outcome, status)


class UsageReader:
    """Reads usage out of one response.

    OpenAI (chat, completions, responses, embeddings, audio), Anthropic, Gemini, Ollama, Cohere,
    Bedrock's converse, llama.cpp and what vLLM adds; JSON, server-sent events and lines of JSON.
    The shape decides, not the dialect, so a translating upstream is read too. Compressed responses
    are decoded beside the stream, within bounds; hiding needs an uncompressed one.

    Args:
        dialect: whose API the client speaks; nothing is ever hidden from Anthropic clients.
        content_type: value of the response's header; empty when absent.
        content_encoding: likewise.
        hide_usage_chunk: leave out the event that carries only usage, because the guard and not
            the client asked for it.
    """

    __slots__ = (
        "_bytes", "_carry", "_closed", "_cut", "_decoder", "_events", "_hide", "_input", "_kind",
        "_next_sample", "_output", "_placeholder", "_samples", "_stream", "_total",
    )  # fmt: skip

    def __init__(
        self,
        dialect: Dialect,
        *,
        content_type: bytes = b"",
        content_encoding: bytes = b"",
        hide_usage_chunk: bool = False,
    ) -> None:
        self._kind, coding = _form(content_type, content_encoding)
        self._decoder: Decoder | None = None
        self._stream = self._kind == _SSE or self._kind == _LINES
        if coding and self._kind != _OPAQUE:
            self._decoder = decoder_for(coding)
            if self._decoder is None:
                self._kind = _OPAQUE
        self._hide = (
            hide_usage_chunk
            and self._kind == _SSE
            and self._decoder is None
            and dialect is not Dialect.ANTHROPIC
        )
        self._carry = bytearray()
        self._cut = False
        self._closed = False
        self._bytes = 0
        self._events = 0
        self._next_sample = 0
        self._samples: list[bytes] = []
        self._input: int | None = None
        self._output: int | None = None
        self._placeholder = 0
        self._total: int | None = None

    def feed(self, chunk: bytes) -> bytes:
        """What to pass on to the client of `chunk`; empty when it is held back or hidden."""
        if self._decoder is None:
            if self._kind == _SSE:
                if self._carry:
                    return self._partial(chunk)
                # Nearly every chunk is one event of one line, or of two with its name: finding
                # line feeds costs a quarter of counting blank lines.
                end = len(chunk) - 2
                at = chunk.find(b"\n")
                if at != end and at >= 0:
                    at = chunk.find(b"\n", at + 1)
                if at != end or end < 0:
                    # Lines that end in CRLF: their last feed but one stands one byte earlier.
                    if not (end - 1 <= at <= end + 1 and chunk.endswith(b"\n\r\n")):
                        return self._partial(chunk)
                elif chunk[-1:] != b"\n":
                    return self._partial(chunk)
                events = self._events
                self._events = events + 1
                self._bytes += end + 2
                if events == self._next_sample:
                    self._sample(chunk, events, 1)
                at = chunk.rfind(_KEY)
                while at >= 0:
                    if not chunk.startswith(_NULLS, at + 6):
                        return self._with_usage([chunk])
                    at = chunk.rfind(_KEY, 0, at)
                return chunk
            if self._kind == _JSON:
                self._collect(chunk)
            elif self._kind == _LINES:
                self._of_lines(chunk)
            elif self._stream:
                self._bytes += len(chunk)
            return chunk
        for plain in self._decoder.feed(chunk):
            if self._kind == _SSE:
                self._partial(plain)
            elif self._kind == _LINES:
                self._of_lines(plain)
            else:
                self._collect(plain)
        if self._decoder.failed:
            self._give_up()
        return chunk

    def finish(self) -> bytes:
        """What was held back, at the end of the response. Further calls return nothing."""
        if self._closed:
            return b""
        self._closed = True
        rest = bytes(self._carry)
        self._carry.clear()
        if self._kind == _JSON:
            self._note(counts_in(rest, fragment=self._cut))
            return b""
        if not self._stream or self._kind == _OPAQUE or not rest.strip():
            return rest if self._hide else b""
        held = self._hide
        rest = self._whole(rest)
        return rest if held else b""

    def usage(self, outcome: Outcome, status: int) -> Usage:
        """What the exchange cost, as far as anybody said or could be seen.

        Without the upstream's own count: a refusal by the upstream (status 400 and above) cost
        nothing; a stream cost what was delivered of it, estimated; anything else is unknown.
        """
        self.finish()
        read, written, reported = self._input, self._output, True
        if written is None and read is not None and self._total is not None:
            written = max(0, self._total - read)
        if written is None:
            reported = False
            if status >= 400:
                read, written = read or 0, self._placeholder
            elif self._stream:
                written = max(self._placeholder, self._estimate())
        return Usage(
            input_tokens=read, output_tokens=written, outcome=outcome, status=status,
            reported=reported,
        )  # fmt: skip

    def _partial(self, chunk: bytes) -> bytes:
        """Server-sent events cut anywhere."""
        carry = self._carry
        start = max(0, len(carry) - 3)
        carry += chunk
        lf, crlf = carry.rfind(b"\n\n", start), carry.rfind(b"\n\r\n", start)
        if lf < 0 and crlf < 0:
            return self._held(chunk)
        cut = lf + 2 if lf > crlf else crlf + 3
        whole = bytes(carry[:cut])
        del carry[:cut]
        passed = self._whole(whole)
        self._cut = False
        if self._hide:
            if len(carry) > _HOLD:
                return passed + self._stop_hiding()
            return passed
        return chunk

    def _of_lines(self, chunk: bytes) -> None:
        """Lines of JSON cut anywhere; nothing is ever held back of them."""
        carry = self._carry
        carry += chunk
        cut = carry.rfind(b"\n") + 1
        if not cut:
            self._held(chunk)
            return
        whole = bytes(carry[:cut])
        del carry[:cut]
        self._whole(whole)
        self._cut = False

    def _held(self, chunk: bytes) -> bytes:
        """No event ended in `chunk`."""
        carry = self._carry
        if self._hide:
            return b"" if len(carry) <= _HOLD else self._stop_hiding()
        if len(carry) > _KEEP:
            self._bytes += len(carry) - _TAIL
            del carry[:-_TAIL]
            self._cut = True
        return chunk

    def _stop_hiding(self) -> bytes:
        self._hide = False
        return bytes(self._carry)

    def _whole(self, data: bytes) -> bytes:
        """Whole events; returns them without the hidden one."""
        lines = self._kind == _LINES
        events = data.count(b"\n") if lines else data.count(b"\n\n") + data.count(b"\n\r\n")
        events = events or 1
        self._bytes += len(data)
        before = self._events
        self._events = before + events
        if self._events > self._next_sample:
            self._sample(data, before, events)
        if _KEY in data or (lines and _LINE_KEY in data):
            return self._with_usage(_lines(data) if lines else _split(data))
        return data

    def _with_usage(self, events: list[bytes]) -> bytes:
        kept: list[bytes] = []
        lines = self._kind == _LINES
        for event in events:
            if _KEY in event or (lines and _LINE_KEY in event):
                counts = counts_in(event, fragment=self._cut)
                self._note(counts)
                if self._hide and counts is not None and is_usage_chunk(event):
                    continue
            kept.append(event)
        return b"".join(kept)

    def _note(self, counts: Counts | None) -> None:
        """Cumulative counts: the last value of each wins."""
        if counts is None:
            return
        if counts.read is not None:
            self._input = counts.read
        if counts.total is not None:
            self._total = counts.total
        if counts.written is not None:
            if counts.opening:
                self._placeholder = counts.written
            else:
                self._output = counts.written

    def _sample(self, data: bytes, first: int, events: int) -> None:
        """Keep the events that are due, by their number: the same however the stream is cut."""
        samples = self._samples
        if self._kind == _LINES:
            parts = _lines(data)
        else:
            parts = _split(data) if events > 1 else [data]
        for number, event in enumerate(parts, first):
            if number == self._next_sample:
                if len(event) <= _SAMPLE_BYTES:
                    samples.append(event)
                step = 1 if number + 1 < _FIRST else _EVERY - number % _EVERY
                self._next_sample = number + step if len(samples) < _SAMPLES else _NEVER

    def _estimate(self) -> int:
        """Tokens delivered: bytes of text over four, and at least one for each event with text.

        Sampled events tell how much of an event is not text; that much is taken off every other.
        A stream of which nothing can be read counts by its bytes alone.
        """
        text = size = events = speaking = overhead = 0
        for event in self._samples:
            said = delta_bytes(event)
            if said is None:
                continue
            events += 1
            size += len(event)
            text += said
            if said:
                speaking += 1
                overhead += len(event) - said
        if not events:
            return math.ceil(self._bytes / _BYTES_PER_TOKEN)
        rest, rest_bytes = self._events - events, self._bytes - size
        said_by_all = float(text)
        spoke = float(speaking)
        if rest > 0 and speaking:
            said_by_all += max(0.0, rest_bytes - rest * overhead / speaking)
            spoke += rest * speaking / events
        return math.ceil(max(said_by_all / _BYTES_PER_TOKEN, spoke))

    def _collect(self, chunk: bytes) -> None:
        carry = self._carry
        carry += chunk
        if len(carry) > _KEEP:
            del carry[:-_TAIL]
            self._cut = True

    def _give_up(self) -> None:
        self._decoder = None
        self._kind = _OPAQUE
        self._carry.clear()


def _lines(data: bytes) -> list[bytes]:
    """Lines with their ends, which are line feeds: `splitlines` takes a lone CR for one."""
    lines = [line + b"\n" for line in data.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _split(data: bytes) -> list[bytes]:
    """Events with their separators; joined they are `data` again."""
    if b"\r" not in data:
        pieces = [piece + b"\n\n" for piece in data.split(b"\n\n")]
        pieces[-1] = pieces[-1][:-2]
        return pieces if pieces[-1] else pieces[:-1]
    events = []
    start = 0
    # Each mark is looked for once beyond where it was found: a stream may have only one of them.
    lf, crlf = data.find(b"\n\n"), data.find(b"\n\r\n")
    while start < len(data):
        if 0 <= lf < start:
            lf = data.find(b"\n\n", start)
        if 0 <= crlf < start:
            crlf = data.find(b"\n\r\n", start)
        if lf >= 0 and (crlf < 0 or lf < crlf):
            end = lf + 2
        else:
            end = crlf + 3 if crlf >= 0 else len(data)
        events.append(data[start:end])
        start = end
    return events
