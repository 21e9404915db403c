"""A request body, read exactly as the upstream will read it, or not at all.

`read` undoes the content codings within a bound and parses JSON so strictly that CPython, serde and
JavaScript agree on what it says; forms as `core.forms` has it. Everything else has a name
(`Inspection`) and is judged as *unknown*.
"""

from __future__ import annotations

import functools
import json
import math
import re
import zlib
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

import ahocorasick_rs
import brotli
import msgspec
import zstandard

from gateway_guard.core import forms
from gateway_guard.types import Inspection

#: Deepest nesting read. serde_json stops at 128, others later; the deepest tool schemas seen have
#: 30.
MOST_DEPTH: Final = 96
#: Most content codings undone; a longer chain is an attack (compression bombs multiply).
MOST_CODINGS: Final = 2
#: A compressed body may unpack to so many times its size, or to so many bytes where that is more:
#: what it costs in memory is in proportion to what was sent. Prompts unpack to three to ten times.
#: Not measured on real traffic; Envoy's decompressor stops at 100, Apache's at 200.
MOST_GROWTH: Final = 20
ALWAYS_UNPACKED: Final = 256 * 1024
_ZSTD_WINDOW: Final = 8 * 1024 * 1024

#: Most objects and arrays read, most strings (names of members among them) and most commas between
#: values. The worst document of as many holds the event loop up for about 40 ms; embeddings of
#: 300,000 token numbers have fewer commas, conversations of 15,000 turns fewer strings.
MOST_CONTAINERS: Final = 25_000
MOST_STRINGS: Final = 64_000
MOST_COMMAS: Final = 320_000
#: Most numbers with an exponent of three digits: msgspec takes up to 8 us for each of those, a
#: hundred times as long as for others. No request has any.
MOST_EXTREMES: Final = 1_000
_EXTREME: Final = re.compile(rb"[eE][+-]?[0-9]{3}")

_BOM: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


class _Unreadable(Exception):  # noqa: N818 - control flow inside this module
    def __init__(self, why: Inspection) -> None:
        self.why = why
        super().__init__(why.value)


def media(content_types: list[bytes]) -> Inspection:
    """`FULL` when the lines of Content-Type declare UTF-8 JSON, else why not."""
    if len(content_types) != 1:
        return Inspection.CONTENT_TYPE
    value = content_types[0]
    return _media(value) if len(value) <= 256 else Inspection.CONTENT_TYPE


_MEDIA: Final = re.compile(rb"application/(?:json|[!#$&^_.+0-9a-z-]{1,127}\+json)")
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9a-z-]+"
#: In quotes there may be no semicolon, at which some readers divide whatever it stands in.
_PARAMETER: Final = re.compile(
    rb"[ \t]*;[ \t]*(?:(" + _TOKEN + rb")=(?:(" + _TOKEN + rb')|"([^";\\\x00-\x1f\x7f]*)"))?'
)


@functools.lru_cache(maxsize=256)
def _media(value: bytes) -> Inspection:
    value = value.strip(b" \t").lower()
    kind = _MEDIA.match(value)
    if kind is None:
        return Inspection.CONTENT_TYPE
    at = kind.end()
    charset: bytes | None = None
    while at < len(value):
        parameter = _PARAMETER.match(value, at)
        if parameter is None:
            return Inspection.CONTENT_TYPE
        name = parameter[1]
        if name is not None and name.startswith(b"charset"):
            # `charset*` and `charset*0` say it, too, to readers of RFC 2231.
            if name != b"charset" or charset is not None:
                return Inspection.CHARSET
            charset = parameter[2] if parameter[2] is not None else parameter[3]
        at = parameter.end()
    return Inspection.FULL if charset in (None, b"utf-8", b"utf8") else Inspection.CHARSET


def decoded(body: bytes, encodings: Sequence[bytes], limit: int) -> bytes | Inspection:
    """`body` without its content codings, or why they cannot be undone.

    `encodings` are the lines of Content-Encoding in order. gzip, deflate (zlib form only), br and
    zstd are undone, at most `MOST_CODINGS` of them, `identity` aside; the output of each is at most
    `limit` bytes, and in proportion to what was sent (`MOST_GROWTH`). A second member or frame,
    trailing bytes and a cut stream are refused, because decoders differ on them.
    """
    if not encodings:
        return body
    names = [name.strip(b" \t").lower() for name in b",".join(encodings).split(b",")]
    codings = [name for name in names if name != b"identity"]
    if len(codings) > MOST_CODINGS:
        return Inspection.ENCODING
    limit = min(limit, max(ALWAYS_UNPACKED, MOST_GROWTH * len(body)))
    try:
        for coding in reversed(codings):
            undo = _CODINGS.get(coding)
            if undo is None:
                return Inspection.ENCODING
            body = undo(body, limit)
    except _Unreadable as unreadable:
        return unreadable.why
    except (zlib.error, brotli.error, zstandard.ZstdError):
        return Inspection.ENCODING
    return body


def _inflate(body: bytes, limit: int, wbits: int) -> bytes:
    stream = zlib.decompressobj(wbits)
    out = stream.decompress(body, limit + 1)
    if len(out) > limit:
        raise _Unreadable(Inspection.TOO_LARGE)
    if not stream.eof or stream.unused_data:
        raise _Unreadable(Inspection.ENCODING)
    return out


def _gzip(body: bytes, limit: int) -> bytes:
    return _inflate(body, limit, 31)


def _deflate(body: bytes, limit: int) -> bytes:
    # Some upstreams read "deflate" without the zlib wrapper: refuse what can be read both ways.
    raw = zlib.decompressobj(-15)
    try:
        raw.decompress(body, 64)
    except zlib.error:
        return _inflate(body, limit, 15)
    raise _Unreadable(Inspection.ENCODING)


def _brotli(body: bytes, limit: int) -> bytes:
    stream = brotli.Decompressor()
    out = stream.process(body, output_buffer_limit=limit + 1)
    if len(out) > limit:
        raise _Unreadable(Inspection.TOO_LARGE)
    if not stream.is_finished():
        # The limit of one call may be soft: ask for the rest, still bounded.
        more = stream.process(b"", output_buffer_limit=limit + 1 - len(out))
        if len(out) + len(more) > limit:
            raise _Unreadable(Inspection.TOO_LARGE)
        out += more
        if not stream.is_finished():
            raise _Unreadable(Inspection.ENCODING)
    return bytes(out)


def _zstd(body: bytes, limit: int) -> bytes:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    with decompressor.stream_reader(body, read_across_frames=False) as reader:
        out = reader.read(limit + 1)
    if len(out) > limit:
        raise _Unreadable(Inspection.TOO_LARGE)
    # Its size is bounded now; the second pass tells whether the frame is whole and the only one.
    whole = decompressor.decompressobj()
    if whole.decompress(body) != out or not whole.eof or whole.unused_data:
        raise _Unreadable(Inspection.ENCODING)
    return out


_CODINGS: Final = {
    b"gzip": _gzip,
    b"x-gzip": _gzip,
    b"deflate": _deflate,
    b"br": _brotli,
    b"zstd": _zstd,
}


class _Duplicate(ValueError):  # noqa: N818 - control flow inside this module
    """An object names a member twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Duplicate
    return members


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("out of range")
    return value


def _constant(text: str) -> float:
    raise ValueError(text)


# CPython's own scanner (C), so what it accepts is what a Python upstream reads.
_scan: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_number, parse_constant=_constant
).scan_once  # type: ignore[attr-defined]
_WHITE: Final = " \t\n\r"


def parse(body: bytes) -> dict[str, Any] | Inspection:
    """The JSON object in `body`, or why there is none that every parser would read alike.

    Refused beside what RFC 8259 refuses: a byte order mark, anything but UTF-8, lone surrogates,
    NaN and infinities, numbers beyond a double or beyond 4,300 digits, a member named twice in any
    object, nesting deeper than `MOST_DEPTH`, and a document that is not an object. So is one of
    more values than `MOST_CONTAINERS`, `MOST_STRINGS`, `MOST_COMMAS` and `MOST_EXTREMES`, which
    would hold up everybody else.
    """
    if body.startswith(_BOM):
        return Inspection.CHARSET
    if len(body) > MOST_CONTAINERS and _crowded(body):
        return Inspection.SHAPE
    # msgspec is two to four times as fast as CPython's scanner but lets the last of two members of
    # one name win. A document that has as many colons outside its strings as members has none
    # twice.
    short = len(body) <= _COUNTED
    at = body.find(b'":') + 2
    try:
        document = _decode(body)
        # Most clients write JSON as msgspec does, without white space. A document that is written
        # as it came has nothing twice, and writing and comparing costs a third of looking into it.
        unchanged = short and body[at : at + 1] != b" " and _encode(document) == body
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _parse_slowly(body)
    if type(document) is not dict:
        return _parse_slowly(body)
    if unchanged and (_opens_few(body) or _colons(document) >= 0):
        return document
    if body.count(b":") == _colons(document) and not _ESCAPED_COLON.find_matches_as_indexes(body):
        return document
    return _parse_slowly(body)


def _opens_few(body: bytes) -> bool:
    """Whether JSON has too few brackets to be too deep. False says nothing."""
    # Replacing passes over what it does not replace, and costs a third of counting.
    opened = 2 * len(body) - len(body.replace(b"{", b"")) - len(body.replace(b"[", b""))
    return opened <= MOST_DEPTH


def _crowded(body: bytes) -> bool:
    """Whether JSON has more containers, commas or extreme numbers outside its strings than are
    read, or more strings.
    """
    commas = body.count(b",")
    # As many numbers have as many commas between them, but for one in each container.
    extremes = commas > MOST_EXTREMES
    if not extremes and (
        body.count(b"{") + body.count(b"[") <= MOST_CONTAINERS
        and commas <= MOST_COMMAS
        and body.count(b'"') <= 2 * MOST_STRINGS
    ):
        return False
    # Those in strings do not count. Without its escapes, a string is what is between two quotes.
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    if body.count(b'"') > 2 * MOST_STRINGS:
        return True
    outside = b"".join(body.split(b'"')[::2])
    return (
        outside.count(b"{") + outside.count(b"[") > MOST_CONTAINERS
        or outside.count(b",") > MOST_COMMAS
        or (extremes and _many_extremes(outside))
    )


def _many_extremes(outside: bytes) -> bool:
    # Each has an "e" of one kind or the other; counting those costs a tenth of looking for them.
    if outside.count(b"e") + outside.count(b"E") <= MOST_EXTREMES:
        return False
    return next(islice(_EXTREME.finditer(outside), MOST_EXTREMES, None), None) is not None


_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode
#: Bytes of a body that is written again and whose brackets are counted; a longer one has too many,
#: and takes too long.
_COUNTED: Final = 16 * 1024
#: The start of `\\u003a`. One pattern is searched with SIMD, six times as fast as `in`.
_ESCAPED_COLON: Final = ahocorasick_rs.BytesAhoCorasick([b"\\u003"])


#: Types of values that may have colons in them.
_TEXTS: Final = frozenset((str, dict, list))


def _colons(document: dict[str, Any] | list[Any]) -> int:
    """How many colons a document without repeated members is written with; -1 if it is too deep.

    Too high, hence checked for, when a string writes its colon as an escape.
    """
    count = 0
    level: list[Any] = [document]
    for _ in range(MOST_DEPTH):
        inner: list[Any] = []
        for item in level:
            if type(item) is dict:
                count += len(item)
                values = item.values()
                for name in item:
                    if ":" in name:
                        count += name.count(":")
            else:
                values = item
                if _TEXTS.isdisjoint(map(type, item)):
                    # Hundreds of thousands of numbers are passed over in a third of the time.
                    continue
            for value in values:
                kind = type(value)
                if kind is str:
                    # Most have none; looking is five times as fast as counting.
                    if ":" in value:
                        count += value.count(":")
                elif kind is dict or kind is list:
                    inner.append(value)
        if not inner:
            return count
        level = inner
    return -1


def _parse_slowly(body: bytes) -> dict[str, Any] | Inspection:
    """The verdict of CPython's own scanner, with the reasons."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return Inspection.CHARSET
    text = text.strip(_WHITE)
    try:
        document, end = _scan(text, 0)
    except _Duplicate:
        return Inspection.DUPLICATE_KEYS
    except (ValueError, StopIteration, RecursionError):
        return Inspection.NOT_JSON
    if end != len(text):
        return Inspection.NOT_JSON
    # Depth first: where the scanner gives up differs between versions of CPython.
    if type(document) in (dict, list) and _colons(document) < 0:
        return Inspection.NOT_JSON
    if type(document) is not dict:
        return Inspection.SHAPE
    if (b"\\ud" in body or b"\\uD" in body) and not _whole_characters(document):
        return Inspection.CHARSET
    return document


def _whole_characters(document: Mapping[str, Any]) -> bool:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def read(
    body: bytes, content_types: list[bytes], encodings: Sequence[bytes], limit: int
) -> tuple[Inspection, dict[str, Any] | None]:
    """How much of a body can be read, and the document when all of it can.

    Undeclared JSON is read as what it is, as who reads it at all (Ollama, llama.cpp) does.
    """
    form = False
    if content_types and content_types != _JSON:
        kind = media(content_types)
        if kind is not Inspection.FULL:
            form = forms.is_form(content_types)
            if not form:
                return kind, None
    if encodings:
        plain = decoded(body, encodings, limit)
        if isinstance(plain, Inspection):
            return plain, None
        body = plain
    if len(body) > limit:
        return Inspection.TOO_LARGE, None
    document = forms.parse(body, content_types[0]) if form else parse(body)
    if type(document) is dict:
        return Inspection.FULL, document
    if document is Inspection.NOT_JSON and not content_types:
        return Inspection.CONTENT_TYPE, None
    return document, None  # type: ignore[return-value]  # an Inspection then


_JSON: Final = [b"application/json"]
