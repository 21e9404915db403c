"""What the middleware writes down: decisions, where the environment names a log, and why it cannot
start."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar, get
from litestar.middleware import DefineMiddleware
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from gateway_guard.building import build_guard
from gateway_guard.errors import PolicyError, SettingsError
from gateway_guard.frontends.asgi import GuardMiddleware
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.settings import Settings
from gateway_guard.types import Charge, Grant
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


class SharedStore:
    """A store that has to be waited for."""

    async def reserve(self, charges: Sequence[Charge], *, id: str, now: float) -> tuple[Grant, ...]:
        raise AssertionError(f"{charges} {id} {now}")

    async def settle(
        self, charges: Sequence[Charge], actual: Sequence[float], *, id: str, now: float
    ) -> None:
        raise AssertionError(f"{charges} {actual} {id} {now}")

    async def close(self) -> None:
        return None


def test_an_application_that_starts_again_has_a_guard_that_writes_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "decisions.jsonl"
    app = Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])
    policy = build.policy("mode: enforce\nlimits: { r: { per: account, requests: 1/hour } }")
    guarded = GuardMiddleware(
        app, policy=policy, network=NoNetwork(),
        settings=Settings(secret=build.SECRET, decision_log=str(path)),
    )  # fmt: skip
    statuses, guards = [], []

    for _ in range(3):
        with TestClient(guarded) as client:
            guards.append(guarded.guard)
            for _ in range(2):
                answered = client.post(
                    "/v1/chat/completions", content=build.chat_body("a question"),
                    headers={"content-type": "application/json", "authorization": "Bearer sk-1"},
                )  # fmt: skip
                statuses.append(answered.status_code)

    # As after a restart: what was counted in memory is forgotten, whose key it is is not.
    assert statuses == [200, 429] * 3
    assert len({json.loads(line)["account"] for line in path.read_text().splitlines()}) == 1
    assert len(path.read_text().splitlines()) == 6
    assert len(set(guards)) == 3
    assert all(guard.closed for guard in guards)
    assert "closed" not in caplog.text


@pytest.mark.parametrize("brought", ["guard", "store"])
def test_an_application_that_starts_again_is_told_that_what_it_brought_is_closed(
    brought: str, caplog: pytest.LogCaptureFixture
) -> None:
    policy, settings = build.policy("mode: enforce\n"), Settings(secret=build.SECRET)
    if brought == "guard":
        own = build_guard(policy, settings=settings, network=NoNetwork())
        guarded = GuardMiddleware(Starlette(), guard=own)
    else:
        guarded = GuardMiddleware(
            Starlette(), policy=policy, network=NoNetwork(), settings=settings, store=SharedStore()
        )

    with TestClient(guarded):
        first = caplog.text
    with TestClient(guarded):
        second = caplog.text

    assert "closed" not in first
    assert "make the application anew" in second
    assert ("on_error.store decides" in second) is (brought == "store")


def test_a_secret_and_tokens_that_can_be_guessed_are_told_of_and_not_quoted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for secret, token in ((b"changeme-changeme-1", "a" * 20), (build.SECRET, "vD8mTq2LxZ5rWc9K")):
        GuardMiddleware(
            Starlette(), policy=build.policy(""), network=NoNetwork(),
            settings=Settings(secret=secret, admin_token=token),
        )  # fmt: skip

    said = [one for one in caplog.messages if "can be guessed" in one]
    assert [one.partition(" ")[0] for one in said] == [
        "GATEWAY_GUARD_SECRET", "GATEWAY_GUARD_ADMIN_TOKEN",
    ]  # fmt: skip
    assert "changeme" not in caplog.text
    assert "aaaa" not in caplog.text


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


@pytest.mark.parametrize(
    ("variables", "policy", "raised", "said"),
    [
        ({}, "version: 1\nlimts: {}\n", PolicyError, "policy.yaml:2:1"),
        ({"GATEWAY_GUARD_MAX_KEYS": "many"}, "version: 1\n", SettingsError, "MAX_KEYS"),
        ({"GATEWAY_GUARD_DECISION_LOG": "/nowhere/d"}, "version: 1\n", SettingsError, "/nowhere/d"),
        ({}, None, TypeError, "policy=… is a file or what load_policy made"),
    ],
    ids=["policy", "variable", "decision log", "wrong kind"],
)
def test_what_keeps_a_guard_from_starting_is_said_in_the_log_where_frameworks_hide_what_is_raised(
    variables: dict[str, str], policy: str | None, raised: type[Exception], said: str,
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "policy.yaml"
    path.write_text(policy or "")
    app = Starlette()
    app.add_middleware(GuardMiddleware, policy=path if policy else 5)  # type: ignore[arg-type]

    async def start() -> None:
        await app({"type": "lifespan", "asgi": {"version": "3.0"}}, None, None)  # type: ignore[arg-type]

    with pytest.raises(raised):
        asyncio.run(start())

    assert "the guard cannot start" in caplog.text
    assert said in caplog.text


async def one() -> dict[str, str]:
    return {}


async def other() -> dict[str, str]:
    return {}


@pytest.mark.parametrize("wrapped", [True, False])
def test_guards_that_a_framework_makes_for_each_route_are_warned_of(
    wrapped: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"# {tmp_path}\nversion: 1\nmode: enforce\n")
    settings = Settings(secret=build.SECRET)
    routes = [get(f"/{name}")(handler) for name, handler in (("a", one), ("b", other))]

    app: Any
    if wrapped:
        app = GuardMiddleware(Litestar(routes), policy=policy, settings=settings)
    else:
        each = DefineMiddleware(
            GuardMiddleware,  # type: ignore[arg-type]
            policy=policy, settings=settings,
        )  # fmt: skip
        app = Litestar(routes, middleware=[each])
    assert app is not None

    told = [one.message for one in caplog.records if "each counts by itself" in one.message]
    assert len(told) == (0 if wrapped else 1)
    assert all(str(policy) in one for one in told)


def test_a_guard_that_comes_after_another_was_closed_is_not_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    policy = build.policy("mode: enforce\ndefault: deny\n# of one after another\n")

    for _ in range(2):
        guarded = GuardMiddleware(
            Starlette(), policy=policy, network=NoNetwork(), settings=Settings(secret=build.SECRET)
        )
        with TestClient(guarded):
            pass

    assert "each counts by itself" not in caplog.text


def test_what_check_would_warn_of_is_said_as_the_application_starts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nmode: enforce\nrules: [{ name: all, then: deny }]\n")

    GuardMiddleware(
        Starlette(), policy=policy, network=NoNetwork(), settings=Settings(secret=build.SECRET)
    )

    assert "policy.yaml:3:17: GG308: every request is refused" in caplog.text
