"""What the guard has read of a prompt is what the upstream's parser reads, in any spelling: by
CPython's `json` (the last of two members wins, UTF-16 is sniffed) and by msgspec. Or it is unknown.

`tests/fuzz/targets/prompt_reader.py` says what has to agree; here bodies are made to disagree.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_guard.types import Inspection
from tests.fuzz.targets.prompt_reader import PATHS, PLANTED, check, seen

CHAT: Final = PATHS[0]
_TEXTS: Final = st.one_of(
    st.text(max_size=12),
    st.just(PLANTED),
    st.sampled_from(["PLANTED phrase", "a:b", "{}", '"\\', "\u2028\x7f"]),
)


def _part(dialect: str) -> st.SearchStrategy[Any]:
    textual = {"openai": "text", "responses": "input_text"}.get(dialect)
    bare = _TEXTS.map(
        lambda text: {"text": text} if textual is None else {"type": textual, "text": text}
    )
    other = st.sampled_from(
        [{"type": "image_url", "image_url": {"url": "data:,"}}, {"inlineData": {"data": "AA=="}}]
    )
    return st.one_of(bare, bare, other)


def _turns(content: str, dialect: str) -> st.SearchStrategy[Any]:
    parts = st.lists(_part(dialect), max_size=3)
    said = parts if content == "parts" else st.one_of(_TEXTS, parts)
    return st.lists(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["user", "assistant", "system"]), content: said}
        ),
        max_size=3,
    )


_COUNTS: Final = st.one_of(st.integers(0, 5000), st.integers(0, 2**70))
_MORE: Final = {
    "model": st.sampled_from(["apex-4", " apex-4 ", "m:1"]), "stream": st.booleans(),
    "max_tokens": _COUNTS, "n": st.integers(1, 9), "temperature": st.floats(0, 2),
    "metadata": st.dictionaries(st.text(max_size=3), _TEXTS, max_size=2), "seed": st.integers(),
}  # fmt: skip


def _document(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(members, optional=_MORE)


#: (path, document) of each dialect and kind of call.
DOCUMENTS: Final = st.one_of(
    st.tuples(st.just(CHAT), _document(messages=_turns("content", "openai"))),
    st.tuples(
        st.just(b"/v1/completions"),
        _document(prompt=st.one_of(_TEXTS, st.lists(_TEXTS, max_size=3))),
    ),
    st.tuples(
        st.just(b"/v1/responses"),
        _document(input=st.one_of(_TEXTS, _turns("content", "responses")), instructions=_TEXTS),
    ),
    st.tuples(st.just(b"/v1/embeddings"), _document(input=st.lists(_TEXTS, max_size=3))),
    st.tuples(
        st.just(b"/v1/messages"), _document(messages=_turns("content", "openai"), system=_TEXTS)
    ),
    st.tuples(
        st.just(b"/v1beta/models/g:generateContent"), _document(contents=_turns("parts", "gemini"))
    ),
    st.tuples(
        st.just(b"/api/chat"),
        _document(messages=_turns("content", "openai"), options=st.just({"num_predict": -1})),
    ),
    st.tuples(st.just(b"/v1/chat"), _document(message=_TEXTS, preamble=_TEXTS)),
    st.tuples(st.just(b"/model/a.b/converse"), _document(messages=_turns("content", "bedrock"))),
)


class _Pen:
    """Writes JSON, each thing in one of its spellings, as `data` decides."""

    def __init__(self, data: st.DataObject) -> None:
        self._draw = data.draw

    def text(self, text: str) -> str:
        """A string, any of its characters escaped."""
        plain = json.dumps(text, ensure_ascii=False)
        if not text or not self._draw(st.booleans()):
            return plain
        at = self._draw(st.integers(0, len(text) - 1))
        units = text[at].encode("utf-16-be")
        escaped = "".join(
            f"\\u{int.from_bytes(units[i : i + 2], 'big'):04x}" for i in range(0, len(units), 2)
        )
        return (
            json.dumps(text[:at], ensure_ascii=False)[:-1]
            + escaped
            + json.dumps(text[at + 1 :], ensure_ascii=False)[1:]
        )

    def white(self) -> str:
        """What may stand between two signs."""
        return self._draw(st.sampled_from(["", "", " ", "\n", "\t", "\r\n"]))

    def value(self, value: Any) -> str:
        """Anything."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return "{" + ",".join(self.members(value)) + "}"
        if isinstance(value, list):
            return "[" + ",".join(self.white() + self.value(item) for item in value) + "]"
        return json.dumps(value)

    def members(self, value: dict[str, Any]) -> Iterator[str]:
        """The members of an object."""
        for name, inner in value.items():
            yield f"{self.white()}{self.text(name)}{self.white()}:{self.white()}{self.value(inner)}"


@settings(max_examples=80)
@given(DOCUMENTS, st.data())
def test_a_prompt_reads_the_same_in_every_spelling_of_it(
    sent: tuple[bytes, dict[str, Any]], data: st.DataObject
) -> None:
    path, document = sent
    body = _Pen(data).value(document).encode()

    request = seen(path, body)

    assert json.loads(body) == document
    check(path, body)
    assert request == seen(path, msgspec.json.encode(document))


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from _objects(inner)


@settings(max_examples=60)
@given(DOCUMENTS, st.data(), st.booleans())
def test_a_member_named_twice_at_any_level_makes_a_prompt_unknown(
    sent: tuple[bytes, dict[str, Any]], data: st.DataObject, first: bool
) -> None:
    path, document = copy.deepcopy(sent)
    chosen = data.draw(st.sampled_from([one for one in _objects(document) if one]))
    name = data.draw(st.sampled_from(sorted(chosen)))
    pen = _Pen(data)
    # Put in by a mark that no text of it has.
    members = {"\ue000": 1, **chosen} if first else {**chosen, "\ue000": 1}
    chosen.clear()
    chosen.update(members)
    again = f"{pen.text(name)}:{pen.value(data.draw(_TEXTS))}"
    body = json.dumps(document, ensure_ascii=False).replace('"\ue000": 1', again, 1).encode()

    request = seen(path, body)

    assert request.inspection is Inspection.DUPLICATE_KEYS
    # An upstream would have read one of the two, without a word.
    json.loads(body)
    msgspec.json.decode(body)
    check(path, body)


@settings(max_examples=60)
@given(
    DOCUMENTS,
    st.sampled_from(
        [
            "utf-8-sig",
            "utf-16",
            "utf-16-le",
            "utf-16-be",
            "utf-32",
            "utf-32-le",
            "utf-32-be",
            "utf-7",
        ]
    ),
)
def test_a_prompt_in_another_encoding_is_unknown(
    sent: tuple[bytes, dict[str, Any]], encoding: str
) -> None:
    path, document = sent
    body = json.dumps(document, ensure_ascii=False).encode(encoding)

    request = seen(path, body)

    if encoding == "utf-7" and body.isascii() and b"+" not in body:
        return  # the same bytes as in UTF-8
    if encoding != "utf-7":
        assert json.loads(body) == document  # CPython finds out which
        assert request.inspection in (Inspection.CHARSET, Inspection.NOT_JSON)
    check(path, body)


NUMBERS: Final = (
    "0", "-0", "-0.0", "1", "1.0", "1e0", "1E+2", "10e-1", "0.5", "-1", "2147483647", "2147483648",
    "9007199254740993", "18446744073709551615", "18446744073709551616", "-9223372036854775809",
    "1" + "0" * 308, "1" + "0" * 400, "9" * 4300, "9" * 4301, "1e308", "1e309", "-1e309", "1e-400",
    "5e-324", "2.2250738585072011e-308", "0.1", "0.30000000000000004", "NaN", "Infinity",
    "-Infinity", "01", "1.", ".5", "+1", "0x10", "1_000", "null", "true", '"5"', "[5]", "",
)  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("member", ["max_tokens", "n", "temperature"])
def test_a_number_is_what_both_parsers_make_of_it_or_the_body_is_unknown(
    member: str, number: str
) -> None:
    body = b'{"messages":[{"role":"user","content":"hi"}],"%b":%b}' % (
        member.encode(),
        number.encode(),
    )

    check(CHAT, body)

    request = seen(CHAT, body)
    if request.inspection is Inspection.FULL:
        by_json = json.loads(body)[member]
        assert repr(by_json) == repr(msgspec.json.decode(body)[member])
        assert request.prompt is not None
        if member == "max_tokens":
            known = None if by_json is None or by_json <= 0 else min(int(by_json), 2**31)
            assert request.prompt.max_output_tokens == known


@pytest.mark.parametrize("depth", [1, 20, 90, 95, 96, 97, 500, 1100, 100_000])
@pytest.mark.parametrize("opens", ["[", '{"text":', '[{"content":'])
def test_nested_content_is_read_as_both_parsers_read_it_or_unknown(opens: str, depth: int) -> None:
    closes = {"[": "]", '{"text":': "}", '[{"content":': "}]"}[opens]
    inner = opens * depth + '"planted phrase"' + closes * depth

    check(CHAT, f'{{"messages":[{{"role":"user","content":{inner}}}]}}'.encode())


@pytest.mark.parametrize("half", [r"\ud800", r"\udc00", r"\ud83dx", r"\ude00\ud83d", "\ud800"])
def test_half_a_character_makes_a_prompt_unknown(half: str) -> None:
    body = f'{{"messages":[{{"role":"user","content":"{half}"}}]}}'.encode("utf-8", "surrogatepass")

    assert seen(CHAT, body).inspection is Inspection.CHARSET
    check(CHAT, body)
