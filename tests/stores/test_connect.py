"""Storage URIs: what they name, and what is said of those that name nothing."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from gateway_guard.errors import SettingsError
from gateway_guard.stores.connect import connect, open_store, parse_address
from gateway_guard.stores.memory import MemoryStore
from tests import build

PASSWORD = "s3cret/p@ss:word"


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("memory://", "memory://"),
        ("async+memory://", "memory://"),
        ("redis://", "redis://localhost:6379/0"),
        ("async+redis://cache", "redis://cache:6379/0"),
        ("async+redis://user:pass@cache:7000/3", "redis://cache:7000/3"),
        ("async+rediss://cache:7000", "rediss://cache:7000/0"),
        ("async+valkey://cache:7000/1", "valkey://cache:7000/1"),
        ("async+valkeys://cache", "valkeys://cache:6379/0"),
        ("redis://[::1]:7000", "redis://[::1]:7000/0"),
        ("async+redis+unix:///run/redis.sock?db=2", "redis+unix:///run/redis.sock"),
        ("async+valkey+unix:///run/v.sock", "valkey+unix:///run/v.sock"),
        ("async+redis+sentinel://a:1,b:2/main", "redis+sentinel://a:1,b:2/main"),
        ("redis+sentinel://a,b/main", "redis+sentinel://a:26379,b:26379/main"),
        ("async+redis+cluster://a:1,b:2", "redis+cluster://a:1,b:2"),
        ("async+valkey+cluster://a:1,b:2/", "valkey+cluster://a:1,b:2"),
        ("rediss+cluster://a:1", "rediss+cluster://a:1"),
    ],
)
def test_a_uri_names_a_place(uri: str, text: str) -> None:
    assert str(parse_address(uri)) == text


def test_user_and_password_are_decoded_and_shown_nowhere() -> None:
    address = parse_address("redis://us%40er:s3cret%2Fp%40ss%3Aword@cache:7000/1")

    assert (address.username, address.password) == ("us@er", PASSWORD)
    assert "s3cret" not in f"{address} {address!r}"


@pytest.mark.parametrize(
    ("uri", "part"),
    [
        ("cache:6379", "starts with a scheme"),
        ("http://cache", "unknown storage 'http'"),
        ("redis+tls://cache", "unknown storage"),
        ("memcached://cache:11211", "one key at a time"),
        ("async+memcached://cache:11211", "one key at a time"),
        ("async+mongodb://cache", "two workers could both"),
        ("mongodb+srv://cache", "two workers could both"),
        ("etcd://cache:2379", "majority vote"),
        ("redis://cache:port", "a port is a number"),
        ("redis://cache:0", "a port is a number"),
        ("redis://cache:70000", "a port is a number"),
        ("redis://[::1", "brackets"),
        ("redis://a:1,b:2", "several hosts"),
        ("redis://cache/zero", "a database is a number"),
        ("redis://cache/0/1", "the path is a database's number"),
        ("redis://cache/1?db=1", "named twice"),
        ("redis://cache?databse=1", "unknown option 'databse'"),
        ("redis+unix://run/redis.sock", "three slashes"),
        ("rediss+unix:///run/redis.sock", "not encrypted"),
        ("redis+sentinel://a:1", "name the service"),
        ("redis+cluster://a:1/2", "one database"),
        ("redis+cluster://a:1,,b:2", "a host is missing"),
        (f"redis://user:{PASSWORD}@cache", "%2F"),
        ("redis://user:s3cret#x@cache", "%23"),
        ("redis://user:s3cret?x@cache:1", "%3F"),
    ],
)
def test_a_uri_that_cannot_be_used_says_why_and_never_its_password(uri: str, part: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_address(uri)

    assert part in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(caught.value.__cause__)


def test_memory_is_a_store_and_no_server() -> None:
    assert isinstance(open_store("memory://", secret=build.SECRET, max_keys=7), MemoryStore)
    with pytest.raises(SettingsError, match="no server"):
        connect("memory://")


@pytest.mark.parametrize("uri", ["redis://cache", "redis+cluster://cache"])
def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio.sentinel", None)

    with pytest.raises(SettingsError, match=r"pip install '\.\[redis\]'"):
        open_store(uri, secret=build.SECRET)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"namespace": "a{b}"}, "no namespace"),
        ({"namespace": "*"}, "no namespace"),
        ({"unsettled": "perhaps"}, "estimate or nothing"),
        ({"secret": b"short"}, "16 bytes"),
        ({"timeout": 0.0}, "positive"),
    ],
)
def test_a_store_says_which_setting_makes_no_sense(change: dict[str, object], part: str) -> None:
    settings: dict[str, object] = {"secret": build.SECRET} | change

    with pytest.raises(SettingsError, match=part):
        open_store("redis://cache", **settings)  # type: ignore[arg-type]


def test_a_client_has_what_the_uri_says() -> None:
    client: Any = connect("rediss://us:pw@cache:7000/3?ssl_check_hostname=false", timeout=0.5)

    found = client.connection_pool.connection_kwargs

    asyncio.run(client.aclose())
    expected = {"host": "cache", "port": 7000, "db": 3, "username": "us", "password": "pw"}
    assert {name: found[name] for name in expected} == expected
    assert (found["socket_timeout"], found["ssl_check_hostname"]) == (0.5, False)


def test_sentinels_may_want_another_password_than_the_server() -> None:
    client: Any = connect("redis+sentinel://us:pw@a:1,b:2/main?sentinel_password=")

    pool = client.connection_pool

    asyncio.run(client.aclose())
    (asked, _) = pool.sentinel_manager.sentinels
    assert asked.connection_pool.connection_kwargs["password"] is None
    assert pool.connection_kwargs["password"] == "pw"
    assert pool.service_name == "main"
