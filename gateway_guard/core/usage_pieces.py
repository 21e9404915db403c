"""Where the events of a stream end, which of them are worth reading, and which say nothing new."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

#: How the names of the objects begin that count: `usage`, Gemini's `usageMetadata`.
KEY: Final = b'"usage'
#: How the object is named in which SGLang's own API counts.
META: Final = b'"meta_info'
#: How the name ends of what counts at the end of Ollama's lines.
_LINE_KEY: Final = b'eval_count"'

#: Of more bytes at once only the first and the last are looked into, and of more events that may
#: count only so many: counts are cumulative, so the last ones say all, but for what Anthropic says
#: in the first. Both bound what others wait for: the worst 128 KiB take 7 to 10 ms. vLLM's
#: `continuous_usage_stats` has 300 counts in 64 KiB.
_HEAD: Final = 16 * 1024
_TAIL: Final = 48 * 1024
_FIRST: Final = 32
_LAST: Final = 480

#: Events of OpenAI's responses that repeat what the client asked for or what was said before; vLLM
#: names the type last in the data, hence the name of the event.
_REPEATS: Final = re.compile(
    rb"(?:event: ?response\.[a-z_.]{0,64}?(?:done|completed|incomplete|failed|created|in_progress"
    rb"|queued|added)\r?\ndata:"
    rb'|data: ?\{"type": ?"response\.[a-z_.]{0,64}?(?:done|completed|incomplete|failed|created'
    rb'|in_progress|queued|added)")[^\n]*+\n?'
)
#: Shorter ones are as much wrapping as other events are, bytes.
LONG: Final = 256
#: Most of them looked for in one piece.
_MANY: Final = 256


def may_count(event: bytes, lines: bool, key: bytes = KEY) -> bool:
    """Whether an event, or line, may report counts in an object whose name begins with `key`."""
    return key in event or (lines and _LINE_KEY in event)


def each(data: bytes, lines: bool) -> Iterator[bytes]:
    """Events with their separators, or lines with their ends; joined they are `data` again."""
    # Each mark is looked for once beyond where it was found: a stream may have only one of them.
    start, lf, crlf = 0, -2, -1
    if not lines and b"\r" in data:
        crlf = data.find(b"\n\r\n")
    mark = b"\n" if lines else b"\n\n"
    while start < len(data):
        if lf != -1 and lf < start:
            lf = data.find(mark, start)
        if 0 <= crlf < start:
            crlf = data.find(b"\n\r\n", start)
        if lf >= 0 and (crlf < 0 or lf < crlf):
            end = lf + len(mark)
        else:
            end = crlf + 3 if crlf >= 0 else len(data)
        yield data[start:end]
        start = end


def split(data: bytes, lines: bool) -> list[bytes]:
    """All of `each`. Of lines, the ends are line feeds: `splitlines` takes a lone CR for one."""
    if not lines and b"\r" in data:
        return list(each(data, lines))
    mark = b"\n" if lines else b"\n\n"
    pieces = [piece + mark for piece in data.split(mark)]
    pieces[-1] = pieces[-1][: -len(mark)]
    return pieces if pieces[-1] else pieces[:-1]


def ends(data: bytes) -> int:
    """Where the last whole event ends in `data`, or 0."""
    lf, crlf = data.rfind(b"\n\n"), data.rfind(b"\n\r\n")
    return 0 if lf < 0 and crlf < 0 else (lf + 2 if lf > crlf else crlf + 3)


def parted(data: bytes, lines: bool) -> tuple[list[bytes], bytes, list[bytes]]:
    """The first events, what lies between and is not looked into, and the last events."""
    if len(data) <= _HEAD + _TAIL:
        return [], b"", split(data, lines)
    before = data[: len(data) - _TAIL]
    start = before.rfind(b"\n") + 1 if lines else ends(before)
    # It may have one line end more than it needs.
    head = before[: min(start, _HEAD)]
    stop = head.rfind(b"\n") + 1 if lines else ends(head)
    if not stop:
        # The first event is longer.
        stop = min(start, len(next(each(data, lines))))
    return split(data[:stop], lines), data[stop:start], split(data[start:], lines)


def worth(events: list[bytes], lines: bool, key: bytes = KEY) -> list[int]:
    """The numbers of the events to read, in order."""
    found = [number for number, event in enumerate(events) if may_count(event, lines, key)]
    return found if len(found) <= _FIRST + _LAST else found[:_FIRST] + found[-_LAST:]


def repeated(data: bytes) -> tuple[int, int]:
    """How many long events in `data` repeat what is known, and their bytes."""
    events = size = 0
    if b"response." in data:
        for found in islice(_REPEATS.finditer(data), _MANY):
            length = found.end() - found.start()
            if length > LONG:
                events += 1
                size += length
    return events, size


def repeats(begun: bytes) -> bool:
    """Whether an event that begins like this does."""
    return _REPEATS.search(begun) is not None
