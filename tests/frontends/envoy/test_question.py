"""What a question says of the client's request, and which questions say nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.frontends.envoy.question import Question, question
from gateway_guard.frontends.extauth.original import Misasked
from tests import build
from tests.frontends.asking import CHAT, HANDSHAKE
from tests.frontends.envoy.asking import CLIENT, check

MOST = 1_000_000


def read(message: Any, most: int = MOST) -> Question:
    found = question(message.SerializeToString(), most)
    assert isinstance(found, Question)
    return found


@pytest.mark.parametrize("raw", [True, False])
def test_a_question_is_about_the_request_as_the_client_sent_it(raw: bool) -> None:
    body = build.chat_body()

    wire = read(check(f"{CHAT}?a=b", body=body, raw=raw)).wire

    fields = dict(wire.headers)
    assert (wire.method, wire.raw_path, wire.peer) == ("POST", CHAT.encode(), CLIENT)
    assert fields[b"authorization"] == b"Bearer sk-1"
    assert fields[b"host"] == b"api.test"
    assert not [name for name in fields if name[:1] == b":"]
    assert (wire.body, wire.body_too_large) == (body, False)


def test_fields_of_one_name_are_kept_apart_where_envoy_sends_them_so() -> None:
    message = check()
    message.attributes.request.http.header_map.headers.add(
        key=b"authorization", raw_value=b"Bearer sk-2"
    )

    values = [value for name, value in read(message).wire.headers if name == b"authorization"]

    assert values == [b"Bearer sk-1", b"Bearer sk-2"]


@pytest.mark.parametrize(
    ("saying_who", "values"), [([b"x-api-key"], [b"one", b"two"]), ([], [b"one,two"])]
)
def test_where_envoy_joins_them_those_that_say_who_asks_are_taken_apart(
    saying_who: list[bytes], values: list[bytes]
) -> None:
    message = check(headers={"x-api-key": "one,two"}, raw=False)

    found = question(message.SerializeToString(), MOST, saying_who)

    assert isinstance(found, Question)
    assert [value for name, value in found.wire.headers if name == b"x-api-key"] == values


def test_bytes_that_are_not_utf8_arrive_as_they_are_where_envoy_sends_them_so() -> None:
    wire = read(check(headers={"x-name": "J\xfcrgen"})).wire

    assert dict(wire.headers)[b"x-name"] == b"J\xfcrgen"


def test_a_body_as_text_is_read_too() -> None:
    body = build.chat_body()

    assert read(check(body=body, text_body=True)).wire.body == body


def test_what_the_client_claims_of_the_guard_is_named_and_not_believed() -> None:
    found = read(check(headers={"x-guard-account": "acct_admin", "x-guard-new": "1"}))

    assert found.claimed == (b"x-guard-account", b"x-guard-new")
    assert not [name for name, _ in found.wire.headers if name.startswith(b"x-guard")]


def test_what_an_upstream_may_take_for_the_guards_or_a_proxys_word_is_taken_away() -> None:
    found = read(
        check(
            headers={
                "x_guard_account": "acct_admin", "x.forwarded.for": "192.0.2.9",
                "x_api_key": "sk-1", "x_trace_id": "1",
            }
        )
    )  # fmt: skip

    assert set(found.claimed) == {b"x_guard_account", b"x.forwarded.for"}


@pytest.mark.parametrize(
    "headers", [{"x-envoy-auth-partial-body": "true"}, {"content-length": "10000"}]
)
def test_a_body_envoy_has_cut_is_unknown(headers: dict[str, str]) -> None:
    wire = read(check(body=b'{"model":', headers=headers)).wire

    assert (wire.body, wire.body_too_large) == (None, True)


def test_a_whole_body_is_not_taken_for_a_cut_one() -> None:
    headers = {"x-envoy-auth-partial-body": "false", "content-length": "2"}

    assert read(check(body=b"{}", headers=headers)).wire.body == b"{}"


def test_a_body_longer_than_the_policy_reads_is_unknown() -> None:
    assert read(check(body=b"x" * 10), most=10).wire.body == b"x" * 10
    assert read(check(body=b"x" * 11), most=10).wire.body_too_large


def test_without_a_body_the_rest_is_judged() -> None:
    wire = read(check(headers={"content-length": "57"})).wire

    assert (wire.body, wire.body_too_large, wire.unseen) == (None, False, True)


def test_a_handshake_is_judged_as_a_websocket() -> None:
    assert read(check(method="GET", headers=HANDSHAKE)).wire.method == "WEBSOCKET"


@pytest.mark.parametrize(
    ("method", "headers"),
    [("POST", {}), ("GET", {"content-length": "5"}), ("GET", {"transfer-encoding": "chunked"})],
)
def test_a_handshake_that_may_hide_a_body_is_a_request_whose_body_is_unknown(
    method: str, headers: dict[str, str]
) -> None:
    wire = read(check(method=method, headers=HANDSHAKE | headers)).wire

    assert (wire.method, wire.body_too_large) == (method, True)


@pytest.mark.parametrize("headers", [{"upgrade": "websocket"}, HANDSHAKE | {"upgrade": "h2c"}])
def test_what_envoy_makes_no_websocket_of_is_none(headers: dict[str, str]) -> None:
    assert read(check(method="GET", headers=headers)).wire.method == "GET"


def test_a_client_on_a_unix_socket_has_no_address() -> None:
    message = check(source=None)
    message.attributes.source.address.pipe.path = b"/run/envoy.sock"

    assert read(message).wire.peer is None


def test_a_client_envoy_calls_by_another_kind_of_address_is_nobody() -> None:
    message = check(source=None)
    message.attributes.source.address.SetInParent()

    assert read(message).wire.peer == ""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda http: http.ClearField("path"), "no method and path"),
        (lambda http: http.ClearField("method"), "no method and path"),
        (lambda http: setattr(http, "path", b"*"), "does not begin with a slash"),
        (lambda http: setattr(http, "method", b"PO ST"), "no method"),
        (lambda http: setattr(http, "method", b"P\xd6ST"), "no method"),
    ],
)
def test_a_question_about_no_request_says_what_is_wrong(change: Any, why: str) -> None:
    message = check()
    change(message.attributes.request.http)

    found = question(message.SerializeToString(), MOST)

    assert isinstance(found, Misasked)
    assert why in found.why


def test_a_question_that_hides_where_the_client_is_says_nothing() -> None:
    found = question(check(source=None).SerializeToString(), MOST)

    assert isinstance(found, Misasked)
    assert "comes from" in found.why


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(message: bytes) -> None:
    assert isinstance(question(message, MOST), Misasked | Question)


@given(
    st.dictionaries(st.text(max_size=20), st.binary(max_size=40), max_size=4),
    st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=40),
)  # fmt: skip
def test_no_fields_make_it_raise(
    headers: dict[str, bytes], method: bytes, path: bytes, source: bytes
) -> None:
    message = check()
    http = message.attributes.request.http
    http.method, http.path = method, path
    message.attributes.source.address.socket_address.address = source
    for name, value in headers.items():
        http.header_map.headers.add(key=name.encode(), raw_value=value)

    assert isinstance(question(message.SerializeToString(), MOST), Misasked | Question)
