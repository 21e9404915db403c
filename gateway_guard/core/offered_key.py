"""A key among the subprotocols a WebSocket handshake offers: the one header a browser can fill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway_guard.core import tokens
from gateway_guard.core.account import Recognised, account
from gateway_guard.core.credentials import AMBIGUOUS, VISIBLE, digest
from gateway_guard.core.fields import Headers, lines
from gateway_guard.core.prepared import Prepared
from gateway_guard.types import CredentialFault, Wire

#: The field of the offers.
OFFERS: Final = b"sec-websocket-protocol"
#: What the key stands behind in one name: OpenAI's Realtime and those who speak it, xAI's.
_PREFIXES: Final = (b"openai-insecure-api-key.", b"xai-client-secret.")
#: A name after which the key is the next one: Deepgram's two ways.
_BEFORE: Final = frozenset((b"token", b"bearer"))


def with_offered_key(
    seen: Recognised, wire: Wire, ready: Prepared, at: float, secret: bytes, keys: tokens.Keys,
    believed: bool,
) -> Recognised:  # fmt: skip
    """Who asks for the WebSocket in `wire`, once what it offers has been read, too.

    A key there counts as one in Authorization would, token or not; where the policy does not read
    that, but another header, as one in that. Another credential beside it is a fault. An account
    that the application names stays. `believed` as in `core.account`.
    """
    who, kind, fault, _ = seen
    if fault is not None or kind == "state":
        return seen
    if not ready.schemed and not ready.keyed:
        return seen
    key = offered_key(wire.headers)
    if key is None:
        return seen
    if isinstance(key, CredentialFault):
        return None, AMBIGUOUS, key, None
    named: str | None = digest(secret, key)
    how: str | None = "subprotocol"
    said: Mapping[str, Any] | None = None
    if ready.schemed:
        field: Mapping[bytes, bytes] = {b"authorization": b"Bearer " + key}
        alone = msgspec.structs.replace(wire, headers=list(field.items()), state={})
        named, token, fault, said = account(alone, ready, field, False, at, secret, keys, believed)
        how = token if token == "jwt" else how  # noqa: S105
    if fault is None and who is not None and who != named:
        return None, AMBIGUOUS, CredentialFault.TWO_CREDENTIALS, None
    return (named, how, fault, said) if who is None or fault is not None else seen


def offered_key(headers: Headers) -> bytes | CredentialFault | None:
    """The key that a handshake offers; None when it offers none, a fault when readers may differ.

    The lines of the field are one list (RFC 6455 §11.3.4), in which what is empty does not count
    (RFC 9110 §5.6.1). How a prefix is spelled does not matter.
    """
    values = b",".join(lines(headers, OFFERS))
    names = [name.strip(b" \t") for name in values.split(b",")]
    found = set(_keys([name for name in names if name]))
    if not found:
        return None
    if len(found) > 1:
        return CredentialFault.TWO_CREDENTIALS
    (key,) = found
    return CredentialFault.AMBIGUOUS_SPELLING if key.translate(None, VISIBLE) else key


def _keys(names: Sequence[bytes]) -> list[bytes]:
    found: list[bytes] = []
    before = False
    for name in names:
        low = name.lower()
        prefix = next((prefix for prefix in _PREFIXES if low.startswith(prefix)), b"")
        if (prefix or before) and len(name) > len(prefix):
            found.append(name[len(prefix) :])
        before = low in _BEFORE
    return found
