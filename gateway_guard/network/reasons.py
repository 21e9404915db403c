"""Why a fetch failed, for the operator: never the URL, which may carry a licence key."""

from __future__ import annotations

from typing import Final

import httpx

from gateway_guard.errors import SourceError


def reason(url: str, error: Exception) -> str:
    """What went wrong with `url`, in words that quote nothing of it but the host."""
    if isinstance(error, SourceError):
        return str(error)
    try:
        host = httpx.URL(url).host
    except httpx.InvalidURL:
        return "the URL cannot be read"
    if isinstance(error, httpx.TimeoutException):
        return f"{host} did not answer in time"
    if isinstance(error, OSError):
        return f"cannot write: {error.strerror}"
    # Never the message of httpx: it may quote the URL.
    for kind, words in _WORDS:
        if isinstance(error, kind):
            return f"{host} {words}"
    return f"{host}: {type(error).__name__}"


_WORDS: Final = (
    (httpx.ConnectError, "cannot be reached (name, address, port or certificate)"),
    (httpx.UnsupportedProtocol, "redirects to an address that is neither https nor http"),
    (httpx.RemoteProtocolError, "broke off, or does not speak HTTP"),
    (httpx.NetworkError, "broke off"),
)
