"""Which account asks: what the policy's sources name, and whether they agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway_guard.core import tokens
from gateway_guard.core.credentials import (
    AMBIGUOUS,
    VISIBLE,
    digest,
    name_digest,
    read_credential,
)
from gateway_guard.core.fields import lines_of
from gateway_guard.core.prepared import Prepared
from gateway_guard.core.sections import AccountSource, Identify
from gateway_guard.types import CredentialFault, Wire

#: (account, how it was recognised, why the credential names none, attributes its token says); None
#: for none.
Recognised = tuple[str | None, str | None, CredentialFault | None, Mapping[str, Any] | None]

_TWO: Recognised = (None, AMBIGUOUS, CredentialFault.TWO_CREDENTIALS, None)
_NOBODY: Recognised = (None, None, None, None)


def account(
    wire: Wire,
    ready: Prepared,
    fields: Mapping[bytes, bytes],
    repeated: bool,
    at: float,
    secret: bytes,
    keys: tokens.Keys,
    believed: bool,
) -> Recognised:
    """Who asks: the first source that names an account wins.

    `fields` and `repeated` as in `core.fields.lines_of`; `at` is Unix seconds, for tokens;
    `believed` says whether those count that somebody in front has to have verified.

    Two credentials that differ, in two headers, are a fault: the upstream might bill either, so
    rotating the other must not buy a fresh account. A key and a token conflict in either order;
    what stands in one and the same header cannot.
    """
    if ready.bearer and not repeated and not wire.state and ready.rivals.isdisjoint(fields):
        # One header says who asks, nearly always in one way: what the loop below would make of it.
        value = fields.get(b"authorization")
        if value is None:
            return _NOBODY
        token = value[7:]
        if token and value[:7] == b"Bearer " and not token.translate(None, VISIBLE):
            return digest(secret, token), "bearer", None, None
    plain: bytes | None = None
    origin = b""
    named: tokens.Verified | None = None
    kind: str | None = None
    for source, header, tried in ready.sources:
        if source.kind == "state":
            if wire.state:
                text = tokens.name_of(wire.state.get(source.state_key))
                if text is not None and plain is None and named is None:
                    return name_digest(secret, text.encode("utf-8", "replace")), "state", None, None
            continue
        value = fields.get(header)
        if value is None:
            continue
        if header == origin:
            continue
        read = read_credential(header, lines_of(wire.headers, fields, repeated, header))
        if read is None:
            continue
        if isinstance(read, CredentialFault):
            return None, AMBIGUOUS, read, None
        if source.kind == "jwt":
            if named is not None:
                if plain != read.token:
                    return _TWO
                continue
            verdict = tokens.verify_by_any(read.token, tried, keys, at, believed=believed)
            if verdict is CredentialFault.NOT_A_JWT and (
                plain is not None or _read_later(ready.identify, source)
            ):
                continue
            if isinstance(verdict, CredentialFault):
                return None, "jwt", verdict, None
            if plain is not None and plain != read.token:
                return _TWO
            named = verdict
        elif plain is not None and plain != read.token:
            return _TWO
        if plain is None:
            plain, kind, origin = read.token, read.kind, header
    if named is not None:
        return name_digest(secret, named.name.encode("utf-8", "replace")), "jwt", None, named.said
    if plain is None:
        return _NOBODY
    return digest(secret, plain), kind, None, None


def _read_later(identify: Identify, source: AccountSource) -> bool:
    """Whether a plain header source reads what is not a token in the header of a JWT source."""
    return any(
        other.kind == "header" and other.header == source.header for other in identify.accounts
    )
