"""Bodies at the borders of what is read: sizes, counts, spellings."""

from __future__ import annotations

import gzip
import random
import zlib
from typing import Any

import brotli
import pytest
import zstandard

from gateway_guard.core.body import decoded, media, parse, read
from gateway_guard.core.members import Misshapen, counts, logprobs, model_of
from gateway_guard.core.rewrite import rewrite
from gateway_guard.core.usage_encoding import Decoder, decoder_for
from gateway_guard.types import Dialect, Inspection, Restrictions

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"application/json", Inspection.FULL),
        (b" Application/JSON\t; charset=UTF-8", Inspection.FULL),
        (b"application/json;charset=utf8", Inspection.FULL),
        (b'application/json; charset="utf-8"', Inspection.FULL),
        (b"application/json; charset=latin-1", Inspection.CHARSET),
        (b'application/json; charset="latin-1"', Inspection.CHARSET),
        (b'application/json; charset="utf8"', Inspection.FULL),
        (b'application/json; charset=""', Inspection.CHARSET),
        (b'application/json; charset="utf-8', Inspection.CONTENT_TYPE),
        (b"application/json; charset=utf-8; charset=utf-8", Inspection.CHARSET),
        (b'application/json; charset="utf-8"; charset=utf-8', Inspection.CHARSET),
        (b"application/json; charset=utf-8;x=1 ; y=2;", Inspection.FULL),
        (b"application/json; x=1; charset=utf-16", Inspection.CHARSET),
        (b"application/json; charset=", Inspection.CONTENT_TYPE),
        (b"application/json;", Inspection.FULL),
        (b"application/json; x=y; charset=utf-8", Inspection.FULL),
        (b"application/json x", Inspection.CONTENT_TYPE),
        (b"application/vnd.api+json", Inspection.FULL),
        (b"application/" + b"x" * 127 + b"+json", Inspection.FULL),
        (b"application/" + b"x" * 128 + b"+json", Inspection.CONTENT_TYPE),
        (b"text/json", Inspection.CONTENT_TYPE),
        (b"application/json; x=" + b"y" * 236, Inspection.FULL),
        (b"application/json; x=" + b"y" * 237, Inspection.CONTENT_TYPE),
    ],
)
def test_json_in_utf_8_is_read(value: bytes, expected: Inspection) -> None:
    assert media([value]) is expected
    assert media([value, value]) is Inspection.CONTENT_TYPE
    assert media([]) is Inspection.CONTENT_TYPE


def deflated(plain: bytes) -> bytes:
    return zlib.compress(plain)


CODINGS = {
    b"gzip": gzip.compress,
    b"x-gzip": gzip.compress,
    b"deflate": deflated,
    b"br": brotli.compress,
    b"zstd": zstandard.compress,
}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("size", [99, 100, 101])
def test_what_was_compressed_may_be_as_large_as_the_limit(coding: bytes, size: int) -> None:
    plain = bytes(index * 7 % 251 for index in range(size))

    found = decoded(CODINGS[coding](plain), [coding], 100)

    assert found == (plain if size <= 100 else Inspection.TOO_LARGE)


@pytest.mark.parametrize("coding", CODINGS)
def test_what_is_not_whole_or_more_than_whole_is_not_read(coding: bytes) -> None:
    body = CODINGS[coding](b"some text that is long enough to be cut")

    for wrong in (body[:-1], body + b"x", body + body, b"", b"nonsense"):
        assert decoded(wrong, [coding], 1000) is Inspection.ENCODING


def test_a_coding_is_undone_under_its_own_name_only() -> None:
    plain = b"some text that is long enough"

    assert decoded(zlib.compress(plain), [b"gzip"], 1000) is Inspection.ENCODING
    assert decoded(gzip.compress(plain), [b"deflate"], 1000) is Inspection.ENCODING
    raw = zlib.compressobj(wbits=-15)
    for name in (b"gzip", b"deflate"):
        assert decoded(raw.compress(plain) + raw.flush(), [name], 1000) is Inspection.ENCODING
        raw = zlib.compressobj(wbits=-15)


@pytest.mark.parametrize(("bits", "read_"), [(23, True), (24, False)])
def test_a_window_of_eight_mebibytes_is_kept_for_zstd(bits: int, read_: bool) -> None:
    settings = zstandard.ZstdCompressionParameters(window_log=bits)
    packer = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    body = packer.compress(b"x" * 100) + packer.flush()

    assert (decoded(body, [b"zstd"], 1000) == b"x" * 100) is read_
    decoder = decoder_for(b"zstd")
    assert decoder is not None
    assert (b"".join(decoder.feed(body)) == b"x" * 100) is read_
    assert decoder.failed is not read_


def test_two_codings_are_undone_and_identity_is_none() -> None:
    plain = b"some text"
    twice = gzip.compress(brotli.compress(plain))

    assert decoded(twice, [b"br, GZIP"], 1000) == plain
    assert decoded(twice, [b"br", b" gzip\t"], 1000) == plain
    assert decoded(twice, [b"br, identity, gzip, identity"], 1000) == plain
    assert decoded(gzip.compress(twice), [b"br, gzip, gzip"], 1000) is Inspection.ENCODING
    assert decoded(plain, [b"identity"], 1000) == plain
    assert decoded(plain, [b"unheard"], 1000) is Inspection.ENCODING
    assert decoded(plain, [b""], 1000) is Inspection.ENCODING
    assert decoded(plain, [], 1) == plain


@pytest.mark.parametrize(("size", "whole"), [(256 * 1024, True), (256 * 1024 + 1, False)])
def test_a_quarter_of_a_megabyte_is_unpacked_of_anything(size: int, whole: bool) -> None:
    body = gzip.compress(b"a" * size)

    assert len(body) * 20 < 256 * 1024
    assert (decoded(body, [b"gzip"], 8 * MIB) == b"a" * size) is whole


def test_and_of_more_twenty_times_what_was_sent() -> None:
    noise = random.Random(1).randbytes(20_000)

    def packed(size: int) -> bytes:
        return gzip.compress(noise + b"a" * (size - len(noise)), mtime=0)

    room = 400_000
    for _ in range(4):
        # The more there is to pack, the longer it gets, by very little.
        room = 20 * len(packed(room))
    assert isinstance(decoded(packed(room - 40), [b"gzip"], 8 * MIB), bytes)
    assert decoded(packed(room + 40), [b"gzip"], 8 * MIB) is Inspection.TOO_LARGE


@pytest.mark.parametrize(("depth", "read_"), [(96, True), (97, False)])
def test_ninety_six_levels_are_read(depth: int, read_: bool) -> None:
    for inner in (
        "[" * (depth - 1) + "]" * (depth - 1),
        '{"a":' * (depth - 1) + "1" + "}" * (depth - 1),
    ):
        for space in ("", " "):
            document = parse(f'{{"a":{space}{inner}}}'.encode())
            assert isinstance(document, dict) is read_


def crowd(kind: str, count: int) -> bytes:
    """A document with so many of one thing outside its strings, and at least that long."""
    if kind == "containers":
        return b'{"a":[' + b",".join([b"[]"] * (count - 2)) + b"]}"
    if kind == "strings":
        return b'{"a":[' + b",".join([b'""'] * (count - 1)) + b"]}"
    if kind == "commas":
        return b'{"a":[' + b",".join([b"1"] * (count + 1)) + b"]}"
    return b'{"a":[' + b",".join([b"1e100"] * count) + b"]}"


@pytest.mark.parametrize(
    ("kind", "most"),
    [("containers", 25_000), ("strings", 64_000), ("commas", 320_000), ("extremes", 1_000)],
)
def test_so_many_values_are_read_and_no_more(kind: str, most: int) -> None:
    filler = b'"' + b"x" * 30_000 + b'"'

    for count in (most, most + 1):
        body = crowd(kind, count)
        if kind == "extremes":
            # Only a body long enough to hold many containers is looked into, and one with commas.
            body = body[:-1] + b',"b":[' + b",".join([b"1"] * 30_000) + b"]}"
        assert (parse(body) is Inspection.SHAPE) is (count > most)
    # What stands within strings is no value.
    for text in (
        b"[" * 26_000,
        b"," * 330_000,
        rb"\"" * 70_000,
        rb"\\" * 70_000,
        b"1e100," * 3_000,
    ):
        assert isinstance(parse(b'{"a":"' + text + b'","b":' + filler + b"}"), dict)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a":1,"a":2}', Inspection.DUPLICATE_KEYS),
        (b'{"a":1,"\\u0061":2}', Inspection.DUPLICATE_KEYS),
        (b'{"x":{"a":1,"a":2}}', Inspection.DUPLICATE_KEYS),
        (b'{"x":[{"a:b":1,"a:b":2}]}', Inspection.DUPLICATE_KEYS),
        (b'{"a":"\\u003a","b":1,"b":2}', Inspection.DUPLICATE_KEYS),
        (b'{"a":":","b":1}', {"a": ":", "b": 1}),
        (b'{"a:":1}', {"a:": 1}),
        (b'{"a":"\\u003a"}', {"a": ":"}),
        (b'{"a": 1 }\n', {"a": 1}),
        (b"\xef\xbb\xbf{}", Inspection.CHARSET),
        (b"\xff\xfe{\x00}\x00", Inspection.CHARSET),
        (b'{"a":"\xff"}', Inspection.CHARSET),
        (b'{"a":"\\ud800"}', Inspection.CHARSET),
        (b'{"a":"\\uD800"}', Inspection.CHARSET),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b"[]", Inspection.SHAPE),
        (b"1", Inspection.SHAPE),
        (b"", Inspection.NOT_JSON),
        (b"{} {}", Inspection.NOT_JSON),
        (b'{"a":NaN}', Inspection.NOT_JSON),
        (b'{"a":1e400}', Inspection.NOT_JSON),
        (b'{"a":-Infinity}', Inspection.NOT_JSON),
        (b'{"a":01}', Inspection.NOT_JSON),
        (b"{}", {}),
    ],
)
def test_a_document_is_read_in_one_way_or_not_at_all(body: bytes, expected: object) -> None:
    assert parse(body) == expected


@pytest.mark.parametrize(("limit", "expected"), [(20, Inspection.FULL), (19, Inspection.TOO_LARGE)])
def test_a_body_may_be_as_large_as_the_limit(limit: int, expected: Inspection) -> None:
    body = b'{"a": "0123456789"}\n'

    assert len(body) == 20
    assert read(body, [b"application/json"], [], limit)[0] is expected


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, (None, 1)), ({"max_tokens": 0}, (None, 1)),
        ({"max_tokens": 5, "n_predict": 7}, (7, 1)),
        ({"max_tokens": 7, "n_predict": 5}, (7, 1)), ({"n_predict": -1}, (None, 1)),
        ({"n_predict": -2, "max_tokens": 3}, (None, 1)), ({"n_predict": 0}, (0, 1)),
        ({"n": 0}, (None, 1)), ({"n": 2, "best_of": 1}, (None, 2)), ({"n": 4096}, (None, 4096)),
        ({"n": 4097}, (None, 4096)), ({"best_of": 5000}, (None, 4096)),
        ({"best_of": 0}, (None, 1)), ({"best_of": None}, (None, 1)),
        ({"max_tokens": 9, "max_output_tokens": 8}, (9, 1)),
        ({"max_tokens": 8, "max_output_tokens": 9}, (9, 1)),
        ({"generationConfig": {"maxOutputTokens": 5, "candidateCount": 3}}, (5, 3)),
        ({"generation_config": {"max_output_tokens": 5, "candidate_count": 3}}, (5, 3)),
        ({"generationConfig": {"max_output_tokens": 6}, "max_tokens": 5}, (6, 1)),
        ({"sampling_params": {"max_new_tokens": 5, "n": 2}}, (5, 2)),
        ({"options": {"num_predict": -2}, "max_tokens": 4}, (None, 1)),
        ({"options": None, "parameters": {"best_of": 2, "max_new_tokens": 3}}, (3, 2)),
        ({"inferenceConfig": {"maxTokens": 3}}, (3, 1)),
    ],
)  # fmt: skip
def test_the_larger_of_two_caps_and_of_two_counts_is_believed(
    document: dict[str, Any], expected: tuple[int | None, int]
) -> None:
    assert counts(document) == expected


def test_a_cap_below_nothing_is_none_and_what_is_no_number_is_misshapen() -> None:
    caps: list[dict[str, Any]] = [{"max_tokens": -1}, {"generationConfig": {"maxOutputTokens": -1}}]
    for cap in caps:
        assert counts(cap) == (None, 1)
    wrong: list[dict[str, Any]] = [
        {"n_predict": -1.5}, {"n_predict": True}, {"max_tokens": "-1"}, {"n": -1}, {"options": 5},
    ]  # fmt: skip
    for document in wrong:
        with pytest.raises(Misshapen):
            counts(document)


def test_a_model_is_named_by_256_characters_and_a_batch_has_one() -> None:
    def batch(*models: object, top: object = None) -> dict[str, Any]:
        return {"model": top, "requests": [{"params": {"model": name}} for name in models]}

    assert model_of({"model": " m "}) == "m"
    assert model_of({"model": "m" * 256}) == "m" * 256
    assert model_of(batch("a", "A ", None)) == "A"
    assert model_of(batch("a", top="a")) == "a"
    assert model_of({"requests": [5, {"params": 5}, {}]}) is None
    assert model_of({"requests": 5, "model": "m"}) == "m"
    assert model_of({"model_id": "m"}) == model_of({"model_id": "m", "model": "m"}) == "m"
    assert model_of({"session": {"model": "m"}}) == "m"
    assert model_of({"session": {"type": "realtime"}, "model": "m"}) == "m"
    assert model_of({"session": "s", "model": "m"}) == "m"
    for wrong in ({"model_id": "a", "model": "m"}, {"model_id": 5},
                  {"session": {"model": "a"}, "model": "m"}, {"session": {"model": 5}},
                  {"model": "m" * 257}, batch("m" * 257), batch("a\n"), batch(5), batch("a", "b"),
                  batch("a", top="b")):  # fmt: skip
        with pytest.raises(Misshapen):
            model_of(wrong)


@pytest.mark.parametrize(
    ("document", "asked"),
    [
        ({}, False), ({"logprobs": None}, False), ({"logprobs": False}, False),
        ({"logprobs": True}, True), ({"logprobs": 0}, True), ({"top_logprobs": 0}, False),
        ({"top_logprobs": 1}, True), ({"prompt_logprobs": 1}, True), ({"include": []}, False),
        # vLLM's, of the tokens themselves and none beside them.
        ({"prompt_logprobs": 0}, True), ({"prompt_logprobs": False}, False),
        ({"sampling_params": {"logprobs": 0}}, True), ({"parameters": {"logprobs": 0}}, True),
        ({"sampling_params": {"prompt_logprobs": 0.0}}, True),
        ({"include": ["message.output_text.logprobs"]}, True),
        ({"include": "message.output_text.logprobs"}, False),
        ({"generationConfig": {"responseLogprobs": True}}, True),
        ({"generationConfig": {"responseLogprobs": False}}, False),
        ({"generationConfig": {}}, False),
        ({"logprobs": False, "top_logprobs": 2}, True),
        ({"generationConfig": {"response_logprobs": True}}, True),
        ({"generation_config": {"response_logprobs": True}}, True),
        ({"sampling_params": {"logprobs": 1}}, True),
        ({"sampling_params": {"logprobs": None}}, False),
        ({"parameters": {"top_n_tokens": 2}}, True), ({"parameters": {"logprobs": 2}}, True),
        ({"n_probs": 5}, True), ({"n_probs": 0}, False), ({"return_logprob": True}, True),
        ({"top_logprobs_num": 2}, True), ({"token_ids_logprob": [1]}, True),
        ({"return_hidden_states": True}, True), ({"return_likelihoods": "ALL"}, True),
    ],
)  # fmt: skip
def test_who_asks_for_probabilities_in_any_way_asks_for_them(
    document: dict[str, Any], asked: bool
) -> None:
    assert logprobs(document) is asked


def restricted(body: bytes, dialect: Dialect = Dialect.OPENAI, **less: Any) -> bytes:
    return rewrite(
        body, [], dialect, restrictions=Restrictions(**less), force_usage=False, path="/v1/x"
    )


@pytest.mark.parametrize(
    ("body", "less", "expected"),
    [
        (b'{"messages":[],"max_tokens":5}', {"max_output_tokens": 5}, None),
        (b'{"messages":[],"max_tokens":6}', {"max_output_tokens": 5},
         b'{"messages":[],"max_tokens":5}'),
        (b'{"messages":[],"max_tokens":-1}', {"max_output_tokens": 5},
         b'{"messages":[],"max_tokens":5}'),
        # To Ollama 0 is no bound.
        (b'{"messages":[],"max_tokens":0}', {"max_output_tokens": 5},
         b'{"messages":[],"max_tokens":5}'),
        (b'{"prompt":"a","options":{"num_predict":0}}', {"max_output_tokens": 5},
         b'{"prompt":"a","options":{"num_predict":5},"max_tokens":5}'),
        (b'{"prompt":"a","n_predict":0,"max_tokens":4}', {"max_output_tokens": 5}, None),
        (b'{"messages":[],"n":2}', {"n": 1}, b'{"messages":[],"n":1}'),
        (b'{"messages":[],"n":1}', {"n": 1}, None),
        (b'{"messages":[]}', {"n": 1}, None),
        (b'{"messages":[]}', {"max_output_tokens": 5}, b'{"messages":[],"max_tokens":5}'),
        (b'{"prompt":"a","logprobs":1}', {"logprobs": False}, b'{"prompt":"a"}'),
        (b'{"prompt":"a","n_probs":9,"return_logprob":true,"return_hidden_states":true}',
         {"logprobs": False}, b'{"prompt":"a"}'),
        (b'{"messages":[],"thinking":{"budget_tokens":5},"max_tokens":9}',
         {"max_output_tokens": 5}, b'{"messages":[],"max_tokens":5}'),
        (b'{"messages":[],"thinking":{"budget_tokens":4},"max_tokens":5}',
         {"max_output_tokens": 5}, None),
    ],
)  # fmt: skip
def test_what_is_more_than_allowed_is_lowered_and_the_rest_stays(
    body: bytes, less: dict[str, Any], expected: bytes | None
) -> None:
    assert restricted(body, **less) == (body if expected is None else expected)


def test_usage_is_asked_for_where_a_stream_does_not_already() -> None:
    def asked(body: bytes) -> bytes:
        return rewrite(body, [], Dialect.OPENAI, restrictions=None, force_usage=True)

    assert asked(b'{"messages":[],"stream":true}') == (
        b'{"messages":[],"stream":true,"stream_options":{"include_usage":true}}'
    )
    assert asked(b'{"prompt":"a","stream":true,"stream_options":{"x":1}}') == (
        b'{"prompt":"a","stream":true,"stream_options":{"x":1,"include_usage":true}}'
    )
    done = b'{"messages":[],"stream":true,"stream_options":{"include_usage":true}}'
    for same in (b'{"messages":[],"stream":false}', b'{"input":"a","stream":true}', done):
        assert asked(same) == same


def test_a_response_decodes_to_64_mebibytes_at_most() -> None:
    for extra, failed in ((0, False), (1, True)):
        # Of each 16 KiB the first bytes decode to a mebibyte, the others to nothing.
        sizes = iter([*([MIB] + [0] * 63) * 64, extra])
        decoder = Decoder(lambda _, sizes=sizes: bytes(next(sizes)))  # type: ignore[misc]
        pieces = sum(1 for _ in range(64) for _ in decoder.feed(b"x" * 256 * 64))
        last = list(decoder.feed(b"x"))
        assert (pieces, decoder.failed, last) == (64, failed, [])


def test_what_a_coding_that_failed_says_afterwards_is_not_heard() -> None:
    decoder = decoder_for(b"gzip")
    assert decoder is not None

    assert list(decoder.feed(b"nonsense")) == []
    assert decoder.failed
    assert list(decoder.feed(gzip.compress(b"x"))) == []
    assert decoder_for(b"unheard") is None
