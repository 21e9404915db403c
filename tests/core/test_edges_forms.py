"""Forms at the borders of what is read: parts, boundaries, names, files."""

from __future__ import annotations

from typing import Any

import pytest

from gateway_guard.core.forms import is_form
from gateway_guard.core.forms import parse as parse_form
from gateway_guard.types import Inspection

TYPE = b"multipart/form-data; boundary=XyZ"


def part(name: str, content: bytes = b"v", more: bytes = b"") -> bytes:
    head = f'\r\nContent-Disposition: form-data; name="{name}"'.encode()
    return head + more + b"\r\n\r\n" + content + b"\r\n"


def form(*parts: bytes, end: bytes = b"--\r\n") -> bytes:
    return b"--XyZ" + b"--XyZ".join([*parts, end])


FILE: dict[str, Any] = {"inlineData": {}}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (form(part("a")), {"a": "v"}),
        (form(part("a"), end=b"--"), {"a": "v"}),
        (form(part("a"), end=b"--\r\n\r\n"), Inspection.SHAPE),
        (form(part("a"), end=b""), Inspection.SHAPE),
        (b"x" + form(part("a")), Inspection.SHAPE),
        (form(), Inspection.SHAPE),
        (form(part("a"), part("b", b"")), {"a": "v", "b": ""}),
        (form(part("a"), part("a")), Inspection.DUPLICATE_KEYS),
        (form(b"x" + part("a")[2:]), Inspection.SHAPE),
        (form(b"\r\n" + part("a")[3:]), Inspection.SHAPE),
        (form(part("a")[:-2] + b"xx"), Inspection.SHAPE),
        (form(part("a")[:-1]), Inspection.SHAPE),
        (form(b'\r\nContent-Disposition: form-data; name="a"\r\nv\r\n'), Inspection.SHAPE),
        (form(part("0"), part("-x"), part("a.b")), {"0": "v", "-x": "v", "a.b": "v"}),
        (form(part("_charset_")), Inspection.CHARSET),
        (form(part("a", b"\xff")), Inspection.CHARSET),
        (form(part("a" * 64)), {"a" * 64: "v"}),
        (form(part("a" * 65)), Inspection.SHAPE),
        # A file is a medium of the user's, and what follows it is read.
        (form(part("file", b"x", b'; filename="a.wav"'), part("a")),
         {"a": "v", "contents": [{"role": "user", "parts": [FILE]}]}),
        (form(part("f", b"x", b'; filename="1"'), part("g", b"y", b'; filename="2"')),
         {"contents": [{"role": "user", "parts": [FILE, FILE]}]}),
        (form(part("file", b"", b'; filename=""')),
         {"contents": [{"role": "user", "parts": [FILE]}]}),
        (form(part("file", b"x", b'; filename=""')), Inspection.SHAPE),
        (form(part("Model", b"x", b'; filename="a"')), Inspection.SHAPE),
        (form(part("model[]", b"x", b'; filename="a"')), Inspection.SHAPE),
        (form(part("contents"), part("f", b"x", b'; filename="a"')), Inspection.SHAPE),
        (form(part("f", b"x", b'; filename="' + b"a" * 512 + b'"')),
         {"contents": [{"role": "user", "parts": [FILE]}]}),
        (form(part("f", b"x", b'; filename="' + b"a" * 513 + b'"')), Inspection.SHAPE),
        (form(part("a", b"abc", b"\r\nContent-Length: 3")), {"a": "abc"}),
        (form(part("a", b"abc", b"\r\nContent-Length: 4")), Inspection.SHAPE),
        (form(part("a", b"v", b"\r\nContent-Type: text/plain; charset=UTF-8")), {"a": "v"}),
        (form(part("a", b"v", b"\r\nContent-Type: text/plain\r\nContent-Length: 1")), {"a": "v"}),
        (form(part("a", b"v", b"\r\nContent-Type: a/b\r\nContent-Type: a/b\r\nContent-Length: 1")),
         Inspection.SHAPE),
        (form(part("a", b"v", b"\r\nX-Other: 1")), Inspection.SHAPE),
        (form(b"\r\nContent-Type: a/b\r\n\r\nv\r\n"), Inspection.SHAPE),
        (form(part("n", b"2"), part("max_tokens", b"999999999")),
         {"n": 2, "max_tokens": 999999999}),
        (form(part("n", b"1234567890")), Inspection.SHAPE),
        (form(part("n", b"-1")), Inspection.SHAPE),
        (form(part("n", "²".encode())), Inspection.SHAPE),
        (form(part("stream", b"TRUE"), part("logprobs", b"0")),
         {"stream": True, "logprobs": False}),
        (form(part("stream", b"yes")), Inspection.SHAPE),
        (form(part("logprobs", b"2")), Inspection.SHAPE),
        (form(part("include[]", b"x"), part("include[]", b"y"), part("tags[]")),
         {"include": ["x", "y"], "tags": ["v"]}),
        (form(part("model[]")), Inspection.SHAPE),
        (form(part("tags"), part("tags[]")), Inspection.DUPLICATE_KEYS),
        (form(part("tags[]"), part("tags")), Inspection.DUPLICATE_KEYS),
    ],
)  # fmt: skip
def test_a_form_is_read_as_clients_write_it_or_not_at_all(body: bytes, expected: object) -> None:
    assert parse_form(body, TYPE) == expected


@pytest.mark.parametrize(("parts", "read_"), [(64, True), (65, False)])
def test_sixty_four_parts_are_read(parts: int, read_: bool) -> None:
    document = parse_form(form(*(part(f"p{number}") for number in range(parts))), TYPE)

    assert document == ({f"p{n}": "v" for n in range(parts)} if read_ else Inspection.SHAPE)


def test_a_form_names_its_boundary_of_up_to_70_characters() -> None:
    for size, read_ in ((70, True), (71, False)):
        mark = b"x" * size
        body = form(part("a")).replace(b"XyZ", mark)
        found = parse_form(body, b"multipart/form-data; boundary=" + mark)
        assert found == ({"a": "v"} if read_ else Inspection.CONTENT_TYPE)
    assert parse_form(form(part("a")), b' Multipart/Form-Data;boundary="XyZ"\t') == {"a": "v"}
    assert is_form([b"MULTIPART/FORM-DATA; x"])
    assert not is_form([b"multipart/form-data"])
    assert not is_form([b"multipart/form-data;", b"multipart/form-data;"])
