"""The shell: stages in order, failures decided by `on_error`, everything settled once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from gateway_guard.accounts.none import NoDirectory
from gateway_guard.building import build_guard
from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.core.policy import Policy
from gateway_guard.errors import StoreError
from gateway_guard.guard import Guard
from gateway_guard.linking import Linking
from gateway_guard.network.build import merge_flags
from gateway_guard.network.ranges import parse_range
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.settings import Settings
from gateway_guard.stores.base import ImmediateStore
from gateway_guard.stores.memory import MemoryStore
from gateway_guard.types import Action, CampaignFacts, Charge, Exchange, Grant, Outcome, Usage
from tests import build

T = TypeVar("T")

POLICY = """
mode: enforce
limits:
  requests: { per: account, requests: 3/minute }
  tokens: { per: account, tokens: 5000/minute }
  in-flight: { per: account, concurrent: 2 }
rules:
  - name: no-deletes
    when: { method: DELETE }
    then: deny
"""


class BrokenStore:
    """A store that cannot be reached, and answers so at once."""

    async def reserve(self, charges: Sequence[Charge], *, id: str, now: float) -> tuple[Grant, ...]:
        return self.reserve_now(charges, id=id, now=now)

    async def settle(
        self, charges: Sequence[Charge], actual: Sequence[float], *, id: str, now: float
    ) -> None:
        self.settle_now(charges, actual, id=id, now=now)

    def settle_now(
        self, charges: Sequence[Charge], actual: Sequence[float], *, id: str, now: float
    ) -> None:
        raise StoreError("connection refused")

    async def close(self) -> None:
        return None

    def reserve_now(self, charges: Sequence[Charge], *, id: str, now: float) -> tuple[Grant, ...]:
        raise StoreError("connection refused")


class WaitingStore:
    """A store over a network: it has nothing but coroutines, and they suspend."""

    def __init__(self) -> None:
        self.memory = MemoryStore()
        self.waited = 0

    async def reserve(self, charges: Sequence[Charge], *, id: str, now: float) -> tuple[Grant, ...]:
        await asyncio.sleep(0)
        self.waited += 1
        return await self.memory.reserve(charges, id=id, now=now)

    async def settle(
        self, charges: Sequence[Charge], actual: Sequence[float], *, id: str, now: float
    ) -> None:
        await asyncio.sleep(0)
        self.waited += 1
        await self.memory.settle(charges, actual, id=id, now=now)

    async def close(self) -> None:
        return None


def broken(**more: Any) -> Guard:
    """A guard with a bug of its own: nobody's answer is what fails."""
    brain = guard(**more)
    brain.profiles = None  # type: ignore[assignment]
    return brain


def run(scenario: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return asyncio.run(scenario())


def guard(text: str = POLICY, **more: Any) -> Guard:
    more.setdefault("network", NoNetwork())
    more.setdefault("settings", Settings(secret=build.SECRET))
    more.setdefault("clock", lambda: build.NOW)
    return build_guard(build.policy(text), **more)


def test_a_store_that_waits_is_awaited_and_counts_like_one_that_does_not() -> None:
    async def scenario() -> None:
        waiting, at_once = WaitingStore(), MemoryStore()
        remaining = []
        for store in (waiting, at_once):
            brain = guard(store=store)
            exchange = await brain.decide(build.wire())
            await brain.settle(exchange, Usage(input_tokens=10, output_tokens=10))
            following = await brain.decide(build.wire())
            remaining.append([grant.remaining for grant in following.decision.grants])

        assert remaining[0] == remaining[1]
        assert waiting.waited == 3
        assert waiting.memory.in_flight == at_once.in_flight == 1

    run(scenario)


def test_the_memory_store_is_one_that_answers_at_once() -> None:
    assert isinstance(MemoryStore(), ImmediateStore)
    assert not isinstance(WaitingStore(), ImmediateStore)


def test_a_request_passes_and_charges_every_limit() -> None:
    async def scenario() -> Exchange:
        return await guard().decide(build.wire())

    exchange = run(scenario)

    assert exchange.decision.action is Action.ALLOW
    assert [grant.charge.limit for grant in exchange.decision.grants] == [
        "requests", "tokens", "in-flight",
    ]  # fmt: skip
    assert exchange.request.account is not None
    assert "sk-test" not in repr(exchange)


def test_the_fourth_request_of_three_a_minute_is_throttled_with_the_exact_wait() -> None:
    async def scenario() -> list[Exchange]:
        brain = guard()
        done = []
        for _ in range(4):
            exchange = await brain.decide(build.wire())
            await brain.settle(exchange, Usage(input_tokens=10, output_tokens=10))
            done.append(exchange)
        return done

    last = run(scenario)[-1].decision

    assert (last.action, last.status, last.rule) == (Action.THROTTLE, 429, "limit:requests")
    assert last.retry_after == pytest.approx(20.0)


def test_settling_twice_counts_once_and_frees_what_was_in_flight() -> None:
    async def scenario() -> Exchange:
        brain = guard()
        first = await brain.decide(build.wire())
        second = await brain.decide(build.wire())
        await brain.settle(first, Usage(input_tokens=1, output_tokens=1))
        await brain.settle(first, Usage(input_tokens=1, output_tokens=1))
        third = await brain.decide(build.wire())
        assert second.decision.action is Action.ALLOW
        assert third.decision.action is Action.ALLOW
        return await brain.decide(build.wire())

    assert run(scenario).decision.action is Action.THROTTLE


def test_what_a_refused_request_would_have_cost_is_never_given_back() -> None:
    async def scenario() -> float:
        brain = guard()
        exchanges = [await brain.decide(build.wire()) for _ in range(3)]
        refused = exchanges[-1]
        assert refused.decision.rule == "limit:in-flight"
        await brain.settle(refused, Usage(outcome=Outcome.REFUSED))
        await brain.settle(exchanges[0], Usage(input_tokens=0, output_tokens=0))
        await brain.settle(exchanges[1], Usage(input_tokens=0, output_tokens=0))
        after = await brain.decide(build.wire())
        return after.decision.grants[0].remaining

    assert run(scenario) == pytest.approx(0.0)


def test_learners_hear_of_every_exchange_once_and_cannot_break_it() -> None:
    heard: list[Exchange] = []

    def broken(_exchange: Exchange) -> None:
        raise RuntimeError("a bug")

    async def scenario() -> Guard:
        brain = guard(learners=(broken, heard.append))
        exchange = await brain.decide(build.wire())
        await brain.settle(exchange, Usage())
        await brain.settle(exchange, Usage())
        return brain

    brain = run(scenario)

    assert len(heard) == 1
    assert brain.failures == {"learn": 1}


@pytest.mark.parametrize(
    ("choice", "action", "status"), [("deny", Action.DENY, 503), ("allow", Action.ALLOW, None)]
)
def test_a_store_that_cannot_be_reached_is_decided_by_the_policy(
    choice: str, action: Action, status: int | None
) -> None:
    async def scenario() -> tuple[Guard, Exchange]:
        brain = guard(POLICY + f"on_error: {{ store: {choice} }}\n", store=BrokenStore())
        exchange = await brain.decide(build.wire())
        await brain.settle(exchange, Usage(input_tokens=5, output_tokens=5))
        return brain, exchange

    brain, exchange = run(scenario)

    assert (exchange.decision.action, exchange.decision.status) == (action, status)
    assert exchange.decision.degraded == ("store",)
    assert brain.failures == {"store": 1}


@pytest.mark.parametrize(
    ("choice", "action", "status"), [("deny", Action.DENY, 500), ("allow", Action.ALLOW, None)]
)
def test_a_bug_in_the_guard_is_decided_by_the_policy_and_says_nothing_to_the_client(
    choice: str, action: Action, status: int | None
) -> None:
    async def scenario() -> Exchange:
        brain = broken(text=POLICY + f"on_error: {{ guard: {choice} }}\n")
        return await brain.decide(build.wire())

    decision = run(scenario).decision

    assert (decision.action, decision.status) == (action, status)
    assert decision.degraded == ("guard",)
    assert "NoneType" not in decision.reason


def test_a_bug_before_the_reservation_leaves_nothing_in_flight() -> None:
    async def scenario() -> Exchange:
        store = MemoryStore()
        sick = broken(store=store)
        for _ in range(5):
            await sick.decide(build.wire())
        return await guard(store=store).decide(build.wire())

    assert run(scenario).decision.action is Action.ALLOW


def test_a_verdict_on_the_account_reaches_the_rules() -> None:
    text = "mode: enforce\nrules:\n  - { name: c, when: { campaign: { min: 0.9 } }, then: deny }\n"

    async def scenario() -> Exchange:
        brain = guard(text, campaign_of=lambda _account: CampaignFacts(id="c_1", confidence=0.95))
        return await brain.decide(build.wire())

    assert run(scenario).decision.rule == "c"


def test_a_policy_that_no_longer_loads_leaves_the_old_one_in_force(tmp_path: Any) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("version: 1\nmode: enforce\n")
    brain = build_guard(path, settings=Settings(secret=build.SECRET), network=NoNetwork())
    before: Policy = brain.policy

    path.write_text("version: 1\nmode: enforc\n")

    assert not brain.reload()
    assert brain.policy is before
    assert brain.policies.error is not None


@pytest.mark.parametrize("settled", ["before", "after"])
def test_a_limit_of_tokens_that_becomes_one_of_requests_starts_anew(
    tmp_path: Path, settled: str
) -> None:
    """What 20,000 tokens had used would else be 20,000 requests, and refuse everybody for hours."""
    path = tmp_path / "policy.yaml"
    text = "version: 1\nmode: enforce\nlimits:\n  fair: { per: account, UNIT }\n"
    path.write_text(text.replace("UNIT", "tokens: 400000/minute"))
    cost = Usage(input_tokens=19_000, output_tokens=1_000)

    async def scenario() -> None:
        brain = build_guard(
            path, network=NoNetwork(), settings=Settings(secret=build.SECRET),
            clock=lambda: build.NOW,
        )  # fmt: skip
        under_way = await brain.decide(build.wire())
        if settled == "before":
            await brain.settle(under_way, cost)
        path.write_text(text.replace("UNIT", "requests: 60/minute"))
        assert brain.reload()
        first = await brain.decide(build.wire())
        await brain.settle(under_way, cost)
        second = await brain.decide(build.wire())

        assert [grant.remaining for grant in first.decision.grants] == [59.0]
        assert [grant.remaining for grant in second.decision.grants] == [58.0]

    run(scenario)


def test_the_highest_recent_risk_keeps_a_quota_small_until_it_has_recovered() -> None:
    text = """
    mode: enforce
    signals:
      reasoning-elicitation: { weight: 1.0 }
    limits:
      requests:
        per: account
        requests: 100/minute
        adapt: { risk: { 0.5: 10% }, recover: 1 hour }
    """

    async def scenario() -> list[float]:
        brain = guard(text)
        calm = build.request(id="a")
        profile = brain.profiles.get("acct_test")
        profile.held.risk, profile.held.at = 0.9, build.NOW
        quotas = []
        for minutes in (0, 20, 40):
            later = build.request(id=f"r{minutes}", at=build.NOW + 60 * minutes)
            exchange = await brain.judge(later)
            quotas.append(exchange.decision.grants[0].charge.quota)
        assert calm.at == build.NOW
        return quotas

    assert run(scenario) == [10.0, 10.0, 100.0]


def test_a_guard_forgets_the_habits_of_who_was_erased_whatever_thread_hears_of_it() -> None:
    async def scenario() -> tuple[bool, list[str]]:
        brain = guard("signals: { machine-timing: { weight: 0.2 } }")
        for account in ("acct_one", "acct_other"):
            await brain.judge(build.request(id=account, account=account))
        assert isinstance(brain.linking, Linking)
        told = Review(at=build.NOW, ruling=Ruling.ERASE, account="acct_one")
        await asyncio.to_thread(brain.linking.review, told)
        await brain.judge(build.request(id="r_next", account="acct_other"))
        kept = [name for name in ("acct_one", "acct_other") if name in brain.profiles]
        return brain.standing.verified("acct_one", build.NOW), kept

    assert run(scenario) == (False, ["acct_other"])


def test_a_refusal_after_the_reservation_leaves_nothing_in_flight() -> None:
    async def scenario() -> Exchange:
        brain = guard()
        for _ in range(2):
            exchange = await brain.decide(build.wire())
            exchange.decision = build.decision(
                action=Action.DENY, status=400, grants=exchange.decision.grants
            )
            await brain.settle(
                exchange, Usage(input_tokens=0, output_tokens=0, outcome=Outcome.REFUSED)
            )
        return await brain.decide(build.wire())

    assert run(scenario).decision.action is Action.ALLOW


@pytest.mark.parametrize("which", ["policy", "network", "folder", "list", "indicators", "accounts"])
def test_every_file_a_guard_reads_is_watched(tmp_path: Path, which: str) -> None:
    paths = {
        "policy": tmp_path / "p.yaml",
        "network": tmp_path / "a.mmdb",
        "folder": tmp_path / "feeds" / "b.mmdb",
        "list": tmp_path / "exits.txt",
        "indicators": tmp_path / "indicators.json",
        "accounts": tmp_path / "accounts.csv",
    }
    database = merge_flags({"tor": [parse_range("192.0.2.0/24")]}, build_epoch=1)
    (tmp_path / "feeds").mkdir()
    paths["policy"].write_text("version: 1\nmode: enforce\n")
    for name in ("network", "folder"):
        paths[name].write_bytes(database)
    paths["list"].write_text("192.0.2.7\n")
    paths["accounts"].write_text("account,tier\nteam-7,free\n")
    settings = Settings(
        secret=build.SECRET,
        network_files=(str(paths["network"]), str(tmp_path / "feeds"), f"tor={paths['list']}"),
        accounts_file=str(paths["accounts"]),
        intel_file=str(paths["indicators"]),
    )
    brain = build_guard(paths["policy"], settings=settings)
    before = [brain.changed(), brain.changed()]

    with paths[which].open("ab") as file:
        file.write(b"\n")
    looks = [brain.changed(), brain.changed(), brain.changed()]

    assert before == [False, False]
    assert looks == [False, True, False]


class BrokenAtTheEnd(WaitingStore):
    """An application's store that cannot even be closed."""

    async def close(self) -> None:
        raise OSError("connection reset")


def test_what_cannot_be_closed_keeps_nothing_else_open(tmp_path: Path) -> None:
    """Or what was learnt of campaigns would not be saved."""
    saved = tmp_path / "campaigns"

    async def scenario() -> None:
        brain = guard(
            "mode: enforce\nrules: [{ name: c, when: { campaign: { min: 0.9 } }, then: deny }]\n",
            store=BrokenAtTheEnd(),
            settings=Settings(secret=build.SECRET, campaigns_file=str(saved)),
        )  # fmt: skip
        await brain.settle(await brain.decide(build.wire()), Usage())
        with pytest.raises(OSError, match="connection reset"):
            await brain.close()

    run(scenario)

    assert saved.exists()


class SlowToReload(NoDirectory):
    """A directory that is asked to be read again while it is being read."""

    def __init__(self) -> None:
        self.brain: Guard | None = None
        self.other: threading.Thread | None = None
        self.reading = self.most = 0

    def reload(self) -> bool:
        self.reading += 1
        self.most = max(self.most, self.reading)
        if self.brain is not None:
            brain, self.brain = self.brain, None
            self.other = threading.Thread(target=brain.reload)
            self.other.start()
            self.other.join(0.1)
        self.reading -= 1
        return True


def test_two_reloads_at_once_are_one_after_the_other() -> None:
    """Or one that had read the old policy could put it in force after the new one."""
    directory = SlowToReload()
    directory.brain = brain = guard(accounts=directory)

    assert brain.reload()
    assert directory.other is not None
    directory.other.join()

    assert directory.most == 1
