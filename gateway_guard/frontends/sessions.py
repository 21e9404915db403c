"""Signed, expiring cookies of the admin port, and the tokens that bind a form to one. Pure.

Nothing is kept on the server: what a session says is in it, under a keyed digest. The key comes
from the guard's secret and the tokens in force, so another token ends every session.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

import msgspec

from gateway_guard.core.credentials import subkey
from gateway_guard.errors import UNDECODABLE
from gateway_guard.settings import Settings

#: The cookie's name, and how long a session lasts, seconds.
COOKIE: Final = "gateway_guard_admin"
LASTS: Final = 8 * 3600.0
_LONGEST: Final = 1_024


class Session(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a cookie says.

    Attributes:
        nonce: names it; forms are bound to it.
        until: Unix seconds.
        name: of the reviewer; empty when unknown.
        reviews: whether it may change things; else it may only look.
        signs_in: whether it is worth a token: the login form made it. Any other only binds forms
            to a browser, and says nothing of who that is.
    """

    nonce: str
    until: float
    name: str
    reviews: bool
    signs_in: bool = False


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Session).decode


def session_key(settings: Settings) -> bytes:
    """The key of all sessions."""
    tokens = f"{settings.admin_token}\n{settings.admin_read_token}".encode()
    return hashlib.blake2b(
        tokens, key=subkey(settings.secret, b"admin session"), digest_size=32
    ).digest()


def sealed(session: Session, key: bytes) -> str:
    """`session` as the value of a cookie."""
    body = base64.urlsafe_b64encode(_encode(session)).decode().rstrip("=")
    return f"{body}.{_mac(key, 'session', body)}"


def opened(cookie: str, key: bytes, now: float) -> Session | None:
    """The session in a cookie; None when it is none of ours, or over at `now` (Unix seconds)."""
    body, _, mac = cookie.rpartition(".")
    if len(cookie) > _LONGEST or not _equal(mac, _mac(key, "session", body)):
        return None
    try:
        session = _decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (*UNDECODABLE, ValueError):
        return None
    return session if now < session.until else None


def form_token(session: Session, key: bytes) -> str:
    """What a form of this session carries, and nobody else can know."""
    return _mac(key, "form", session.nonce)


def form_is_ours(token: str, session: Session, key: bytes) -> bool:
    """Whether a form was made for this session."""
    return _equal(token, form_token(session, key))


def cookie_of(header: str) -> str | None:
    """Our cookie in a `Cookie` header; None when it is not there, or more than once."""
    found = [
        value
        for part in header.split(";")
        if (pair := part.strip().partition("="))[0] == COOKIE and (value := pair[2])
    ]
    return found[0] if len(found) == 1 else None


def set_cookie(value: str, *, secure: bool, lasts: float = LASTS) -> str:
    """The `Set-Cookie` header: no script reads it, no other site sends it."""
    tail = "; Secure" if secure else ""
    return f"{COOKIE}={value}; Path=/; Max-Age={lasts:.0f}; HttpOnly; SameSite=Strict{tail}"


def _mac(key: bytes, purpose: str, text: str) -> str:
    return hmac.new(key, f"{purpose}\n{text}".encode(), hashlib.sha256).hexdigest()


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())
