"""What a client says of itself: what is read of it, what is not, and where it ends."""

from __future__ import annotations

import pytest

from gateway_guard.core.hints import client, told
from gateway_guard.core.seeds import seeds
from gateway_guard.types import Client
from tests import build

KEYS = seeds(build.SECRET)


def said(tls: bytes | None = None, /, **fields: str) -> Client:
    wire = {
        name.replace("_", "-").encode(): text.encode("latin-1") for name, text in fields.items()
    }
    found = client(wire, tls, KEYS)
    assert found == told(wire, tls, KEYS)
    return found


@pytest.mark.parametrize(
    ("offset", "minutes"),
    [
        ("Z", 0), ("utc", 0), (" GMT\t", 0), ("+00:00", 0), ("-00:00", 0),
        ("+01:00", 60), ("-0330", -210), ("UTC+5:45", None), ("GMT+05:45", 345),
        ("UTC-12:00", -720),
        ("+13:59", 839), ("+14:00", 840), ("-14:00", -840), ("+14:01", None), ("+15:00", None),
        ("+23:59", None), ("+24:00", None), ("+01:60", None), ("+09:59", 599), ("+1:00", None),
        ("01:00", None), ("", None), ("Europe/Oslo", None), ("+01:00 ", 60),
        # 16 characters are looked at: what stands beyond them is not missed.
        ("+01:00" + " " * 10 + "x", 60), ("+01:00" + " " * 9 + "x", None),
    ],
)  # fmt: skip
def test_an_offset_is_that_of_some_place_on_earth(offset: str, minutes: int | None) -> None:
    assert said(x_timezone=offset).utc_offset == minutes
    assert said(x_utc_offset=offset).utc_offset == minutes


def test_the_time_zone_is_asked_before_the_offset() -> None:
    assert said(x_timezone="+01:00", x_utc_offset="+02:00").utc_offset == 60
    assert said(x_timezone="nonsense", x_utc_offset="+02:00").utc_offset is None


@pytest.mark.parametrize(
    ("accept", "regions"),
    [
        ("en-US,en;q=0.9", ("US",)),
        ("nb-no, de-AT;q=0.5", ("NO", "AT")),
        ("zh-Hans-CN", ("CN",)),
        ("sr-Latn-RS-x-private", ("RS",)),
        ("fil-PH", ("PH",)),
        ("e-US", ()),
        ("engl-US", ()),
        ("en", ()),
        ("en-U", ()),
        ("en-US-123456789", ()),
        ("en-US,en-us,EN-US", ("US",)),
        ("en-US;q=0,de-DE", ("DE",)),
        ("en-US; q=0.0,de-DE", ("DE",)),
        ("en-US;q=0.1", ("US",)),
        ("*", ()),
        ("", ()),
        # Each is looked at, also behind one that says nothing.
        ("*,en-US", ("US",)),
        # Eight are kept.
        (",".join(f"en-{a}A" for a in "ABCDEFGHIJ"), tuple(f"{a}A" for a in "ABCDEFGH")),
        # 256 characters are looked at.
        ("x" * 250 + ",en-US", ("US",)),
        ("x" * 251 + ",en-US", ()),
    ],
)
def test_languages_tell_the_regions_they_are_spoken_in(
    accept: str, regions: tuple[str, ...]
) -> None:
    assert said(accept_language=accept).languages == regions


def test_an_sdk_is_named_by_four_headers_of_which_64_characters_count() -> None:
    names = {
        "x_stainless_lang": "Python", "x_stainless_package_version": "1.2.3",
        "x_stainless_os": "Linux", "x_stainless_runtime": "CPython",
    }  # fmt: skip

    assert said(**names).sdk == "python/1.2.3/linux/cpython"
    assert said(x_stainless_lang="js").sdk == "js///"
    assert said(x_stainless_os="Linux").sdk is None
    assert said(x_stainless_lang="a" * 65).sdk == "a" * 64 + "///"
    assert said(x_stainless_lang="a" * 63 + "b").sdk == "a" * 63 + "b///"
    assert said(x_stainless_lang="a\x7fb").sdk is None
    assert said(x_stainless_lang="é").sdk is None


def test_a_fingerprint_has_up_to_128_characters_of_those_that_fingerprints_have() -> None:
    assert (
        said(b"t13d1516h2_8daaf6152771_b186095e22b6").tls == "t13d1516h2_8daaf6152771_b186095e22b6"
    )
    assert said(b"a" * 128).tls == "a" * 128
    assert said(b"a" * 129).tls is None
    assert said(b"a b").tls is None
    assert said(b"").tls is None
    assert said().tls is None


def test_a_client_that_says_nothing_is_known_by_its_name_only() -> None:
    silent = said(user_agent="curl/8.4")

    assert silent == Client(agent=silent.agent)
    assert silent.agent != 0
    assert said().agent == 0


def test_of_a_name_512_characters_count_whatever_else_is_said() -> None:
    long = "a" * 511

    more: dict[str, str]
    for more in ({}, {"accept_language": "en-US"}):
        assert (
            said(None, user_agent=long + "bX", **more).agent
            == said(None, user_agent=long + "bY", **more).agent
        )
        assert (
            said(None, user_agent=long + "b", **more).agent
            != said(None, user_agent=long + "c", **more).agent
        )
