"""What HAProxy asks about: which request, which bytes of it are believed, which are refused."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.frontends.extauth.original import Misasked
from gateway_guard.frontends.spoe import data
from gateway_guard.frontends.spoe.data import Data
from gateway_guard.frontends.spoe.frames import Message
from gateway_guard.frontends.spoe.question import Doubtful, fields, request
from gateway_guard.types import Wire
from tests.costs import within
from tests.frontends.spoe.speaking import asking, block, chat

MOST = 1024 * 1024


def wire(message: Message, *, max_body: int = MOST) -> Wire:
    found = request((message,), max_body=max_body)
    assert isinstance(found, Wire)
    return found


def doubt(message: Message) -> int:
    """The status a head is refused with."""
    found = request((message,), max_body=MOST)
    assert isinstance(found, Doubtful)
    assert found.why
    return found.status


def changed(name: bytes, value: Data | None, message: Message | None = None) -> Message:
    """A message with one argument replaced, added, or left out (None)."""
    message = message or asking()
    kept = [(key, found) for key, found in message.arguments if key != name]
    return Message(message.name, (*kept, *([(name, value)] if value is not None else [])))


def test_a_message_becomes_the_clients_request() -> None:
    body = chat()
    found = wire(asking(method="POST", path="/v1/messages", body=body, x_api_key="sk-2"))

    assert (found.method, found.raw_path, found.peer) == ("POST", b"/v1/messages", "192.0.2.7")
    assert found.body == body
    assert (b"x-api-key", b"sk-2") in found.headers
    assert (b"content-length", b"%d" % len(body)) in found.headers


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_the_client_is_the_one_at_the_other_end_of_haproxys_connection(address: str) -> None:
    found = wire(asking(src=address, x_forwarded_for="198.51.100.1"))

    assert found.peer == address


@pytest.mark.parametrize("value", [(data.NULL, None), (data.STRING, b"192.0.2.7")])
def test_a_client_without_an_address_has_none_and_is_no_unix_socket_of_the_guards(
    value: Data,
) -> None:
    assert wire(changed(b"src", value)).peer == ""


def test_nothing_the_client_says_of_the_guard_is_passed_on() -> None:
    found = wire(asking(x_guard_account="acct_admin", X_GUARD_ACTION="allow"))

    assert not [name for name, _ in found.headers if name.startswith(b"x-guard")]


@pytest.mark.parametrize(
    ("value", "query"),
    [(None, b""), ((data.NULL, None), b""), ((data.STRING, b"model=a&b=?"), b"model=a&b=?")],
)
def test_the_query_is_seen_where_it_is_named(value: Data | None, query: bytes) -> None:
    found = wire(changed(b"query", value))

    assert (found.raw_path, found.query) == (b"/v1/chat/completions", query)


@pytest.mark.parametrize(("query", "status"), [(b"a b", 400), (b"a\n", 400), (b"a" * 40_000, 414)])
def test_a_query_that_is_none_is_refused(query: bytes, status: int) -> None:
    assert doubt(changed(b"query", (data.STRING, query))) == status


def test_a_query_is_not_part_of_the_path() -> None:
    assert wire(asking(path="/v1/files?after=3")).raw_path == b"/v1/files"


@pytest.mark.parametrize(
    ("method", "headers", "seen"),
    [
        ("GET", {"upgrade": "WebSocket", "connection": "Upgrade"}, "WEBSOCKET"),
        ("get", {"upgrade": "websocket", "connection": "keep-alive, upgrade"}, "WEBSOCKET"),
        ("GET", {"upgrade": "h2c", "connection": "upgrade"}, "GET"),
        ("GET", {"upgrade": "websocket"}, "GET"),
        ("POST", {"upgrade": "websocket", "connection": "upgrade"}, "POST"),
        ("GET", {"upgrade": "websocket", "connection": "upgrade", "content_length": "3"}, "GET"),
        ("patch", {}, "PATCH"),
    ],
)
def test_a_websocket_handshake_is_one(method: str, headers: dict[str, Any], seen: str) -> None:
    assert wire(asking(method=method, **headers)).method == seen


# -- mistakes of the configuration ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["src", "method", "path", "headers"])
def test_a_message_that_lacks_an_argument_is_a_mistake_that_is_named(name: str) -> None:
    found = request((changed(name.encode(), None),), max_body=MOST)

    assert isinstance(found, Misasked)
    assert name in found.why


@pytest.mark.parametrize("count", [0, 2])
def test_one_request_is_asked_about_in_one_message(count: int) -> None:
    found = request((asking(),) * count, max_body=MOST)

    assert isinstance(found, Misasked)
    assert str(count) in found.why


def test_an_argument_comes_once() -> None:
    message = asking()
    twice = Message(message.name, (*message.arguments, message.arguments[0]))

    assert isinstance(request((twice,), max_body=MOST), Misasked)


# -- heads that can be read in two ways -----------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        b"",
        b"\r\n\r\n",
        b"host: a",
        b"host: a\r\n",
        b"host: a\n\r\n",
        b"host: a\r\r\n\r\n",
        b"host: a\rb\r\n\r\n",
        b"host: a\nb: c\r\n\r\n",
        b"host: a\0\r\n\r\n",
        b"host: a\x7f\r\n\r\n",
        b"host: a\x1b\r\n\r\n",
        b"host: a\r\n b\r\n\r\n",
        b"host: a\r\n\tb\r\n\r\n",
        b" host: a\r\n\r\n",
        b"host : a\r\n\r\n",
        b"host\r\n\r\n",
        b": a\r\n\r\n",
        b"ho st: a\r\n\r\n",
        b"h\xc3\xb6st: a\r\n\r\n",
        b"host: a\r\n\r\nmore",
        b"host: a\r\n\r\n\r\n",
        b"host: a\r\n\r\nx: y\r\n\r\n",
    ],
)
def test_a_header_block_that_two_readers_could_read_in_two_ways_is_refused(headers: bytes) -> None:
    assert doubt(asking(headers=headers)) == 400


def test_no_header_at_all_is_a_block() -> None:
    assert fields(b"\r\n") == []


def test_values_lose_the_white_space_around_them_and_nothing_else() -> None:
    assert fields(b"A:\t b \t c \r\nX-Y:\r\nz: \xe9:;\r\n\r\n") == [
        (b"a", b"b \t c"), (b"x-y", b""), (b"z", b"\xe9:;"),
    ]  # fmt: skip


NAMES = st.from_regex(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+", fullmatch=True)
FIELD_VALUES = st.from_regex(
    rb"([!-~\x80-\xff]([\t -~\x80-\xff]*[!-~\x80-\xff])?)?", fullmatch=True
)


@given(st.lists(st.tuples(NAMES, FIELD_VALUES), max_size=8))
def test_every_sound_block_is_read_back(sent: list[tuple[bytes, bytes]]) -> None:
    written = b"".join(b"%b: %b\r\n" % field for field in sent) + b"\r\n"

    assert fields(written) == [(name.lower(), value) for name, value in sent]


@given(
    st.lists(st.sampled_from([b"a", b":", b" ", b"\r\n", b"\r", b"\n", b"\t", b"\0"])).map(b"".join)
)
def test_what_is_read_is_what_is_there(noise: bytes) -> None:
    found = fields(noise)

    if found is not None:
        assert b"\0" not in noise
        assert noise.count(b"\r") == noise.count(b"\n") == noise.count(b"\r\n") == len(found) + 1
        assert all(name and not name.startswith((b" ", b"\t")) for name, _ in found)


def test_a_hostile_block_is_refused_in_no_time() -> None:
    for block_ in (b"a" * 60_000, b"a:\r\n" * 15_000 + b"a", b"a:" + b" " * 60_000 + b"\0\r\n\r\n"):
        assert within(1.0, lambda: fields(block_)) is None  # noqa: B023


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (asking(method="GE T"), 400),
        (asking(method=""), 400),
        (asking(method="A" * 33), 400),
        (asking(path="*"), 400),
        (asking(path=""), 400),
        (asking(path="http://a/b"), 400),
        (asking(path="/a b"), 400),
        (asking(path="/a\0"), 400),
        (asking(path="/" + "a" * 33_000), 414),
        (asking(a="b" * 66_000), 431),
        (asking(headers=block(**{f"a{number}": "b" for number in range(120)})), 431),
        (changed(b"headers", (data.NULL, None)), 431),
        (changed(b"path", (data.NULL, None)), 400),
        (changed(b"method", (data.UINT32, 3)), 400),
    ],
)
def test_other_heads_that_are_not_served(message: Message, status: int) -> None:
    assert doubt(message) == status


# -- bodies ---------------------------------------------------------------------------------------


def test_without_the_argument_bodies_are_not_judged() -> None:
    found = wire(asking(content_length="70"))

    assert (found.body, found.body_too_large) == (None, False)


@pytest.mark.parametrize(
    ("body", "length"),
    [(b"{}", "3"), (b"{}", "1"), (b"", "2"), (b"{}", "2, 2"), (b"{}", "+2"), (b"{}", ""),
     (b"", "0" * 30), (b"{}", "\xb2")],
)  # fmt: skip
def test_a_body_of_another_length_than_announced_is_one_that_could_not_be_read(
    body: bytes, length: str
) -> None:
    headers = block(host="a")[:-2] + b"content-length: " + length.encode("latin-1") + b"\r\n\r\n"
    found = wire(asking(body=body, headers=headers))

    assert (found.body, found.body_too_large) == (None, True)


def test_two_lengths_that_differ_announce_nothing() -> None:
    headers = b"content-length: 2\r\ncontent-length: 3\r\n\r\n"

    assert wire(asking(body=b"{}", headers=headers)).body_too_large


def test_a_body_that_is_there_is_there_whoever_announced_it() -> None:
    for headers in (b"\r\n", b"transfer-encoding: chunked\r\n\r\n", b"content-length: 2\r\n\r\n"):
        assert wire(asking(body=b"{}", headers=headers)).body == b"{}"


def test_a_chunked_body_of_which_nothing_came_was_not_waited_for() -> None:
    headers = b"transfer-encoding: chunked\r\n\r\n"

    assert wire(asking(body=b"", headers=headers)).body_too_large
    assert wire(asking(body=b"", headers=b"\r\n")).body == b""


def test_haproxy_may_say_that_it_does_not_send_a_body() -> None:
    assert wire(changed(b"cut", (data.BOOL, True))).body_too_large
    assert not wire(changed(b"cut", (data.BOOL, False))).body_too_large
    assert wire(changed(b"cut", (data.BOOL, True), asking(body=b"{}"))).body is None


def test_a_body_beyond_the_policys_bound_is_too_large() -> None:
    assert wire(asking(body=b"12345"), max_body=5).body == b"12345"
    assert wire(asking(body=b"123456"), max_body=5).body_too_large


def test_an_announced_body_that_is_missing_is_one_that_could_not_be_read() -> None:
    found = wire(changed(b"body", (data.NULL, None), asking(content_length="12")))

    assert found.body_too_large


@given(st.ip_addresses())
def test_every_address_is_written_in_its_canonical_form(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert wire(asking(src=str(address))).peer == str(address)
