"""What an ASGI scope says of a request, whatever server and framework made it."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import quote

Scope = MutableMapping[str, Any]


def full_path(scope: Scope) -> bytes:
    """The path as the client sent it, percent-encoded, mounts included, no query string.

    `raw_path` stays whole under mounts in every framework tried. A server that does not give it (it
    is optional in ASGI) gets `path` quoted, behind `root_path` where a mount has cut that off.
    """
    raw: bytes | None = scope.get("raw_path")
    if raw:
        # Some servers leave the query string on.
        return raw if 0x3F not in raw else raw.partition(b"?")[0]
    path: str = scope["path"]
    root: str = scope.get("root_path") or ""
    if root and not (path == root or path.startswith(root.rstrip("/") + "/")):
        path = root.rstrip("/") + path
    return quote(path, safe="/:@!$&'()*+,;=~-._", errors="surrogateescape").encode("ascii")


def peer_of(scope: Scope) -> str | None:
    """The other end of the connection; None for a unix socket or where the server does not say."""
    client = scope.get("client")
    return client[0] if client else None


def stated_in(scope: Scope) -> object:
    """What the application put into `scope["state"]` for the guard; None for nothing."""
    state = scope.get("state")
    if not state:
        return None
    if type(state) is dict and "gateway_guard" not in state:
        return None
    if isinstance(state, Mapping):
        return state.get("gateway_guard")
    return getattr(state, "gateway_guard", None)
