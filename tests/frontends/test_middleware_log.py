"""What the middleware writes down: decisions, where the environment names a log, and why it cannot
start."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from gateway_guard.errors import PolicyError
from gateway_guard.frontends.asgi import GuardMiddleware
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.settings import Settings
from tests import build


async def answer(_request: object) -> JSONResponse:
    return JSONResponse({"choices": []})


def test_a_middleware_built_from_a_policy_writes_the_log_its_settings_name(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    settings = Settings(secret=build.SECRET, decision_log=str(path))
    app = Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])
    guarded = GuardMiddleware(
        app, policy=build.policy("mode: enforce\n"), settings=settings, network=NoNetwork()
    )

    async def scenario() -> None:
        transport = httpx.ASGITransport(app=guarded)
        async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
            await client.post(
                "/v1/chat/completions",
                content=build.chat_body("a secret question"),
                headers={"content-type": "application/json", "authorization": "Bearer sk-secret"},
            )
        received = iter(({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}))

        async def receive() -> dict[str, str]:
            return next(received)

        async def send(_message: object) -> None:
            return None

        await guarded({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)

    asyncio.run(scenario())

    (line,) = path.read_text().splitlines()
    assert json.loads(line)["action"] == "allow"
    assert "secret" not in line


def test_an_application_that_starts_a_second_time_is_told_that_its_guard_is_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    guarded = GuardMiddleware(
        Starlette(), policy=build.policy("mode: enforce\n"), network=NoNetwork(),
        settings=Settings(secret=build.SECRET),
    )  # fmt: skip

    with TestClient(guarded):
        first = caplog.text
    with TestClient(guarded):
        second = caplog.text

    assert "closed" not in first
    assert "make the application anew" in second


@pytest.mark.parametrize("lasts", [True, False], ids=["a secret of ours", "one made up"])
def test_links_that_no_other_process_takes_are_warned_of(
    lasts: bool, caplog: pytest.LogCaptureFixture
) -> None:
    policy = build.policy(
        "verification: { url: 'http://127.0.0.1/v', form: { accept: [yes] } }\n"
        "rules: [{ name: step, when: { method: POST }, then: challenge }]\n"
    )

    GuardMiddleware(
        Starlette(), policy=policy, network=NoNetwork(),
        settings=Settings(secret=build.SECRET, secret_lasts=lasts),
    )  # fmt: skip

    assert ("set GATEWAY_GUARD_SECRET" in caplog.text) is not lasts


def test_a_policy_that_does_not_load_is_said_in_the_log_where_frameworks_hide_what_is_raised(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nlimts: {}\n")
    app = Starlette()
    app.add_middleware(GuardMiddleware, policy=policy, settings=Settings(secret=build.SECRET))

    async def start() -> None:
        await app({"type": "lifespan", "asgi": {"version": "3.0"}}, None, None)  # type: ignore[arg-type]

    with pytest.raises(PolicyError):
        asyncio.run(start())

    assert "the guard cannot start" in caplog.text
    assert "policy.yaml:2:1" in caplog.text
    assert "did you mean 'limits'" in caplog.text


def test_what_check_would_warn_of_is_said_as_the_application_starts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nmode: enforce\nrules: [{ name: all, then: deny }]\n")

    GuardMiddleware(
        Starlette(), policy=policy, network=NoNetwork(), settings=Settings(secret=build.SECRET)
    )

    assert "policy.yaml:3:17: GG308: every request is refused" in caplog.text
