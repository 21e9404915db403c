"""Whatever only the holder of the secret makes (links, session cookies, callbacks, lines of the
audit chain): comes back as it was, and is refused with any byte of it changed, cut or added."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

import msgspec

from gateway_guard.core import callbacks, links
from gateway_guard.frontends import sessions
from gateway_guard.record import chain
from gateway_guard.verification.web import fields
from tests.fuzz.taken import Taken

WORDS = (
    b"acct_aaaaaaaaaaaaaaaa", b"v1,", b"v2,", b"whsec_", b".", b"=", b"==", b" ", b",",
    b'","mac":"', b'"}', b"gateway_guard_admin=", b"; ", b"%41", b"a=b&c=d", b"+", b"&", b";",
    b"\x00", b"\xff", b"0" * 64, b"1700000000", b"-", b"_", b"\xc3\xa9",
)  # fmt: skip
_SECRET: Final = b"0123456789abcdef0123456789abcdef"
_NOW: Final = 1_700_000_000.0


def _changed(text: str, at: int, byte: int, kind: int) -> str:
    spot = at % (len(text) + 1)
    letter = chr(0x20 + byte % 0x5F)
    return (
        text[:spot] + letter + text[spot + 1 :],
        text[:spot] + text[spot + 1 :],
        text[:spot] + letter + text[spot:],
        text[:spot],
    )[kind % 4]


def _link(account: str, nonce: bytes) -> str:
    return links.make(
        _SECRET, links.Claims(account=account, expires=_NOW + 60, nonce=nonce.ljust(12, b"\0"))
    )


def _read_link(text: str) -> object:
    found = links.read(_SECRET, text, purpose=links.Purpose.VISIT, now=_NOW)
    return None if isinstance(found, links.LinkFault) else found.account


def target(data: bytes) -> None:
    """Where and how to change it, a nonce, then what is sealed; the same bytes as they are."""
    taken = Taken(data)
    at, byte, kind = taken.number(2), taken.byte(), taken.byte()
    nonce, body = taken.piece(12), taken.rest()
    text = body.decode("latin-1")
    account = body.decode("utf-8", "replace")[:15] or "a"

    # As sent by anybody.
    assert _read_link(text) is None
    assert sessions.opened(text, _SECRET, _NOW) is None
    assert all(isinstance(one, str) for one in fields(body).values())
    found = sessions.cookie_of(text)
    assert found is None or text.count(sessions.COOKIE) >= 1
    key = callbacks.key_of(body)
    assert key is None or len(key) >= callbacks.SHORTEST_KEY
    try:
        chain.entry_of(body, _SECRET)
    except ValueError as error:
        said = str(error)
    assert len(said) < 200
    # Sealed here.
    session = sessions.Session(nonce=nonce.hex(), until=_NOW + 9, name=account, reviews=True)
    entry = chain.Entry(n=1, at=_NOW, action="ban", reason=account, prev=chain.NOTHING)
    line, _ = chain.line_of(entry, _SECRET)

    def entry_of(one: str) -> object:
        try:
            return chain.entry_of(one.encode("latin-1", "replace"), _SECRET)[0]
        except ValueError:
            return None

    sealed: list[tuple[str, Callable[[str], object], object]] = [
        (_link(account, nonce), _read_link, account),
        (sessions.sealed(session, _SECRET), lambda c: sessions.opened(c, _SECRET, _NOW), session),
        (line.rstrip(b"\n").decode("latin-1"), entry_of, entry),
    ]
    for whole, opened, meant in sealed:
        assert opened(whole) == meant
        other = _changed(whole, at, byte, kind)
        assert other == whole or opened(other) is None, (whole, other)
    assert sessions.opened(sessions.sealed(session, _SECRET), _SECRET, _NOW + 10) is None
    headers = {"webhook-id": text[:99] or "x", "webhook-timestamp": str(int(_NOW))}
    headers["webhook-signature"] = callbacks.sign(_SECRET, headers["webhook-id"], int(_NOW), body)
    assert callbacks.signed(_SECRET, headers, body, now=_NOW)
    assert not callbacks.signed(_SECRET, headers, body + b"\0", now=_NOW)
    assert not callbacks.signed(_SECRET, headers, body, now=_NOW + 301)
    assert not callbacks.signed(_SECRET, headers | {"webhook-id": text[:99] + "y"}, body, now=_NOW)
    assert not callbacks.signed(_SECRET, headers | {"webhook-signature": text}, body, now=_NOW)
    form = sessions.form_token(session, _SECRET)
    assert sessions.form_is_ours(form, session, _SECRET)
    assert not sessions.form_is_ours(text, session, _SECRET)
    assert hmac.new(_SECRET, msgspec.json.encode(account), hashlib.sha256).hexdigest() != form
