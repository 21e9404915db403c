"""What one response event or body says of its token counts. Pure and total."""

from __future__ import annotations

import contextlib
import re
from typing import Final

import msgspec

from gateway_guard.core.usage_deeper import deeper
from gateway_guard.core.usage_shapes import (
    Gemini,
    Holder,
    Numbers,
    Others,
    decode_event,
    decode_gemini,
    decode_holder,
    decode_index,
    decode_iterations,
    decode_loose,
    decode_numbers,
    decode_others,
    decode_pair,
    decode_several,
)
from gateway_guard.errors import UNDECODABLE

#: No upstream counts more tokens than this in one response; a larger number is noise. The largest
#: windows hold some 10^7; a -1 in 32 bits without a sign is 4.3 * 10^9, a week of 400,000 a minute.
_MOST: Final = 10**9
#: Longest usage object looked for in a fragment, bytes, and how far from its end one may end.
_LONGEST: Final = 4096
_AFTER: Final = 64 * 1024
#: Most objects tried in a fragment, from its end. Who can have an upstream write as many false ones
#: behind the true one has its usage unknown, so that an estimate counts.
_TRIED: Final = 16


class Counts(msgspec.Struct, frozen=True, gc=False):
    """Token counts one event reports; None for what it does not say.

    Attributes:
        read: input tokens; Anthropic's cache writes included, also on Bedrock, its cache reads not,
            as its own limits count (REFERENCE §4).
        written: output tokens, thoughts included: where an upstream leaves them out, they are in
            its total only (xAI, Gemini in OpenAI's form).
        total: both together.
        opening: stated before anything was written (Anthropic's `message_start`).
        answer: which of several answers they are of, where each is counted by itself (SGLang's).
    """

    read: int | None = None
    written: int | None = None
    total: int | None = None
    opening: bool = False
    answer: int | None = None


_JSON: Final = (b"{", b"[")
#: Most answers of SGLang's told apart in one stream.
_MOST_ANSWERS: Final = 4096


def payload(event: bytes) -> bytes:
    """The data of a server-sent event, its `data:` lines joined; a bare JSON body as it is."""
    if event.startswith(_JSON):
        return event
    at = event.find(b"data:")
    if at < 0:
        return event
    if event.find(b"\ndata:", at) < 0 and (at == 0 or event[at - 1 : at] == b"\n"):
        end = event.find(b"\n", at)
        return event[at + 5 : end if end >= 0 else None].strip()
    lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines)


def counts_in(event: bytes, *, fragment: bool = False) -> Counts | None:
    """The counts an event or body reports; None when it reports none.

    What is no whole JSON reports none: of an event that was cut short nobody knows whether what it
    says last is the upstream's count, or something like it that the client had written in its tools
    and the upstream repeats. `fragment` says that the beginning alone was not kept: see
    `last_usage`.
    """
    if fragment:
        return last_usage(event)
    data = payload(event)
    try:
        found = decode_event(data)
    except UNDECODABLE:
        return _otherwise(data) or _loosely(data)
    usage = found.usage
    if usage is not None:
        return _counts(usage)
    if found.response is not None and found.response.usage is not None:
        return _counts(found.response.usage)
    if found.message is not None and found.message.usage is not None:
        return _counts(found.message.usage, opening=True)
    return _otherwise(data)


def _loosely(data: bytes) -> Counts | None:
    """As `counts_in`, where a member beside the counts is not what it should be."""
    try:
        found = decode_loose(data)
    except UNDECODABLE:
        return None
    with contextlib.suppress(*UNDECODABLE):
        return _counts(decode_numbers(found.usage))
    for holder, opening in ((found.response, False), (found.message, True), (found.delta, False)):
        with contextlib.suppress(*UNDECODABLE):
            usage = decode_holder(holder).usage
            if usage is not None:
                return _counts(usage, opening=opening)
    with contextlib.suppress(*UNDECODABLE):
        return _of_gemini(decode_gemini(found.gemini))
    return None


def _otherwise(data: bytes) -> Counts | None:
    """The counts of APIs that have no `usage` at the top: Gemini, Ollama, llama.cpp, Cohere."""
    try:
        if data.startswith(b"["):
            return _together(decode_several(data)) or _told(*deeper(data))
        found = decode_others(data)
    except UNDECODABLE:
        return None
    if found.meta_info is not None:
        return _answered(found, found.meta_info)
    if found.gemini is not None:
        return _of_gemini(found.gemini)
    for holder in (found.interaction, found.x_groq):
        if holder is not None and holder.usage is not None:
            return _counts(holder.usage)
    delta, meta = found.delta, found.meta
    if isinstance(delta, Holder) and delta.usage is not None:
        return _counts(delta.usage)
    if meta is not None:
        pair = meta.tokens or meta.billed_units
        return None if pair is None else _told(pair.input_tokens, pair.output_tokens)
    read, written = found.prompt_eval_count, found.eval_count
    if read is None and written is None:
        read, written = found.tokens_evaluated, found.tokens_predicted
        if read is None and written is None:
            return _told(*deeper(data))
    return _told(read, written)


def _answered(found: Others, numbers: Numbers) -> Counts | None:
    """What one of SGLang's answers counts, which stand for themselves."""
    counts = _counts(numbers)
    try:
        answer = decode_index(found.index or b"0")
    except UNDECODABLE:
        return None
    if counts is None or not 0 <= answer < _MOST_ANSWERS:
        return None
    return Counts(counts.read, counts.written, answer=answer)


def _together(answers: list[Others]) -> Counts | None:
    """What all of SGLang's or llama.cpp's answers count; None where one of them does not."""
    read: int | None = 0
    written = 0
    for one in answers:
        if one.meta_info is None:
            counts = _told(one.tokens_evaluated, one.tokens_predicted)
        else:
            counts = _counts(one.meta_info)
        if counts is None or counts.written is None:
            return None
        # SGLang's may be of one prompt, which each of them counts.
        one_read = counts.read if one.meta_info is None or len(answers) == 1 else None
        read = None if read is None or one_read is None else read + one_read
        written += counts.written
    return Counts(read, written) if answers else None


def _told(read: float | None, written: float | None) -> Counts | None:
    asked, answered = _whole(read), _whole(written)
    return None if asked is None and answered is None else Counts(asked, answered)


def _of_gemini(numbers: Gemini) -> Counts | None:
    """Thoughts are written, results of tools are read. Numbers that are 0 are left out (proto3)."""
    read, total = _whole(numbers.prompt_token_count), _whole(numbers.total_token_count)
    if read is not None:
        read += _whole(numbers.tool_use_prompt_token_count) or 0
    answer = _whole(numbers.candidates_token_count)
    thoughts = _whole(numbers.thoughts_token_count)
    written = None if answer is None and thoughts is None else (answer or 0) + (thoughts or 0)
    if read is None and written is None and total is None:
        return None
    return Counts(read, written, total)


def both_in(body: bytes) -> tuple[int, int] | None:
    """Tokens read and written by a plain answer to a chat; None where `counts_in` must look."""
    if not body.startswith(b"{"):
        return None
    try:
        usage = decode_event(body).usage
    except UNDECODABLE:
        return None
    if usage is None:
        return None
    asked, answered, total = usage.prompt_tokens, usage.completion_tokens, usage.total_tokens
    if (
        asked is None or answered is None
        or not 0.0 <= asked <= _MOST or not 0.0 <= answered <= _MOST
        or (total is not None and total > asked + answered)
    ):  # fmt: skip
        return None
    return int(asked), int(answered)


#: Ollama's counts, where the object around them was not kept whole.
_EVALUATED: Final = re.compile(rb'"(prompt_eval_count|eval_count)"\s*:\s*([0-9]{1,13})\b')
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
#: An object and those in it, six deep; known ones are two. No brace stands in their strings.
_FLAT: Final = rb"[^{}]*+"
_ONE: Final = rb"[^{}]*+(?:\{%b\}[^{}]*+)*+"
_OBJECT: Final = re.compile(rb"\{" + _ONE % (_ONE % (_ONE % (_ONE % (_ONE % _FLAT)))) + rb"\}")
#: What may follow `"usage` in the name of the object that counts.
_COUNTERS: Final = (b'"', b'Metadata"')


def last_usage(text: bytes, deepest: int = 2) -> Counts | None:
    """The last counts in JSON whose beginning is lost and whose end is not.

    Those count that stand at most `deepest` objects or arrays deep, as the closing ones after them
    tell: 2 is `response.usage`. What a client wrote, in its tools for example, and an upstream
    repeats, stands deeper. At most `_TRIED` are looked at.
    """
    low = max(0, len(text) - _AFTER - _LONGEST)
    at = end = len(text)
    depth = 0
    for _ in range(_TRIED):
        at = text.rfind(b'"usage', low, at)
        if at < 0:
            break
        found = _usage_at(text, at)
        if found is None:
            continue
        # From where the one looked at before ends, which this one may hold.
        counts, ends = found
        depth += _closed(text[ends:end]) if ends < end else -_closed(text[end:ends])
        end = ends
        if depth <= deepest:
            return counts
    told: dict[bytes, float] = {}
    last = {count[1]: count for count in _EVALUATED.finditer(text, low)}
    for name, count in last.items():
        if _closed(text[count.end() :]) <= deepest:
            told[name] = float(count[2])
    return _told(told.get(b"prompt_eval_count"), told.get(b"eval_count"))


def last_of_array(text: bytes) -> Counts | None:
    """The last counts in an array of Gemini's answers that was cut anywhere behind them."""
    at = len(text)
    for _ in range(2):
        at = text.rfind(b'"usageMetadata"', 0, at)
        if at < 0:
            break
        found = _usage_at(text, at)
        if found is not None and _closed(text[:at]) == -2:
            return found[0]
    return None


def _usage_at(text: bytes, at: int) -> tuple[Counts, int] | None:
    """The counts in the object whose name begins at `at`, and where it ends."""
    start = text.find(b"{", at, at + 32)
    name = text[at + 6 : start].rstrip(b" :\r\n\t") if start >= 0 else b""
    whole = _OBJECT.match(text, start, start + _LONGEST) if name in _COUNTERS else None
    if whole is None:
        return None
    try:
        plain = name == b'"'
        counts = _counts(decode_numbers(whole[0])) if plain else _of_gemini(decode_gemini(whole[0]))
    except UNDECODABLE:
        return None
    return None if counts is None else (counts, whole.end())


def _closed(text: bytes) -> int:
    """How many objects and arrays JSON closes that it did not open; negative where it opens more.

    It begins outside any string.
    """
    bare = _STRING.sub(b"", text)
    return bare.count(b"}") + bare.count(b"]") - bare.count(b"{") - bare.count(b"[")


def _counts(numbers: Numbers, *, opening: bool = False) -> Counts | None:
    asked, answered = numbers.prompt_tokens, numbers.completion_tokens
    total = numbers.total_tokens
    if (
        asked is not None
        and answered is not None
        and 0.0 <= asked <= _MOST
        and 0.0 <= answered <= _MOST
        and (total is None or total <= asked + answered)
    ):
        # What nearly every answer says needs no second thought; nor a total beside both its parts.
        return Counts(int(asked), int(answered), None, opening)
    read, written = _whole(asked), _whole(answered)
    if numbers.tokens:
        with contextlib.suppress(*UNDECODABLE):
            pair = decode_pair(numbers.tokens)
            numbers.input_tokens, numbers.output_tokens = pair.input_tokens, pair.output_tokens
    # Where caches are counted apart, a total may hold what was read from them.
    cached, parts = _whole(numbers.cache_creation_input_tokens), True
    if read is None:
        read = _whole(numbers.input_tokens)
        parts = cached is None and not numbers.cache_read_input_tokens
        if read is None:
            read = _whole(numbers.input_bedrock)
            if read is not None:
                cached = _whole(numbers.cached_bedrock)
                cached = _whole(numbers.cached_nova) if cached is None else cached
            else:
                read = _sum(numbers.total_input_tokens, numbers.total_tool_use_tokens)
        # What went into a cache alone, as a delta of Anthropic's may say, is not all that was read.
        if read is not None and cached is not None:
            read += cached
    if written is None:
        written = _whole(numbers.output_tokens)
        if written is None:
            written = _whole(numbers.output_bedrock)
            if written is None:
                written = _sum(numbers.total_output_tokens, numbers.total_thought_tokens)
    both = _whole(total)
    if read is None and written is None:
        # A total alone is what rankers say, which write nothing.
        return None if both is None else Counts(both, 0, both, opening)
    if parts and both is not None and read is not None and written is not None:
        written = max(written, both - read)
    if numbers.iterations and read is not None and written is not None:
        asked, answered = _aside(numbers.iterations)
        read, written = read + asked, written + answered
    return Counts(read, written, both, opening)


#: Samplings that Anthropic's own counts of an answer leave out: summing up a conversation that has
#: grown too long, and what an advisor was asked.
#: Source: its guides on compaction and on the advisor tool (`usage.iterations`).
_ASIDE: Final = frozenset(("compaction", "advisor_message"))


def _aside(iterations: msgspec.Raw) -> tuple[int, int]:
    """Tokens read and written by those."""
    read = written = 0
    with contextlib.suppress(*UNDECODABLE):
        for one in decode_iterations(iterations):
            if one.type in _ASIDE:
                read += (_whole(one.input_tokens) or 0) + (
                    _whole(one.cache_creation_input_tokens) or 0
                )
                written += _whole(one.output_tokens) or 0
    return min(read, _MOST), min(written, _MOST)


def _sum(one: float | None, other: float | None) -> int | None:
    """Both parts of a count together; None when the first is not told."""
    first = _whole(one)
    return None if first is None else first + (_whole(other) or 0)


def _whole(number: float | None) -> int | None:
    return int(number) if number is not None and 0 <= number <= _MOST else None
