"""Settings, addresses to listen on and upstreams: read, or a `SettingsError` that names what is
wrong and shows no token; never something out of its bounds."""

from __future__ import annotations

import contextlib
from typing import Final
from urllib.parse import urlsplit

from gateway_guard.accounts.http import checked
from gateway_guard.errors import GuardError, SettingsError, SourceError
from gateway_guard.frontends import listen
from gateway_guard.frontends.upstream import Origin
from gateway_guard.network.database import Source
from gateway_guard.record.chain import Place
from gateway_guard.settings import VARIABLES, Settings
from gateway_guard.stores.connect import parse_address
from gateway_guard.stores.layout import check_namespace
from tests.fuzz.taken import Taken

WORDS = (
    b"redis://:password@host:6379/0", b"redis+sentinel://a:1,b:2/name", b"redis+cluster://a:1",
    b"rediss://", b"unix:/run/x.sock", b"http://127.0.0.1:8000/v1", b"https://[::1]:443",
    b"https://u:p@h", b"[::1]:80", b"10.0.0.0/8", b"/24,/48", b"acct_x", b"{account}", b"tor=/x",
    b"authoritative=/y", b"authoritative,tor=z", b"12:" + b"a" * 64, b"\x00", b"1e3", b"inf",
    b"nan", b"1_000", b"-1", b"%2f", b"\xc3\xa9", b"?x=1", b"#", b"@", b"99999",
)  # fmt: skip
#: Those that read files are set by hand.
_NAMES: Final = tuple(sorted(name for name in VARIABLES if not name.endswith("_FILE")))


def target(data: bytes) -> None:
    """Three times a variable and its value; the last value as everything else, too."""
    taken = Taken(data)
    env = {"GATEWAY_GUARD_SECRET": "0123456789abcdef"}
    for _ in range(3):
        env[taken.pick(_NAMES)] = taken.piece(taken.byte() % 40).decode("utf-8", "surrogateescape")
    for name, value in list(env.items()):
        if name.endswith("_TOKEN"):
            env[name] = f"tk9Z{value}"
    text = taken.rest().decode("utf-8", "surrogateescape")

    said = ""
    try:
        settings = Settings.from_environment(env)
    except SettingsError as error:
        said = str(error)
    else:
        assert len(settings.secret) >= 16
        assert 0.0 < settings.store_budget <= 60.0
        assert 1 <= settings.max_keys <= 100_000_000
        assert settings.intel_widest[0] <= 32
        for token in (settings.admin_token, settings.admin_read_token):
            assert token is None or (len(token) >= 16 and token.isprintable())
    assert "tk9Z" not in said
    _addresses(text)


def _addresses(text: str) -> None:
    with contextlib.suppress(SettingsError):
        _, port = listen.parse(text, flag="--x")
        assert port is None or 0 <= port <= 65535
    with contextlib.suppress(SettingsError):
        origin = Origin.parse(text)
        assert (origin.host is None) == (origin.socket is not None)
        assert not set(b"\r\n \0") & set(origin.authority), origin
        assert not set(b"\r\n \0") & set(origin.prefix), origin
        if origin.host is not None:
            assert 0 < origin.port <= 65535
            assert urlsplit(text).hostname == origin.host
    with contextlib.suppress(SettingsError):
        address = parse_address(text)
        # In front of an `@` it is one; behind, and where there is none, it is part of a name.
        assert "password" not in str(address) or "password" not in text.rpartition("@")[0]
    with contextlib.suppress(SourceError):
        assert checked(text) == text
    with contextlib.suppress(SettingsError):
        assert len(check_namespace(text)) <= 32
    with contextlib.suppress(GuardError):
        assert str(Source.parse(text).path)
    with contextlib.suppress(ValueError):
        assert str(Place.parse(text)) == text or text.startswith("0")
