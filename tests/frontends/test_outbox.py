"""What a response says of its cost beside its body."""

from __future__ import annotations

from typing import Any

import pytest

from gateway_guard.frontends.asgi import Receive, Scope, Send
from tests import build
from tests.frontends.fakes import FakeGuard
from tests.frontends.test_asgi import ANSWER, served

TOLD = [(b"x-prompt-tokens", b"11"), (b"X-Generated-Tokens", b"3")]
BEDROCK = [
    (b"x-amzn-bedrock-input-token-count", b"11"), (b"X-Amzn-Bedrock-Output-Token-Count", b"3"),
    (b"x-amzn-bedrock-invocation-latency", b"900"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "body", "n", "expected"),
    [
        (TOLD, b'{"generated_text":"Oslo"}', 1, (11, 3, True)),
        (TOLD, b'{"generated_text":"Oslo"}', 2, (11, 6, True)),
        (TOLD, ANSWER, 1, (7, 5, True)),
        (TOLD[1:], b"{}", 1, (None, 3, True)),
        (BEDROCK, b'{"generation":"Oslo"}', 1, (11, 3, True)),
        # Bedrock's count all of several answers.
        (BEDROCK, b'{"generations":[{},{}]}', 2, (11, 3, True)),
        (BEDROCK, ANSWER, 1, (7, 5, True)),
        (BEDROCK[1:], b"{}", 1, (None, 3, True)),
        (BEDROCK[:1], b"{}", 1, (None, None, False)),
        ([(b"x-generated-tokens", b"1" * 10)], b"{}", 1, (None, None, False)),
        ([(b"x-generated-tokens", b"-1")], b"{}", 1, (None, None, False)),
    ],
)
def test_what_is_said_in_headers_is_settled_where_the_body_says_nothing(
    headers: list[tuple[bytes, bytes]], body: bytes, n: int, expected: tuple[Any, ...]
) -> None:
    guard = FakeGuard(prompt=build.prompt(n=n))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        fields = [(b"content-type", b"application/json"), *headers]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    served(app, guard)

    (usage,) = guard.settled
    assert (usage.input_tokens, usage.output_tokens, usage.reported) == expected
