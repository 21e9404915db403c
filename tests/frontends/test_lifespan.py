"""The lifespan of an application with a guard around it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from gateway_guard.frontends.asgi import GuardMiddleware
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.settings import Settings
from tests import build
from tests.frontends.fakes import Client, FakeGuard, run

BOTH = ({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})


async def answer(_request: object) -> JSONResponse:
    return JSONResponse({"choices": []})


def application() -> Starlette:
    return Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])


def asked(client: TestClient) -> int:
    return client.post(
        "/v1/chat/completions",
        content=build.chat_body(),
        headers={"content-type": "application/json", "authorization": "Bearer sk-1"},
    ).status_code


def lived(app: Any, guard: Any) -> list[str]:
    client = Client(list(BOTH))
    guarded = GuardMiddleware(app, guard=guard)
    run(lambda: guarded({"type": "lifespan"}, client.receive, client.send))
    return [message["type"] for message in client.sent]


def test_an_application_that_has_no_lifespan_leaves_it_to_the_guard() -> None:
    async def django(scope: Any, _receive: Any, _send: Any) -> None:
        raise ValueError(f"Django can only handle ASGI/HTTP connections, not {scope['type']}.")

    guard = FakeGuard()

    assert lived(django, guard) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert guard.closed == 1


@pytest.mark.parametrize("listens", [True, False])
def test_an_application_that_cannot_start_is_not_said_to_have_started(listens: bool) -> None:
    async def broken(_scope: Any, receive: Any, _send: Any) -> None:
        if listens:
            await receive()
            raise RuntimeError("the lifespan failed: no database")
        raise RuntimeError("a middleware cannot be made")

    guard = FakeGuard()

    with pytest.raises(RuntimeError):
        lived(broken, guard)

    assert guard.closed == 0  # servers that take it for "no lifespan" go on to serve


def test_a_start_that_failed_closes_the_guard() -> None:
    async def broken(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    guard = FakeGuard()

    assert lived(broken, guard) == ["lifespan.startup.failed"]
    assert guard.closed == 1


def test_a_guard_that_two_applications_share_goes_on_until_both_have_ended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "decisions.jsonl"
    first = GuardMiddleware(
        application(), policy=build.policy("mode: enforce\n"), network=NoNetwork(),
        settings=Settings(secret=build.SECRET, decision_log=str(path)),
    )  # fmt: skip
    second = GuardMiddleware(application(), guard=first.guard)

    with TestClient(second) as other:
        with TestClient(first) as one:
            assert asked(one) == 200
        assert not first.guard.closed
        assert asked(other) == 200

    assert first.guard.closed
    assert [json.loads(line)["action"] for line in path.read_text().splitlines()] == ["allow"] * 2
    assert "was closed" not in caplog.text


def test_whoever_starts_with_a_guard_that_others_have_closed_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = GuardMiddleware(
        application(), policy=build.policy("mode: enforce\n"), network=NoNetwork(),
        settings=Settings(secret=build.SECRET),
    )  # fmt: skip
    with TestClient(first):
        pass

    with TestClient(GuardMiddleware(application(), guard=first.guard)):
        pass

    assert "the guard was closed" in caplog.text


@pytest.mark.parametrize("mounted", [True, False])
def test_a_guard_that_never_hears_of_the_end_says_what_that_costs(
    mounted: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guarded = GuardMiddleware(
        application(), policy=build.policy("mode: enforce\n"), network=NoNetwork(),
        settings=Settings(secret=build.SECRET, campaigns_file=str(tmp_path / "campaigns")),
    )  # fmt: skip
    outermost = Starlette(routes=[Mount("/", guarded)]) if mounted else guarded

    with TestClient(outermost) as client:
        assert asked(client) == 200
    run(guarded.guard.close)

    assert ("no lifespan came before the first request" in caplog.text) is mounted
    assert (str(tmp_path / "campaigns") in caplog.text) is mounted
