"""What a response cost: the same, and the same bytes for the client, wherever the network cuts it;
never more kept than its bounds, and what a plain answer says is what CPython's `json` reads."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable
from typing import Any, Final

import brotli
import zstandard

from gateway_guard.core.usage import UsageReader
from gateway_guard.core.usage_whole import usage_of
from gateway_guard.types import Dialect, Outcome, Usage
from tests.fuzz.taken import Taken, cut

WORDS = (
    b"data: ", b"data:", b"\n\n", b"\r\n\r\n", b"\r\r", b"\n", b"event: message_delta\n",
    b": ping",
    b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}',
    b'"usage":null', b'"usage":{', b'"usageMetadata":{"promptTokenCount":5,"totalTokenCount":9}',
    b'{"done":true,"prompt_eval_count":26,"eval_count":7}\n', b"data: [DONE]\n\n", b'"delta":{',
    b'{"choices":[{"delta":{"content":"hi"}}]}',
    b'{"type":"message_delta","usage":{"output_tokens":9}}',
    b'"message":{"usage":{"input_tokens":1,"output_tokens":1}}', b"1e999", b"-1", b"NaN",
    b"[" * 50, b'{"usage":{"inputTokens":1,"outputTokens":2}}',
    b'"response":{"usage":{"input_tokens":2}}', b"id: 1\n", b"retry: 5\n", b"\xe2\x80\xa8",
    b"\x85", b"\x00", b"\xff",
)  # fmt: skip
_KINDS: Final = (
    b"text/event-stream", b"application/json", b"application/x-ndjson", b"text/plain", b"",
    b"text/event-stream; charset=utf-8",
)  # fmt: skip
_DIALECTS: Final = tuple(Dialect)
_PACK: Final[dict[bytes, Callable[[bytes], bytes]]] = {
    b"gzip": lambda data: gzip.compress(data, 1, mtime=0),
    b"deflate": lambda data: zlib.compress(data, 1),
    b"br": lambda data: brotli.compress(data, quality=1),
    b"zstd": lambda data: zstandard.compress(data, 1),
}
_CODINGS: Final = (b"", b"", b"", b"", b"", *_PACK, b"snappy")
#: Three line ends or more: where an event ends is not said by the first two alone.
_BLANKS: Final = re.compile(rb"(?:\r?\n){3}|\r\n\n|\n\r\n")


def read(
    pieces: list[bytes], dialect: Dialect, kind: bytes, coding: bytes, hide: bool
) -> tuple[bytes, Usage]:
    """Everything passed on, and the usage."""
    reader = UsageReader(dialect, content_type=kind, content_encoding=coding, hide_usage_chunk=hide)
    passed = [reader.feed(piece) for piece in pieces]
    passed.append(reader.finish())
    assert reader.finish() == b""
    return b"".join(passed), reader.usage(Outcome.COMPLETED, 200)


def plain_counts(data: bytes) -> tuple[int, int] | None:
    """OpenAI's counts of a plain answer, by CPython; None where it says none that are usual."""
    try:
        found: Any = json.loads(data)
        usage = found["usage"]
        counts = usage["prompt_tokens"], usage["completion_tokens"]
    except (ValueError, KeyError, TypeError, RecursionError, IndexError):
        return None
    if any(type(count) is not int or not 0 <= count < 10**9 for count in counts):
        return None
    # Members whose types are no API's leave the whole unread.
    others = {k: v for k, v in usage.items() if k not in ("prompt_tokens", "completion_tokens")}
    if others or set(found) != {"usage"} or data.count(b'"usage"') != 1:
        return None
    return counts if data.count(b'_tokens"') == 2 else None


def alike(one: Usage, other: Usage, body: bytes) -> bool:
    """Whether two usages are the same; what nobody reported may differ by blank lines too many,
    which count as events of their own or not."""
    if one == other or one.reported or not _BLANKS.search(body):
        return one == other
    return (
        (one.input_tokens, one.reported) == (other.input_tokens, other.reported)
        and one.output_tokens is not None
        and other.output_tokens is not None
        and abs(one.output_tokens - other.output_tokens) <= 2 + len(body) / 4
    )


def target(data: bytes) -> None:
    """What kind of response, where to cut, then its body, which is coded here."""
    taken = Taken(data)
    kind, coding, dialect = taken.pick(_KINDS), taken.pick(_CODINGS), taken.pick(_DIALECTS)
    hide, where = bool(taken.byte() & 1), taken.piece(6)
    rest = taken.rest()
    body = _PACK[coding](rest) if coding in _PACK else rest

    passed, usage = read([body], dialect, kind, coding, hide)

    for pieces in (cut(body, where), [body[at : at + 1] for at in range(len(body))]):
        again = read(pieces, dialect, kind, coding, hide)
        assert again[0] == passed, (body, pieces)
        assert alike(again[1], usage, rest), (body, pieces, again[1], usage)
    if coding or not hide or dialect is Dialect.ANTHROPIC or b"event-stream" not in kind:
        assert passed == body
    else:
        assert len(passed) <= len(body)
        assert passed == body or b'"usage' in body
    if coding in _PACK:
        # The same usage, coded or not.
        assert alike(usage, read([rest], dialect, kind, b"", False)[1], rest)
    assert (
        usage_of(rest, Outcome.COMPLETED, 200)
        == read([rest], Dialect.OTHER, b"application/json", b"", False)[1]
    )
    counts = plain_counts(rest)
    if counts is not None:
        found = usage_of(rest, Outcome.COMPLETED, 200)
        assert (found.input_tokens, found.output_tokens) == counts, rest
    for count in (usage.input_tokens, usage.output_tokens):
        assert count is None or 0 <= count <= 3 * 10**9
