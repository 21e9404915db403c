"""Clients that leave: the application ends in time, and only what was delivered is charged."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response

from gateway_guard.core.policy import Policy
from gateway_guard.core.sections import Inspect
from gateway_guard.frontends import lookout
from gateway_guard.frontends.asgi import GuardMiddleware, Receive, Scope, Send
from gateway_guard.types import Outcome
from tests.frontends.fakes import Client, FakeGuard, body_of, http_scope, run, turns

SSE = (b"content-type", b"text/event-stream")
EVENT = b'data: {"choices":[{"delta":{"content":"word "}}]}\n\n'


def guarded(app: Any, guard: FakeGuard, **options: Any) -> GuardMiddleware:
    return GuardMiddleware(app, guard=guard, **options)  # type: ignore[arg-type]


class Endless:
    """An application that streams for ever, one event whenever the test lets it."""

    def __init__(self, *, deaf: bool = True) -> None:
        self.deaf = deaf
        self.more = asyncio.Event()
        self.cancelled = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [SSE]})
        try:
            while True:
                await send({"type": "http.response.body", "body": EVENT, "more_body": True})
                if self.deaf:
                    self.more.clear()
                    await self.more.wait()
                elif (await receive())["type"] == "http.disconnect":
                    return
        except asyncio.CancelledError:
            self.cancelled = True
            raise


def test_a_deaf_application_is_cancelled_and_settled_once() -> None:
    guard, client, app = FakeGuard(), Client(body_of(b"{}")), Endless()

    async def main() -> None:
        task = asyncio.ensure_future(guarded(app, guard)(http_scope(), client.receive, client.send))
        await client.arrived.wait()
        client.leave()
        await task

    run(main)
    assert app.cancelled
    (usage,) = guard.settled
    assert usage.outcome is Outcome.CLIENT_GONE
    assert usage.output_tokens is not None
    assert 1 <= usage.output_tokens <= 3


def test_an_application_that_listens_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "LOOK_EVERY", 0.0)
    guard, client, app = FakeGuard(), Client(body_of(b"{}")), Endless(deaf=False)

    async def main() -> None:
        task = asyncio.ensure_future(guarded(app, guard)(http_scope(), client.receive, client.send))
        await client.arrived.wait()
        client.leave()
        await task

    run(main)
    assert not app.cancelled
    assert [usage.outcome for usage in guard.settled] == [Outcome.CLIENT_GONE]


def test_what_is_sent_after_the_client_left_is_not_charged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lookout, "LOOK_EVERY", 0.0)
    guard, client = FakeGuard(), Client(body_of(b"{}"))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [SSE]})
        await send({"type": "http.response.body", "body": EVENT, "more_body": True})
        assert (await receive())["type"] == "http.disconnect"
        for _ in range(100):
            await send({"type": "http.response.body", "body": EVENT, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def main() -> None:
        task = asyncio.ensure_future(guarded(app, guard)(http_scope(), client.receive, client.send))
        await client.arrived.wait()
        client.leave()
        await task

    run(main)
    assert len(client.sent) == 2
    (usage,) = guard.settled
    assert usage.outcome is Outcome.CLIENT_GONE
    assert usage.output_tokens is not None
    assert usage.output_tokens <= 3


def test_a_client_gone_before_any_answer_pays_its_prompt_and_no_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lookout, "LOOK_EVERY", 0.0)
    guard, client = FakeGuard(), Client(body_of(b"{}"))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        client.leave()
        await asyncio.Event().wait()

    run(lambda: guarded(app, guard, grace=0.01)(http_scope(), client.receive, client.send))

    (usage,) = guard.settled
    assert usage.outcome is Outcome.CLIENT_GONE
    assert (usage.input_tokens, usage.output_tokens) == (None, 0)


@pytest.mark.parametrize("listens", [True, False], ids=["listens", "deaf"])
def test_whoever_stands_around_the_guard_sees_an_answer_to_a_client_that_left_before_it_began(
    listens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "LOOK_EVERY", 0.0)
    guard, client = FakeGuard(), Client(body_of(b"{}"))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        client.leave()
        if listens:
            assert (await receive())["type"] == "http.disconnect"
            await send({"type": "http.response.start", "status": 200, "headers": [SSE]})
            await send({"type": "http.response.body", "body": EVENT})
        else:
            await asyncio.Event().wait()

    inner = guarded(app, guard, grace=0.01)

    async def around(request: Request, call_next: RequestResponseEndpoint) -> Response:
        answers.append(await call_next(request))
        return answers[0]

    answers: list[Response] = []
    outer = BaseHTTPMiddleware(inner, dispatch=around)
    run(lambda: outer(http_scope(), client.receive, client.send))

    assert [answer.status_code for answer in answers] == [499]
    assert [usage.outcome for usage in guard.settled] == [Outcome.CLIENT_GONE]
    assert guard.settled[0].status is None


def test_without_a_grace_nobody_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "LOOK_EVERY", 0.0)
    guard, client, app = FakeGuard(), Client(body_of(b"{}")), Endless(deaf=False)

    async def main() -> None:
        task = asyncio.ensure_future(
            guarded(app, guard, grace=None)(http_scope(), client.receive, client.send)
        )
        await client.arrived.wait()
        client.leave()
        await task

    run(main)
    assert guard.settled[0].outcome is Outcome.CLIENT_GONE


def test_somebody_elses_cancellation_goes_on_through_the_guard() -> None:
    guard, client, app = FakeGuard(), Client(body_of(b"{}")), Endless()

    async def main() -> None:
        task = asyncio.ensure_future(guarded(app, guard)(http_scope(), client.receive, client.send))
        await client.arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main)
    assert [usage.outcome for usage in guard.settled] == [Outcome.CLIENT_GONE]


def test_a_send_that_fails_settles_on_what_was_delivered() -> None:
    guard, client = FakeGuard(), Client(body_of(b"{}"))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [SSE]})
        for _ in range(50):
            await send({"type": "http.response.body", "body": EVENT, "more_body": True})

    async def failing(message: Any) -> None:
        if len(client.sent) == 3:
            raise OSError("gone")
        await client.send(message)

    async def main() -> None:
        with pytest.raises(OSError, match="gone"):
            await guarded(app, guard)(http_scope(), client.receive, failing)

    run(main)
    (usage,) = guard.settled
    assert usage.outcome is Outcome.CLIENT_GONE
    assert usage.output_tokens is not None
    assert usage.output_tokens <= 6


def test_leaving_after_the_response_is_complete_disturbs_no_background_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lookout, "LOOK_EVERY", 0.0)
    guard, client = FakeGuard(), Client(body_of(b"{}"))
    finished: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok", "more_body": False})
        client.leave()
        assert (await receive())["type"] == "http.disconnect"
        await turns()
        finished.append(True)

    run(lambda: guarded(app, guard, grace=0.0)(http_scope(), client.receive, client.send))

    assert finished == [True]
    assert [usage.outcome for usage in guard.settled] == [Outcome.COMPLETED]


def test_an_application_that_asks_after_the_watcher_started_is_told_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lookout, "LOOK_EVERY", 0.0)
    guard, client = FakeGuard(), Client(body_of(b"{}"))
    told: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await turns()
        asyncio.get_running_loop().call_soon(client.leave)
        told.append((await receive())["type"])
        told.append((await receive())["type"])

    run(lambda: guarded(app, guard)(http_scope(), client.receive, client.send))

    assert told == ["http.disconnect", "http.disconnect"]


def test_an_application_that_stops_asking_is_watched_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lookout, "LOOK_EVERY", 0.0)
    guard, client = FakeGuard(), Client(body_of(b"{}"))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        asking = asyncio.ensure_future(receive())
        await turns()
        asking.cancel()
        await asyncio.wait({asking})
        client.leave()
        await asyncio.Event().wait()

    run(lambda: guarded(app, guard, grace=0.0)(http_scope(), client.receive, client.send))

    assert [usage.outcome for usage in guard.settled] == [Outcome.CLIENT_GONE]


def test_the_unread_rest_of_a_large_body_is_the_applications(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lookout, "LOOK_EVERY", 0.0)
    policy = Policy(digest="d", source="s", enforce=True, inspect=Inspect(max_body=4))
    guard, client = FakeGuard(policy=policy), Client(body_of(b"123456", b"78", b"90"))
    read: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            await turns()
            message = await receive()
            read.append(message["body"])
            more = message["more_body"]
        client.leave()
        await asyncio.Event().wait()

    run(lambda: guarded(app, guard, grace=0.0)(http_scope(), client.receive, client.send))

    assert read == [b"123456", b"78", b"90"]
    assert guard.settled[0].outcome is Outcome.CLIENT_GONE


def test_a_client_that_leaves_between_two_chunks_of_its_body_is_not_judged() -> None:
    guard, client = FakeGuard(), Client(body_of(b"{", b'"a"', b"}")[:2])
    client.leave()

    run(lambda: guarded(Endless(), guard)(http_scope(), client.receive, client.send))

    assert guard.wires == []


def test_a_client_that_leaves_before_its_body_is_counted_and_not_judged() -> None:
    guard, client = FakeGuard(), Client()
    middleware = guarded(Endless(), guard)
    client.leave()

    run(lambda: middleware(http_scope(), client.receive, client.send))

    assert guard.wires == []
    assert guard.settled == []
    assert middleware.abandoned == 1


@pytest.mark.parametrize("answered", [False, True])
def test_an_application_that_learns_of_it_itself_is_believed_on_every_route(answered: bool) -> None:
    guard, client = FakeGuard(), Client(body_of(b"upload"))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if answered:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"part", "more_body": True})
        client.leave()
        assert (await receive())["type"] == "http.disconnect"
        raise OSError("the client left")

    async def main() -> None:
        with pytest.raises(OSError, match="the client left"):
            await guarded(app, guard)(http_scope("/files"), client.receive, client.send)

    run(main)
    assert [usage.outcome for usage in guard.settled] == [Outcome.CLIENT_GONE]


def test_on_other_routes_the_server_says_what_becomes_of_an_answer_to_nobody() -> None:
    guard, client = FakeGuard(), Client(body_of(b""))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        client.leave()
        await receive()
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"late"})

    run(lambda: guarded(app, guard)(http_scope("/files"), client.receive, client.send))

    assert client.body == b"late"
    assert [usage.outcome for usage in guard.settled] == [Outcome.CLIENT_GONE]


def test_a_status_that_cannot_be_sent_means_that_the_client_left() -> None:
    guard, client = FakeGuard(), Client(body_of(b"{}"))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [SSE]})

    async def failing(message: Any) -> None:
        raise OSError("gone")

    async def main() -> None:
        with pytest.raises(OSError, match="gone"):
            await guarded(app, guard)(http_scope(), client.receive, failing)

    run(main)
    assert [usage.outcome for usage in guard.settled] == [Outcome.CLIENT_GONE]
