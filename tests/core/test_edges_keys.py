"""Under which key a request is charged, and which patterns it matches, at the borders."""

from __future__ import annotations

import ipaddress

import pytest

from gateway_guard.core.globs import model_matcher, path_matcher, wild
from gateway_guard.core.identify import identify
from gateway_guard.core.limit import key_builder
from gateway_guard.core.ordinary import ordinary
from gateway_guard.core.sections import Identify, Inspect
from gateway_guard.core.stated import stated
from gateway_guard.types import Request
from tests import build


def route_key(path: str) -> str | None:
    return key_builder("x", ("route",))(build.request(path=path), build.facts())


def test_a_path_of_96_characters_stands_in_a_key_and_a_longer_one_is_digested() -> None:
    whole, longer = "/" + "a" * 95, "/" + "a" * 96

    assert route_key(whole) == "x:" + whole
    key = route_key(longer)
    assert key is not None
    # The first 32 characters, and 32 digits of a digest.
    assert key[:35] == "x:" + longer[:32] + "~"
    assert len(key) == 2 + 32 + 1 + 32
    assert key != route_key(longer + "a")


def test_spellings_of_a_path_share_a_key_and_the_root_has_one() -> None:
    assert route_key("/V1/Chat/") == route_key("/v1/chat") == "x:/v1/chat"
    assert route_key("/") == "x:/"


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("a*", "a", True), ("a*", "ab", True), ("a*", "ba", False), ("*a", "a", True),
        ("*a", "ba", True), ("*a", "ab", False), ("a*a", "a", False), ("a*a", "aa", True),
        ("a*b*c", "abc", True), ("a*b*c", "axbyc", True), ("a*b*c", "acb", False),
        ("a*bb*b", "abb", False), ("a*bb*b", "abbb", True), ("a*b*b*c", "abc", False),
        ("*", "", True), ("**", "a", True), ("abc", "abc", True), ("abc", "abd", False),
        ("a*xy*xy*b", "axyb", False), ("a*xy*xy*b", "axyxyb", True),
    ],
)  # fmt: skip
def test_a_star_is_any_characters(pattern: str, text: str, matches: bool) -> None:
    assert wild(pattern, text) is matches


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/a", "/a", True), ("/a", "/A/", True), ("/a/", "/a", True), ("/a", "/a/b", False),
        ("/a/**", "/a", True), ("/a/**", "/a/", True), ("/a/**", "/a/b/c", True),
        ("/a/**", "/ab", False), ("/**", "/", True), ("/**", "/a/b", True), ("/", "/", True),
        ("/", "/a", False), ("/a/*", "/a/b", True), ("/a/*", "/a", False), ("/a/*", "/a/", False),
        ("/a/*", "/a/b/c", False), ("/*/b", "/a/b", True), ("/*/b", "//b", False),
        ("/a/**/z", "/a/z", True), ("/a/**/z", "/a/b/c/z", True), ("/a/**/z", "/a/b/c", False),
        ("/**/z/**", "/a/z", True), ("/**/z/**", "/z", True), ("/**/z/**", "/a/z/b", True),
        ("/**/z/**", "/a/b", False), ("/a*/**", "/ab/c", True), ("/a*/**", "/b", False),
        ("/**/b/**/c", "/a/b/b/d/c", True), ("/**/b/*", "/b/b/c", True), ("/a*c", "/abc", True),
        ("/a/**/**", "/a", True), ("/*/*", "/a", False),
    ],
)  # fmt: skip
def test_a_path_matches_segment_by_segment(pattern: str, path: str, matches: bool) -> None:
    assert path_matcher([pattern])(path) is matches
    assert path_matcher(["/other/*", pattern, "/another/**"])(path) is matches
    assert path_matcher([])(path) is False


def test_a_model_matches_whatever_its_case_and_blanks() -> None:
    matches = model_matcher([" Apex-4 ", "nova-*"])

    assert [matches(name) for name in ("apex-4", " APEX-4", "apex-41", "NOVA-", "nova", "")] == [
        True, True, False, True, False, False,
    ]  # fmt: skip


def seen(peer: str | None, trusted: bool = False, **fields: object) -> Request:
    networks = (ipaddress.ip_network("10.0.0.0/8"),) if trusted else ()
    mine = Identify(trusted=networks, **fields)  # type: ignore[arg-type]
    wire = build.wire(peer=peer, headers={"x-forwarded-for": "192.0.2.9", "x-tls": "t13d"})
    return identify(wire, mine, Inspect(), id="r", at=build.NOW, secret=build.SECRET, keys={})


@pytest.mark.parametrize("how", ["peer", "x-forwarded-for", "forwarded", "x-real-ip"])
def test_wherever_addresses_come_from_a_trusted_peer_says_the_rest_and_no_other(how: str) -> None:
    said = [
        seen(peer, trusted=True, client_ip=how, tls_header="x-tls").client.tls
        for peer in ("10.0.0.1", "11.0.0.1")
    ]

    assert said == ["t13d", None]


def test_a_header_is_believed_of_a_trusted_peer_and_of_no_other() -> None:
    def origin(peer: str | None, **fields: object) -> tuple[str | None, str | None, str]:
        request = seen(peer, trusted=True, client_ip="x-forwarded-for", **fields)
        return request.client_ip, request.subnet, request.ip_source

    assert origin("10.0.0.1") == ("192.0.2.9", "192.0.2.0/24", "hop 1 of x-forwarded-for")
    assert origin("11.0.0.1") == ("11.0.0.1", "11.0.0.0/24", "peer")
    assert origin(None) == (None, None, "the peer has no address")
    assert origin(None, trust_unix=True) == (
        "192.0.2.9", "192.0.2.0/24", "hop 1 of x-forwarded-for",
    )  # fmt: skip
    # What is no address is no socket either.
    assert origin("name", trust_unix=True)[0] is None
    assert seen("10.0.0.1", trusted=True).client_ip == "10.0.0.1"
    assert seen("10.0.0.1").ip_source == "peer"


def test_a_fingerprint_is_taken_from_a_trusted_edge_only() -> None:
    assert seen("10.0.0.1", trusted=True, tls_header="X-TLS").client.tls == "t13d"
    assert seen("11.0.0.1", trusted=True, tls_header="X-TLS").client.tls is None
    assert seen("10.0.0.1", trusted=True).client.tls is None


@pytest.mark.parametrize("how", ["x-forwarded-for", "forwarded"])
def test_a_trusted_edge_that_forwards_for_nobody_is_trusted_all_the_same(how: str) -> None:
    mine = Identify(
        trusted=(ipaddress.ip_network("10.0.0.0/8"),), client_ip=how, tls_header="x-tls"
    )
    wire = build.wire(peer="10.0.0.1", headers={"x-tls": "t13d"})

    request = identify(wire, mine, Inspect(), id="r", at=build.NOW, secret=build.SECRET, keys={})

    assert (request.client_ip, request.ip_source) == ("10.0.0.1", f"peer, trusted, without {how}")
    assert request.client.tls == "t13d"


def test_what_an_edge_says_of_an_account_is_heard_once_and_in_utf_8() -> None:
    mine = Identify(
        trusted=(ipaddress.ip_network("10.0.0.0/8"),),
        attributes=(("tier", b"x-tier"), ("organisation", b"x-org")),
    )

    def said(peer: str, *headers: tuple[bytes, bytes], **more: object) -> object:
        wire = build.wire(peer=peer, **more)  # type: ignore[arg-type]
        wire.headers.extend(headers)
        return stated(wire, mine)

    tier, org = (b"x-tier", b"gold"), (b"x-org", b"acme")
    assert said("10.0.0.1", tier, org) == {"tier": "gold", "organisation": "acme"}
    assert said("10.0.0.1", tier, tier, org) == {"organisation": "acme"}
    assert said("10.0.0.1", (b"x-tier", b"\xff"), org) == {"organisation": "acme"}
    assert said("11.0.0.1", tier) in (None, {})
    assert said("10.0.0.1", tier, state={"tier": "free"}) == {"tier": "free"}


@pytest.mark.parametrize(
    ("messages", "read"),
    [
        ([("user", "ab"), ("assistant", "c"), ("user", "d")], (["d", "ab"], 3, 4)),
        ([("user", "ab"), ("user", "")], (["ab", ""], 2, 2)),
        ([("system", "s"), ("developer", "t")], (["", ""], 2, 2)),
        ([], (["", ""], 0, 0)),
        ([("User", "ab")], None),
        ([("tool", "ab")], None),
    ],
)
def test_an_ordinary_chat_is_read_in_one_go(
    messages: list[tuple[str, str]], read: tuple[list[str], int, int] | None
) -> None:
    found = ordinary({"messages": [{"role": role, "content": text} for role, text in messages]})

    if read is None:
        assert found is None
    else:
        assert found is not None
        assert ([found.user, found.before], found.messages, found.chars) == read
        assert found.system == [text for role, text in messages if role in ("system", "developer")]


@pytest.mark.parametrize(
    "messages",
    ["ab", [5], [{}], [{"role": "user"}], [{"content": "a"}], [{"role": "user", "content": ["a"]}],
     [{"role": "user", "content": "a", "name": "b"}], None],
)  # fmt: skip
def test_and_no_other_is(messages: object) -> None:
    assert ordinary({"messages": messages}) is None
