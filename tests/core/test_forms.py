"""Forms: read as client libraries write them, and no otherwise."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core import forms
from gateway_guard.core.body import read
from gateway_guard.core.members import model_of
from gateway_guard.core.prompt import shape
from gateway_guard.core.rewrite import rewrite
from gateway_guard.core.seeds import seeds
from gateway_guard.types import Dialect, Inspection, Restrictions
from tests.build import SECRET

TYPE = b"multipart/form-data; boundary=XyZ"


def field(name: str, value: str, more: str = "") -> bytes:
    return (
        f'--XyZ\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'.encode()
    )


def form(*parts: bytes, end: bytes = b"--XyZ--\r\n") -> bytes:
    return b"".join(parts) + end


def test_a_form_a_client_library_wrote_is_read_as_it_was_meant() -> None:
    data = {"model": "whisper-1", "prompt": "Names: Åse", "stream": "true", "n": "2"}
    request = httpx.Request(
        "POST",
        "http://api.test/",
        data=data,
        files={"file": ("å.wav", b"RIFF\r\n--\r\n", "audio/wav")},
    )

    inspection, document = read(
        request.read(), [request.headers["content-type"].encode()], [], 10_000
    )

    assert inspection is Inspection.FULL
    assert document is not None
    assert model_of(document) == "whisper-1"
    kept = shape(document, seeds(SECRET))
    assert (kept.stream, kept.n) == (True, 2)
    assert kept.input_tokens > 1000  # the file
    assert {role.role for role in kept.roles} == {"user"}


def test_lists_are_read_under_their_own_name() -> None:
    body = form(field("include[]", "logprobs"), field("include[]", "x"), field("model", "m"))

    assert forms.parse(body, TYPE) == {"include": ["logprobs", "x"], "model": "m"}


def test_the_type_of_a_part_may_stand_before_its_name() -> None:
    part = (
        b"--XyZ\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 9\r\n"
        b'Content-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    )

    assert forms.parse(form(part), TYPE) == {"model": "whisper-1"}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", Inspection.SHAPE),
        (form(), Inspection.SHAPE),
        (b"text\r\n" + form(field("model", "m")), Inspection.SHAPE),
        (form(field("model", "m")) + b"text", Inspection.SHAPE),
        (form(field("model", "m"), end=b""), Inspection.SHAPE),
        (form(field("model", "m\r\n--XyZ \r\nx")), Inspection.SHAPE),
        (form(field("model", "m--XyZ")), Inspection.SHAPE),
        (form(field("model", "m").replace(b"\r\n", b"\n")), Inspection.SHAPE),
        (form(field("model", "m"), field("model", "o")), Inspection.DUPLICATE_KEYS),
        (form(field("include", "m"), field("include[]", "o")), Inspection.DUPLICATE_KEYS),
        (form(field("model[]", "m")), Inspection.SHAPE),
        (form(field("model", "m", '; filename="a"')), Inspection.SHAPE),
        (form(field("file", "m", "; filename*=UTF-8''a")), Inspection.SHAPE),
        (form(field("model", "m", "; name=other")), Inspection.SHAPE),
        (form(field("mo\\\\del", "m")), Inspection.SHAPE),
        (form(field("model", "m", "\r\nContent-Transfer-Encoding: base64")), Inspection.SHAPE),
        (
            form(field("model", "m", "\r\nContent-Type: text/plain; charset=utf-7")),
            Inspection.SHAPE,
        ),
        (form(field("model", "m").replace(b"m\r\n", b"\xff\r\n")), Inspection.CHARSET),
        (form(field("prompt", "abcdef", "\r\nContent-Length: 3")), Inspection.SHAPE),
        (form(field("prompt", "abc", "\r\nContent-Length: 80")), Inspection.SHAPE),
        (form(field("voice", "abc", '; filename=""')), Inspection.SHAPE),
        (form(field("_charset_", "utf-7"), field("prompt", "+AGE-")), Inspection.CHARSET),
        (form(field("contents", "m"), field("file", "x", '; filename="a"')), Inspection.SHAPE),
        (
            form(field("model", "m", '\r\nContent-Disposition: form-data; name="prompt"')),
            Inspection.SHAPE,
        ),
        (form(field("n", "many")), Inspection.SHAPE),
        (form(field("n", "²")), Inspection.SHAPE),
        (form(field("stream", "perhaps")), Inspection.SHAPE),
        (form(*[field(f"f{n}", "x") for n in range(80)]), Inspection.SHAPE),
    ],
)
def test_what_readers_read_in_several_ways_is_not_read(body: bytes, why: Inspection) -> None:
    assert forms.parse(body, TYPE) is why


@pytest.mark.parametrize(
    "content_type",
    [
        b"multipart/form-data; charset=utf-8; boundary=XyZ",
        b"multipart/form-data; boundary=XyZ; boundary=Other",
        b"multipart/form-data; boundary=",
        b"multipart/mixed; boundary=XyZ",
        b"multipart/form-data",
    ],
)
def test_only_a_plain_boundary_is_believed(content_type: bytes) -> None:
    inspection, document = read(form(field("model", "m")), [content_type], [], 10_000)

    assert (inspection, document) == (Inspection.CONTENT_TYPE, None)


def test_two_content_types_are_none() -> None:
    inspection, _ = read(form(field("model", "m")), [TYPE, TYPE], [], 10_000)

    assert inspection is Inspection.CONTENT_TYPE


def test_a_form_is_forwarded_as_it_came() -> None:
    body = form(field("model", "m"))
    less = Restrictions(max_output_tokens=5, logprobs=False, n=1)

    assert rewrite(body, [], Dialect.OPENAI, restrictions=less, force_usage=True) is body


def test_a_form_that_came_compressed_is_rewritten_to_what_it_said() -> None:
    body = form(field("model", "m"))
    less = Restrictions(max_output_tokens=5, logprobs=False, n=1)

    sent = rewrite(
        gzip.compress(body), [(b"content-encoding", b"gzip")], Dialect.OPENAI,
        restrictions=less, force_usage=True,
    )  # fmt: skip

    assert sent == body


pieces = st.sampled_from(
    [b"--XyZ", b"--", b"\r\n", b"\r\n\r\n", b'Content-Disposition: form-data; name="model"', b"m"]
)


@given(st.lists(pieces, max_size=12).map(b"".join))
def test_no_form_makes_it_raise(body: bytes) -> None:
    found: Any = forms.parse(body, TYPE)

    assert isinstance(found, dict | Inspection)
