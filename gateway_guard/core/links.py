"""Verification links: tokens that only a holder of the guard's secret makes, and that soon expire.

    base64url( version 1 · purpose 1 · expires 8 · nonce 12 · account … · HMAC-SHA-256 32 )

A token holds the account's keyed digest, and nothing else of it. Whoever has a token may answer for
that account once; it says nothing about how, and is no credential of the API. Pure.
"""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import hmac
import struct
from typing import Final

import msgspec

from gateway_guard.core.credentials import subkey
from gateway_guard.core.sections import Verification
from gateway_guard.types import Decision, Request

#: Bytes of a nonce.
NONCE: Final = 12
#: Seconds a token is still taken after it expired: guards' clocks differ.
LEEWAY: Final = 60.0
#: Longest token read, characters.
LONGEST: Final = 256

_VERSION: Final = 1
_HEAD: Final = struct.Struct(">BBd12s")
_TAG: Final = 32
_ACCOUNT: Final = 64


class Purpose(enum.IntEnum):
    """What a token is for; none is taken for another's.

    `VISIT` opens the page; `RETURN` comes back from the operator's provider.
    """

    VISIT = 1
    RETURN = 2


class LinkFault(enum.StrEnum):
    """Why a link or what came with it is not taken; each member is its reason in the log.

    `FORGED` is anything this secret did not sign, damaged links included.
    """

    FORGED = "forged"
    EXPIRED = "expired"
    PURPOSE = "purpose"
    USED = "used"
    CROWDED = "crowded"

    __hash__ = str.__hash__


class Claims(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a token says.

    Attributes:
        account: keyed digest of who was asked, at most 64 characters.
        expires: Unix seconds.
        nonce: 12 bytes that no other token has; a link that becomes another token (`RETURN`) keeps
            it, so that either is used at most once.
        purpose: what it is for.
    """

    account: str
    expires: float
    nonce: bytes
    purpose: Purpose = Purpose.VISIT


def make(secret: bytes, claims: Claims) -> str:
    """A token that says `claims`, safe in a URL.

    Raises:
        ValueError: the account or the nonce does not fit.
    """
    account = claims.account.encode()
    if not 0 < len(account) <= _ACCOUNT or len(claims.nonce) != NONCE:
        raise ValueError("an account has 1 to 64 bytes, a nonce 12")
    body = _HEAD.pack(_VERSION, claims.purpose, claims.expires, claims.nonce) + account
    return base64.urlsafe_b64encode(body + _tag(secret, body)).rstrip(b"=").decode()


def read(secret: bytes, token: str, *, purpose: Purpose, now: float) -> Claims | LinkFault:
    """What a token says, or why it is not taken. Never raises, whatever the text.

    `now` is Unix seconds. Whether it was used before is not known here.
    """
    data = _decode(token)
    if data is None or not _HEAD.size + _TAG < len(data) <= _HEAD.size + _ACCOUNT + _TAG:
        return LinkFault.FORGED
    body, tag = data[:-_TAG], data[-_TAG:]
    if not hmac.compare_digest(tag, _tag(secret, body)):
        return LinkFault.FORGED
    version, meant, expires, nonce = _HEAD.unpack_from(body)
    if version != _VERSION or meant != purpose:
        return LinkFault.PURPOSE
    # Said so that NaN is expired, too.
    if not now < expires + LEEWAY:
        return LinkFault.EXPIRED
    return Claims(
        account=body[_HEAD.size :].decode(), expires=expires, nonce=nonce, purpose=purpose
    )


def linked(
    decision: Decision, request: Request, verification: Verification, secret: bytes, nonce: bytes
) -> Decision:
    """`decision`, a challenge, with a link of its own, unless its rule names a page or nobody would
    see it. `nonce` as `Claims.nonce`.
    """
    account = request.account
    if account is None or decision.challenge_url is not None or not decision.acted:
        return decision
    claims = Claims(account=account, expires=request.at + verification.expires, nonce=nonce)
    url = f"{verification.url}?t={make(secret, claims)}"
    return msgspec.structs.replace(decision, challenge_url=url)


def _decode(token: str) -> bytes | None:
    """The bytes of a token; None unless it is spelled as `make` spells them."""
    if len(token) > LONGEST:
        return None
    try:
        raw = token.encode("ascii")
        data = base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
    # The last character may have spare bits, which decoding ignores.
    return data if base64.urlsafe_b64encode(data).rstrip(b"=") == raw else None


def _tag(secret: bytes, body: bytes) -> bytes:
    return hmac.digest(subkey(secret, b"verification"), body, hashlib.sha256)
