"""JSON Web Tokens: verified against given keys and a given clock, or read where a proxy verified
them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import jwt
import msgspec
from jwt.api_jws import PyJWS

from gateway_guard.core.body import parse
from gateway_guard.core.sections import AccountSource
from gateway_guard.types import CredentialFault

#: Longest token looked at, bytes. Servers refuse header lines beyond 8 to 64 KiB.
LONGEST: Final = 16_384
#: Clocks of issuer and guard may differ by this much, seconds.
LEEWAY: Final = 30.0
#: Seconds after which a key set that could not be fetched is asked for again.
RETRY: Final = 5.0
#: Most keys tried for a token that names none.
_MOST_TRIED: Final = 8
_LONGEST_NAME: Final = 512
#: All that may ever be named in `algorithms`; `none` is not among them.
ALGORITHMS: Final = frozenset((
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
    "ES256", "ES384", "ES512", "ES256K", "EdDSA",
))  # fmt: skip


class KeySet(msgspec.Struct, frozen=True, gc=False):
    """One issuer's public keys, as last fetched.

    Attributes:
        keys: key id → key; never empty.
        current: False after a later fetch failed: a key that is not here may exist all the same.
    """

    keys: Mapping[str, object]
    current: bool = True


#: URL → its key set; a URL whose keys could never be fetched is missing. Filled by `accounts.jwks`.
Keys = Mapping[str, KeySet]

_jws: Final = PyJWS()


def name_of(value: object) -> str | None:
    """An account name: a non-empty string, an integer or a UUID; None for anything else."""
    if isinstance(value, str):
        # Of a string's own kind (an enumeration's member, a framework's "safe" string) its text.
        return str.__str__(value) if 0 < len(value) <= _LONGEST_NAME else None
    if isinstance(value, UUID):
        return str(value)
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


class Verified(NamedTuple):
    """What a token that was accepted says.

    Attributes:
        name: the account's, with the source's prefix.
        said: attributes by name, as `AccountFacts` has them, not yet read; None for none.
    """

    name: str
    said: Mapping[str, Any] | None


def verify(
    token: bytes, source: AccountSource, keys: Keys, at: float
) -> Verified | CredentialFault:
    """Whom a token names, or why nobody; as `claims_of`. Never raises."""
    claims = claims_of(token, source, keys, at)
    if isinstance(claims, CredentialFault):
        return claims
    name = name_of(_claim(claims, source.claim))
    if name is None:
        return CredentialFault.CLAIM_MISSING
    said = {field: _claim(claims, claim) for field, claim in source.attributes}
    return Verified(source.prefix + name, said or None)


#: Faults, least telling first: what a token of another issuer looks like, then one of this issuer
#: that cannot be checked. All others say that the signature was good, or that it is no token.
_TELLING: Final = (
    CredentialFault.WRONG_ISSUER, CredentialFault.UNVERIFIED, CredentialFault.ALGORITHM_NOT_ALLOWED,
    CredentialFault.UNKNOWN_KEY, CredentialFault.BAD_SIGNATURE, CredentialFault.KEYS_UNREACHABLE,
)  # fmt: skip


def verify_by_any(
    token: bytes, sources: Sequence[AccountSource], keys: Keys, at: float, *, believed: bool
) -> Verified | CredentialFault:
    """What the first of `sources` makes of a token that accepts it, as when an operator has several
    issuers; where none does, the fault of the one that came furthest.

    `believed` says whether those count that somebody in front has to have verified. Those take
    only what is no other source's: a token of an issuer whose signature is looked at here does not
    pass for lack of one.
    """
    why: CredentialFault | None = None
    for source in sources:
        if not source.verify and why not in (None, CredentialFault.WRONG_ISSUER):
            continue
        found = verify(token, source, keys, at)
        if not isinstance(found, CredentialFault):
            if source.verify or believed:
                return found
            found = CredentialFault.UNVERIFIED
        if why is None or _rank(found) > _rank(why):
            why = found
    return why or CredentialFault.NOT_A_JWT


def _rank(fault: CredentialFault) -> int:
    return _TELLING.index(fault) if fault in _TELLING else len(_TELLING)


def claims_of(
    token: bytes, source: AccountSource, keys: Keys, at: float
) -> dict[str, Any] | CredentialFault:
    """What a token says, or why it is not believed. Never raises.

    `iss`, then the signature (unless `source.verify` is False), `exp`, `nbf` and `aud` are checked,
    times against `at` with `LEEWAY`. A token without `exp` does not expire. `alg` must be in
    `source.algorithms`, and a key that says what it is for is used for nothing else.
    """
    header = header_of(token)
    if header is None:
        return CredentialFault.NOT_A_JWT
    if "crit" in header or header.get("b64", True) is not True:
        return CredentialFault.CRITICAL_EXTENSION
    claims = _object(token.split(b".")[1])
    # Another issuer's token is just that, whether or not this one's keys are at hand.
    if claims is not None and not issued_by(source, claims):
        return CredentialFault.WRONG_ISSUER
    if source.verify:
        fault = _signature_fault(token, header, source, keys)
        if fault is not None:
            return fault
    if claims is None:
        return CredentialFault.MALFORMED
    fault = _claims_fault(claims, source, at)
    return claims if fault is None else fault


def _signature_fault(
    token: bytes,
    header: Mapping[str, Any],
    source: AccountSource,
    keys: Keys,
) -> CredentialFault | None:
    algorithm = header.get("alg")
    if algorithm not in source.algorithms or algorithm not in ALGORITHMS:
        return CredentialFault.ALGORITHM_NOT_ALLOWED
    candidates = _candidates(header, source, keys)
    if isinstance(candidates, CredentialFault):
        return candidates
    for key in candidates:
        try:
            _jws.decode_complete(token, key, algorithms=[algorithm])  # type: ignore[arg-type]
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
            continue
        return None
    return CredentialFault.BAD_SIGNATURE


def _candidates(
    header: Mapping[str, Any], source: AccountSource, keys: Keys
) -> list[object] | CredentialFault:
    """The keys that may have signed the token, at least one; or why there is none."""
    if source.key is not None:
        return [source.key]
    known = keys.get(source.jwks or "")
    if known is None:
        return CredentialFault.KEYS_UNREACHABLE
    kid = header.get("kid")
    if not isinstance(kid, str):
        return list(known.keys.values())[:_MOST_TRIED]
    key = known.keys.get(kid)
    if key is not None:
        return [key]
    # It may have come into use while nobody could fetch it: that is not the caller's fault.
    return CredentialFault.UNKNOWN_KEY if known.current else CredentialFault.KEYS_UNREACHABLE


def issued_by(source: AccountSource, claims: Mapping[str, Any]) -> bool:
    """Whether a token that says `claims` claims to be of the issuer that `source` asks for."""
    return source.issuer is None or claims.get("iss") == source.issuer


def unverified(token: bytes) -> Mapping[str, Any]:
    """What a token says of itself, true or not; nothing for what cannot be read."""
    parts = token.split(b".") if len(token) <= LONGEST else []
    return (_object(parts[1]) if len(parts) == 3 else None) or {}


def _claims_fault(
    claims: Mapping[str, Any], source: AccountSource, at: float
) -> CredentialFault | None:
    for name in ("exp", "nbf"):
        moment = claims.get(name)
        if moment is None:
            continue
        if type(moment) not in (int, float):
            return CredentialFault.MALFORMED
        # Compared, never added to: a token may hold an integer that no float can.
        if name == "exp" and at - LEEWAY >= moment:
            return CredentialFault.EXPIRED
        if name == "nbf" and at + LEEWAY < moment:
            return CredentialFault.NOT_YET_VALID
    if source.audience is not None:
        audience = claims.get("aud")
        if audience != source.audience and not (
            type(audience) is list and source.audience in audience
        ):
            return CredentialFault.WRONG_AUDIENCE
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
