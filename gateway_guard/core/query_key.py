"""A key in a request's query, where Google's APIs and Azure's sockets read one: it pays, whatever
the headers say."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from gateway_guard.core.account import Recognised
from gateway_guard.core.credentials import AMBIGUOUS, VISIBLE, digest
from gateway_guard.core.dialects import google
from gateway_guard.core.query import parameters
from gateway_guard.types import CredentialFault

#: Parameters of the query by which Google's APIs know who calls.
#: Source: "System parameters", cloud.google.com/apis/docs/system-parameters, with two names for an
#: API key; the discovery documents of those APIs for the others.
_GOOGLE: Final = frozenset(("key", "$key", "access_token", "oauth_token"))
#: Azure's, for browsers, whose handshakes have no header for it.
#: Source: "How to use the GPT Realtime API via WebSockets", learn.microsoft.com.
_SOCKETS: Final = frozenset(("api-key",))


def with_query_key(
    seen: Recognised, method: str, path: str, query: bytes, secret: bytes
) -> Recognised:
    """Who asks on the model route at canonical `path`, once the query has been read, too.

    A key there names the account as one in a header would; another one beside it is a fault. An
    account that a token or the application names stays: another key does not buy another one.
    """
    who, kind, fault, _ = seen
    names = _GOOGLE if _reads_keys(path) else _SOCKETS if method == "WEBSOCKET" else None
    if fault is not None or kind in ("jwt", "state") or names is None:
        return seen
    key = query_key(query, names)
    if key is None:
        return seen
    if isinstance(key, CredentialFault):
        return None, AMBIGUOUS, key, None
    account = digest(secret, key)
    if who is None:
        return account, "query", None, None
    return seen if who == account else (None, AMBIGUOUS, CredentialFault.TWO_CREDENTIALS, None)


def query_key(query: bytes, names: Container[str] = _GOOGLE) -> bytes | CredentialFault | None:
    """The key in a query string, in one of the parameters `names`; None when it has none, a fault
    when readers may differ on it.
    """
    try:
        pairs = parameters(query, "latin-1")
    except ValueError:
        return CredentialFault.AMBIGUOUS_SPELLING
    keys = [value.encode("latin-1") for name, value in pairs if value and name.lower() in names]
    if not keys:
        return None
    if len(keys) > 1:
        return CredentialFault.TWO_CREDENTIALS
    return CredentialFault.AMBIGUOUS_SPELLING if keys[0].translate(None, VISIBLE) else keys[0]


def _reads_keys(path: str) -> bool:
    return google(path) or "generativeservice" in path.casefold()
