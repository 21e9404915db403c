"""Bodies are read exactly as upstreams read them, or not at all."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_guard.core.body import (
    ALWAYS_UNPACKED,
    MOST_DEPTH,
    MOST_EXTREMES,
    decoded,
    media,
    parse,
    read,
)
from gateway_guard.types import Inspection as I  # noqa: N817
from tests.costs import within

LIMIT = 1 << 20
DOCUMENT = b'{"model":"m","messages":[{"role":"user","content":"hello"}]}'


@pytest.mark.parametrize(
    ("lines", "verdict"),
    [
        ([b"application/json"], I.FULL),
        ([b"APPLICATION/JSON"], I.FULL),
        ([b" application/json\t"], I.FULL),
        ([b"application/json; charset=utf-8"], I.FULL),
        ([b'application/json;charset="UTF-8"'], I.FULL),
        ([b"application/json;charset=utf8"], I.FULL),
        ([b"application/json;"], I.FULL),
        ([b"application/json; profile=x"], I.FULL),
        ([b"application/vnd.api+json"], I.FULL),
        ([b"application/json; charset=utf-16"], I.CHARSET),
        ([b"application/json; charset=utf-7"], I.CHARSET),
        ([b"application/json; charset=ibm037"], I.CHARSET),
        ([b"application/json; charset=latin-1"], I.CHARSET),
        ([b"application/json; charset=utf-8; charset=utf-16"], I.CHARSET),
        ([b"application/json; charset=utf-8; charset=utf-8"], I.CHARSET),
        ([b"application/json; charset*=us-ascii''utf-7"], I.CHARSET),
        ([b"application/json; charset*0=utf-; charset*1=7"], I.CHARSET),
        ([b"application/json; charset=utf-8; charset*0*=''utf%2d7"], I.CHARSET),
        ([b'application/json; x="; charset=utf-7; y="'], I.CONTENT_TYPE),
        ([b"application/json; charset="], I.CONTENT_TYPE),
        ([], I.CONTENT_TYPE),
        ([b""], I.CONTENT_TYPE),
        ([b"text/plain"], I.CONTENT_TYPE),
        ([b"text/json"], I.CONTENT_TYPE),
        ([b"application/jsonp"], I.CONTENT_TYPE),
        ([b"application/json, text/plain"], I.CONTENT_TYPE),
        ([b"application/json charset=utf-8"], I.CONTENT_TYPE),
        ([b"application/x-www-form-urlencoded"], I.CONTENT_TYPE),
        ([b"multipart/form-data; boundary=b"], I.CONTENT_TYPE),
        ([b"application/json", b"application/json"], I.CONTENT_TYPE),
        ([b"text/plain", b"application/json"], I.CONTENT_TYPE),
        ([b'application/json; a="\\' * 10_000], I.CONTENT_TYPE),
        ([b"application/json\xa0"], I.CONTENT_TYPE),
    ],
)
def test_only_utf8_json_is_read(lines: list[bytes], verdict: I) -> None:
    assert media(lines) is verdict


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)  # names of tests must not depend on the time


def _deflate_raw(data: bytes) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return stream.compress(data) + stream.flush()


def _zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (DOCUMENT, []),
        (DOCUMENT, [b"identity"]),
        (_gzip(DOCUMENT), [b"gzip"]),
        (_gzip(DOCUMENT), [b"x-gzip"]),
        (_gzip(DOCUMENT), [b" GZIP "]),
        (_gzip(DOCUMENT), [b"gzip, identity"]),
        (_gzip(DOCUMENT), [b"identity", b"gzip"]),
        (zlib.compress(DOCUMENT), [b"deflate"]),
        (brotli.compress(DOCUMENT), [b"br"]),
        (_zstd(DOCUMENT), [b"zstd"]),
        (zstandard.ZstdCompressor(write_content_size=False).compress(DOCUMENT), [b"zstd"]),
        (_gzip(_gzip(DOCUMENT)), [b"gzip, gzip"]),
        (_zstd(brotli.compress(DOCUMENT)), [b"br, zstd"]),
        (_zstd(brotli.compress(DOCUMENT)), [b"br", b"zstd"]),
    ],
)
def test_content_codings_are_undone(body: bytes, lines: list[bytes]) -> None:
    assert decoded(body, lines, LIMIT) == DOCUMENT


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (DOCUMENT, [b"rot13"]),
        (DOCUMENT, [b""]),
        (DOCUMENT, [b"gzip"]),
        (DOCUMENT, [b"compress"]),
        (_gzip(DOCUMENT), [b"gzip;q=1"]),
        (_gzip(DOCUMENT), [b"g\xc3\xbazip"]),
        (_gzip(DOCUMENT[:9]) + _gzip(DOCUMENT[9:]), [b"gzip"]),
        (_gzip(b"") * 10_000, [b"gzip"]),
        (_gzip(DOCUMENT) + b"junk", [b"gzip"]),
        (_gzip(DOCUMENT)[:-1], [b"gzip"]),
        (_gzip(DOCUMENT)[:-8] + b"\0" * 8, [b"gzip"]),
        (_deflate_raw(DOCUMENT), [b"deflate"]),
        (zlib.compress(DOCUMENT) + b"x", [b"deflate"]),
        (zlib.compress(DOCUMENT)[:-1], [b"deflate"]),
        (brotli.compress(DOCUMENT)[:-1], [b"br"]),
        (brotli.compress(DOCUMENT) + b"x", [b"br"]),
        (_zstd(DOCUMENT)[:-1], [b"zstd"]),
        (_zstd(DOCUMENT) + b"x", [b"zstd"]),
        (_zstd(DOCUMENT[:9]) + _zstd(DOCUMENT[9:]), [b"zstd"]),
        (b"", [b"br"]),
        (b"", [b"zstd"]),
        (_gzip(DOCUMENT), [b"gzip, gzip, gzip"]),
        (_gzip(DOCUMENT), [b", ".join([b"gzip"] * 200)]),
        (_gzip(DOCUMENT), [b"gzip", b"br"]),
    ],
)
def test_what_decoders_read_differently_is_refused(body: bytes, lines: list[bytes]) -> None:
    assert decoded(body, lines, LIMIT) is I.ENCODING


@pytest.mark.parametrize(
    ("coding", "compress"),
    [
        (b"gzip", lambda data: gzip.compress(data, 9)),
        (b"deflate", lambda data: zlib.compress(data, 9)),
        (b"br", brotli.compress),
        (b"zstd", _zstd),
        (b"gzip, gzip", lambda data: gzip.compress(gzip.compress(data, 9), 9)),
    ],
)
def test_a_bomb_takes_no_time_beyond_the_limit(
    coding: bytes, compress: Callable[[bytes], bytes]
) -> None:
    bomb = compress(b"a" * (64 << 20))

    assert within(1.0, lambda: decoded(bomb, [coding], LIMIT)) is I.TOO_LARGE


@pytest.mark.parametrize("compress", [_gzip, zlib.compress, brotli.compress, _zstd])
def test_the_limit_itself_still_fits(compress: Callable[[bytes], bytes]) -> None:
    names = {
        _gzip: b"gzip",
        zlib.compress: b"deflate",
        brotli.compress: b"br",
        _zstd: b"zstd",
    }
    whole = bytes(range(256)) * 64

    assert decoded(compress(whole), [names[compress]], len(whole)) == whole
    assert decoded(compress(whole), [names[compress]], len(whole) - 1) is I.TOO_LARGE


REFUSED = [
    (b'{"a":1,"a":2}', I.DUPLICATE_KEYS),
    (b'{"a":1,"\\u0061":2}', I.DUPLICATE_KEYS),
    (b'{"b":{"a":1,"a":1}}', I.DUPLICATE_KEYS),
    (b'{"b":[[{"a":1, "a" : 1}]]}', I.DUPLICATE_KEYS),
    (b'{"a":"x\\u003a","a":"y"}', I.DUPLICATE_KEYS),
    (b'{"a":":","a":"\\u003A\\u003a"}', I.DUPLICATE_KEYS),
    (b'{"a:":1,"a:":"\\u003a"}', I.DUPLICATE_KEYS),
    (b'{"":1,"":2}', I.DUPLICATE_KEYS),
    (b"\xef\xbb\xbf{}", I.CHARSET),
    (b"\xff\xfe{\0}\0", I.CHARSET),
    (b'{"a":"\xff"}', I.CHARSET),
    (b'{"a":"\xc0\xaf"}', I.CHARSET),
    (b'{"a":"\xed\xa0\x80"}', I.CHARSET),
    (b'{"a":"\\ud800"}', I.CHARSET),
    (b'{"a":"\\uDC00"}', I.CHARSET),
    (b'{"\\ud800":1}', I.CHARSET),
    (b'{"a":"\\ud800\\u0041"}', I.CHARSET),
    ('{"a":1}'.encode("utf-16-le"), I.NOT_JSON),
    ('{"a":1}'.encode("utf-32-be"), I.NOT_JSON),
    (b'{"a":NaN}', I.NOT_JSON),
    (b'{"a":Infinity}', I.NOT_JSON),
    (b'{"a":-Infinity}', I.NOT_JSON),
    (b'{"a":1e400}', I.NOT_JSON),
    (b'{"a":-1e400}', I.NOT_JSON),
    (b'{"a":' + b"9" * 900_000 + b"}", I.NOT_JSON),
    (b'{"a":1}x', I.NOT_JSON),
    (b'{"a":1}{"a":1}', I.NOT_JSON),
    (b'{"a":1}\n{"a":1}', I.NOT_JSON),
    (b'{"a":1}\0', I.NOT_JSON),
    (b"\x0c{}", I.NOT_JSON),
    (b"\xc2\xa0{}", I.NOT_JSON),
    (b'{"a":"\x01"}', I.NOT_JSON),
    (b'{"a":"\n"}', I.NOT_JSON),
    (b'{"a":"\\x41"}', I.NOT_JSON),
    (b'{"a":"\\u00g0"}', I.NOT_JSON),
    (b"{'a':1}", I.NOT_JSON),
    (b"{a:1}", I.NOT_JSON),
    (b'{"a":1,}', I.NOT_JSON),
    (b'{"a":[1,]}', I.NOT_JSON),
    (b'{"a":01}', I.NOT_JSON),
    (b'{"a":+1}', I.NOT_JSON),
    (b'{"a":.5}', I.NOT_JSON),
    (b'{"a":5.}', I.NOT_JSON),
    (b'{"a":0x1}', I.NOT_JSON),
    (b'{/*c*/"a":1}', I.NOT_JSON),
    (b'{"a":1}//c', I.NOT_JSON),
    (b'{"a":True}', I.NOT_JSON),
    (b'{"a":"', I.NOT_JSON),
    (b'{"a"', I.NOT_JSON),
    (b"", I.NOT_JSON),
    (b" ", I.NOT_JSON),
    (b"[" * 20_000, I.NOT_JSON),
    (b"[" * 20_000 + b"]" * 20_000, I.NOT_JSON),
    (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, I.NOT_JSON),
    (b'{"a":' + b"[" * MOST_DEPTH + b"]" * MOST_DEPTH + b"}", I.NOT_JSON),
    (b"[]", I.SHAPE),
    (b'"text"', I.SHAPE),
    (b"1", I.SHAPE),
    (b"null", I.SHAPE),
]


@pytest.mark.parametrize(("body", "verdict"), REFUSED, ids=lambda value: ascii(value)[:40])
def test_what_parsers_read_differently_is_refused(body: bytes, verdict: I) -> None:
    assert parse(body) is verdict


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b' \t\r\n{"a" : 1 }\n',
        b'{"a":"\\ud83d\\ude00"}',
        b'{"a":"\\u0000"}',
        b'{"a":":::\\":"}',
        b'{"a:":1}',
        b'{"a":"\\u003a"}',
        b'{"a":1,"b":{"a":1},"c":[{"a":1},{"a":1}]}',
        b'{"a":18446744073709551616}',
        b'{"a":-9223372036854775809}',
        b'{"a":123456789012345678901234567890}',
        b'{"a":-0}',
        b'{"a":1.5e3,"b":-0.0,"c":1E-400}',
        '{"é":"日本 😀"}'.encode(),
        b'{"a":' + b"[" * 90 + b"]" * 90 + b"}",
    ],
)
def test_what_is_read_is_what_cpython_reads(body: bytes) -> None:
    document = parse(body)

    assert document == json.loads(body)
    assert repr(document) == repr(json.loads(body))


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from([":", "\\u003a", "a:b", '":']),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=4) | st.sampled_from(["a", "a:"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=6), values, max_size=6), st.booleans(), st.booleans())
def test_every_document_is_read_as_cpython_reads_it(
    document: dict[str, Any], ascii_only: bool, spaced: bool
) -> None:
    body = json.dumps(
        document, ensure_ascii=ascii_only, separators=(", ", " : ") if spaced else (",", ":")
    ).encode("utf-8", "surrogatepass")

    found = parse(body)

    if isinstance(found, dict):
        assert repr(found) == repr(json.loads(body))
    else:
        assert found is I.CHARSET  # a lone surrogate
        with pytest.raises(UnicodeEncodeError):
            json.dumps(document, ensure_ascii=False).encode()


@given(
    st.lists(
        st.sampled_from(
            [b"{", b"}", b"[", b"]", b",", b":", b'"a"', b'"b"', b'"\\u0061"', b'"\\u003a"', b'":"',
             b"1", b"1.5", b"-", b"e5", b"null", b"true", b" ", b"\n", b'"', b"\\", b"\xff", b"NaN"]
        ),
        max_size=16,
    ).map(b"".join)
)  # fmt: skip
@settings(max_examples=400)
def test_no_text_is_read_otherwise_than_cpython_reads_it(body: bytes) -> None:
    found = parse(body)

    if isinstance(found, dict):
        pairs: list[bool] = []

        def unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
            pairs.append(len(dict(members)) == len(members))
            return dict(members)

        assert repr(json.loads(body, object_pairs_hook=unique)) == repr(found)
        assert all(pairs)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(body: bytes) -> None:
    for coding in (b"gzip", b"deflate", b"br", b"zstd", b"identity"):
        kind, document = read(body, [b"application/json"], [coding], 1000)

        assert (document is not None) is (kind is I.FULL)


@pytest.mark.parametrize(
    "body",
    [
        b"{" + b",".join(b'"%x":1' % k for k in range(60_000)) + b"}",
        b'{"messages":[{"role":"user","content":"' + b"\\\\" * 450_000 + b'"}]}',
        b'{"messages":[' + b",".join([b'{"role":"user","content":"x"}'] * 15_000) + b"]}",
        b'{"a":[' + b",".join([b"1.5"] * 200_000) + b"]}",
        b'{"a":"' + b":" * 900_000 + b'"}',
        b'{"a":"' + b"\\u003a" * 150_000 + b'"}',
    ],
)
def test_no_megabyte_takes_a_second(body: bytes) -> None:
    assert isinstance(within(1.0, lambda: parse(body)), dict)


def test_a_body_unpacks_in_proportion_to_what_was_sent() -> None:
    bomb = b"a" * LIMIT
    repeats = random.Random(3).randbytes(40_000).hex().encode() * 8
    small = b"a" * ALWAYS_UNPACKED

    assert decoded(_gzip(bomb), [b"gzip"], LIMIT) is I.TOO_LARGE
    assert decoded(brotli.compress(bomb), [b"br"], LIMIT) is I.TOO_LARGE
    assert decoded(_gzip(repeats), [b"gzip"], LIMIT) == repeats
    assert decoded(_gzip(small), [b"gzip"], LIMIT) == small


def numbers(number: str, count: int) -> bytes:
    return b'{"a":[%b]}' % ",".join([number] * count).encode()


@pytest.mark.parametrize("number", ["8e300", "8E+300", "1.25e-300", "8e0300"])
def test_thousands_of_numbers_that_are_hard_to_read_are_not_read(number: str) -> None:
    # Shorter bodies take no time whatever they hold.
    assert parse(numbers(number, MOST_EXTREMES + 4_000)) is I.SHAPE
    assert parse(numbers(number, MOST_EXTREMES)) is not I.SHAPE


def test_prose_about_such_numbers_is_read() -> None:
    document = {"text": 'about 8e300, "1e-300", \\" and so on; ' * 20_000}

    assert parse(json.dumps(document).encode()) == document
