"""A guard that gateways ask, from its start to its end."""

from __future__ import annotations

import pytest

from gateway_guard.building import build_guard
from gateway_guard.frontends.background import Background
from gateway_guard.frontends.extauth.asked import Asked
from gateway_guard.frontends.spoe.server import SpoeServer
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.record.metrics import Metrics
from gateway_guard.settings import Settings
from tests import build
from tests.frontends.fakes import run


def test_what_the_store_knows_is_heard_before_anybody_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    happened = []
    begin, start = Background.begin, SpoeServer.start

    async def begun(background: Background) -> None:
        await begin(background)
        happened.append("heard")

    async def started(agent: SpoeServer, *listener: object) -> None:
        happened.append("answers")
        await start(agent, *listener)  # type: ignore[arg-type]

    monkeypatch.setattr(Background, "begin", begun)
    monkeypatch.setattr(SpoeServer, "start", started)
    policy = build.policy("identify: { trusted_proxies: [127.0.0.1/32] }\n")

    async def scenario() -> None:
        guard = build_guard(policy, network=NoNetwork(), settings=Settings(secret=build.SECRET))
        async with Asked(guard, Metrics(), spoe="127.0.0.1:0").listening():
            happened.append("serves")

    run(scenario)

    assert happened == ["heard", "answers", "serves"]
