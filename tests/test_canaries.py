"""The search for planted words finds them: without that, finding nothing would say nothing."""

from __future__ import annotations

import base64
import codecs
import gzip
import json
import zlib
from collections.abc import Callable
from urllib.parse import quote

import brotli
import msgspec
import pytest
import zstandard

from tests.canaries import found

WORD = "cnr.Key/7Qx2+Vb9Lm4Tz8Ww"
WORDS = {"key": WORD, "address": "2001:db8:ca:fe::77"}
RAW = WORD.encode()
NOISE = bytes(range(256)) * 3 + json.dumps({"at": 1.5, "who": "acct_" + "q" * 16}).encode()

WAYS: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda raw: raw,
    "in capitals": bytes.upper,
    "its beginning": lambda raw: raw[:13],
    "its end": lambda raw: raw[-13:],
    "backwards": lambda raw: raw[::-1],
    "utf-16": lambda raw: raw.decode().encode("utf-16"),
    "rot13": lambda raw: codecs.encode(raw.decode(), "rot13").encode(),
    "base64": base64.b64encode,
    "base64 within more": lambda raw: base64.b64encode(b'{"a":"' + raw + b'"}'),
    "base64 of other alignment": lambda raw: base64.b64encode(b"12345" + raw + b"6789"),
    "base64 for URLs": lambda raw: base64.urlsafe_b64encode(b"~~~" + raw),
    "base64 backwards": lambda raw: base64.b64encode(raw[::-1]),
    "base64 twice": lambda raw: base64.b64encode(base64.b64encode(raw)),
    "base32": base64.b32encode,
    "hex": lambda raw: raw.hex().encode(),
    "HEX": lambda raw: raw.hex().upper().encode(),
    "percent": lambda raw: quote(raw, safe="").encode(),
    "percent, all of it": lambda raw: b"".join(b"%%%02x" % one for one in raw),
    "backslashes": lambda raw: b"".join(b"\\x%02x" % one for one in raw),
    "escapes of JSON": lambda raw: b"".join(b"\\u%04x" % one for one in raw),
    "gzip": lambda raw: gzip.compress(b"x" * 99 + raw),
    "zlib": lambda raw: zlib.compress(raw * 3),
    "zstd": lambda raw: zstandard.compress(b"y" * 99 + raw),
    "gzip in base64": lambda raw: base64.b64encode(gzip.compress(raw)),
    "hex in gzip": lambda raw: gzip.compress(raw.hex().encode()),
    "gzip in hex": lambda raw: gzip.compress(raw).hex().encode(),
    "msgpack": lambda raw: msgspec.msgpack.encode({"a": [1, raw.decode()]}),
    "a repr": lambda raw: repr([raw]).encode(),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_word_is_found_however_it_is_written(way: str) -> None:
    assert found(WORDS, NOISE + WAYS[way](RAW) + b" " + NOISE)


@pytest.mark.parametrize("whole", [zlib.compress(RAW)[2:-4], brotli.compress(RAW)])
def test_what_nothing_marks_as_compressed_is_found_where_it_is_all_there_is(whole: bytes) -> None:
    assert found(WORDS, whole)


@pytest.mark.parametrize(
    "data",
    [
        b"from 2001:DB8:CA:FE::77 port 5",
        b"2001:0db8:00ca:00fe:0000:0000:0000:0077",
        bytes.fromhex("20010db800ca00fe0000000000000077"),
    ],
)
def test_an_address_is_found_as_text_and_as_bytes(data: bytes) -> None:
    assert found(WORDS, NOISE + data)


@pytest.mark.parametrize("data", [b"", NOISE, b"cnr.Key and nothing more", b"2001:db8:ca:ff::77"])
def test_where_it_is_not_nothing_is_found(data: bytes) -> None:
    assert found(WORDS, data) == []
