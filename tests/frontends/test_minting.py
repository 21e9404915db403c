"""A client secret on its way through the guard, and who is charged when it is shown."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway_guard.building import build_guard
from gateway_guard.campaigns.digests import sighting_of
from gateway_guard.core.credentials import digest
from gateway_guard.frontends.asgi import GuardMiddleware
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.settings import Settings
from gateway_guard.types import Exchange
from tests import build

POLICY = """
mode: enforce
identify: { account: { header: authorization } }
signals: { volume-shift: { weight: 0.2 } }
limits: { sessions: { per: account, requests: 3/hour } }
"""
MINT = "/v1/realtime/client_secrets"
SECRET = {"value": "ek_browser", "expires_at": build.NOW + 600}
BODY = msgspec.json.encode(SECRET)


async def in_pieces(_request: Request) -> Response:
    async def pieces() -> object:
        for at in range(0, len(BODY), 7):
            yield BODY[at : at + 7]

    return StreamingResponse(pieces(), media_type="application/json")  # type: ignore[arg-type]


async def whole(_request: Request) -> Response:
    return JSONResponse(SECRET)


async def packed(_request: Request) -> Response:
    return Response(gzip.compress(BODY), headers={"content-encoding": "GZIP"})


async def long(_request: Request) -> Response:
    """Instructions that whoever asked has filled with blanks."""
    return JSONResponse({"session": {"instructions": "\t" * 1_500_000}, **SECRET})


async def refused(_request: Request) -> Response:
    return JSONResponse(SECRET, status_code=401)


async def too_long(_request: Request) -> Response:
    return JSONResponse({"session": {"instructions": "x" * 5_000_000}, **SECRET})


async def call(_request: Request) -> Response:
    return Response(status_code=201)


class Voice:
    """An application behind a guard, a server that has secrets made, and browsers."""

    def __init__(
        self, mint: Callable[[Request], Awaitable[Response]], mode: str, rules: str = ""
    ) -> None:
        self.learnt: list[Exchange] = []
        routes = [
            Route(MINT, mint, methods=["POST"]),
            Route("/v1/realtime/calls", call, methods=["POST"]),
        ]
        guard = build_guard(
            build.policy(POLICY.replace("enforce", mode) + rules), network=NoNetwork(),
            settings=Settings(secret=build.SECRET), clock=lambda: build.NOW,
            learners=[self.learnt.append],
        )  # fmt: skip
        self.app = GuardMiddleware(Starlette(routes=routes), guard=guard)

    def ask(self, path: str, key: str) -> httpx.Response:
        async def asking() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
                return await client.post(path, headers={"authorization": f"Bearer {key}"})

        return asyncio.run(asking())


@pytest.mark.parametrize("mode", ["enforce", "shadow"])
@pytest.mark.parametrize("mint", [whole, in_pieces, packed, long])
def test_who_shows_a_secret_is_charged_as_the_account_that_had_it_made(
    mint: Callable[[Request], Awaitable[Response]], mode: str
) -> None:
    voice = Voice(mint, mode)

    assert SECRET.items() <= voice.ask(MINT, "sk-server").json().items()
    statuses = [voice.ask("/v1/realtime/calls", "ek_browser").status_code for _ in range(3)]

    assert statuses == [201, 201, 429 if mode == "enforce" else 201]
    assert len({exchange.request.account for exchange in voice.learnt}) == 1


@pytest.mark.parametrize("mint", [refused, too_long])
def test_an_answer_that_makes_none_or_is_too_long_is_not_read(
    mint: Callable[[Request], Awaitable[Response]],
) -> None:
    voice = Voice(mint, "enforce")

    voice.ask(MINT, "sk-server")
    voice.ask("/v1/realtime/calls", "ek_browser")

    assert len({exchange.request.account for exchange in voice.learnt}) == 2


def test_many_people_show_the_secrets_of_one_account_and_teach_nothing_about_its_habits() -> None:
    voice = Voice(whole, "enforce")

    voice.ask(MINT, "sk-server")
    voice.ask("/v1/realtime/calls", "ek_browser")

    server, browser = voice.learnt
    assert (server.facts.profile is None, browser.facts.profile is None) == (False, True)
    assert browser.facts.held is not None
    assert sighting_of(browser, bytes(32)) is None


def test_rules_about_the_account_hold_for_its_secrets() -> None:
    account = digest(build.SECRET, b"sk-server")
    rule = f"""
rules:
  - name: banned
    when: {{ account: {account}, path: /v1/realtime/calls }}
    then: deny
"""
    voice = Voice(whole, "enforce", rule)

    before = voice.ask("/v1/realtime/calls", "ek_browser").status_code
    voice.ask(MINT, "sk-server")

    assert before == 201
    assert voice.ask("/v1/realtime/calls", "ek_browser").status_code == 403
