"""Which request a gateway asks about, and which questions are about none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.frontends.extauth.original import (
    Gateway,
    Misasked,
    apart,
    gateway_of,
    original,
    partial,
    request,
    take_body,
)
from gateway_guard.types import Wire

NGINX = [(b"x-original-method", b"POST"), (b"x-original-uri", b"/v1/messages?beta=1")]
FORWARD = [(b"x-forwarded-method", b"POST"), (b"x-forwarded-uri", b"/v1/messages?beta=1")]


def asked(
    gateway: Gateway, *headers: tuple[bytes, bytes], method: str = "GET", rest: bytes = b""
) -> Wire | Misasked:
    return original(gateway, method=method, rest=rest, headers=list(headers), peer="10.0.0.1")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/auth/nginx", (Gateway.NGINX, b"")),
        (b"/auth/forward", (Gateway.FORWARD, b"")),
        (b"/auth/envoy", (Gateway.ENVOY, b"")),
        (b"/auth/envoy/v1/messages", (Gateway.ENVOY, b"/v1/messages")),
        (b"/auth/envoy//v1/messages", (Gateway.ENVOY, b"//v1/messages")),
        (b"/auth/nginx/", None),
        (b"/auth/forward/v1/messages", None),
        (b"/auth/envoyx", None),
        (b"/auth/", None),
        (b"/auth/\xff", None),
        (b"/v1/messages", None),
        (b"", None),
    ],
)
def test_the_path_says_who_asks(path: bytes, expected: tuple[Gateway, bytes] | None) -> None:
    assert gateway_of(path) == expected


@pytest.mark.parametrize(("gateway", "said"), [(Gateway.NGINX, NGINX), (Gateway.FORWARD, FORWARD)])
def test_method_and_path_are_those_the_gateway_names(
    gateway: Gateway, said: list[tuple[bytes, bytes]]
) -> None:
    wire = asked(gateway, *said)

    assert isinstance(wire, Wire)
    assert (wire.method, wire.raw_path, wire.peer) == ("POST", b"/v1/messages", "10.0.0.1")


def test_envoy_asks_with_the_requests_own_method_and_path() -> None:
    wire = asked(Gateway.ENVOY, method="DELETE", rest=b"/v1/files/a%2Fb")

    assert isinstance(wire, Wire)
    assert (wire.method, wire.raw_path) == ("DELETE", b"/v1/files/a%2Fb")


@pytest.mark.parametrize(("gateway", "said"), [(Gateway.NGINX, NGINX), (Gateway.FORWARD, FORWARD)])
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("times", [0, 2])
def test_a_field_the_gateway_does_not_set_once_makes_the_question_void(
    gateway: Gateway, said: list[tuple[bytes, bytes]], which: int, times: int
) -> None:
    fields = [*said[:which], *[said[which]] * times, *said[which + 1 :]]

    void = asked(gateway, *fields)

    assert isinstance(void, Misasked)
    assert said[which][0].decode() in void.why


@pytest.mark.parametrize("method", [b"", b"GET POST", b"GET\x00", "GÉT".encode(), b"A" * 33])
def test_a_method_that_is_none_makes_it_void(method: bytes) -> None:
    assert isinstance(asked(Gateway.NGINX, (b"x-original-method", method), NGINX[1]), Misasked)


@pytest.mark.parametrize("target", [b"", b"*", b"v1/messages", b"http://upstream/v1/messages"])
def test_a_target_without_a_path_makes_it_void(target: bytes) -> None:
    assert isinstance(asked(Gateway.NGINX, NGINX[0], (b"x-original-uri", target)), Misasked)


def test_what_only_the_question_needs_and_the_guards_own_fields_are_not_the_requests() -> None:
    wire = asked(
        Gateway.NGINX, *NGINX,
        (b"x-forwarded-uri", b"/elsewhere"), (b"x-guard-account", b"acct_somebody"),
        (b"x-envoy-auth-partial-body", b"false"), (b"authorization", b"Bearer k"),
        (b"x-forwarded-for", b"192.0.2.1"),
    )  # fmt: skip

    assert isinstance(wire, Wire)
    assert wire.headers == [(b"authorization", b"Bearer k"), (b"x-forwarded-for", b"192.0.2.1")]


@pytest.mark.parametrize(
    ("value", "is_partial"), [(b"true", True), (b"TRUE ", True), (b"false", False)]
)
def test_envoy_says_when_a_body_is_cut(value: bytes, is_partial: bool) -> None:
    assert partial([(b"x-envoy-auth-partial-body", value)]) is is_partial
    assert not partial([])


UPGRADE = (b"upgrade", b"h2c, WebSocket/13")
CONNECTION = (b"connection", b"keep-alive, Upgrade")
KEY = (b"sec-websocket-key", b"a")


@pytest.mark.parametrize(
    ("headers", "over_http", "whole"),
    [
        ([UPGRADE, CONNECTION, KEY], True, True),
        ([UPGRADE, CONNECTION], True, True),
        ([(b"upgrade", b"h2c"), UPGRADE, CONNECTION], True, True),
        ([UPGRADE], True, False),
        ([KEY], True, False),
        ([(b"x-original-upgrade", b"websocket")], True, False),
        ([(b"upgrade", b"h2c"), CONNECTION], False, False),
        ([(b"upgrade", b"websockets"), CONNECTION], False, False),
        ([CONNECTION], False, False),
    ],
)
def test_a_handshake_is_known_by_what_the_gateway_shows_of_it(
    headers: list[tuple[bytes, bytes]], over_http: bool, whole: bool
) -> None:
    for shown, expected in ((False, over_http), (True, whole)):
        wire = request("get", b"/v1/realtime?model=m", headers, None, whole=shown)

        assert (wire.method, wire.raw_path) == ("WEBSOCKET" if expected else "GET", b"/v1/realtime")
        assert not wire.body_too_large


@pytest.mark.parametrize(
    ("method", "field"),
    [("POST", (b"a", b"")), ("GET", (b"content-length", b"05")),
     ("GET", (b"transfer-encoding", b"chunked"))],
)  # fmt: skip
def test_a_handshake_that_may_hide_a_body_is_one_whose_body_nobody_could_read(
    method: str, field: tuple[bytes, bytes]
) -> None:
    wire = request(method, b"/", [UPGRADE, CONNECTION, field], None, whole=True)
    take_body(wire, b"{}", most=10)

    assert (wire.method, wire.body, wire.body_too_large) == (method, None, True)


@pytest.mark.parametrize("method", ["WEBSOCKET", "WebSocket"])
@pytest.mark.parametrize("headers", [[], [UPGRADE, CONNECTION]])
def test_a_method_that_is_called_like_a_handshake_is_none(
    method: str, headers: list[tuple[bytes, bytes]]
) -> None:
    wire = request(method, b"/v1/chat/completions", headers, None, whole=True)
    take_body(wire, b"{}", most=10)

    assert wire.method == "websocket"
    assert wire.body == b"{}" or wire.body_too_large


@pytest.mark.parametrize(
    ("shown", "cut", "body", "unknown", "unseen"),
    [(b"{}", False, b"{}", False, False), (b"{}", True, None, True, False),
     (b"12345678901", False, None, True, False), (None, False, None, False, True),
     (None, True, None, True, False), (b"", False, b"", False, True)],
)  # fmt: skip
def test_a_body_is_known_where_all_of_it_is_shown(
    shown: bytes | None, cut: bool, body: bytes | None, unknown: bool, unseen: bool
) -> None:
    wire = request("POST", b"/", [], None, whole=True)
    take_body(wire, shown, most=10, cut=cut)

    assert (wire.body, wire.body_too_large, wire.unseen) == (body, unknown, unseen)


@pytest.mark.parametrize("shown", [None, b""])
@pytest.mark.parametrize(
    ("method", "announced", "unseen"),
    [
        ("OPTIONS", [], False), ("get", [], False), ("HEAD", [(b"content-length", b"0")], False),
        ("GET", [(b"content-length", b"2")], True),
        ("OPTIONS", [(b"transfer-encoding", b"chunked")], True), ("DELETE", [], True),
    ],
)  # fmt: skip
def test_a_preflight_or_a_listing_that_announces_no_body_keeps_none_back(
    method: str, announced: list[tuple[bytes, bytes]], shown: bytes | None, unseen: bool
) -> None:
    wire = request(method, b"/v1/chat/completions", announced, None, whole=True)
    take_body(wire, shown, most=10)

    assert wire.unseen or wire.body_too_large if unseen else not wire.unseen


def test_fields_that_say_who_asks_are_taken_apart_where_a_gateway_joined_them() -> None:
    headers = [(b"x-api-key", b"one,two"), (b"accept", b"a,b"), (b"x-api-key", b"three")]

    found = apart(headers, {b"x-api-key"})

    assert found == [
        (b"x-api-key", b"one"), (b"x-api-key", b"two"), (b"accept", b"a,b"),
        (b"x-api-key", b"three"),
    ]  # fmt: skip
    assert apart(headers[1:], {b"x-api-key"}) == headers[1:]


@given(
    gateway=st.sampled_from(Gateway),
    method=st.sampled_from(["GET", "POST"]),
    rest=st.binary(max_size=30),
    headers=st.lists(
        st.tuples(
            st.sampled_from([b"x-original-method", b"x-original-uri", b"x-forwarded-method",
                             b"x-forwarded-uri", b"x-guard-risk", b"host"]),
            st.binary(max_size=12) | st.sampled_from([b"GET", b"/v1/messages"]),
        ),
        max_size=6,
    ),
)  # fmt: skip
def test_any_question_is_about_one_request_or_void(
    gateway: Gateway, method: str, rest: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    wire = original(gateway, method=method, rest=rest, headers=headers, peer=None)

    if isinstance(wire, Wire):
        assert wire.raw_path.startswith(b"/")
        assert b"?" not in wire.raw_path
        assert wire.method == wire.method.upper() != ""
        assert all(not name.startswith(b"x-guard-") for name, _ in wire.headers)
    else:
        assert wire.why
