"""Judging the head of a request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.frontends.head import (
    _LONGEST_NAME,
    _MOST_NAMES,
    MAX_HEADERS,
    BadHead,
    _names,
    error_response,
    host_is_sound,
    read_head,
)

HOST = (b"Host", b"api.test")


def test_a_sound_head_is_split_and_lower_cased() -> None:
    head = read_head(b"POST", b"/v1/x?a=b?c", "1.1", [HOST, (b"Content-Length", b"5 ")])

    assert (head.raw_path, head.query, head.length) == (b"/v1/x", b"a=b?c", 5)
    assert head.headers == [(b"host", b"api.test"), (b"content-length", b"5")]
    assert not head.close


@pytest.mark.parametrize(
    ("method", "target", "version", "fields", "status"),
    [
        (b"GET", b"/", "2.0", [HOST], 505),
        (b"GET", b"/", "0.9", [], 505),
        (b"TRACE", b"/", "1.1", [HOST], 405),
        (b"DESCRIBE", b"/", "1.0", [], 405),
        (b"GET", b"/", "1.1", [], 400),
        (b"GET", b"/", "1.1", [HOST, HOST], 400),
        (b"GET", b"/#x", "1.1", [HOST], 400),
        (b"GET", b"*", "1.1", [HOST], 400),
        (b"GET", b"http:///admin", "1.1", [HOST], 400),
        (b"GET", b"http://evil.test/", "1.1", [HOST], 400),
        (b"GET", b"/" + b"a" * 40_000, "1.1", [HOST], 414),
        (b"GET", b"/", "1.1", [HOST] + [(b"x", b"")] * MAX_HEADERS, 431),
        (b"GET", b"/", "1.1", [HOST, (b"x", b"a" * 70_000)], 431),
        (b"POST", b"/", "1.1", [HOST, (b"Transfer-Encoding", b"gzip, chunked")], 400),
        (b"POST", b"/", "1.0", [HOST, (b"Transfer-Encoding", b"chunked")], 400),
        (b"POST", b"/", "1.1", [HOST, (b"Content-Length", b"+1")], 400),
        (b"POST", b"/", "1.1", [HOST, (b"Expect", b"fire")], 417),
        (b"GET", b"/", "1.1", [HOST, (b"X.Real.IP", b"1.2.3.4")], 400),
        (b"GET", b"/", "1.1", [HOST, (b"x-api-key", b"a"), (b"X-Api-Key", b"b")], 400),
    ],
)
def test_what_cannot_be_read_one_way_only_is_refused(
    method: bytes, target: bytes, version: str, fields: list[tuple[bytes, bytes]], status: int
) -> None:
    with pytest.raises(BadHead) as refused:
        read_head(method, target, version, fields)

    assert refused.value.status == status


def test_fields_with_underscores_are_left_out() -> None:
    head = read_head(b"GET", b"/", "1.1", [HOST, (b"X_Forwarded_For", b"1.2.3.4")])

    assert head.headers == [(b"host", b"api.test")]


@pytest.mark.parametrize(
    "name", [b"Content.Type", b"Api!Key", b"x^original^url", b"Te.", b"a" * 70 + b"_"]
)
def test_fields_named_with_anything_but_letters_digits_and_dashes_are_left_out(name: bytes) -> None:
    for _ in range(2):  # the first time it is looked up, then remembered
        head = read_head(b"GET", b"/", "1.1", [HOST, (name, b"1"), (b"X-Plain", b"2")])

        assert head.headers == [(b"host", b"api.test"), (b"x-plain", b"2")]


def test_what_is_remembered_of_names_and_hosts_is_bounded() -> None:
    for number in range(_MOST_NAMES + 10):
        read_head(b"GET", b"/", "1.1", [HOST, (b"x-%d" % number, b""), (b"y" * 999, b"")])
    host_is_sound(b"a" * 300)

    assert 0 < len(_names) <= _MOST_NAMES
    assert max(map(len, _names)) <= _LONGEST_NAME


@pytest.mark.parametrize("method", [b"COPY", b"MOVE", b"BIND", b"REBIND", b"LINK", b"UNLINK"])
def test_methods_that_act_on_a_second_path_are_not_served(method: bytes) -> None:
    with pytest.raises(BadHead) as refused:
        read_head(method, b"/v1/x", "1.1", [HOST, (b"Destination", b"/admin")])

    assert refused.value.status == 405


@pytest.mark.parametrize("target", [b"http://api.test@evil/v1/x", b"http://api.test:80@evil/"])
def test_what_stands_before_an_at_is_no_host(target: bytes) -> None:
    for fields in ([HOST], []):
        with pytest.raises(BadHead):
            read_head(b"GET", target, "1.0", fields)


def test_an_upgrade_counts_only_when_connection_says_so() -> None:
    upgrade = (b"Upgrade", b"WebSocket")

    alone = read_head(b"GET", b"/", "1.1", [HOST, upgrade])
    named = read_head(b"GET", b"/", "1.1", [HOST, upgrade, (b"Connection", b"close, Upgrade")])

    assert (alone.upgrade, named.upgrade, named.close) == (None, b"websocket", True)


@pytest.mark.parametrize(
    "host", [b"a", b"a.b:1", b"[::1]", b"[::ffff:1.2.3.4]:65535", b"my_service:80"]
)
def test_sound_hosts(host: bytes) -> None:
    assert host_is_sound(host)


@pytest.mark.parametrize(
    "host", [b"", b"a b", b"a/b", b"a@b", b"a:65536", b"[::1", b"a,b", b"a?x", b"a#", b"a:",
             b".", b"..", b".a", b"a..b", b"a" * 300, b"[1.2.3.4]", b"[:::]:80"]
)  # fmt: skip
def test_unsound_hosts(host: bytes) -> None:
    assert not host_is_sound(host)


@given(st.binary(max_size=40), st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=12))))
def test_any_head_is_read_or_refused(target: bytes, fields: list[tuple[bytes, bytes]]) -> None:
    try:
        head = read_head(b"GET", target, "1.1", [HOST, *fields])
    except BadHead as refused:
        status, head = refused.status, None
    else:
        status = 200

    assert (head is None) == (400 <= status < 500)
    assert head is None or head.raw_path.startswith(b"/")
    assert head is None or b"#" not in head.raw_path + head.query


def test_an_error_response_is_whole_and_closes() -> None:
    raw = error_response(431, "too much", [(b"date", b"now")])

    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\ndate: now\r\n")
    assert b"connection: close" in head
    assert f"content-length: {len(body)}".encode() in head


def test_to_nginx_an_error_is_a_403_that_says_the_rest_in_fields() -> None:
    raw = error_response(431, "too much", [], to_nginx=True)

    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 403 Forbidden"
    assert b"x-guard-status: 431" in lines
    assert b"x-guard-body: " + body in lines
