"""One reading of a path, or none."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.dialects import model_by_path, route
from gateway_guard.core.paths import LONGEST, canonical
from gateway_guard.types import Dialect

ONE_READING = [
    (b"/", "/"),
    (b"/v1/chat/completions", "/v1/chat/completions"),
    (b"/v1/", "/v1/"),
    (b"/v1//limited", "/v1/limited"),
    (b"/v1///limited//x", "/v1/limited/x"),
    (b"/./admin", "/admin"),
    (b"/v1/./limited", "/v1/limited"),
    (b"/v1/%2e/limited", "/v1/limited"),
    (b"/admin/.", "/admin/"),
    (b"/%61dmin", "/admin"),
    (b"/adm%69n/x", "/admin/x"),
    (b"/v1/%6cimited", "/v1/limited"),
    (b"/caf%C3%A9", "/café"),
    (b"/%E6%97%A5%E6%9C%AC", "/日本"),
    (b"/a%20file", "/a file"),
    (b"/100%25", "/100%"),
    (b"/a%25", "/a%"),
    (b"/50%25-off", "/50%-off"),
    (b"/v1beta/models/gem-2:generateContent", "/v1beta/models/gem-2:generateContent"),
    (b"/.well-known/x", "/.well-known/x"),
    (b"/a.b/c..d/...x", "/a.b/c..d/...x"),
    (b"/a+b,c=d&e@f!$'()*~", "/a+b,c=d&e@f!$'()*~"),
    (b"/{id}|x", "/{id}|x"),
    (b"/%7Bid%7D", "/{id}"),
    (b"/ADMIN", "/ADMIN"),
    # Full-width, enclosed and mathematical letters, a ligature, and the Turkish ones.
    (b"/%ef%bc%a1dmin", "/Admin"),
    (b"/%e2%93%90dmin", "/admin"),
    (b"/%f0%9d%9a%8admin", "/admin"),
    (b"/%ef%ac%81les", "/files"),
    (b"/adm%c4%b1n/%c4%b0x", "/admin/ix"),
]
_ARN = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile"
#: A model in one segment, as SDKs escape it, and as one that is sparing with that would.
ARNS = [
    (f"/model/{_ARN.replace(':', '%3A')}%2Fabc-1/converse", f"/model/{_ARN}%2Fabc-1/converse"),
    (f"/model/{_ARN}%2fus.m-v2%3a0/invoke", f"/model/{_ARN}%2Fus.m-v2:0/invoke"),
    (f"/bedrock/model/{_ARN}%2Fabc/invoke", f"/bedrock/model/{_ARN}%2Fabc/invoke"),
]
NO_ARNS = [
    f"/model/{_ARN}%2F..%2Fadmin/converse", f"/model/{_ARN}%2F../converse",
    f"/model/{_ARN}%2Fa..b/converse", f"/model/{_ARN}%2Fa./converse", f"/model/{_ARN}%2F/converse",
    f"/model/{_ARN}%2Fa%2Fb/converse", f"/model/{_ARN}%2Fa/b/converse", f"/model/{_ARN}%2Fa",
    f"/model/{_ARN}%252Fa/converse", f"/{_ARN}%2Fa/converse", f"/a%2F/model/{_ARN}%2Fa/converse",
    f"/model/{_ARN}%2Fa/converse/../x", f"/../model/{_ARN}%2Fa/converse",
    "/model/arn%2Fa/converse", "/model/arn:aws:s3:::bucket%2Fa/converse",
]  # fmt: skip
TWO_READINGS = [
    b"", b"*", b"admin", b"api.test:443", b"?x", b"#", b"http://api.test/admin", b"HTTP://a/",
    b"//admin", b"//api.test/admin", b"///a", b"/a/../admin", b"/..", b"/../x", b"/a/..",
    b"/v1/%2e%2e/admin", b"/v1/.%2e/admin", b"/v1/%2E%2e/x", b"/v1//../admin", b"/v1/%2f../admin",
    b"/a%2fb", b"/a%2Fb", b"/%2fadmin", b"/admin%2f", b"/%2e%2e%2fadmin", b"/\\admin",
    b"/v1\\..\\admin", b"/%5cadmin", b"/a%5Cb", b"/admin;x=1", b"/;/admin", b"/v1/..;/admin",
    b"/admin%3b", b"/admin%00", b"/admin%00.json", b"/admin%09", b"/admin%0a", b"/admin%0d",
    b"/admin%7f", b"/admin%20", b"/admin%20/x", b"/%20admin", b"/admin.", b"/admin./x",
    b"/admin%2e", b"/...", b"/admin#x", b"/admin%23", b"/admin?x", b"/admin%3fx", b"/%2561dmin",
    b"/%252e%252e/admin", b"/v1/%252e%252e%252fadmin", b"/%25u0061", b"/%u0061dmin", b"/%",
    b"/%4", b"/%zz", b"/a%%41", b"/a% 41", b"/%c0%ae%c0%ae/admin", b"/%c0%afadmin",
    b"/%e0%80%afadmin", b"/%ff", b"/%ed%a0%80", b"/%ef%bc%8fadmin", b"/%ef%bc%8e%ef%bc%8e/x",
    b"/a%ef%bc%9bx", b"/%e2%80%a5/x", b"/%ef%bb%bfadmin", b"/ad%e2%80%8bmin", b"/a%c2%a0",
    b"/a%c2%85", b"/a%e2%80%ae", b"/a\x00b", b"/a\x01", b"/a b", b"/a\tb", b"/a\r\nb",
    "/é".encode(), b"/\xff", b"/" + b"a" * LONGEST,
]  # fmt: skip


@pytest.mark.parametrize(("raw", "path"), ONE_READING)
def test_a_path_with_one_reading_is_read(raw: bytes, path: str) -> None:
    assert canonical(raw) == path


@pytest.mark.parametrize("raw", TWO_READINGS, ids=lambda raw: ascii(raw)[:40])
def test_a_path_with_two_readings_is_none(raw: bytes) -> None:
    assert canonical(raw) is None


@pytest.mark.parametrize(("raw", "path"), ARNS)
def test_the_slash_of_an_arn_stays_escaped(raw: str, path: str) -> None:
    assert canonical(raw.encode()) == path
    assert canonical(path.encode()) == path
    assert route(path) is Dialect.OTHER
    assert str(model_by_path(path)).startswith(f"{_ARN}/")


@pytest.mark.parametrize("raw", NO_ARNS)
def test_no_other_escaped_slash_is_read(raw: str) -> None:
    assert canonical(raw.encode()) is None


@given(st.binary(max_size=40).map(lambda tail: b"/" + tail))
def test_what_is_canonical_stays_so(raw: bytes) -> None:
    path = canonical(raw)

    if path is not None and "%" not in path:
        again = canonical(
            b"".join(
                byte if re.match(rb"[A-Za-z0-9/._~-]", byte) else b"%%%02X" % byte[0]
                for byte in (path.encode()[i : i + 1] for i in range(len(path.encode())))
            )
        )
        assert again == path


@given(
    st.lists(
        st.sampled_from(
            [b"/", b"%2f", b"%2F", b"\\", b"%5c", b".", b"%2e", b"..", b";", b"admin", b"%61",
             b"v1", b"%25", b"2f", b"2e", b"%00", b"?", b"#", b"%ef%bc%8f", b" ", b"%20"]
        ),
        max_size=12,
    ).map(lambda parts: b"/" + b"".join(parts))
)  # fmt: skip
def test_no_spelling_reaches_admin_under_another_name(raw: bytes) -> None:
    path = canonical(raw)
    if path is None or path == "/admin" or path.startswith("/admin/"):
        return

    for once in (raw, unquote_to_bytes(raw), unquote_to_bytes(unquote_to_bytes(raw))):
        for reading in (once, once.replace(b"\\", b"/"), once.split(b";")[0], once.split(b"\0")[0]):
            resolved: list[bytes] = []
            for segment in re.sub(rb"/+", b"/", reading).split(b"/"):
                if segment == b"..":
                    resolved = resolved[:-1] if len(resolved) > 1 else resolved
                elif segment != b".":
                    resolved.append(segment)
            assert resolved[:2] != [b"", b"admin"]


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(raw: bytes) -> None:
    path = canonical(raw)

    assert path is None or path.startswith("/")
