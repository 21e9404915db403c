"""JSON Web Tokens: verified against given keys and a given clock, or read where a proxy verified
them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import jwt
import msgspec
from jwt.api_jws import PyJWS

from gateway_guard.core.body import parse

if TYPE_CHECKING:
    from gateway_guard.core.identify import AccountSource

#: Longest token looked at, bytes. Servers refuse header lines beyond 8 to 64 KiB.
LONGEST: Final = 16_384
#: Clocks of issuer and guard may differ by this much, seconds.
LEEWAY: Final = 30.0
#: Most keys tried for a token that names none.
_MOST_TRIED: Final = 8
_LONGEST_NAME: Final = 512
#: All that may ever be named in `algorithms`; `none` is not among them.
ALGORITHMS: Final = frozenset((
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
    "ES256", "ES384", "ES512", "ES256K", "EdDSA",
))  # fmt: skip


class NotAName(msgspec.Struct, frozen=True, gc=False):
    """Why a token names nobody, in words for a log; quotes nothing of the token."""

    why: str


#: The header holds something else than a JWT.
NOT_A_TOKEN: Final = NotAName("not a token")
#: The signature cannot be checked yet: no key is at hand under the token's `kid`.
NO_KEY: Final = NotAName("no key for this token")
_BAD_SIGNATURE: Final = NotAName("the signature is wrong")

_jws: Final = PyJWS()


def name_of(value: object) -> str | None:
    """An account name: a non-empty string or an integer; None for anything else."""
    if type(value) is str:
        return value if 0 < len(value) <= _LONGEST_NAME else None
    return str(value) if type(value) is int and abs(value) < 1 << 63 else None


def header_of(token: bytes) -> dict[str, Any] | None:
    """The token's JOSE header, unverified; None when this is no signed JWT in compact form."""
    if len(token) > LONGEST or token.count(b".") != 2:
        return None
    return _object(token.partition(b".")[0])


def _object(segment: bytes) -> dict[str, Any] | None:
    """The JSON object in one base64url segment, strictly: no padding, no stray bytes."""
    if b"=" in segment or b"+" in segment or b"/" in segment:
        return None
    try:
        text = base64.b64decode(segment + b"=" * (-len(segment) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    document = parse(text)
    return document if isinstance(document, dict) else None


def verify(
    token: bytes, source: AccountSource, keys: Mapping[str, Mapping[str, object]], at: float
) -> str | NotAName:
    """The account's name in a token, or why there is none. Never raises.

    The signature (unless `source.verify` is False), `exp`, `nbf`, `iss` and `aud` are checked,
    times against `at` with `LEEWAY`. A token without `exp` does not expire. `alg` must be in
    `source.algorithms`, and a key that says what it is for is used for nothing else.
    """
    header = header_of(token)
    if header is None:
        return NOT_A_TOKEN
    if "crit" in header or header.get("b64", True) is not True:
        return NotAName("the token uses critical extensions")
    if source.verify:
        fault = _signature_fault(token, header, source, keys)
        if fault is not None:
            return fault
    claims = _object(token.split(b".")[1])
    if claims is None:
        return NotAName("the claims are not a JSON object")
    fault = _claims_fault(claims, source, at)
    if fault is not None:
        return fault
    name = name_of(_claim(claims, source.claim))
    return name if name is not None else NotAName("the token names no account")


def _signature_fault(
    token: bytes,
    header: Mapping[str, Any],
    source: AccountSource,
    keys: Mapping[str, Mapping[str, object]],
) -> NotAName | None:
    algorithm = header.get("alg")
    if algorithm not in source.algorithms or algorithm not in ALGORITHMS:
        return NotAName("the algorithm is not accepted")
    candidates = _candidates(header, source, keys)
    if not candidates:
        return NO_KEY
    for key in candidates:
        try:
            _jws.decode_complete(token, key, algorithms=[algorithm])  # type: ignore[arg-type]
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
            continue
        return None
    return _BAD_SIGNATURE


def _candidates(
    header: Mapping[str, Any],
    source: AccountSource,
    keys: Mapping[str, Mapping[str, object]],
) -> list[object]:
    if source.key is not None:
        return [source.key]
    known = keys.get(source.jwks or "", {})
    kid = header.get("kid")
    if isinstance(kid, str):
        key = known.get(kid)
        return [key] if key is not None else []
    return list(known.values())[:_MOST_TRIED]


def _claims_fault(claims: Mapping[str, Any], source: AccountSource, at: float) -> NotAName | None:
    for name in ("exp", "nbf"):
        moment = claims.get(name)
        if moment is None:
            continue
        if type(moment) not in (int, float):
            return NotAName(f"{name} is not a number")
        if name == "exp" and at >= moment + LEEWAY:
            return NotAName("the token has expired")
        if name == "nbf" and at < moment - LEEWAY:
            return NotAName("the token is not valid yet")
    if source.issuer is not None and claims.get("iss") != source.issuer:
        return NotAName("the issuer is another")
    if source.audience is not None:
        audience = claims.get("aud")
        if audience != source.audience and not (
            type(audience) is list and source.audience in audience
        ):
            return NotAName("the audience is another")
    return None


def _claim(claims: Mapping[str, Any], path: str) -> object:
    """A claim by its name, or by a dotted path into objects (`realm.account`)."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for name in path.split("."):
        if type(value) is not dict:
            return None
        value = value.get(name)
    return value
