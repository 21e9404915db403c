"""The examples run under the real guard: answers, streams, refusals, and no change in shadow."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from gateway_guard import GuardMiddleware, build_guard
from gateway_guard.guard import Guard
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.types import Exchange
from tests import build

ENFORCE = """
    version: 1
    mode: enforce
    limits:
      requests: { per: account, requests: 3/minute }
      tokens: { per: account, tokens: 10000/minute }
    rules:
      - name: no-sweep
        when: { model: forbidden }
        then: deny
      - name: short
        when: { model: capped }
        then: restrict
        with: { n: 1 }
"""
SHADOW = ENFORCE.replace("mode: enforce", "mode: shadow")
FRAMEWORKS = ("starlette", "fastapi", "litestar", "quart")
CHAT = "/v1/chat/completions"
KEY = {"authorization": "Bearer sk-test"}


def bare_app(framework: str) -> Any:
    """The example's own application, without its guard."""
    module = importlib.import_module(f"examples.{framework}_app")
    app = module.app
    if framework == "litestar":
        return module.litestar
    if framework == "quart":
        inner = app.asgi_app
        return inner.app if isinstance(inner, GuardMiddleware) else inner
    app.user_middleware.clear()
    app.middleware_stack = None
    return app


def guard_of(text: str, settled: list[Exchange]) -> Guard:
    return build_guard(build.policy(text), network=NoNetwork(), learners=[settled.append])


def client_of(app: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://model.example", headers=KEY)


def run(main: Callable[[], Any]) -> None:
    asyncio.run(asyncio.wait_for(main(), 20))


def chat(**more: Any) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(build.chat_body(**more))
    return body


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_example_answers_streams_and_is_limited(framework: str) -> None:
    settled: list[Exchange] = []
    app = GuardMiddleware(bare_app(framework), guard=guard_of(ENFORCE, settled))

    async def main() -> None:
        async with client_of(app) as client:
            answer = await client.post(CHAT, json=chat())
            stream = await client.post(CHAT, json=chat(stream=True))
            denied = await client.post(CHAT, json=chat(model="forbidden"))
            models = await client.get("/v1/models")
            throttled = await client.get("/v1/models")

        assert answer.status_code == 200
        assert answer.json()["choices"][0]["message"]["content"] == "Hello there, how are you?"
        assert answer.headers["x-ratelimit-remaining-requests"] == "2"
        assert "tokens" in answer.headers["ratelimit-policy"]
        assert stream.status_code == 200
        assert stream.text.count("data:") == 7
        assert '"usage"' not in stream.text
        assert stream.text.endswith("data: [DONE]\n\n")
        assert denied.status_code == 403
        assert denied.headers["x-should-retry"] == "false"
        assert models.json() == {"data": [{"id": "apex-4"}]}
        assert throttled.status_code == 429
        assert 1 <= int(throttled.headers["retry-after"]) <= 20

    run(main)
    usages = [exchange.usage for exchange in settled]
    assert len(usages) == 5
    assert all(usage is not None for usage in usages)
    for exchange in settled[:2]:
        assert exchange.usage is not None
        assert exchange.usage.reported
        assert (exchange.usage.input_tokens, exchange.usage.output_tokens) == (9, 6)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_shadow_changes_no_byte(framework: str) -> None:
    bare = bare_app(framework)
    guarded = GuardMiddleware(bare, guard=guard_of(SHADOW, []))

    async def answers(app: Any) -> list[Any]:
        seen = []
        async with client_of(app) as client:
            for request in (
                client.build_request("POST", CHAT, json=chat()),
                client.build_request("POST", CHAT, json=chat(stream=True)),
                client.build_request("POST", CHAT, json=chat(model="forbidden")),
                client.build_request("POST", CHAT, json=chat(model="capped", n=3)),
                client.build_request("POST", CHAT, content=b"not json"),
                client.build_request("GET", "/v1/models"),
                client.build_request("HEAD", "/v1/models"),
                client.build_request("GET", "/v1/models/"),
                client.build_request("GET", "/nowhere"),
                client.build_request("DELETE", CHAT),
            ):
                answer = await client.send(request)
                seen.append((answer.status_code, answer.headers.raw, answer.content))
        return seen

    async def main() -> None:
        assert await answers(guarded) == await answers(bare)

    run(main)


@pytest.mark.parametrize("framework", ["starlette", "fastapi"])
def test_the_frameworks_own_way_to_add_middleware_works(
    framework: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nmode: enforce\ndefault: deny\n")
    monkeypatch.setenv("POLICY", str(policy))
    module = importlib.reload(importlib.import_module(f"examples.{framework}_app"))

    async def main() -> None:
        async with client_of(module.app) as client:
            answer = await client.get("/v1/models")
        assert answer.status_code == 403

    run(main)


def test_a_mounted_application_is_judged_by_its_full_path() -> None:
    from starlette.applications import Starlette
    from starlette.routing import Mount

    policy = """
        version: 1
        mode: enforce
        rules:
          - name: below
            when: { path: "/llm/v1/models" }
            then: deny
    """
    settled: list[Exchange] = []
    inner = GuardMiddleware(bare_app("fastapi"), guard=guard_of(policy, settled))
    outer = Starlette(routes=[Mount("/llm", app=inner)])

    async def main() -> None:
        async with client_of(outer) as client:
            denied = await client.get("/llm/v1/models")
            answer = await client.post(f"/llm{CHAT}", json=chat())
        assert denied.status_code == 403
        assert answer.status_code == 200

    run(main)
    assert [exchange.request.path for exchange in settled] == ["/llm/v1/models", f"/llm{CHAT}"]
    assert settled[1].request.model_route


def test_of_many_requests_at_once_exactly_the_quota_passes() -> None:
    settled: list[Exchange] = []
    app = GuardMiddleware(bare_app("starlette"), guard=guard_of(ENFORCE, settled))

    async def main() -> None:
        async with client_of(app) as client:
            answers = await asyncio.gather(*[client.post(CHAT, json=chat()) for _ in range(20)])
        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 17

    run(main)
    assert len(settled) == 20
