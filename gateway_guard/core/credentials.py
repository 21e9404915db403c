"""Who asks: credentials, read so that one key has one spelling, and kept only as keyed digests."""

from __future__ import annotations

import base64
import codecs
import functools
import hashlib
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from gateway_guard.types import CredentialFault
from gateway_guard.types.veiled import Veiled

#: What `digest` and `name_digest` give.
ACCOUNT: Final = re.compile(r"acct_[a-z2-7]{16}")

_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"


@functools.lru_cache(maxsize=16)
def subkey(secret: bytes, purpose: bytes) -> bytes:
    """32 bytes derived from `secret`, so that one digest says nothing about another's key."""
    return hashlib.blake2b(
        secret[64:], key=secret[:64], digest_size=32, person=purpose[:16]
    ).digest()


def digest(secret: bytes, credential: bytes) -> str:
    """The account of an API key, as logs and policies spell it: `acct_` and 80 bits in base32.

    Keyed BLAKE2b: without `secret` (at least 16 bytes) nobody can test a guess. The credential is
    not kept anywhere.
    """
    hasher = _keyed(secret, b"account").copy()
    hasher.update(credential)
    return _text(hasher.digest())


@functools.lru_cache(maxsize=16)
def _keyed(secret: bytes, purpose: bytes) -> hashlib.blake2b:
    # Copying a hasher that has taken in its key saves half of hashing with one.
    return hashlib.blake2b(key=subkey(secret, purpose), digest_size=10)


def name_digest(secret: bytes, name: bytes) -> str:
    """The account of a *name* (a JWT claim, the application's state): never that of a key.

    Apart from `digest`, because names are public: a client that sends somebody's name as its key
    must not become them.
    """
    hasher = _keyed(secret, b"name").copy()
    hasher.update(name)
    return _text(hasher.digest())


@functools.lru_cache(maxsize=16_384)
def _text(raw: bytes) -> str:
    number = int.from_bytes(raw, "big")
    return "acct_" + "".join(_ALPHABET[number >> shift & 31] for shift in range(75, -1, -5))


def key_as_sent(copied: bytes) -> bytes:
    """The key in what somebody copied into a file, as a request that sends it is read.

    A byte order mark, white space around it and `Bearer` or `Basic` in front are no part of a key:
    with them it would silently be another's.
    """
    return _bare(copied.removeprefix(codecs.BOM_UTF8).strip())


#: A scheme in front of a key, in a header where none belongs.
_MISPLACED: Final = re.compile(rb"(?i:bearer|basic)(?:[ \t]+|$)")


def _bare(key: bytes) -> bytes:
    """`key` without the scheme in front of it.

    Gateways that read keys from `x-api-key` and its like take `Bearer` or `Basic` off there, too:
    left on, each spelling of one key would be another account.
    """
    found = _MISPLACED.match(key)
    return key if found is None else key[found.end() :]


class Credential(Veiled, msgspec.Struct, frozen=True, gc=False):
    """A credential as sent, one spelling each. Lives only inside `identify`.

    Attributes:
        token: what is compared and digested.
        kind: `bearer`, `basic` or another scheme for Authorization, else the header's name.
    """

    veiled = frozenset(("token",))

    token: bytes
    kind: str


#: `Request.credential` where headers say two things, or one that readers would spell differently.
AMBIGUOUS: Final = "ambiguous"

#: What else `Request.credential` says. No scheme a client makes up: it would pass for what only the
#: application or a verified token can say.
_OURS: Final = frozenset(("state", "jwt", "query", "subprotocol", "client-secret", AMBIGUOUS))

#: No scheme alone is as long.
_SHORTEST: Final = 7

_SCHEMED: Final = frozenset((b"authorization", b"proxy-authorization"))
_SCHEME: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]+(.*)", re.DOTALL)
VISIBLE: Final = bytes(range(0x21, 0x7F))

#: Schemes of requests that are signed, not accompanied by a key, and what they say: the id of the
#: key, the day, region and service it is narrowed to, what was signed, and the signature.
#: Source: "Signature Version 4", docs.aws.amazon.com/IAM; SDKs write the three in this order.
_SIGNING: Final = frozenset(("aws4-hmac-sha256", "aws4-ecdsa-p256-sha256"))
_SIGNATURE: Final = re.compile(
    rb"Credential=([0-9A-Za-z_]{16,128})/[0-9]{8}/(?:[0-9a-z-]+/)?[0-9a-z-]+/aws4_request,[ \t]*"
    rb"SignedHeaders=[0-9a-z;_-]+,[ \t]*Signature=[0-9a-f]+"
)


def read_credential(header: bytes, values: Sequence[bytes]) -> Credential | CredentialFault | None:
    """The credential in one header field; None when it holds none, a fault when it is ambiguous.

    `Authorization` is split into scheme and token: the scheme's case and the white space around the
    token do not matter (RFC 9110 §11.4), so spelling it otherwise does not make another account.
    Ambiguous are: several lines, even equal ones; white space, control or non-ASCII bytes inside a
    token (readers strip or split at them differently); a Basic token that is not base64. Other
    headers may hold inner spaces and non-ASCII text; a scheme in front of it is passed over, and
    two of them are ambiguous.

    A request signed as AWS has it differs each time and counts as the id of its key, which is no
    secret; only the upstream can tell whether the signature is good.
    """
    if len(values) > 1:
        return CredentialFault.REPEATED_HEADER
    value = values[0].strip(b" \t")
    if header not in _SCHEMED:
        if value.translate(None, VISIBLE) or len(value) < _SHORTEST:
            value = _bare(value)
            if not value:
                return None
            if not _readable(value) or _bare(value) != value:
                return CredentialFault.AMBIGUOUS_SPELLING
        return Credential(value, header.decode("ascii", "replace"))
    if value[:7] == b"Bearer ":
        kind, token = "bearer", value[7:].lstrip(b" \t")
    else:
        match = _SCHEME.fullmatch(value)
        if match is None:
            # A lone word: a scheme without a token (nothing), or a token without a scheme.
            if not value or value.lower() in (b"bearer", b"basic"):
                return None
            kind, token = "authorization", value
        else:
            kind, token = match[1].decode("ascii").lower(), match[2]
            if kind in _OURS:
                kind = "authorization"
    if kind in _SIGNING:
        signature = _SIGNATURE.fullmatch(token)
        return Credential(signature[1], kind) if signature else CredentialFault.AMBIGUOUS_SPELLING
    if token.translate(None, VISIBLE):
        return CredentialFault.AMBIGUOUS_SPELLING
    if kind == "basic":
        return _basic(token)
    return Credential(token, kind)


def signed(kind: str | None) -> bool:
    """Whether a request recognised as `kind` is signed: what changes its body makes it void."""
    return kind in _SIGNING


def _basic(token: bytes) -> Credential | CredentialFault:
    """A Basic credential as RFC 4648 spells it: padding and spare bits may be written otherwise."""
    digits = token.rstrip(b"=")
    try:
        plain = base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
    except ValueError:
        return CredentialFault.AMBIGUOUS_SPELLING
    if not plain:  # nothing but padding, which is no base64 to some readers and nobody to others
        return CredentialFault.AMBIGUOUS_SPELLING
    return Credential(base64.b64encode(plain), "basic")


def _readable(value: bytes) -> bool:
    """Whether every reader sees the same text: UTF-8, printable, nothing a strip() removes."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    latin = value.decode("latin-1")
    return text.isprintable() and text.strip() == text and latin.strip() == latin
