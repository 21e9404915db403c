"""WebSocket handshakes are judged; messages pass as they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway_guard.core.policy import Policy
from gateway_guard.frontends.asgi import OUTCOME_KEY, GuardMiddleware, Receive, Scope, Send
from gateway_guard.types import Action, Outcome
from tests import build
from tests.frontends.fakes import Client, FakeGuard, http_scope, run

REFUSED = build.decision(action=Action.DENY, status=403)


def scope(**more: Any) -> Scope:
    return http_scope("/v1/realtime", method="GET", type="websocket", **more)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


def served(
    guard: FakeGuard,
    *incoming: dict[str, Any],
    app: Any = echo,
    on_decided: Callable[[float], None] | None = None,
    **more: Any,
) -> Client:
    client = Client([{"type": "websocket.connect"}, *incoming])
    middleware = GuardMiddleware(app, guard=guard, on_decided=on_decided)  # type: ignore[arg-type]
    run(lambda: middleware(scope(**more), client.receive, client.send))
    return client


def test_an_allowed_connection_passes_every_message_and_settles_at_its_end() -> None:
    guard = FakeGuard()

    client = served(
        guard,
        {"type": "websocket.receive", "text": "one"},
        {"type": "websocket.receive", "text": "two"},
        {"type": "websocket.disconnect", "code": 1000},
    )

    assert client.sent == [
        {"type": "websocket.accept", "headers": [(b"x-request-id", b"r_test000001")]},
        {"type": "websocket.send", "text": "one"},
        {"type": "websocket.send", "text": "two"},
    ]
    (wire,) = guard.wires
    assert (wire.method, wire.raw_path, wire.body) == ("WEBSOCKET", b"/v1/realtime", None)
    assert [usage.outcome for usage in guard.settled] == [Outcome.COMPLETED]


LIMITED = build.decision(grants=(build.grant(),))


def test_accepting_tells_the_limits() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        headers = [(b"x-own", b"1")]
        await send({"type": "websocket.accept", "subprotocol": "realtime", "headers": headers})
        await send({"type": "websocket.send", "text": "hello"})

    accepted, hello = served(FakeGuard(LIMITED), app=app).sent

    headers = dict(accepted["headers"])
    assert accepted["subprotocol"] == "realtime"
    assert headers[b"x-own"] == b"1"
    assert headers[b"ratelimit"] == b'"requests";r=59;t=1'
    assert headers[b"x-ratelimit-remaining-requests"] == b"59"
    assert headers[b"x-request-id"] == b"r_test000001"
    assert hello == {"type": "websocket.send", "text": "hello"}


def test_an_application_that_denies_the_handshake_tells_the_limits_too() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"X-Request-ID", b"req_1")]
        await send({"type": "websocket.http.response.start", "status": 404, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b"no"})

    start, _ = served(FakeGuard(LIMITED), app=app).sent

    told = dict(start["headers"])
    assert b"ratelimit-policy" in told
    assert (told[b"X-Request-ID"], told[b"x-guard-request-id"]) == (b"req_1", b"r_test000001")


@pytest.mark.parametrize("quiet", ["shadow", "headers off"])
def test_a_handshake_the_guard_must_not_touch_is_accepted_as_it_is(quiet: str) -> None:
    policy = Policy(digest="d", source="s", enforce=True, headers=quiet != "headers off")
    guard = FakeGuard(LIMITED, enforce=quiet != "shadow", policy=policy)

    client = served(guard, {"type": "websocket.disconnect", "code": 1000})

    assert client.sent == [{"type": "websocket.accept"}]


def test_a_handshakes_decision_is_timed_too() -> None:
    times: list[float] = []

    served(FakeGuard(REFUSED), on_decided=times.append)

    assert len(times) == 1


def test_a_refusal_before_accept_is_an_http_response_where_servers_can() -> None:
    guard = FakeGuard(REFUSED)

    client = served(guard, extensions={"websocket.http.response": {}})

    start, body = client.sent
    assert start["type"] == "websocket.http.response.start"
    assert start["status"] == 403
    assert b"request_forbidden" in body["body"]
    assert not body["more_body"]
    assert [usage.outcome for usage in guard.settled] == [Outcome.REFUSED]


def test_a_refusal_is_a_close_where_servers_can_do_no_more() -> None:
    client = served(FakeGuard(REFUSED), extensions=None)

    assert client.sent == [{"type": "websocket.close", "code": 1008, "reason": ""}]


def test_a_refused_client_that_leaves_the_tarpit_gets_nothing() -> None:
    guard = FakeGuard(build.decision(action=Action.DENY, status=403, tarpit=3600.0))

    client = served(guard, {"type": "websocket.disconnect", "code": 1006})

    assert client.sent == []
    assert len(guard.settled) == 1


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (({"type": "websocket.close", "code": 1000},), 403),
        (
            (
                {"type": "websocket.http.response.start", "status": 404, "headers": []},
                {"type": "websocket.http.response.body", "body": b"no"},
            ),
            404,
        ),
        ((), None),
    ],
)
def test_a_handshake_that_was_not_accepted_costs_no_tokens(
    answer: tuple[dict[str, Any], ...], status: int | None
) -> None:
    """Four refused by the upstream took 8,192 tokens of an account's."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in answer:
            await send(dict(message))

    guard = FakeGuard(LIMITED)
    served(guard, app=app)

    (usage,) = guard.settled
    assert (usage.input_tokens, usage.output_tokens, usage.status) == (0, 0, status)


def test_what_an_accepted_connection_cost_is_not_known() -> None:
    guard = FakeGuard()

    served(guard, {"type": "websocket.disconnect", "code": 1000})

    (usage,) = guard.settled
    assert (usage.input_tokens, usage.output_tokens, usage.status) == (None, None, None)


def test_how_a_connection_ended_is_settled_as_the_application_has_it() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope[OUTCOME_KEY] = Outcome.UPSTREAM_ERROR

    guard = FakeGuard()
    served(guard, app=app)

    assert [usage.outcome for usage in guard.settled] == [Outcome.UPSTREAM_ERROR]


def test_an_exception_passes_and_settles() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("broken")

    guard = FakeGuard()

    with pytest.raises(RuntimeError, match="broken"):
        served(guard, app=app)

    assert [usage.outcome for usage in guard.settled] == [Outcome.UPSTREAM_CUT]


def test_a_cancellation_passes_and_settles() -> None:
    guard = FakeGuard()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        served(guard, app=app)

    assert [usage.outcome for usage in guard.settled] == [Outcome.CLIENT_GONE]
