"""Why a fetch failed, for the operator: never the URL, which may carry a licence key."""

from __future__ import annotations

import httpx

from gateway_guard.errors import SourceError
from gateway_guard.unanswered import unanswered


def reason(url: str, error: Exception) -> str:
    """What went wrong with `url`, in words that quote nothing of it but the host."""
    if isinstance(error, SourceError):
        return str(error)
    try:
        host = httpx.URL(url).host
    except httpx.InvalidURL:
        return "the URL cannot be read"
    if isinstance(error, OSError) and not isinstance(error, TimeoutError):
        return f"cannot write: {error.strerror}"
    return f"{host} {unanswered(error)}"
