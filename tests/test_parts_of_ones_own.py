"""Parts that an application brings: what is wrong with one is told, and refuses nobody."""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from starlette.requests import Request as StarletteRequest
from starlette.testclient import TestClient

from gateway_guard.building import build_guard
from gateway_guard.core.policy import Weighted
from gateway_guard.frontends.asgi import EXCHANGE_KEY, GuardMiddleware
from gateway_guard.guard import Guard
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.settings import Settings
from gateway_guard.types import (
    AccountFacts,
    Action,
    Exchange,
    Facts,
    NetworkFacts,
    Request,
    Signal,
    Usage,
)
from tests import build

POLICY = """
mode: enforce
rules:
  - name: no-tor
    when: { network: tor }
    then: deny
"""


class Answers:
    """A network or a directory that answers with what it was made of, or raises it."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def lookup(self, *_asked: object) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def reload(self) -> bool:
        return True

    def describe(self) -> list[dict[str, Any]]:
        return []


class OldDirectory(Answers):
    """One whose `lookup` takes less than it is given."""

    def lookup(self, account: str) -> AccountFacts:  # type: ignore[override]
        return AccountFacts(tier=account)


class Deaf(Answers):
    """A directory that is asked, and raises instead of saying that nobody answered."""

    def due(self, _account: str) -> bool:
        return True

    async def ask(self, _account: str) -> bool:
        raise self.answer

    def lookup(self, *_asked: object) -> AccountFacts:
        return AccountFacts(tier="old")

    async def close(self) -> None:
        return None


class Night:
    """A detector with a misspelt field."""

    name: ClassVar[str] = "night-owl"

    def look(self, request: Request, facts: Facts) -> Signal | None:
        return Signal(name=self.name, score=request.promt, evidence="")  # type: ignore[attr-defined]


def decided(**parts: Any) -> tuple[Guard, Exchange]:
    state = parts.pop("state", None)
    parts = {"network": NoNetwork()} | parts
    policy = parts.pop("policy", None) or build.policy(POLICY)
    brain = build_guard(policy, settings=Settings(secret=build.SECRET), **parts)

    async def main() -> Exchange:
        exchange = await brain.decide(build.wire(state=state))
        await brain.settle(exchange, Usage())
        await brain.close()
        return exchange

    return brain, asyncio.run(main())


def failing(_account: str) -> Any:
    raise LookupError("sk-of-a-customer")


@pytest.mark.parametrize("answer", [KeyError("sk-of-a-customer"), None, {"country": "NO"}])
def test_a_network_that_does_not_answer_leaves_the_network_unknown(
    answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    brain, exchange = decided(network=Answers(answer))

    assert exchange.decision.action is Action.ALLOW
    assert exchange.facts.network == NetworkFacts(known=False)
    assert exchange.decision.degraded == ("network",)
    assert brain.failures == {"network": 1}
    assert "sk-of-a-customer" not in caplog.text


@pytest.mark.parametrize(
    "directory",
    [Answers(RuntimeError("sk-of-a-customer")), Answers(None)],
    ids=["raises", "answers with None"],
)
def test_a_directory_that_does_not_answer_leaves_what_the_application_said(
    directory: Answers, caplog: pytest.LogCaptureFixture
) -> None:
    brain, exchange = decided(accounts=directory, state={"tier": "scale"})

    assert exchange.decision.action is Action.ALLOW
    assert exchange.facts.account == AccountFacts(tier="scale")
    assert exchange.decision.degraded == ("accounts",)
    assert brain.failures == {"accounts": 1}
    assert "sk-of-a-customer" not in caplog.text


def test_a_directory_that_raises_when_it_is_asked_has_not_answered() -> None:
    brain, exchange = decided(accounts=Deaf(OSError("gone")))

    assert exchange.decision.action is Action.ALLOW
    assert exchange.facts.account.tier == "old"
    assert exchange.decision.degraded == ("accounts",)
    assert brain.failures == {"accounts": 1}


@pytest.mark.parametrize("campaign_of", [failing, lambda _account: "c_1"])
def test_whoever_cannot_say_who_is_in_a_campaign_puts_nobody_into_one(
    campaign_of: Callable[[str], Any],
) -> None:
    brain, exchange = decided(campaign_of=campaign_of)

    assert exchange.decision.action is Action.ALLOW
    assert exchange.facts.campaign is None
    assert exchange.decision.degraded == ("campaigns",)
    assert brain.failures == {"campaigns": 1}


def test_a_detector_that_raises_is_named_in_the_log_and_with_the_decision(
    caplog: pytest.LogCaptureFixture,
) -> None:
    policy = msgspec.structs.replace(
        build.policy(POLICY), signals=(Weighted(detector=Night(), weight=0.5),)
    )

    brain, exchange = decided(policy=policy)

    assert exchange.decision.action is Action.ALLOW
    assert exchange.decision.degraded == ("signals",)
    assert brain.failures == {"signal night-owl": 1}
    assert "signal night-owl failed (1): AttributeError at tests/test_parts_of_ones_own.py" in (
        caplog.text
    )


def test_what_failed_for_one_request_is_not_said_of_the_next() -> None:
    network = Answers(None)
    brain = build_guard(
        build.policy(POLICY), settings=Settings(secret=build.SECRET),
        network=network,
    )  # fmt: skip

    async def main() -> list[tuple[str, ...]]:
        first = await brain.decide(build.wire())
        network.answer = NetworkFacts()
        second = await brain.decide(build.wire())
        await brain.close()
        return [first.decision.degraded, second.decision.degraded]

    assert asyncio.run(main()) == [("network",), ()]


def test_a_store_with_a_mistake_in_it_is_told_with_its_place(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Mistaken:
        async def reserve(self, _charges: object, *, id: str, now: float) -> Any:
            raise KeyError(f"{id} {now}")

        async def settle(self, *_args: object, **_options: object) -> None:
            return None

        async def close(self) -> None:
            return None

    with caplog.at_level(logging.ERROR):
        decided(
            store=Mistaken(),
            policy=build.policy("mode: enforce\nlimits: { r: { per: account, requests: 3/hour } }"),
        )

    assert "store failed (1): StoreError: shared state" in caplog.text
    assert "because of KeyError at tests/test_parts_of_ones_own.py" in caplog.text
    assert " in reserve" in caplog.text


def test_a_learner_that_raises_is_told_with_its_place_and_not_with_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def learner(_exchange: Exchange) -> None:
        raise ValueError("sk-of-a-customer")

    decided(learners=[learner])

    assert "learn failed (1): ValueError at tests/test_parts_of_ones_own.py" in caplog.text
    assert "in learner" in caplog.text
    assert "sk-of-a-customer" not in caplog.text


def waited(_account: str) -> Any:
    raise AssertionError


async def learning(_exchange: Exchange) -> None:
    raise AssertionError


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"policy": "version: 1\nmode: shadow\n"}, "this is its text: make a Policy of it"),
        ({"policy": {"version": 1}}, "a file or what load_policy made of one, not dict"),
        ({"settings": {"secret": "x"}}, r"Settings.from_environment\(\)\), not dict"),
        (
            {"accounts": "accounts.csv"},
            r"no gateway_guard.accounts.base.Directory: str has no look",
        ),
        ({"accounts": OldDirectory(None)}, r"OldDirectory: its lookup\(\) cannot be called as"),
        ({"network": "geo.mmdb"}, r"no gateway_guard.network.base.Network: str has no lookup\(\)"),
        ({"store": 6379}, r"no gateway_guard.stores.base.Store: int has no reserve\(\)"),
        ({"campaign_of": {}}, "campaign_of=… cannot be called: it is dict"),
        ({"learners": waited}, "learners=… is a list of callables, not function"),
        ({"learners": [learning]}, "is a coroutine function, and nobody awaits it"),
        ({"clock": waited}, "clock=… cannot be called as .* missing a required argument"),
    ],
    ids=lambda said: said if isinstance(said, str) else next(iter(said)),
)
def test_a_part_of_the_wrong_kind_is_refused_before_anybody_is_judged(
    given: dict[str, Any], said: str
) -> None:
    parts: dict[str, Any] = {
        "policy": build.policy(POLICY), "settings": Settings(secret=build.SECRET),
    }  # fmt: skip
    parts |= given

    with pytest.raises(TypeError, match=said):
        build_guard(**parts)


@pytest.mark.parametrize("given", [{"guard": "policy.yaml"}, {"app": None, "policy": "p.yaml"}])
def test_what_is_no_guard_and_no_application_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"str$|NoneType$"):
        GuardMiddleware(**{"app": waited} | given)


def test_the_parts_that_the_readme_shows_work() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
    section = readme.partition("## Parts of your own")[2].partition("\n## ")[0]
    shown: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", section, re.S)[0], shown)
    seen: list[Exchange] = []

    @shown["app"].get("/v1/models")  # type: ignore[untyped-decorator]
    async def models(request: StarletteRequest) -> dict[str, Any]:
        seen.append(request.scope[EXCHANGE_KEY])
        return {}

    answer = TestClient(shown["app"]).get("/v1/models")

    assert answer.status_code == 200
    assert seen[0].request.credential == "state"
    assert seen[0].facts.account == AccountFacts(tier="free", tags=("partner",))


def test_what_the_readme_names_to_follow_is_there() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
    section = readme.partition("## Parts of your own")[2].partition("\n## ")[0]

    rows = [line.split("|")[-2] for line in section.splitlines() if line.startswith("| ")]
    named = re.findall(r"`(gateway_guard[.\w]*)\.(\w+)`", " ".join(rows))

    assert len(named) == 6
    for module, name in named:
        assert hasattr(importlib.import_module(module), name), name
