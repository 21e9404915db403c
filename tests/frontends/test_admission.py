"""What is turned away because there is too much of it: said, counted, charged to nobody."""

from __future__ import annotations

import asyncio
import json

import pytest

from gateway_guard import GuardMiddleware
from gateway_guard.building import build_guard
from gateway_guard.core.coming_back import LATEST, SOONEST, come_back
from gateway_guard.core.sections import Adaptive
from gateway_guard.frontends.admission import Admission, publish_admission
from gateway_guard.frontends.asgi import Receive, Scope, Send
from gateway_guard.frontends.door import LET_IN
from gateway_guard.guard import Guard
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.record.metrics import Metrics
from gateway_guard.settings import Settings
from gateway_guard.types import Exchange, Outcome
from tests import build
from tests.frontends.fakes import CHAT, MESSAGES, Client, body_of, http_scope, run, turns

POLICY = """
version: 1
mode: enforce
overload: { upstream: { min: 1, max: 1 } }
limits:
  requests: { per: everyone, requests: 10/hour }
  tokens: { per: everyone, tokens: 100000/hour }
rules:
  - { name: no-admin, when: { path: /admin }, then: deny }
"""
CHUNK = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'


class Upstream:
    """Answers when told to, in two pieces.

    Attributes:
        first, rest: what it waits for before its first token, and before the rest.
        asked: how often it was.
    """

    def __init__(self, *, status: int = 200) -> None:
        self.first = asyncio.Event()
        self.rest = asyncio.Event()
        self.asked = 0
        self._status = status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        await send(
            {
                "type": "http.response.start",
                "status": self._status,
                "headers": [(b"content-type", b"text/event-stream")],
            }
        )
        await self.first.wait()
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
        await self.rest.wait()
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


class Asked:
    """A guard around an upstream, and everything that came of it.

    Attributes:
        settled: every exchange that is over.
    """

    def __init__(self, policy: str = POLICY, *, lag: float | None = None) -> None:
        self.upstream = Upstream()
        self.settled: list[Exchange] = []
        self.guard: Guard = build_guard(
            build.policy(policy), network=NoNetwork(), settings=Settings(secret=build.SECRET),
            learners=[self.settled.append],
        )  # fmt: skip
        self.middleware = GuardMiddleware(self.upstream, guard=self.guard, lag=lag)
        self._tasks: set[asyncio.Task[None]] = set()

    async def request(self, path: str = CHAT, *, body: bytes | None = None) -> Client:
        """One more request; it is under way, or refused, when this returns."""
        client = Client(body_of(build.chat_body() if body is None else body))
        scope = http_scope(path, headers={"content-type": "application/json"})
        task = asyncio.ensure_future(self.middleware(scope, client.receive, client.send))
        self._tasks.add(task)
        await turns()
        return client

    async def end(self) -> None:
        self.upstream.first.set()
        self.upstream.rest.set()
        await asyncio.gather(*self._tasks)
        self.middleware.admission.close()


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (CHAT, {"type": "server_error", "code": "overloaded"}),
        (MESSAGES, {"type": "overloaded_error"}),
    ],
)
def test_one_too_many_for_the_upstream_is_told_to_come_back(
    path: str, error: dict[str, str]
) -> None:
    async def main() -> None:
        asked = Asked()
        await asked.request()

        excess = await asked.request(path)

        assert excess.status == 503
        assert SOONEST <= int(excess.headers[b"retry-after"]) <= LATEST
        assert b"x-should-retry" not in excess.headers
        assert json.loads(excess.body)["error"].items() >= error.items()
        assert asked.upstream.asked == 1
        (exchange,) = asked.settled
        assert exchange.decision.rule == "guard:overload"
        assert exchange.decision.acted
        assert "wait for the upstream's first token" in exchange.decision.reason
        await asked.end()

    run(main)


def test_what_is_turned_away_costs_no_limit_anything() -> None:
    async def main() -> None:
        asked = Asked()
        await asked.request()
        for _ in range(20):
            assert (await asked.request()).status == 503
        asked.upstream.first.set()
        asked.upstream.rest.set()
        await turns()

        for _ in range(9):
            assert (await asked.request()).status == 200
        over = await asked.request()

        assert over.status == 429
        await asked.end()

    run(main)


def test_whose_first_token_is_there_takes_no_place_any_more() -> None:
    async def main() -> None:
        asked = Asked()
        streaming = await asked.request()
        asked.upstream.first.set()
        await turns()

        other = await asked.request()

        assert streaming.body == other.body == CHUNK
        assert asked.middleware.admission.gradient is not None
        assert asked.middleware.admission.gradient.waiting == 0
        await asked.end()

    run(main)


def test_a_client_that_leaves_makes_room() -> None:
    async def main() -> None:
        asked = Asked()
        asked.middleware._grace = 0.0
        leaving = await asked.request()
        assert (await asked.request()).status == 503
        (task,) = [task for task in asked._tasks if not task.done()]
        task.cancel()
        await asyncio.wait({task})
        asked._tasks.clear()

        assert (await asked.request()).status == 200

        assert leaving.body == b""
        assert asked.settled[1].usage is not None
        assert asked.settled[1].usage.outcome is Outcome.CLIENT_GONE
        await asked.end()

    run(main)


def test_an_upstream_that_breaks_makes_room() -> None:
    async def main() -> None:
        asked = Asked()

        async def broken(scope: Scope, receive: Receive, send: Send) -> None:
            raise ConnectionResetError

        asked.middleware.app = broken
        scope = http_scope(headers={"content-type": "application/json"})
        for _ in range(3):
            client = Client(body_of(build.chat_body()))
            with pytest.raises(ConnectionResetError):
                await asked.middleware(scope, client.receive, client.send)

        gradient = asked.middleware.admission.gradient

        assert gradient is not None
        assert gradient.waiting == gradient.refused == 0
        await asked.end()

    run(main)


def test_what_the_rules_deny_is_told_so_and_other_routes_are_not_bounded() -> None:
    async def main() -> None:
        asked = Asked()
        await asked.request()

        assert (await asked.request("/admin")).status == 403
        assert (await asked.request("/v1/models", body=b"")).status == 200

        await asked.end()

    run(main)


def test_in_shadow_it_is_only_written_down() -> None:
    async def main() -> None:
        asked = Asked(POLICY.replace("enforce", "shadow"), lag=0.001)
        swamp(asked.middleware.admission)

        clients = [await asked.request() for _ in range(5)]
        await asked.end()

        assert [client.status for client in clients] == [200] * 5
        rules = [hit.rule for exchange in asked.settled for hit in exchange.decision.shadow]
        assert rules == ["guard:overload"] * 4

    run(main)


def test_without_a_bound_in_the_policy_nobody_is_counted() -> None:
    async def main() -> None:
        asked = Asked("mode: enforce")

        clients = [await asked.request() for _ in range(50)]
        await asked.end()

        assert {client.status for client in clients} == {200}
        assert asked.middleware.admission.gradient is None

    run(main)


def test_a_policy_that_changes_the_bound_is_followed() -> None:
    async def main() -> None:
        admission = Admission()
        exchange = build.exchange()
        waiting = admission.enter(exchange, Adaptive(floor=1, ceiling=1))
        assert waiting is not None
        assert admission.enter(build.exchange(), Adaptive(floor=1, ceiling=1)) is None

        other = admission.enter(build.exchange(), Adaptive(floor=2, ceiling=2))

        assert other is not None
        waiting.end()
        waiting.end()
        other.end()
        assert admission.gradient is not None
        assert admission.gradient.waiting == 0

    run(main)


def swamp(admission: Admission) -> None:
    """As if every turn of the loop had been long, and this one had begun all it may."""
    stile = admission.turnstile
    for turn in range(2):
        stile.shedding.turned(10.0, 0.001, 10.0 * turn)
    assert stile.shedding.crowded
    while stile.shedding.takes():
        continue
    stile._loop = asyncio.get_running_loop()
    # As it is while measuring; nothing is measured here.
    stile._look = stile._loop.call_later(3600.0, lambda: None)


def test_a_process_that_cannot_keep_up_answers_without_looking() -> None:
    async def main() -> None:
        asked = Asked(lag=0.05)
        swamp(asked.middleware.admission)

        clients = [await asked.request(body=b"{") for _ in range(10)]

        assert {client.status for client in clients} == {503}
        assert all(SOONEST <= int(c.headers[b"retry-after"]) <= LATEST for c in clients)
        # Of the body nothing was asked for.
        assert all(client.incoming for client in clients)
        decision = asked.settled[0].decision
        assert (decision.rule, decision.acted) == ("guard:overload", True)
        assert "this process" in decision.reason
        assert asked.settled[0].request.account is None
        await asked.end()

    run(main)


def handshake(mode: str, **scope: object) -> tuple[Asked, list[Client]]:
    """What becomes of ten handshakes in a process that cannot keep up."""
    asked = Asked(POLICY.replace("enforce", mode), lag=0.05)
    clients = [Client([{"type": "websocket.connect"}]) for _ in range(10)]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})

    async def main() -> None:
        asked.middleware.app = app
        swamp(asked.middleware.admission)
        for client in clients:
            where = http_scope("/v1/realtime", method="GET", type="websocket", **scope)
            await asked.middleware(where, client.receive, client.send)
        await asked.end()

    run(main)
    return asked, clients


def test_handshakes_are_turned_away_as_requests_are() -> None:
    asked, clients = handshake("enforce", extensions={"websocket.http.response": {}})

    assert {client.status for client in clients} == {503}
    assert all(SOONEST <= int(c.headers[b"retry-after"]) <= LATEST for c in clients)
    decision = asked.settled[0].decision
    assert (decision.rule, decision.acted) == ("guard:overload", True)
    assert asked.settled[0].request.account is None
    assert asked.middleware.admission.turnstile.shedding.refused >= 10


@pytest.mark.parametrize(("mode", "more"), [("shadow", {}), ("enforce", {LET_IN: True})])
def test_no_handshake_is_turned_away_in_shadow_or_twice(mode: str, more: dict[str, bool]) -> None:
    _, clients = handshake(mode, **more)

    assert {client.sent[0]["type"] for client in clients} == {"websocket.accept"}


def test_an_application_has_no_such_bound_unless_the_policy_says() -> None:
    async def main() -> None:
        asked = Asked("mode: enforce")
        swamp(asked.middleware.admission)
        asked.upstream.first.set()

        assert (await asked.request()).status == 200

        bounded = Asked("mode: enforce\noverload: { lag: 20 ms }")
        swamp(bounded.middleware.admission)
        assert (await bounded.request()).status == 503
        await asked.end()
        await bounded.end()

    run(main)


def test_those_turned_away_do_not_all_come_back_at_once() -> None:
    waits = [come_back(f"r_{i}") for i in range(300)]

    assert set(waits) == {float(wait) for wait in range(SOONEST, LATEST + 1)}


def test_the_fewer_a_process_takes_the_later_the_others_are_to_come_back() -> None:
    async def main() -> None:
        asked = Asked(lag=0.05)
        admission = asked.middleware.admission
        swamp(admission)
        admission.turnstile.shedding.share = 0.1

        clients = [await asked.request(body=b"{") for _ in range(10)]

        waits = [int(client.headers[b"retry-after"]) for client in clients]
        assert all(10 * SOONEST <= wait <= 10 * LATEST for wait in waits)
        await asked.end()

    run(main)


def test_what_is_turned_away_is_shown() -> None:
    async def main() -> None:
        asked = Asked()
        metrics = Metrics()
        publish_admission(asked.middleware.admission, metrics)
        before = metrics.render()[0].decode()
        await asked.request()
        await asked.request()

        text = metrics.render()[0].decode()

        assert 'gateway_guard_overload_total{cause="upstream"} 0.0' in before
        assert "gateway_guard_upstream_bound 0.0" in before
        for line in (
            'gateway_guard_overload_total{cause="process"} 0.0',
            'gateway_guard_overload_total{cause="upstream"} 1.0',
            "gateway_guard_overload_taken 1.0",
            "gateway_guard_loop_turn_seconds 0.0",
            "gateway_guard_upstream_waiting 1.0",
            "gateway_guard_upstream_bound 1.0",
        ):
            assert line in text
        await asked.end()

    run(main)
