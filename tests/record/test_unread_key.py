"""A key that stands where the policy does not look is noticed, and said once."""

from __future__ import annotations

import pytest

from tests import build
from tests.record import noticed

MISSPELT = "mode: enforce\nidentify: { account: { header: x-api-kye } }"
STATE = "mode: enforce\nidentify: { account: { state: account } }"
BEARER = {"authorization": "Bearer sk-live-0123456789"}


def warned(
    caplog: pytest.LogCaptureFixture,
    text: str,
    headers: dict[str, str] | None = None,
    path: str = "/v1/chat/completions",
    times: int = 1,
) -> list[str]:
    """What was logged of requests with these headers."""

    return noticed.warned(
        caplog, text, lambda: build.wire(path, headers=headers or BEARER, key=None), times
    )


@pytest.mark.parametrize(
    ("text", "reads"), [(MISSPELT, "reads x-api-kye."), (STATE, "reads no header.")]
)
def test_a_key_in_a_header_nobody_reads_is_said_once_and_not_quoted(
    text: str, reads: str, caplog: pytest.LogCaptureFixture
) -> None:
    (message,) = warned(caplog, text, times=3)

    assert "has authorization and no account" in message
    assert reads in message
    assert "identify: { account: [{ header: authorization }] }" in message
    assert "0123456789" not in message


@pytest.mark.parametrize(
    ("text", "headers", "path"),
    [
        ("mode: enforce", BEARER, "/v1/chat/completions"),
        (MISSPELT, {"x-api-kye": "k", **BEARER}, "/v1/chat/completions"),
        (MISSPELT, {"accept": "*/*"}, "/v1/chat/completions"),
        (MISSPELT, BEARER, "/status"),
        (
            "identify: { account: { jwt: { key: 0123456789abcdef0123456789abcdef } } }",
            BEARER,
            "/v1/chat/completions",
        ),
    ],
    ids=["read", "an account all the same", "no key", "no model", "a token that fails"],
)
def test_nothing_is_said_where_every_key_is_read(
    text: str, headers: dict[str, str], path: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert warned(caplog, text, headers, path) == []
