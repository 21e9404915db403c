"""A token names an account only if the very bytes were signed with the key, by `hmac`; what it says
then is what CPython's `json` reads; and a token changed anywhere names nobody else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Final

from gateway_guard.accounts.jwks import read_key_set
from gateway_guard.core.sections import AccountSource
from gateway_guard.core.tokens import header_of, verify
from gateway_guard.types import CredentialFault
from tests.fuzz.taken import Taken

WORDS = (
    b'{"alg":"HS256"}', b'{"alg":"none"}', b'{"alg":"HS256","typ":"JWT"}', b'{"sub":"ann"}',
    b'"sub":"ann"', b'"exp":1000000100', b'"exp":1', b'"nbf":1000000000', b'"iss":"i"',
    b'"aud":["a"]', b'"aud":"a"', b'"crit":["x"]', b'"b64":false', b'"kid":"x"', b".", b"..", b"=",
    b"-", b"_", b"+", b"1e999", b"null", b'{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}',
    b'{"kty":"oct","k":"AAAA"}', b'"alg":"RS256"',
)  # fmt: skip
_KEY: Final = "a shared secret that is long enough for SHA-256 and SHA-512, of 64+ bytes"
_AT: Final = 1e9
_SOURCE: Final = AccountSource(
    kind="jwt", header="authorization", key=_KEY, algorithms=("HS256",), issuer="i", audience="a"
)
_LOOSE: Final = AccountSource(kind="jwt", header="authorization", key=_KEY, algorithms=("HS256",))
_UNVERIFIED: Final = AccountSource(kind="jwt", header="authorization", verify=False)


def text_of(data: bytes) -> bytes:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def signed(header: bytes, claims: bytes) -> bytes:
    """A token over whatever bytes, rightly signed."""
    start = text_of(header) + b"." + text_of(claims)
    return start + b"." + text_of(hmac.digest(_KEY.encode(), start, hashlib.sha256))


def sound(token: bytes) -> bool:
    """Whether the key's holder signed these bytes, whatever they say."""
    start, _, signature = token.rpartition(b".")
    try:
        made = base64.urlsafe_b64decode(signature + b"=" * (-len(signature) % 4))
    except ValueError:
        return False
    return hmac.compare_digest(made, hmac.digest(_KEY.encode(), start, hashlib.sha256))


def target(data: bytes) -> None:
    """Where to change it and to what, the header's length, header and claims; or a whole token."""
    taken = Taken(data)
    at, byte = taken.number(2), taken.byte()
    header, rest = taken.some(), taken.rest()

    for source in (_SOURCE, _LOOSE):
        raw = verify(rest, source, {}, _AT)
        assert isinstance(raw, CredentialFault) or sound(rest)
    verify(rest, _UNVERIFIED, {}, _AT)
    header_of(rest)
    assert all(isinstance(name, str) for name in read_key_set(rest))
    token = signed(header, rest)
    for source in (_SOURCE, _LOOSE):
        name = verify(token, source, {}, _AT)
        if isinstance(name, CredentialFault):
            continue
        assert json.loads(header)["alg"] == "HS256"
        claims = json.loads(rest)
        assert name.name == str(claims["sub"])
        assert claims.get("exp") is None or claims["exp"] > _AT - 30
        assert claims.get("nbf") is None or claims["nbf"] <= _AT + 30
        if source is _SOURCE:
            assert claims["iss"] == "i"
            assert claims["aud"] == "a" or "a" in claims["aud"]
        spot = at % len(token)
        changed = token[:spot] + bytes((byte,)) + token[spot + 1 :]
        other = verify(changed, source, {}, _AT)
        # Spare bits of the last character of the signature may be spelled otherwise.
        assert (
            changed == token
            or isinstance(other, CredentialFault)
            or (other == name and sound(changed) and spot >= token.rindex(b"."))
        ), (token, changed, other)
