"""What a response says of its cost beside its body."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest

from gateway_guard.frontends.asgi import Receive, Scope, Send
from tests import build
from tests.frontends.fakes import FakeGuard, answering
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


ESSAY = "It is a long way to Oslo. " * 400
WORDS = len(ESSAY) // 4
ANSWERED = json.dumps({"candidates": [{"content": {"parts": [{"text": ESSAY}]}}]}).encode()
PICTURE = base64.b64encode(random.Random(3).randbytes(30_000)).decode()


@pytest.mark.parametrize(
    ("kind", "pieces", "written"),
    [
        # A mask of fields left the counts out.
        (b"application/json", [ANSWERED], WORDS),
        (b"application/json", [ANSWERED[:2000], ANSWERED[2000:]], WORDS),
        (b"text/javascript", [b"// API callback\nf(", ANSWERED, b");"], len(ANSWERED) // 4 + 5),
        (b"application/x-protobuf", [ESSAY.encode()], WORDS),
        # What says less than the estimate leaves that charged.
        (b"application/json", [b'{"generated_text":"Oslo"}'], None),
        (b"application/json", [b"{}"], None),
        (b"application/json", [ANSWERED[:-1]], None),
        # Nobody knows what these cost by their size.
        (b"audio/mpeg", [ESSAY.encode()], None),
        (b"application/octet-stream", [ESSAY.encode()], None),
        (b"application/json", [json.dumps({"data": [{"b64_json": PICTURE}]}).encode()], None),
    ],
)
def test_an_answer_that_leaves_out_its_counts_costs_what_it_holds_at_the_least(
    kind: bytes, pieces: list[bytes], written: int | None
) -> None:
    guard = FakeGuard(prompt=build.prompt(max_output_tokens=None))

    served(answering(*pieces, headers=[(b"content-type", kind)]), guard)

    (usage,) = guard.settled
    assert (usage.output_tokens, usage.reported) == (written, False)


def test_what_the_client_bounded_costs_no_more_than_that_where_it_holds_less() -> None:
    guard = FakeGuard(prompt=build.prompt(max_output_tokens=WORDS))

    served(answering(ANSWERED), guard)

    (usage,) = guard.settled
    assert usage.output_tokens is None
