"""Answers that may hold a client secret: it is never somebody's own key, ends in two hours and a
minute at most, and of a plain answer it is what CPython's `json` reads."""

from __future__ import annotations

import json
from typing import Any, Final

from gateway_guard.core.credentials import digest
from gateway_guard.core.minted import Minted, secret_in
from tests import build

WORDS = (
    b'{"value":"ek_1","expires_at":1800000000}', b'{"value":"ek_1"}', b'"value":', b'"expires_at":',
    b'{"client_secret":{"value":"ek_2","expires_at":1800000060}}', b'"client_secret":{',
    b'"client_secret":null', b'"session":{"model":"m"}', b"1e999", b"-1e999", b"-5", b"NaN",
    b"null", b'""', b'"sk-test"', b'"\\ud800"', b"\xff", b"\x00", b"[", b"}", b"1800000000.5",
)  # fmt: skip
_OWNER: Final = digest(build.SECRET, b"sk-test")
#: A secret's own life, and what is added because clocks differ, seconds.
_LONGEST: Final = 7200.0 + 60.0


def target(data: bytes) -> None:
    """The answer."""
    request = build.request(account=_OWNER)
    made = secret_in(data, request, secret=build.SECRET, now=build.NOW)
    value = _plain(data)
    if made is None:
        assert value is None or digest(build.SECRET, value.encode()) == _OWNER
        return
    assert made.owner == _OWNER != made.account
    assert 60.0 <= made.until - build.NOW <= _LONGEST
    assert value is None or made.account == digest(build.SECRET, value.encode())
    minted = Minted(most=2)
    minted.note(made, build.NOW)
    shown = build.request(account=made.account)
    assert minted.owned(shown).account == _OWNER


def _plain(data: bytes) -> str | None:
    """The secret, by CPython; None where the answer is none that is usual."""
    try:
        found: Any = json.loads(data)
        value, until = found["value"], found.get("expires_at", 0)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    usual = (
        set(found) <= {"value", "expires_at"}
        and isinstance(value, str)
        and value.isprintable()
        and value.isascii()
        and type(until) is int
        and abs(until) < 10**12
        and data.count(b'"value"') == 1
        and data.count(b'"expires_at"') <= 1
        and b"\\" not in data
        and data[:1] == b"{"  # no byte order mark
    )
    return value or None if usual else None
