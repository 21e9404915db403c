"""A body is read the quick way exactly as by CPython's own scanner, whatever is written in it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway_guard.core import body as bodies
from gateway_guard.types import Inspection

#: What stands between two quotes: colons and brackets, and escapes of the same characters.
_SOUND = (
    "a", "b", ":", "{", "[", ",", " ", "é", "\u2028", "\U0001f600", "\x7f",
    r"\"", r"\\", r"\/", r"\b", r"\n", r"\u0061", r"\u003a", r"\u003A", r"\u0022", r"\u0000",
    r"\ud83d\ude00", r"\uD83D\uDE00", '\\":',
)  # fmt: skip
#: Halves of pairs, broken escapes, and what no string may hold.
_ODD = (r"\ud800", r"\udc00", r"\ude00\ud83d", r"\u12", r"\x41", r"\u003", "\t", "\x00", '":')
_NAMES = ('"a"', '"b"', r'"\u0061"', '"A"', '"model"', '"a:b"', '""')
_ODD_NAMES = ('"":', "a", "'a'", "1", '"a')
_NUMBERS = (
    "0", "-0", "-0.0", "1", "1.0", "10", "1e1", "1E1", "1e+1", "1e-400", "0.1", "5e-324",
    "2.5e-324", "0.30000000000000004", "1.7976931348623157e308", "9007199254740993",
    "9223372036854775808", "18446744073709551615", "18446744073709551616",
    "-9223372036854775809", "1" + "0" * 400,
)  # fmt: skip
_ODD_NUMBERS = (
    "1e400", "-1e400", "1.7976931348623159e308", "01", "1.", ".5", "+1", "0x1", "NaN", "Infinity",
    "-Infinity", "nul", "None", "",
)  # fmt: skip


def _written(*, odd: bool) -> st.SearchStrategy[str]:
    """JSON as people and attackers write it; where `odd`, it may be none."""
    characters = st.one_of(
        st.sampled_from(_SOUND + _ODD if odd else _SOUND),
        st.text(max_size=3).map(lambda text: msgspec.json.encode(text)[1:-1].decode()),
    )
    strings = st.lists(characters, max_size=4).map(lambda parts: '"' + "".join(parts) + '"')
    names = st.one_of(st.sampled_from(_NAMES + _ODD_NAMES if odd else _NAMES), strings)
    numbers = st.one_of(
        st.sampled_from(_NUMBERS + _ODD_NUMBERS if odd else _NUMBERS),
        st.integers().map(str), st.floats(allow_nan=False, allow_infinity=False).map(repr),
    )  # fmt: skip
    white = st.sampled_from(["", "", "", " ", "\n", "\t", "\r\n", *(["\f", "\xa0"] if odd else [])])

    def array(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        values = st.tuples(white, inner, white).map("".join)
        return st.lists(values, max_size=4).map(lambda written: "[" + ",".join(written) + "]")

    def object_of(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        members = st.tuples(names, white, st.just(":"), white, inner, white).map("".join)
        return st.lists(members, max_size=4).map(lambda written: "{" + ",".join(written) + "}")

    values = st.recursive(
        st.one_of(strings, numbers, st.sampled_from(["null", "true", "false"])),
        lambda inner: st.one_of(object_of(inner), array(inner)),
        max_leaves=8,
    )
    whole = st.one_of(object_of(values), object_of(values), values) if odd else object_of(values)
    return st.tuples(white, whole, white).map("".join)


_texts = st.one_of(_written(odd=False), _written(odd=True))

#: 1, 1.0 and True are equal and not the same.
_EXACTLY = repr


def _slowly(body: bytes) -> dict[str, Any] | Inspection:
    return bodies._parse_slowly(body)


@settings(max_examples=200)
@given(_texts)
@example('{"a":1,"a":1}')
@example('{"a":1,"\\u0061":1}')
@example('{"a":{"b":1,"b":1}}')
@example('{"a":[{"b":":"},{"b":1,"b":2}]}')
@example('{"a":"x\\u003ay","b":1,"b":2}')
@example('{"a":"\\ud800"}')
@example('{"a":-0,"b":1E1,"c":1.0}')
@example('{"a": 18446744073709551616}')
@example("{}")
def test_what_is_written_reads_quickly_as_it_reads_slowly(text: str) -> None:
    body = text.encode("utf-8", "surrogatepass")

    assert _EXACTLY(bodies.parse(body)) == _EXACTLY(_slowly(body))


@given(_texts)
@example('{"a":"\\ud800"}')
@example('{"a":1e400}')
def test_what_is_read_is_finite_unicode_and_as_the_standard_library_reads_it(text: str) -> None:
    body = text.encode("utf-8", "surrogatepass")

    document = bodies.parse(body)

    if not isinstance(document, Inspection):
        assert _EXACTLY(document) == _EXACTLY(json.loads(body))
        json.dumps(document, ensure_ascii=False, allow_nan=False).encode()  # raises for the rest


@given(st.binary(max_size=64).map(lambda noise: b'{"a":"' + noise + b'"}'))
def test_bytes_that_are_no_text_read_quickly_as_they_read_slowly(body: bytes) -> None:
    assert _EXACTLY(bodies.parse(body)) == _EXACTLY(_slowly(body))


@pytest.mark.parametrize("opens", ['{"a":', "["])
@pytest.mark.parametrize("depth", [bodies.MOST_DEPTH - 1, bodies.MOST_DEPTH, 1_500])
def test_depth_is_bounded_quickly_as_it_is_slowly(opens: str, depth: int) -> None:
    closes = "}" if opens[0] == "{" else "]"
    body = ('{"m":' + opens * depth + "1" + closes * depth + "}").encode()

    found = bodies.parse(body)

    assert _EXACTLY(found) == _EXACTLY(_slowly(body))
    assert (found is Inspection.NOT_JSON) == (depth >= bodies.MOST_DEPTH)
