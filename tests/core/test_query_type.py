"""A query that says what a body is: Google's APIs read it as that."""

from __future__ import annotations

import pytest

from gateway_guard.core.identify import identify
from gateway_guard.core.sections import Identify, Inspect
from gateway_guard.types import Inspection
from tests import build

GEMINI = "/v1beta/models/g-2:generateContent"


def read(query: bytes, path: str = GEMINI) -> Inspection:
    wire = build.wire(path, body=b'{"contents":[{"parts":[{"text":"hi"}]}]}', query=query)
    return identify(
        wire, Identify(), Inspect(), id="r_1", at=build.NOW, secret=build.SECRET, keys={}
    ).inspection


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (b"$ct=application/x-protobuf", Inspection.CONTENT_TYPE),
        (b"%24ct=application/x-protobuf", Inspection.CONTENT_TYPE),
        (b"alt=sse&$%43T=application%2Fx-protobuf", Inspection.CONTENT_TYPE),
        (b"$ct=application/json%3B+charset%3Dutf-16", Inspection.CHARSET),
        (b"$ct=application/json&$ct=application/json", Inspection.CONTENT_TYPE),
        (b"$ct=", Inspection.CONTENT_TYPE),
        (b"$ct=application/json" + b"&x=1" * 100, Inspection.CONTENT_TYPE),
        (b"$ct=application/json", Inspection.FULL),
        (b"$ct=application/json%3B+charset%3Dutf-8", Inspection.FULL),
        (b"$alt=json%3Benum-encoding%3Dint", Inspection.FULL),
        (b"ct=text/plain&q=$ct", Inspection.FULL),
        (b"", Inspection.FULL),
    ],
)
def test_a_body_is_read_as_what_the_query_says_it_is(query: bytes, found: Inspection) -> None:
    assert read(query) is found


def test_others_pass_over_that() -> None:
    assert read(b"$ct=application/x-protobuf", "/v1/chat/completions") is Inspection.FULL
