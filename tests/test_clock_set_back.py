"""A guard whose machine's clock is set back by an hour while it runs: right again in a minute."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime

import jwt
import pytest

from gateway_guard.building import build_guard
from gateway_guard.core.links import Claims, Purpose, read
from gateway_guard.core.profile import Profiles, observe
from gateway_guard.guard import Guard
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.record.line import line
from gateway_guard.settings import Settings
from gateway_guard.stores.arrears import Arrears
from gateway_guard.stores.memory import MemoryStore
from gateway_guard.stores.patience import PatientStore
from gateway_guard.types import Exchange, Outcome, Usage
from tests import build
from tests.signals.history import facts, request

HOUR = 3600.0
KEY = "a shared secret that is long enough for SHA-256 and SHA-512, of 64+ bytes"
POLICY = f"""
mode: enforce
identify:
  account:
    - jwt: {{ key: "{KEY}" }}
verification:
  url: "https://guard.test/verify"
  expires: 5 minutes
  form: {{ accept: [I am a person] }}
limits:
  requests: {{ per: account, requests: 2/minute }}
rules:
  - {{ name: ask, when: {{ path: /v1/models }}, then: challenge }}
"""
DONE = Usage(input_tokens=5, output_tokens=5, outcome=Outcome.COMPLETED)


class Machine:
    """A machine with its two clocks, and a guard on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed, self.wall = 100.0, build.NOW
        monkeypatch.setattr("time.monotonic", lambda: self.passed)
        monkeypatch.setattr("time.time", lambda: self.wall)
        self.guard: Guard = build_guard(
            build.policy(POLICY), network=NoNetwork(), settings=Settings(secret=build.SECRET)
        )

    def goes_on(self, seconds: int) -> None:
        for _ in range(seconds):
            self.passed += 1.0
            self.wall += 1.0
            self.guard.clock()

    def asks(self, path: str = "/v1/chat/completions", lasts: float = 600.0) -> Exchange:
        """One request with a token that was issued just now."""
        claims = {"sub": "alice", "nbf": self.wall, "exp": self.wall + lasts}
        key = jwt.encode(claims, KEY, "HS256")

        async def scenario() -> Exchange:
            exchange = await self.guard.decide(build.wire(path=path, key=key))
            await self.guard.settle(exchange, DONE)
            return exchange

        return asyncio.run(scenario())


@pytest.mark.parametrize("step", [-HOUR, HOUR])
def test_tokens_links_limits_and_the_log_are_right_again(
    monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    machine = Machine(monkeypatch)
    assert [machine.asks().decision.action.refuses for _ in range(3)] == [False, False, True]

    machine.wall += step
    machine.goes_on(50)
    machine.goes_on(60)
    after = [machine.asks() for _ in range(3)]
    written = datetime.fromisoformat(json.loads(line(after[0]))["time"]).timestamp()
    url = machine.asks("/v1/models").decision.challenge_url

    assert [exchange.request.credential_fault for exchange in after] == [None] * 3
    assert [exchange.decision.action.refuses for exchange in after] == [False, False, True]
    assert written == pytest.approx(machine.wall)
    assert url is not None
    token = url.rpartition("=")[2]
    claims = read(machine.guard.secret, token, purpose=Purpose.VISIT, now=machine.wall)
    assert isinstance(claims, Claims)
    assert claims.expires == pytest.approx(machine.wall + 300.0)


def fits(store: MemoryStore, now: float) -> bool:
    charges = (build.charge(key="requests:a", cost=1.0, capacity=10.0, rate=1.0),)
    (grant,) = store.reserve_now(charges, id=f"r{now}", now=now)
    return grant.allowed


def test_a_bucket_drains_as_if_nothing_had_happened() -> None:
    store = MemoryStore()
    assert [fits(store, build.NOW + tick / 1024) for tick in range(11)] == [True] * 10 + [False]

    store.set_back(HOUR)

    now = build.NOW - HOUR
    assert [fits(store, now + after) for after in (0.5, 1.5, 1.75, 2.5)] == [
        False, True, False, True,
    ]  # fmt: skip


def test_what_an_evicted_bucket_owed_drains_as_if_nothing_had_happened() -> None:
    store = MemoryStore(max_keys=1, seed=1)
    for key in ("requests:a", "requests:b"):
        charge = build.charge(key=key, cost=10.0, capacity=10.0, rate=1.0)
        store.reserve_now((charge,), id=key, now=build.NOW)

    store.set_back(HOUR)

    assert not fits(store, build.NOW - HOUR + 0.5)
    assert fits(store, build.NOW - HOUR + 1.5)


def test_a_reservation_nobody_settles_ends_with_its_lease() -> None:
    store = MemoryStore(lease=60.0)
    charge = build.charge(key="in-flight:a", unit="concurrent", capacity=1.0, rate=0.0)
    store.reserve_now((charge,), id="lost", now=build.NOW)

    store.set_back(HOUR)

    now = build.NOW - HOUR
    granted = [
        store.reserve_now((charge,), id=f"r{after}", now=now + after)[0].allowed
        for after in (59.0, 61.0)
    ]
    assert granted == [False, True]


def test_what_a_shared_store_was_not_told_drains_as_if_nothing_had_happened() -> None:
    arrears = Arrears()
    charge = build.charge(key="requests:a", cost=10.0, capacity=10.0, rate=1.0)
    arrears.use(charge, 10.0, build.NOW)

    arrears.set_back(HOUR)

    ((_, used),) = arrears.next_debts(1, build.NOW - HOUR + 4.0)
    assert used == pytest.approx(6.0)


def test_what_is_counted_without_a_shared_store_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = PatientStore(MemoryStore())
    told: list[float] = []
    tell: Callable[[float], None] = told.append
    monkeypatch.setattr(store.local, "set_back", tell)
    monkeypatch.setattr(store.arrears, "set_back", tell)

    store.set_back(HOUR)

    assert told == [HOUR, HOUR]


def test_nobody_seems_to_ask_without_a_pause_for_an_hour() -> None:
    profiles = Profiles(10)
    profile = profiles.get("a")
    profile.held.at = build.NOW
    for second in range(5):
        observe(profile, request(build.NOW + second * 10.0), facts(profile))

    fresh = profiles.get("b")

    profiles.set_back(HOUR)
    assert fresh.hour == Profiles(1).get("c").hour
    observe(profile, request(build.NOW - HOUR + 50.0), facts(profile))

    assert profile.sketch is not None
    assert profile.gaps == 5
    assert profile.gap_sum == pytest.approx(11.6, abs=0.1)
    assert (profile.last, profile.held.at) == (build.NOW - HOUR + 50.0, build.NOW - HOUR)
    assert profile.hour == int((build.NOW - HOUR + 50.0) // HOUR)
