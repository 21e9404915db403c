"""Why another server gave no answer, in words for the operator."""

from __future__ import annotations

from typing import Final

import httpx

from gateway_guard.errors import GuardError


def unanswered(error: BaseException) -> str:
    """What happened to a question, behind the name of whom it was put to.

    An error of this package says it itself. Of a foreign one never the message: httpx may quote the
    URL, and with it a key.
    """
    if isinstance(error, GuardError):
        return str(error)
    if isinstance(error, (TimeoutError, httpx.TimeoutException)):
        return "did not answer in time"
    for kind, words in _WORDS:
        if isinstance(error, kind):
            return words
    return f"could not be asked ({type(error).__name__})"


_WORDS: Final = (
    (httpx.ConnectError, "cannot be reached (name, address, port or certificate)"),
    (httpx.UnsupportedProtocol, "redirects to an address that is neither https nor http"),
    (httpx.RemoteProtocolError, "broke off, or does not speak HTTP"),
    (httpx.NetworkError, "broke off"),
)
