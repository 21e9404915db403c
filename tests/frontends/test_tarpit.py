"""The tarpit holds a bounded number of refusals and lets go of clients that leave."""

from __future__ import annotations

import asyncio
import time

from gateway_guard.frontends.asgi import GuardMiddleware
from gateway_guard.frontends.tarpit import Tarpit
from gateway_guard.types import Action
from tests import build
from tests.frontends.fakes import Client, FakeGuard, answering, body_of, http_scope, run


def test_a_refusal_is_held_for_its_time() -> None:
    tarpit, client = Tarpit(), Client()
    took: list[float] = []

    async def main() -> None:
        began = time.monotonic()
        assert not await tarpit.hold(0.05, client.receive)
        took.append(time.monotonic() - began)

    run(main)
    assert took[0] >= 0.049
    assert tarpit.held == 0


def test_a_client_that_leaves_is_let_go_at_once() -> None:
    tarpit, client = Tarpit(), Client(body_of(b"un", b"read"))
    client.leave()

    async def main() -> None:
        assert await tarpit.hold(3600, client.receive)

    run(main)
    assert tarpit.held == 0


def test_beyond_its_capacity_refusals_are_answered_at_once() -> None:
    tarpit = Tarpit(capacity=2)

    async def main() -> None:
        client = Client()
        holds = [asyncio.ensure_future(tarpit.hold(3600, client.receive)) for _ in range(2)]
        await asyncio.sleep(0)

        assert tarpit.held == 2
        assert not await tarpit.hold(3600, client.receive)

        client.leave()
        assert await asyncio.gather(*holds) == [True, True]

    run(main)
    assert tarpit.held == 0
    assert tarpit.passed == 1


def test_a_cancelled_hold_gives_its_place_back() -> None:
    tarpit = Tarpit(capacity=1)

    async def main() -> None:
        hold = asyncio.ensure_future(tarpit.hold(3600, Client().receive))
        await asyncio.sleep(0)
        hold.cancel()
        await asyncio.wait({hold})

    run(main)
    assert tarpit.held == 0


def test_a_tarpitted_refusal_is_settled_first_and_never_sent_to_nobody() -> None:
    decision = build.decision(action=Action.DENY, status=403, tarpit=3600.0)
    guard = FakeGuard(decision)
    client = Client(body_of(b"{}"))
    client.leave()

    run(
        lambda: GuardMiddleware(answering(b"never"), guard=guard)(  # type: ignore[arg-type]
            http_scope(), client.receive, client.send
        )
    )

    assert len(guard.settled) == 1
    assert client.sent == []


def test_a_tarpitted_refusal_arrives_in_the_end() -> None:
    decision = build.decision(action=Action.DENY, status=403, tarpit=0.01)
    guard, client = FakeGuard(decision), Client(body_of(b"{}"))

    run(
        lambda: GuardMiddleware(answering(b"never"), guard=guard)(  # type: ignore[arg-type]
            http_scope(), client.receive, client.send
        )
    )

    assert client.status == 403
