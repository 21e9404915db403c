"""Bodies that are still coming are bounded all together, and those that began first make room."""

from __future__ import annotations

import asyncio

import pytest

from gateway_guard.frontends.asgi import GuardMiddleware
from gateway_guard.frontends.holding import Holding
from tests import build
from tests.frontends.fakes import Client, Message, answering, body_of, http_scope, run, turns

JSON = (b"content-type", b"application/json")
POLICY = "version: 1\nmode: {mode}\ndefault: allow\n"


class Body:
    """One that notes when it is let go."""

    gone = False

    def let_go(self) -> None:
        self.gone = True


def test_those_that_began_first_are_let_go_until_there_is_room() -> None:
    holding = Holding(most=10)
    first, second, third = bodies = [Body() for _ in range(3)]

    holding.hold(first, 4)
    holding.hold(second, 3)
    holding.hold(first, 6)
    before = [body.gone for body in bodies]
    holding.hold(third, 8)

    assert before == [False, False, False]
    assert [body.gone for body in bodies] == [True, True, False]
    assert holding.refused == 2


def test_what_is_complete_takes_no_room_and_one_alone_may_take_more() -> None:
    holding = Holding(most=10)
    first, second = Body(), Body()

    holding.hold(first, 9)
    holding.drop(first)
    holding.drop(first)
    holding.hold(second, 9)
    holding.hold(second, 90)

    assert (first.gone, second.gone, holding.refused) == (False, False, 0)


def beginning(text: bytes) -> Client:
    """A client that has sent so much, and sends no more."""
    return Client([{"type": "http.request", "body": text, "more_body": True}])


@pytest.mark.parametrize("stuck", [1, 3])
def test_who_only_holds_is_told_to_come_again_and_others_are_served(stuck: int) -> None:
    app = answering(b"{}")
    guarded = GuardMiddleware(app, policy=build.policy(POLICY.format(mode="enforce")))
    guarded.admission.holding = Holding(most=100)
    slow = [beginning(b"a" * 30) for _ in range(stuck)]
    body = build.chat_body("x" * 20)
    honest = Client(body_of(body[:-1], body[-1:]))

    async def main() -> None:
        scope = http_scope(headers=[JSON])
        asking = [
            asyncio.create_task(guarded(dict(scope), client.receive, client.send))
            for client in slow
        ]
        await turns()
        await guarded(dict(scope), honest.receive, honest.send)
        await turns()
        for client in slow:
            client.leave()
        await asyncio.gather(*asking)

    run(main)
    assert honest.status == 200
    assert app.bodies == [body]  # type: ignore[attr-defined]
    answered = [client for client in slow if client.sent]
    assert slow[0] in answered
    for client in answered:
        assert (client.status, client.headers[b"connection"]) == (503, b"close")
    assert guarded.admission.holding.refused == len(answered)


def test_in_shadow_the_body_goes_on_unread() -> None:
    app = answering(b"{}")
    guarded = GuardMiddleware(app, policy=build.policy(POLICY.format(mode="shadow")))
    guarded.admission.holding = Holding(most=100)
    slow, other = Client(), beginning(b"b" * 60)

    async def main() -> None:
        coming: asyncio.Queue[Message] = asyncio.Queue()
        coming.put_nowait({"type": "http.request", "body": b"a" * 60, "more_body": True})
        scope = http_scope(headers=[JSON])
        one = asyncio.create_task(guarded(dict(scope), coming.get, slow.send))
        await turns()
        two = asyncio.create_task(guarded(dict(scope), other.receive, other.send))
        await turns()
        coming.put_nowait({"type": "http.request", "body": b"c", "more_body": False})
        await one
        other.leave()
        await two

    run(main)
    assert slow.status == 200
    assert app.bodies == [b"a" * 60 + b"c"]  # type: ignore[attr-defined]
    assert guarded.admission.holding.refused == 1


def test_a_cancellation_of_somebody_elses_goes_on() -> None:
    guarded = GuardMiddleware(answering(b"{}"), policy=build.policy(POLICY.format(mode="enforce")))
    guarded.admission.holding = Holding(most=100)
    slow = beginning(b"a" * 60)

    async def main() -> None:
        scope = http_scope(headers=[JSON])
        one = asyncio.create_task(guarded(scope, slow.receive, slow.send))
        await turns()
        one.cancel()
        with pytest.raises(asyncio.CancelledError):
            await one

    run(main)
    assert slow.sent == []
