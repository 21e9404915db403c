"""A model named in the query is the one that is judged, or nobody knows which it is."""

from __future__ import annotations

import pytest

from gateway_guard.core.identify import identify
from gateway_guard.core.members import Misshapen
from gateway_guard.core.query_model import model_in_query
from gateway_guard.core.sections import Identify, Inspect
from gateway_guard.types import Inspection, Request
from tests import build

CHAT = "/v1/chat/completions"


def seen(query: bytes, path: str = CHAT, *, method: str = "POST", named: str = "apex-4") -> Request:
    body = build.chat_body(model=named) if method == "POST" else None
    return identify(
        build.wire(path, method=method, body=body, query=query), Identify(), Inspect(),
        id="r_1", at=build.NOW, secret=build.SECRET, keys={},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("query", "model"),
    [
        (b"model=a", "a"),
        (b"beta=true&model=a+b", "a b"),
        (b"%6dodel=a", "a"),
        (b"Model=a", "a"),
        (b"deployment=a&api-version=1", "a"),
        (b"model=a&deployment=a", "a"),
        (b"model=a&model=a", "a"),
        (b"model=", None),
        (b"beta=true", None),
        (b"q=model", None),
        (b"a=%zz", None),
    ],
)
def test_a_query_names_a_model_however_it_is_spelled(query: bytes, model: str | None) -> None:
    assert model_in_query(query) == model


@pytest.mark.parametrize(
    "query",
    [b"model=a&model=b", b"model=a&%6dodel=b", b"model=a&deployment=b", b"model=&model=b",
     b"model=a%0a", b"model=" + b"a" * 300, b"model=a" + b"&x=1" * 100],
)  # fmt: skip
def test_a_query_that_two_readers_may_read_in_two_ways_is_misshapen(query: bytes) -> None:
    with pytest.raises(Misshapen):
        model_in_query(query)


def test_what_query_and_body_say_has_to_agree() -> None:
    assert seen(b"model=APEX-4").model == "apex-4"
    assert seen(b"model=").model == "apex-4"
    assert seen(b"model=other").inspection is Inspection.SHAPE
    assert seen(b"model=other").model is None


def test_a_body_without_a_model_asks_for_the_one_in_the_query() -> None:
    request = seen(b"model=other", named="")

    assert (request.model, request.inspection) == ("other", Inspection.FULL)


def test_a_socket_asks_for_the_model_in_its_query() -> None:
    socket = seen(b"model=live-1", "/v1/realtime", method="WEBSOCKET")

    assert (socket.model, socket.inspection) == ("live-1", Inspection.NONE)
    assert seen(b"deployment=d", "/openai/realtime", method="WEBSOCKET").model == "d"
    two = seen(b"model=a&model=b", "/v1/realtime", method="WEBSOCKET")
    assert (two.model, two.inspection) == (None, Inspection.SHAPE)


def test_where_the_path_decides_the_query_is_an_ornament() -> None:
    path = "/openai/deployments/placed/chat/completions"

    assert seen(b"model=other", path).model == "placed"


def test_elsewhere_a_query_is_nobodys_business() -> None:
    request = seen(b"model=a&model=b", "/v1/models", method="GET")

    assert (request.model, request.inspection) == (None, Inspection.NONE)
