"""Who gets in to the admin port, and what a session and a form are worth. Literals only."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from gateway_guard.errors import SettingsError
from gateway_guard.frontends.access import Access, Visitor, is_loopback, opens
from gateway_guard.frontends.sessions import (
    COOKIE,
    Session,
    cookie_of,
    form_is_ours,
    form_token,
    opened,
    sealed,
    session_key,
    set_cookie,
)
from gateway_guard.settings import Settings
from tests import build

TOKEN, READ = "token-of-reviewers", "token-of-readers-only"
PROXY = "10.1.2.3"
NOW = build.NOW


def settings(**fields: Any) -> Settings:
    return Settings(secret=build.SECRET, **fields)


BOTH = settings(admin_token=TOKEN, admin_read_token=READ)
PROXIED = settings(
    admin_proxies=(ipaddress.ip_network("10.1.2.0/24"),), admin_reviewers=("abuse", "on-call")
)
NOBODY = settings()


def visitor(
    given: Settings, *headers: tuple[str, str], peer: str = "192.0.2.9", host: str = "0.0.0.0"
) -> Visitor | None:
    pairs = [(name.encode(), value.encode()) for name, value in headers]
    return Access(given, host).visitor(pairs, peer, NOW)


def cookie(
    given: Settings, *, reviews: bool = True, until: float = NOW + 60, signs_in: bool = True
) -> tuple[str, str]:
    session = Session(nonce="n", until=until, name="mia", reviews=reviews, signs_in=signs_in)
    return "cookie", f"a=b; {COOKIE}={sealed(session, session_key(given))}; c=d"


@pytest.mark.parametrize(
    ("given", "headers", "peer", "expected"),
    [
        (BOTH, [], "192.0.2.9", None),
        (BOTH, [("authorization", f"Bearer {TOKEN}")], "192.0.2.9", True),
        (BOTH, [("authorization", f"bearer {READ}")], "192.0.2.9", False),
        (BOTH, [("authorization", f"Bearer {TOKEN}x")], "192.0.2.9", None),
        (BOTH, [("authorization", "Bearer ")], "192.0.2.9", None),
        (BOTH, [("authorization", f"Basic {TOKEN}")], "192.0.2.9", None),
        (BOTH, [("authorization", f"Bearer {TOKEN}")] * 2, "192.0.2.9", None),
        (BOTH, [("authorization", "Bearer no"), cookie(BOTH)], "192.0.2.9", None),
        (BOTH, [cookie(BOTH)], "192.0.2.9", True),
        (BOTH, [cookie(BOTH, reviews=False)], "192.0.2.9", False),
        (BOTH, [cookie(BOTH, until=NOW)], "192.0.2.9", None),
        (BOTH, [cookie(NOBODY)], "192.0.2.9", None),
        # Made by a page for its forms, not for a token.
        (BOTH, [cookie(BOTH, signs_in=False)], "192.0.2.9", None),
        (BOTH, [("x-forwarded-user", "mia")], "192.0.2.9", None),
        (BOTH, [("x-forwarded-user", "mia")], "127.0.0.1", None),
        (PROXIED, [("x-forwarded-user", "mia")], PROXY, False),
        (PROXIED, [("x-forwarded-user", "mia"), ("x-forwarded-groups", "abuse")], PROXY, True),
        (PROXIED, [("x-forwarded-user", "mia"), ("x-forwarded-groups", "a, on-call")], PROXY, True),
        (PROXIED, [("x-forwarded-user", "mia"), ("x-forwarded-groups", "abusers")], PROXY, False),
        (PROXIED, [("x-forwarded-user", "mia"), ("x-forwarded-groups", "abuse")], "10.2.2.3", None),
        (PROXIED, [("x-forwarded-user", "mia"), ("x-forwarded-user", "jon")], PROXY, None),
        (PROXIED, [("x-forwarded-user", " ")], PROXY, None),
        (PROXIED, [("x-forwarded-user", "mia\x07")], PROXY, None),
        (PROXIED, [], PROXY, None),
        (PROXIED, [cookie(PROXIED)], "192.0.2.9", None),
    ],
)  # fmt: skip
def test_who_gets_in_and_who_may_change_things(
    given: Settings, headers: list[tuple[str, str]], peer: str, expected: bool | None
) -> None:
    found = visitor(given, *headers, peer=peer)

    assert (found.reviews if found is not None else None) is expected


def test_where_nobody_is_asked_only_this_machine_gets_in() -> None:
    here = visitor(NOBODY, peer="127.0.0.1", host="127.0.0.1")

    assert here is not None
    assert (here.reviews, here.how, here.name) == (True, "open", "")
    assert visitor(NOBODY, host="0.0.0.0") is None
    assert visitor(NOBODY, peer="127.0.0.1", host="0.0.0.0") is None


def test_the_proxy_names_the_reviewer() -> None:
    found = visitor(PROXIED, ("x-forwarded-user", "mia@example.com"), peer=PROXY)

    assert found is not None
    assert (found.name, found.how) == ("mia@example.com", "proxy")


@pytest.mark.parametrize(
    ("host", "yes"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("guard.internal", False)],
)  # fmt: skip
def test_which_addresses_are_this_machine_alone(host: str, yes: bool) -> None:
    assert is_loopback(host) is yes


@pytest.mark.parametrize(
    ("given", "host", "asked", "usage", "expected"),
    [
        (NOBODY, "127.0.0.1", None, False, True),
        (NOBODY, "127.0.0.1", False, True, False),
        (NOBODY, "0.0.0.0", None, False, False),
        (NOBODY, "0.0.0.0", True, False, "the dashboard on 0.0.0.0"),
        (NOBODY, "0.0.0.0", None, True, "POST /v1/usage on 0.0.0.0"),
        (BOTH, "0.0.0.0", None, True, True),
        (PROXIED, "0.0.0.0", True, True, True),
    ],
)
def test_nothing_is_open_to_everybody_who_can_connect(
    given: Settings, host: str, asked: bool | None, usage: bool, expected: bool | str
) -> None:
    if isinstance(expected, str):
        with pytest.raises(SettingsError, match=f"{expected}.*GATEWAY_GUARD_ADMIN_TOKEN"):
            opens(given, host, asked, usage=usage)
    else:
        assert opens(given, host, asked, usage=usage) is expected


@pytest.mark.parametrize(
    ("headers", "peer", "same"),
    [
        ([("host", "g:1"), ("origin", "http://g:1")], "x", True),
        ([("host", "G:1"), ("origin", "https://g:1")], "x", True),
        ([("host", "g:1"), ("origin", "http://evil")], "x", False),
        ([("host", "g:1"), ("origin", "null")], "x", False),
        ([("host", ""), ("origin", "null")], "x", False),
        ([("host", "[::1"), ("origin", "http://[::1")], "x", False),
        ([("host", "g:1"), ("origin", "http://g:1"), ("origin", "http://evil")], "x", False),
        ([("host", "g:1"), ("sec-fetch-site", "same-origin")], "x", True),
        ([("host", "g:1"), ("sec-fetch-site", "cross-site")], "x", False),
        ([("host", "g:1"), ("referer", "http://g:1/dashboard")], "x", True),
        ([("host", "g:1"), ("referer", "http://g:1.evil/")], "x", False),
        ([("host", "g:1")], "x", False),
        ([("host", "in:1"), ("x-forwarded-host", "out"), ("origin", "https://out")], PROXY, True),
        ([("host", "in:1"), ("x-forwarded-host", "out"), ("origin", "https://out")], "x", False),
    ],
)
def test_only_forms_of_this_port_count(
    headers: list[tuple[str, str]], peer: str, same: bool
) -> None:
    pairs = [(name.encode(), value.encode()) for name, value in headers]

    assert Access(PROXIED, "0.0.0.0").same_origin(pairs, peer) is same


@pytest.mark.parametrize(
    ("peer", "chain", "source"),
    [
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("192.0.2.1", [], "192.0.2.1"),
        (None, ["198.51.100.7"], None),
        (PROXY, [], PROXY),
        (PROXY, ["198.51.100.7"], "198.51.100.7"),
        (PROXY, ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        (PROXY, ["203.0.113.9", "198.51.100.7, 10.1.2.9"], "198.51.100.7"),
        (PROXY, ["203.0.113.9, unknown"], PROXY),
        (PROXY, [""], PROXY),
        ("2001:db8::1", [], "2001:db8::/64"),
        ("2001:db8::ffff:1", [], "2001:db8::/64"),
        ("fe80::1%eth0", [], "fe80::/64"),
        ("::ffff:192.0.2.1", [], "192.0.2.1"),
        (PROXY, ["2001:db8:0:1::7"], "2001:db8:0:1::/64"),
        ("testclient", [], "testclient"),
    ],
)
def test_wrong_tokens_are_those_of_whom_a_proxy_of_ours_names_and_nobody_else_does(
    peer: str | None, chain: list[str], source: str | None
) -> None:
    headers = [(b"x-forwarded-for", line.encode()) for line in chain]

    assert Access(PROXIED, "0.0.0.0").source(headers, peer) == source


@pytest.mark.parametrize(
    ("host", "right"),
    [("127.0.0.1:9901", True), ("localhost", True), ("[::1]:9901", True), ("evil.example", False),
     ("127.0.0.1.evil.example:80", False), ("", False)],
)  # fmt: skip
def test_where_nobody_is_asked_another_name_is_no_way_in(host: str, right: bool) -> None:
    pairs = [(b"host", host.encode())]

    assert Access(NOBODY, "127.0.0.1").rightly_named(pairs) is right
    assert Access(BOTH, "127.0.0.1").rightly_named(pairs)


def test_a_session_is_what_was_sealed_and_nothing_else() -> None:
    key = session_key(BOTH)
    session = Session(nonce="n", until=NOW + 1, name="mia", reviews=False)
    sealed_ = sealed(session, key)

    assert opened(sealed_, key, NOW) == session
    assert opened(sealed_, key, NOW + 1) is None
    assert opened(sealed_, session_key(settings(admin_token="another-token-here")), NOW) is None
    for at in range(len(sealed_)):
        other = "A" if sealed_[at] != "A" else "B"
        assert opened(sealed_[:at] + other + sealed_[at + 1 :], key, NOW) is None, at
    assert opened("x" * 5_000, key, NOW) is None
    assert opened("", key, NOW) is None


def test_a_form_belongs_to_one_session() -> None:
    key = session_key(BOTH)
    mine = Session(nonce="n", until=NOW, name="mia", reviews=True)
    other = Session(nonce="m", until=NOW, name="mia", reviews=True)

    assert form_is_ours(form_token(mine, key), mine, key)
    assert not form_is_ours(form_token(other, key), mine, key)
    assert not form_is_ours("", mine, key)
    assert not form_is_ours("é", mine, key)


def test_no_script_reads_the_cookie_and_no_other_site_sends_it() -> None:
    text = set_cookie("v", secure=True)

    for word in (f"{COOKIE}=v", "HttpOnly", "SameSite=Strict", "Secure", "Max-Age=28800"):
        assert word in text
    assert "Secure" not in set_cookie("v", secure=False)


def test_a_cookie_that_is_there_twice_is_none() -> None:
    assert cookie_of(f"{COOKIE}=a") == "a"
    assert cookie_of(f"{COOKIE}=a; {COOKIE}=b") is None
    assert cookie_of("other=a") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("ADMIN_TOKEN", "short"), ("ADMIN_READ_TOKEN", "ü" * 20), ("ADMIN_PROXIES", "10.0.0.1/8"),
     ("ADMIN_PROXIES", "proxy")],
)  # fmt: skip
def test_settings_that_cannot_be_used_say_what_to_write(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"GATEWAY_GUARD_{name}") as caught:
        Settings.from_environment({f"GATEWAY_GUARD_{name}": value})

    assert "TOKEN" not in name or value not in str(caught.value)
