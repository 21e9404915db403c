"""Token limits hold over WebSockets: charged as each response ends, closed where none is left."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence
from typing import Any

import pytest

from gateway_guard import GuardMiddleware
from gateway_guard.building import build_guard
from gateway_guard.errors import StoreError
from gateway_guard.frontends.asgi import Receive, Scope, Send
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.settings import Settings
from gateway_guard.stores.memory import MemoryStore
from gateway_guard.types import Action, Charge, Exchange, Grant, Outcome
from tests import build
from tests.frontends.fakes import Client, body_of, http_scope, run

POLICY = """
version: 1
mode: enforce
limits:
  tokens: { per: everyone, tokens: 6000/minute }
"""
CREATED = '{"type":"response.created","response":{}}'
DELTA = '{"type":"response.output_text.delta","delta":"a"}'
ESTIMATE = 2048.0


def done(read: int, written: int, kind: str = "response.done") -> str:
    usage = {"input_tokens": read, "output_tokens": written}
    return json.dumps({"type": kind, "response": {"usage": usage}})


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = build.NOW

    def __call__(self) -> float:
        return self.now


class Store(MemoryStore):
    """Memory that fails while it is told to, and remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.down: Exception | None = None
        self.asked: list[tuple[str, float]] = []

    async def reserve(self, charges: Sequence[Charge], *, id: str, now: float) -> tuple[Grant, ...]:
        if self.down is not None:
            raise self.down
        self.asked += [(charge.unit, charge.cost) for charge in charges]
        return await super().reserve(charges, id=id, now=now)

    def used(self, limit: str = "tokens") -> float:
        """Units used of the one bucket of a limit."""
        return next(bucket.used for bucket in self._buckets if bucket.key.startswith(limit))


class Site:
    """A guard around an application that says over one socket what it is told to.

    Attributes:
        settled: every exchange that is over.
        client: what the client of the last session got.
    """

    def __init__(self, policy: str = POLICY) -> None:
        self.store, self.clock = Store(), Clock()
        self.settled: list[Exchange] = []
        guard = build_guard(
            build.policy(policy), network=NoNetwork(), settings=Settings(secret=build.SECRET),
            learners=[self.settled.append], store=self.store, clock=self.clock,
        )  # fmt: skip
        self.middleware = GuardMiddleware(self.talk, guard=guard)
        self.says: list[Any] = []
        self.client = Client()

    async def talk(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for said in self.says:
            if callable(said):
                said()
            else:
                kind = "bytes" if isinstance(said, bytes) else "text"
                await send({"type": "websocket.send", kind: said})

    def session(self, *says: Any, path: str = "/v1/realtime") -> list[Any]:
        """One session in which the application says all that; what came behind the handshake."""
        self.says = list(says)
        self.client = Client([{"type": "websocket.connect"}])
        scope = http_scope(path, method="GET", type="websocket")
        run(lambda: self.middleware(scope, self.client.receive, self.client.send))
        return self.client.sent[1:]

    def sees(self, sink: list[float]) -> Any:
        """What is used at that moment, for `says`."""
        return lambda: sink.append(self.store.used())


@pytest.mark.parametrize("kind", ["response.done", "response.completed", "response.incomplete"])
def test_a_response_is_charged_as_it_ends_and_no_byte_of_it_changes(kind: str) -> None:
    site = Site()
    used: list[float] = []
    says = [CREATED, DELTA, b"audio", done(2000, 1000, kind)]

    got = site.session(*says, site.sees(used), CREATED, done(500, 0), site.sees(used))

    assert used == [3000.0, 3500.0]
    assert [m.get("text") or m["bytes"] for m in got] == [*says, CREATED, done(500, 0)]
    assert site.store.used() == 3500.0
    (exchange,) = site.settled
    usage = exchange.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.reported) == (2500, 1000, True)
    assert exchange.decision.action is Action.ALLOW


def test_a_session_that_cost_less_than_the_estimate_gets_the_rest_back() -> None:
    site = Site()

    site.session(CREATED, done(10, 5))

    assert site.store.used() == 15.0


def test_a_session_in_which_nobody_counts_costs_the_estimate_as_before() -> None:
    site = Site()

    site.session("hello", b"\x00", DELTA)

    assert site.store.used() == ESTIMATE


def test_a_limit_that_is_used_up_closes_the_socket_at_the_end_of_the_response() -> None:
    site = Site()

    got = site.session(CREATED, DELTA, done(4000, 3000), CREATED, done(4000, 3000))

    assert [m.get("text") for m in got[:-1]] == [CREATED, DELTA, done(4000, 3000)]
    # 7,000 of 6,000 are used, and a handshake wants 2,048 of which 100 come each second.
    assert got[-1] == {
        "type": "websocket.close",
        "code": 1013,
        "reason": "rate_limit_exceeded: token limit used up, try again in 31 s",
    }
    assert len(got[-1]["reason"].encode()) <= 123
    assert site.store.used() == 7000.0
    (exchange,) = site.settled
    decision = exchange.decision
    assert (decision.action, decision.acted, decision.rule) == (
        Action.THROTTLE, True, "limit:tokens",
    )  # fmt: skip
    assert decision.retry_after == pytest.approx(30.48)
    assert exchange.usage is not None
    assert exchange.usage.outcome is Outcome.COMPLETED


def test_who_comes_back_waits_as_long_as_was_said() -> None:
    site = Site()
    site.session(CREATED, done(4000, 3000))

    answers = []
    for later in (30.0, 0.5):
        site.clock.now += later
        site.session()
        answers.append(site.client.sent[0]["type"])

    assert answers == ["websocket.close", "websocket.accept"]


def test_requests_and_sockets_use_up_the_same_limit() -> None:
    site = Site()
    site.session(CREATED, done(4000, 3000))
    client = Client(body_of(build.chat_body()))
    headers = {"content-type": "application/json"}

    run(lambda: site.middleware(http_scope(headers=headers), client.receive, client.send))

    assert client.status == 429


def test_responses_under_way_beside_it_end_first() -> None:
    site = Site()
    full = done(4000, 3000)

    got = site.session(CREATED, CREATED, full, DELTA, done(1, 1), DELTA)

    assert [m.get("text") for m in got[:-1]] == [CREATED, CREATED, full, DELTA, done(1, 1)]
    assert got[-1]["type"] == "websocket.close"


def test_where_there_is_room_again_by_then_it_stays() -> None:
    site = Site()

    def later() -> None:
        site.clock.now += 60.0

    got = site.session(CREATED, CREATED, done(4000, 3000), later, done(1, 1), DELTA)

    assert got[-1]["text"] == DELTA
    assert site.settled[0].decision.action is Action.ALLOW


def test_in_shadow_it_is_charged_and_noted_and_the_socket_stays() -> None:
    site = Site(POLICY.replace("enforce", "shadow"))

    got = site.session(CREATED, done(4000, 3000), DELTA)

    assert [m["type"] for m in got] == ["websocket.send"] * 3
    assert site.store.used() == 7000.0
    decision = site.settled[0].decision
    assert (decision.action, decision.acted, decision.rule) == (
        Action.THROTTLE, False, "limit:tokens",
    )  # fmt: skip


def test_each_kind_of_tokens_counts_in_its_own_limit() -> None:
    site = Site(
        "mode: enforce\nlimits:\n"
        "  read: { per: everyone, input_tokens: 100000/minute }\n"
        "  written: { per: everyone, output_tokens: 3000/minute }\n"
    )

    got = site.session(CREATED, done(5000, 3000), DELTA)

    assert (site.store.used("read"), site.store.used("written")) == (5000.0, 3000.0)
    assert got[-1]["type"] == "websocket.close"
    assert site.settled[0].decision.rule == "limit:written"


def test_a_session_is_one_request_and_one_place_in_flight_until_it_ends() -> None:
    site = Site(
        "mode: enforce\nlimits:\n"
        "  requests: { per: everyone, requests: 9/minute }\n"
        "  in-flight: { per: everyone, concurrent: 1 }\n"
        "  tokens: { per: everyone, tokens: 100000/minute }\n"
    )
    flying: list[dict[str, int]] = []

    site.session(CREATED, done(5000, 3000), lambda: flying.append(dict(site.store._flying)))

    assert [list(places.values()) for places in flying] == [[1]]
    assert site.store._flying == {}
    assert site.store.used("requests") == 1.0
    assert site.store.used() == 8000.0
    assert [unit for unit, _ in site.store.asked] == ["tokens"]
    assert site.store.in_flight == 0


@pytest.mark.parametrize("failure", [StoreError("down"), RuntimeError("a store of somebody's")])
@pytest.mark.parametrize("choice", ["allow", "deny"])
def test_what_a_store_that_fails_did_not_count_it_counts_later(
    choice: str, failure: Exception
) -> None:
    site = Site(f"{POLICY}on_error: {{ store: {choice} }}\n")
    used: list[float] = []

    def fails(how: Exception | None) -> Any:
        return lambda: setattr(site.store, "down", how)

    says = (
        (fails(failure), CREATED, done(4000, 0), site.sees(used), fails(None)),
        (CREATED, done(1000, 0), site.sees(used)),
        (fails(failure), CREATED, done(500, 0), site.sees(used), fails(None)),
    )
    got = site.session(*itertools.chain(*says))

    assert [m["type"] for m in got] == ["websocket.send"] * 6
    assert used == [ESTIMATE, 5000.0, 5000.0]
    # The settlement at the end is the last that charges.
    assert site.store.used() == 5500.0


def test_an_application_that_says_two_things_at_once_is_charged_once() -> None:
    site = Site()

    async def talk(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        slow, reserve = asyncio.Event(), site.store.reserve

        async def waits(*args: Any, **more: Any) -> Any:
            await slow.wait()
            return await reserve(*args, **more)

        site.store.reserve = waits  # type: ignore[method-assign]
        said = [
            asyncio.ensure_future(send({"type": "websocket.send", "text": done(3000, 0)}))
            for _ in range(3)
        ]
        await asyncio.sleep(0)
        slow.set()
        await asyncio.gather(*said)

    site.middleware.app = talk

    closed = [m for m in site.session() if m["type"] == "websocket.close"]

    assert sum(cost for _, cost in site.store.asked) == 9000.0 - ESTIMATE
    assert site.store.used() == 9000.0
    assert len(closed) == 1


def test_what_goes_wrong_in_the_application_is_not_hidden() -> None:
    site = Site()

    def breaks() -> None:
        raise OSError("of its own")

    with pytest.raises(OSError, match="of its own"):
        site.session(CREATED, done(1, 1), breaks)


def test_responses_over_a_socket_are_a_model_route() -> None:
    site = Site()

    got = site.session(CREATED, done(4000, 3000, "response.completed"), path="/v1/responses")

    assert got[-1]["type"] == "websocket.close"


def test_sockets_that_reach_no_model_are_not_looked_at() -> None:
    site = Site()

    got = site.session(CREATED, done(4000, 3000), DELTA, path="/chat")

    assert len(got) == 3
    assert site.store.asked == []
    assert site.settled[0].usage is not None
    assert site.settled[0].usage.input_tokens is None


def test_without_token_limits_they_are_counted_for_the_log_alone() -> None:
    site = Site("mode: enforce\nlimits: { requests: { per: everyone, requests: 9/minute } }")

    site.session(CREATED, done(4000, 3000), DELTA)

    usage = site.settled[0].usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (4000, 3000)
    assert site.store.asked == []
    assert site.settled[0].decision.action is Action.ALLOW


def test_the_client_is_told_no_limits_name() -> None:
    site = Site(POLICY.replace("tokens: {", "of-a-campaign: {"))

    got = site.session(CREATED, done(4000, 3000))

    assert "campaign" not in got[-1]["reason"]
    assert site.settled[0].decision.rule == "limit:of-a-campaign"


def test_a_limit_in_rehearsal_counts_the_whole_session_and_closes_nothing() -> None:
    limit = "{ per: everyone, tokens: 6000/minute, mode: shadow }"
    site = Site(f"mode: enforce\nlimits: {{ tokens: {limit} }}")

    got = site.session(CREATED, done(4000, 3000), DELTA)

    assert got[-1]["text"] == DELTA
    assert site.store.used() == 7000.0
