"""A trailer in disguise is no header."""

from __future__ import annotations

from typing import Any

import pytest

from gateway_guard.core.sections import AccountSource, Identify
from gateway_guard.frontends.asgi import GuardMiddleware, Receive, Scope, Send
from gateway_guard.frontends.trailers import ambiguous
from gateway_guard.types import Outcome
from tests.frontends.fakes import Client, FakeGuard, answering, body_of, http_scope, run

CHUNKED = (b"transfer-encoding", b"chunked")
FOR = (b"x-forwarded-for", b"192.0.2.1")


class Cycle(Client):
    """Looks like uvicorn's httptools cycle with the whole request in."""

    more_body = False


Cycle.__module__ = "uvicorn.protocols.http.httptools_impl"


def served(client: Client, *headers: tuple[bytes, bytes]) -> FakeGuard:
    guard = FakeGuard()
    middleware = GuardMiddleware(answering(b"ok"), guard=guard)  # type: ignore[arg-type]
    run(lambda: middleware(http_scope(headers=list(headers)), client.receive, client.send))
    return guard


def test_a_repeated_telling_header_that_may_be_a_trailer_is_refused() -> None:
    client = Cycle(body_of(b"{}"))

    guard = served(client, FOR, CHUNKED, FOR)

    assert client.status == 400
    assert [usage.outcome for usage in guard.settled] == [Outcome.REFUSED]


@pytest.mark.parametrize(
    "headers",
    [(FOR, CHUNKED), (FOR, FOR), (CHUNKED, (b"accept", b"a"), (b"accept", b"b"))],
    ids=["not repeated", "not chunked", "tells nothing"],
)
def test_everything_else_passes(headers: Any) -> None:
    client = Cycle(body_of(b"{}"))

    served(client, *headers)

    assert client.status == 200


def test_servers_that_keep_trailers_apart_may_repeat_headers() -> None:
    client = Client(body_of(b"{}"))

    served(client, FOR, CHUNKED, FOR)

    assert client.status == 200


def test_a_trailer_that_arrives_later_reaches_nobody() -> None:
    headers = [FOR, CHUNKED]
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend(scope["headers"])
        await answering(b"ok")(scope, receive, send)

    class Late(Client):
        async def receive(self) -> Any:
            headers.append((b"x-forwarded-for", b"203.0.113.9"))
            return await super().receive()

    guard, client = FakeGuard(), Late(body_of(b"{}"))
    middleware = GuardMiddleware(app, guard=guard)  # type: ignore[arg-type]

    run(lambda: middleware(http_scope(headers=headers), client.receive, client.send))

    assert guard.wires[0].headers == [FOR, CHUNKED]
    assert seen == [FOR, CHUNKED]


def test_what_tells_is_what_the_policy_reads() -> None:
    identify = Identify(
        accounts=(AccountSource(kind="header", header="x-key"),),
        client_ip="cf-connecting-ip",
        tls_header="x-ja4",
    )

    for name in (b"x-key", b"cf-connecting-ip", b"x-ja4", b"authorization"):
        assert ambiguous([(name, b"1"), (name, b"2")], identify)
    assert not ambiguous([(b"x-key", b"1"), (b"x-ja4", b"2")], identify)
