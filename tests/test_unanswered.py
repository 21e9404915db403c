"""Why another server gave no answer is told in words, and nothing is quoted of it."""

from __future__ import annotations

import httpx
import pytest

from gateway_guard.errors import SourceError
from gateway_guard.unanswered import unanswered

HUSH = "https://example.org/?key=hush-hush"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectError(HUSH), "cannot be reached"),
        (httpx.ReadTimeout(HUSH), "did not answer in time"),
        (TimeoutError(), "did not answer in time"),
        (httpx.RemoteProtocolError(HUSH), "does not speak HTTP"),
        (httpx.ReadError(HUSH), "broke off"),
        (httpx.UnsupportedProtocol(HUSH), "redirects"),
        (SourceError("answered 404"), "answered 404"),
        (ValueError(HUSH), "could not be asked (ValueError)"),
    ],
)
def test_a_failure_is_told_in_words_that_quote_nothing(error: Exception, words: str) -> None:
    told = unanswered(error)

    assert words in told
    assert "hush" not in told
