"""Reads what a response really cost while it passes by. Sans-I/O; changes no byte it passes on,
except that it can leave out the one event the guard itself asked for.
"""

from __future__ import annotations

from typing import Final

from gateway_guard.core.usage_encoding import (
    JSON,
    LINES,
    OPAQUE,
    SSE,
    Unwrapping,
    decoder_for,
    form,
)
from gateway_guard.core.usage_estimate import tokens
from gateway_guard.core.usage_events import (
    Counts,
    counts_in,
    last_of_array,
    last_usage,
)
from gateway_guard.core.usage_key import key_in
from gateway_guard.core.usage_pieces import (
    KEY,
    LONG,
    each,
    may_count,
    parted,
    repeated,
    repeats,
    worth,
)
from gateway_guard.core.usage_text import is_usage_chunk
from gateway_guard.core.usage_untold import least_of_bytes, least_of_json
from gateway_guard.types import Dialect, Outcome, Usage

#: Most bytes of a partial event held back from the client while hiding.
_HOLD: Final = 64 * 1024
#: Most bytes of one event or one JSON body kept to look for usage, and how much of the end is
#: kept beyond that: usage stands near the end of every known body.
KEEP: Final = 1024 * 1024
_TAIL: Final = 64 * 1024
#: Events kept to estimate what was delivered: the first ones, then one in `_EVERY`.
_FIRST: Final = 8
_EVERY: Final = 16
_SAMPLES: Final = 24
#: Later than any event: no further samples.
_NEVER: Final = 1 << 62
_SAMPLE_BYTES: Final = 4096
_NULLS: Final = (b'":null', b'": null')
#: Compressed bytes read at a time: as many as come in one chunk, mostly.
_GULP: Final = 64 * 1024
#: Longest array whose last whole element is looked for, of a body that was cut.
_ARRAY: Final = 256 * 1024


class UsageReader:
    """Reads usage out of one response.

    OpenAI (chat, completions, responses, embeddings, audio), Anthropic, Gemini, Ollama, Cohere,
    Bedrock, llama.cpp and what vLLM adds; JSON, server-sent events, lines of JSON, Amazon's frames.
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
        "_answers", "_bytes", "_carry", "_closed", "_cut", "_decoder", "_events", "_hide", "_input",
        "_key", "_kind", "_next_sample", "_output", "_placeholder", "_repeated", "_repeating",
        "_repeats", "_rest", "_samples", "_stream", "_total", "_type", "_untold",
    )  # fmt: skip

    def __init__(
        self,
        dialect: Dialect,
        *,
        content_type: bytes = b"",
        content_encoding: bytes = b"",
        hide_usage_chunk: bool = False,
    ) -> None:
        self._kind, coding = form(content_type, content_encoding)
        self._decoder: Unwrapping | None = None
        self._stream = self._kind == SSE or self._kind == LINES
        if coding and self._kind != OPAQUE:
            self._decoder = decoder_for(coding)
            if self._decoder is None:
                self._kind = OPAQUE
        self._hide = (
            hide_usage_chunk
            and self._kind == SSE
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
        # Events that say nothing new, and their bytes; whether the one that is cut does.
        self._repeats = self._repeated = 0
        self._repeating = False
        self._rest = self._untold = b""
        self._type = content_type
        # How the object that counts is named, and tokens written of each of SGLang's answers.
        self._key = KEY
        self._answers: dict[int, int] = {}
        self._input: int | None = None
        self._output: int | None = None
        self._placeholder = 0
        self._total: int | None = None

    def feed(self, chunk: bytes) -> bytes:
        """What to pass on to the client of `chunk`; empty when it is held back or hidden."""
        if self._decoder is None:
            if self._kind == SSE:
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
                if end > LONG:
                    self._note_repeats(chunk)
                if events == self._next_sample:
                    self._sample(chunk, events)
                at = chunk.rfind(self._key)
                while at >= 0:
                    if not chunk.startswith(_NULLS, at + 6):
                        return self._counted([chunk])
                    at = chunk.rfind(self._key, 0, at)
                return chunk
            if self._kind == JSON:
                self._collect(chunk)
            elif self._kind == LINES:
                self._of_lines(chunk)
            else:
                self._bytes += len(chunk)
            return chunk
        for start in range(0, len(chunk), _GULP):
            plain = b"".join(self._decoder.feed(chunk[start : start + _GULP]))
            if self._kind == SSE:
                self._partial(plain)
            elif self._kind == LINES:
                self._of_lines(plain)
            else:
                self._collect(plain)
            if self._decoder.failed:
                self._give_up()
                break
        return chunk

    def finish(self) -> bytes:
        """What was held back, at the end of the response. Further calls return nothing."""
        if self._closed:
            return b""
        self._closed = True
        rest = bytes(self._carry)
        self._carry.clear()
        if self._kind == JSON:
            counts = None if self._cut else counts_in(rest)
            self._rest = rest if counts is None else b""
            self._untold = b"" if self._cut else self._rest
            self._note(counts)
            return b""
        if not self._stream or self._kind == OPAQUE or not rest.strip():
            return rest if self._hide else b""
        held = self._hide
        if self._cut:
            self._rest = rest
        rest = self._whole(rest, ended=False)
        return rest if held else b""

    def usage(self, outcome: Outcome, status: int) -> Usage:
        """What the exchange cost, as far as anybody said or could be seen.

        Without the upstream's own count: a refusal by the upstream (status 400 and above) cost
        nothing; a stream cost what was delivered of it, estimated; anything else is unknown.
        """
        self.finish()
        if self._rest:
            self._read_rest(outcome)
        read, written, reported = self._input, self._output, True
        if written is None and read is not None and self._total is not None:
            written = max(0, self._total - read)
        if written is None or (not written and self._stream and outcome is not Outcome.COMPLETED):
            # A 0 said at the beginning of a stream that was cut is no count of what came after it.
            reported = False
            if status >= 400:
                read, written = read or 0, self._placeholder
            elif self._stream:
                count, size = self._events - self._repeats, self._bytes - self._repeated
                written = max(self._placeholder, tokens(self._samples, count, size))
        return Usage(
            input_tokens=read, output_tokens=written, outcome=outcome, status=status,
            reported=reported,
        )  # fmt: skip

    def least(self) -> int:
        """Tokens written at the least, where `usage` does not know how many."""
        if self._kind == OPAQUE:
            return least_of_bytes(self._type, self._bytes)
        return least_of_json(self._untold) if self._untold else 0

    def _read_rest(self, outcome: Outcome) -> None:
        """Look for counts in what cannot be read as JSON. Where it was cut short, what stands last
        in it may be anything the upstream repeats of what the client wrote.
        """
        rest, self._rest = self._rest, b""
        if outcome is Outcome.COMPLETED:
            holder = self._stream or rest.rstrip().endswith(b"]")
            self._note(last_usage(rest, 2 if holder else 1))
        elif not self._cut and len(rest) <= _ARRAY and rest.startswith(b"["):
            self._note(last_of_array(rest))

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
        start = len(carry)
        carry += chunk
        cut = carry.rfind(b"\n", start) + 1
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
        if len(carry) > KEEP:
            dropped = len(carry) - _TAIL
            self._bytes += dropped
            if not self._cut and self._kind == SSE:
                self._repeating = repeats(bytes(carry[:LONG]))
            if self._repeating:
                self._repeated += dropped
            del carry[:-_TAIL]
            self._cut = True
        return chunk

    def _stop_hiding(self) -> bytes:
        self._hide = False
        return bytes(self._carry)

    def _whole(self, data: bytes, *, ended: bool = True) -> bytes:
        """Whole events, the last of which may have been cut; returns them without the hidden one.

        Of an event whose beginning was dropped, the end is looked into when it is whole.
        """
        lines = self._kind == LINES
        events = data.count(b"\n") if lines else data.count(b"\n\n") + data.count(b"\n\r\n")
        self._bytes += len(data)
        before = self._events
        self._events = before + (events or 1)
        if self._cut:
            first = next(each(data, lines))
            if self._repeating:
                self._repeats += 1
                self._repeated += len(first)
                self._repeating = False
            if ended and may_count(first, lines, self._key):
                self._note(last_usage(first))
            passed, data = first, data[len(first) :]
            return passed + self._rest_of(data, before + 1) if data else passed
        return self._rest_of(data, before)

    def _rest_of(self, data: bytes, before: int) -> bytes:
        lines = self._kind == LINES
        if len(data) > LONG and not lines:
            self._note_repeats(data)
        if self._events > self._next_sample:
            self._sample(data, before)
        if not may_count(data, lines, self._key):
            return data
        first, between, last = parted(data, lines)
        return self._counted(first) + between + self._counted(last)

    def _counted(self, events: list[bytes]) -> bytes:
        hidden = []
        for number in worth(events, self._kind == LINES, self._key):
            event = events[number]
            counts = counts_in(event)
            self._note(counts)
            if self._hide and counts is not None and is_usage_chunk(event):
                hidden.append(number)
        for number in reversed(hidden):
            del events[number]
        return b"".join(events)

    def _note_repeats(self, data: bytes) -> None:
        events, size = repeated(data)
        self._repeats += events
        self._repeated += size

    def _note(self, counts: Counts | None) -> None:
        """Cumulative counts: the last value of each wins, but for a 0 behind a count: translators
        fill in what they do not know.
        """
        if counts is None:
            return
        if counts.read or (counts.read is not None and not self._input):
            # Of several prompts nobody says which of them an answer read.
            self._input = counts.read if len(self._answers) < 2 else None
        if counts.total is not None:
            self._total = counts.total
        if counts.answer is not None and counts.written is not None:
            self._answers[counts.answer] = counts.written
            self._output = sum(self._answers.values())
        elif counts.written is not None:
            if counts.opening:
                self._placeholder = counts.written
            elif counts.written or not self._output:
                self._output = counts.written

    def _sample(self, data: bytes, first: int) -> None:
        """Keep the events that are due, by their number: the same however the stream is cut."""
        samples = self._samples
        if not first:
            self._key = key_in(data, self._kind == LINES)
        for number, event in enumerate(each(data, self._kind == LINES), first):
            if number == self._next_sample:
                if len(event) <= _SAMPLE_BYTES:
                    samples.append(event)
                step = 1 if number + 1 < _FIRST else _EVERY - number % _EVERY
                self._next_sample = number + step if len(samples) < _SAMPLES else _NEVER
                if self._next_sample >= self._events:
                    return

    def _collect(self, chunk: bytes) -> None:
        carry = self._carry
        carry += chunk
        if len(carry) > KEEP:
            del carry[:-_TAIL]
            self._cut = True

    def _give_up(self) -> None:
        self._decoder = None
        self._kind = OPAQUE
        if self._stream:
            self._bytes += len(self._carry)
        self._carry.clear()
