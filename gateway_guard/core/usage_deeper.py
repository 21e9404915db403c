"""The counts of APIs that keep them in objects which others call the same. Pure and total.

| | the object | of a stream |
| --- | --- | --- |
| TGI | `details`, which the client has to ask for | in the last event, always |
| LM Studio | `stats` | in `result` of the last event |
| Cloudflare | `usage` in `result` | `usage`, as others |
| watsonx | each of `results` | not read |
"""

from __future__ import annotations

import contextlib
from typing import Final

import msgspec

from gateway_guard.errors import UNDECODABLE

#: What the first event of such a stream has in it, and how the member is named that counts in the
#: last one.
_TGI: Final = (b'"generated_text"', b'"generated_tokens')
_STUDIO: Final = (b'"chat.start"', b'"total_output_tokens')


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    token: msgspec.Raw = msgspec.Raw(b"")
    generated_text: msgspec.Raw = msgspec.Raw(b"")


class _Holder(msgspec.Struct, gc=False):
    details: msgspec.Raw = msgspec.Raw(b"")
    stats: msgspec.Raw = msgspec.Raw(b"")
    result: msgspec.Raw = msgspec.Raw(b"")
    results: msgspec.Raw = msgspec.Raw(b"")
    usage: msgspec.Raw = msgspec.Raw(b"")


class _Usage(msgspec.Struct, gc=False):
    """Cloudflare's."""

    completion_tokens: float
    prompt_tokens: float | None = None


class _Generated(msgspec.Struct, gc=False):
    """One of watsonx's."""

    generated_token_count: float
    input_token_count: float | None = None


class _Written(msgspec.Struct, gc=False):
    generated_tokens: float


class _Details(msgspec.Struct, gc=False):
    """TGI's, of the best of several answers; the others stand beside it."""

    generated_tokens: float
    input_length: float | None = None
    best_of_sequences: list[_Written] | None = None


class _Stats(msgspec.Struct, gc=False):
    """LM Studio's; thoughts are in the total."""

    total_output_tokens: float
    input_tokens: float | None = None


_event: Final = msgspec.json.Decoder(_Event).decode
_holder: Final = msgspec.json.Decoder(_Holder).decode
_holders: Final = msgspec.json.Decoder(list[_Holder]).decode
_details: Final = msgspec.json.Decoder(_Details).decode
_stats: Final = msgspec.json.Decoder(_Stats).decode

_usage: Final = msgspec.json.Decoder(_Usage).decode
_generated: Final = msgspec.json.Decoder(list[_Generated]).decode

_NEITHER: Final = (None, None)


def deeper(data: bytes) -> tuple[float | None, float | None]:
    """Tokens read and written by one answer, or a list of one (TGI at its root); None each where
    nobody says.
    """
    with contextlib.suppress(*UNDECODABLE):
        if not data.startswith(b"["):
            return _held(_holder(data))
        several = _holders(data)
        return _held(several[0]) if len(several) == 1 else _NEITHER
    return _NEITHER


def _held(found: _Holder) -> tuple[float | None, float | None]:
    if found.details:
        said = _details(found.details)
        others = sum(one.generated_tokens for one in said.best_of_sequences or ())
        return said.input_length, said.generated_tokens + others
    answers = _generated(found.results) if found.results else []
    if answers:
        asked = [one.input_token_count or 0.0 for one in answers]
        return sum(asked), sum(one.generated_token_count for one in answers)
    stats = found.stats
    if not stats and found.result:
        inner = _holder(found.result)
        if inner.usage:
            counted = _usage(inner.usage)
            return counted.prompt_tokens, counted.completion_tokens
        stats = inner.stats
    if not stats:
        return _NEITHER
    told = _stats(stats)
    return told.input_tokens, told.total_output_tokens


def counts_elsewhere(events: bytes) -> bool:
    """Whether a stream that begins so may count under another name than `usage`."""
    return _TGI[0] in events or _STUDIO[0] in events


def key_of(event: bytes) -> bytes | None:
    """How the member begins that counts in a stream, by the data of its first event; None for
    `usage`.

    What a client wrote, and an upstream repeats in its first event, stands deeper and says nothing.
    """
    try:
        opening = _event(event)
    except UNDECODABLE:
        return None
    if opening.type == "chat.start":
        return _STUDIO[1]
    return _TGI[1] if opening.token and opening.generated_text else None
