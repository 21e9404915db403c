"""A client secret that one guard passed on is known to all guards of its store."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway_guard.building import build_guard
from gateway_guard.core.minted import ClientSecret
from gateway_guard.frontends.asgi import GuardMiddleware
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.settings import Settings
from gateway_guard.streams.keys import fingerprint
from gateway_guard.streams.mint import PATIENCE
from gateway_guard.streams.shared import SharedLinking
from gateway_guard.streams.wire import Refusal, pack_minted, read_minted
from tests import build
from tests.servers import Server, needs_redis, shared_server, until
from tests.streams.team import KEY, Team, team

MADE = ClientSecret("acct_ephemeral", "acct_owner", build.NOW + 660.0)
POLICY = """
mode: enforce
identify: { account: { header: authorization } }
limits: { sessions: { per: account, requests: 3/hour } }
"""
MINT = "/v1/realtime/client_secrets"


async def mint(_request: Request) -> Response:
    return JSONResponse({"value": "ek_browser", "expires_at": build.NOW + 600})


async def call(_request: Request) -> Response:
    return Response(status_code=201)


class Site:
    """An application behind a guard of a team."""

    def __init__(self, crew: Team) -> None:
        settings = Settings(
            secret=build.SECRET, store=crew.server.uri, store_namespace=crew.namespace
        )
        self.guard = build_guard(
            build.policy(POLICY), network=NoNetwork(), settings=settings, clock=lambda: build.NOW
        )
        routes = [
            Route(MINT, mint, methods=["POST"]),
            Route("/v1/realtime/calls", call, methods=["POST"]),
        ]
        self.app = GuardMiddleware(Starlette(routes=routes), guard=self.guard)

    async def ask(self, path: str, key: str) -> int:
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
            headers = {"authorization": f"Bearer {key}"}
            return (await client.post(path, headers=headers)).status_code


def add(guard: SharedLinking, *secrets: ClientSecret) -> float:
    """Note them there one after the other; seconds the last took."""

    async def adding() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for made in secrets:
            began = loop.time()
            await guard.mint.add(made, build.NOW)
        took = loop.time() - began
        await guard.mint.close()
        return took

    return asyncio.run(adding())


def knows(guard: SharedLinking, made: ClientSecret = MADE) -> bool:
    return guard.mint.minted.accounts.get(made.account) == (made.owner, made.until)


@needs_redis
def test_who_shows_a_secret_elsewhere_is_charged_as_the_account_that_had_it_made() -> None:
    async def scenario(crew: Team) -> list[int]:
        here, elsewhere = Site(crew), Site(crew)
        await elsewhere.ask("/v1/realtime/calls", "sk-other")
        statuses = [await here.ask(MINT, "sk-server")]
        async with asyncio.timeout(30):
            while not elsewhere.guard.minted.accounts:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        statuses += [await elsewhere.ask("/v1/realtime/calls", "ek_browser") for _ in range(3)]
        for site in (here, elsewhere):
            await site.guard.close()
        return statuses

    with team(shared_server()) as crew:
        assert asyncio.run(scenario(crew)) == [200, 201, 201, 429]


@needs_redis
def test_every_guard_hears_of_it_also_one_that_starts_later() -> None:
    with team(shared_server()) as crew:
        one, other = crew.guard(), crew.guard()
        add(one, MADE)
        assert knows(one)

        until(lambda: knows(other), "the other has heard of it")
        late = crew.guard()
        until(lambda: knows(late), "one that came later knows it")


@needs_redis
def test_a_guard_with_another_secret_takes_nothing_from_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with team(shared_server()) as crew:
        stranger = crew.guard(secret=b"some other secret of a guard")
        add(crew.guard(), MADE)

        until(lambda: stranger.follower.skipped.get("secret") == 1, "it was refused by name")
        assert not stranger.mint.minted.accounts
    assert "another GATEWAY_GUARD_SECRET" in caplog.text


@needs_redis
def test_what_is_kept_of_secrets_is_bounded_ends_by_itself_and_holds_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway_guard.streams.mint.MOST_MINTED", 1)
    many = [msgspec.structs.replace(MADE, account=f"acct_{n}") for n in range(500)]
    with team(shared_server()) as crew:
        add(crew.guard(), *many)
        kept = crew.do("XLEN", crew.keys.minted)
        lasts = crew.do("TTL", crew.keys.minted)

    assert 0 < kept < 250
    assert 7_200 < lasts <= 7_320


@needs_redis
def test_an_answer_does_not_wait_for_a_store_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    with Server() as server, team(server) as crew:
        guard = crew.guard()
        server.freeze()
        try:
            took = add(guard, MADE, msgspec.structs.replace(MADE, account="acct_2"))
        finally:
            server.thaw()

    assert took < PATIENCE + 1.0
    assert knows(guard)
    assert guard.mint.untold == 2
    assert caplog.text.count("is known to this guard alone") == 1


def test_a_secret_comes_back_as_it_was_and_nonsense_does_not() -> None:
    assert read_minted(pack_minted(KEY, MADE), KEY) == MADE

    def refused(made: Any, key: bytes = KEY) -> str:
        with pytest.raises(Refusal) as caught:
            read_minted(pack_minted(key, made), KEY)
        return caught.value.why

    assert refused(MADE, fingerprint(b"some other secret")) == "secret"
    for change in ({"until": float("nan")}, {"until": -1.0}, {"account": "a" * 65}, {"owner": 5}):
        assert refused(msgspec.structs.replace(MADE, **change)) == "malformed"
