"""Guards built the way users build them: with a store they learn together, without one alone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway_guard.building import build_guard
from gateway_guard.campaigns.memory import Bounds
from gateway_guard.errors import SettingsError
from gateway_guard.frontends import background
from gateway_guard.frontends.asgi import GuardMiddleware
from gateway_guard.guard import Guard
from gateway_guard.linking import Linking
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.settings import LINKER, Settings
from gateway_guard.stores.connect import parse_address
from gateway_guard.streams.link import Link
from gateway_guard.streams.shared import SharedLinking
from gateway_guard.streams.wire import pack_reload, read_batch
from gateway_guard.types import Exchange, Usage
from tests import build
from tests.campaigns import ring
from tests.servers import PATIENCE, Server, needs_redis, shared_server, until
from tests.streams.team import KEY, Team, contained, exchanges, send, team


def settings(crew: Team, **more: Any) -> Settings:
    return Settings(
        secret=build.SECRET, store=crew.server.uri, store_namespace=crew.namespace, **more
    )


def guard(crew: Team, policy: Any, **more: Any) -> Guard:
    return build_guard(
        policy, network=NoNetwork(), settings=settings(crew, **more), clock=lambda: build.NOW
    )


def linked(brain: Guard) -> SharedLinking:
    assert isinstance(brain.linking, SharedLinking)
    return brain.linking


async def ask(brain: Guard, key: str = "sk-test") -> Exchange:
    exchange = await brain.decide(build.wire(key=key))
    await brain.settle(exchange, Usage(input_tokens=5, output_tokens=7))
    return exchange


def test_without_a_store_or_with_one_of_its_own_a_guard_learns_alone() -> None:
    alone = Settings(secret=build.SECRET)
    memory = Settings(secret=build.SECRET, store="memory://")

    for one in (alone, memory):
        brain = build_guard(build.policy(ring.REFUSES), network=NoNetwork(), settings=one)
        assert isinstance(brain.linking, Linking)


def test_a_shared_store_without_a_secret_is_refused() -> None:
    one = Settings(secret=build.SECRET, secret_lasts=False, store="redis://127.0.0.1:1/0")

    with pytest.raises(SettingsError, match="GATEWAY_GUARD_SECRET"):
        build_guard(build.policy(ring.REFUSES), network=NoNetwork(), settings=one)


@pytest.mark.parametrize("word", LINKER)
def test_whether_a_guard_may_be_the_linker_is_a_setting(word: str) -> None:
    found = Settings.from_environment(
        {"GATEWAY_GUARD_SECRET": build.SECRET.decode(), "GATEWAY_GUARD_LINKER": word,
         "GATEWAY_GUARD_STORE": "redis://127.0.0.1:1/0"}
    )  # fmt: skip
    brain = build_guard(build.policy(ring.REFUSES), network=NoNetwork(), settings=found)

    assert (linked(brain).leader is not None) is (word == "auto")


@pytest.mark.parametrize("kept", [False, True])
def test_how_many_accounts_a_linker_remembers_is_a_setting(kept: bool, tmp_path: Path) -> None:
    said = {"GATEWAY_GUARD_SECRET": build.SECRET.decode(), "GATEWAY_GUARD_LINKER_ACCOUNTS": "1234"}
    if kept:
        said["GATEWAY_GUARD_CAMPAIGNS_FILE"] = str(tmp_path / "campaigns")
    store = {"GATEWAY_GUARD_STORE": "redis://127.0.0.1:1/0"}

    alone, shared = (
        build_guard(
            build.policy(ring.REFUSES),
            network=NoNetwork(),
            settings=Settings.from_environment(environ),
        ).linking
        for environ in (said, said | store)
    )

    assert isinstance(alone, Linking)
    assert alone.sizes["campaign_accounts"][1] == 1234
    assert isinstance(shared, SharedLinking)
    assert shared.leader is not None
    assert shared.leader.archive.bounds == Bounds(accounts=1234)


def test_another_word_for_it_is_refused() -> None:
    with pytest.raises(SettingsError, match="auto, never"):
        Settings.from_environment({"GATEWAY_GUARD_LINKER": "always"})


@needs_redis
def test_exchanges_of_a_guard_reach_the_stream_and_verdicts_reach_its_decisions() -> None:
    async def scenario(crew: Team) -> tuple[Exchange, Exchange]:
        brain = guard(crew, build.policy(ring.REFUSES), linker="never")
        links = linked(brain)
        # Else its first look at the empty table could come after what is told below.
        assert await asyncio.to_thread(links.wait, PATIENCE)
        first = await ask(brain)
        account = first.request.account
        assert account is not None
        await asyncio.to_thread(until, lambda: links.sender.sent == 1, "it is sent")
        entries = crew.do("XLEN", crew.keys.sightings)
        links._told.change([(account, "c_0001", 0.97)], b"0-0")
        second = await ask(brain)
        await brain.close()
        assert entries == 1
        return first, second

    with team(shared_server()) as crew:
        first, second = asyncio.run(scenario(crew))

    assert not first.decision.action.refuses
    assert second.decision.rule == "campaign-members"


@needs_redis
def test_what_is_in_the_stream_holds_neither_key_nor_address_nor_prompt() -> None:
    async def scenario(crew: Team) -> bytes:
        brain = guard(crew, build.policy(ring.REFUSES), linker="never")
        exchange = await brain.decide(
            build.wire(key="sk-very-secret", body=build.chat_body("my private question"))
        )
        await brain.settle(exchange, Usage(input_tokens=5, output_tokens=7))
        await brain.close()
        link = Link(parse_address(crew.server.uri))
        ((_, fields),) = await link.do("XRANGE", crew.keys.sightings, "-", "+")
        await link.close()
        data: bytes = fields[b"b"]
        assert len(fields) == 1
        return data

    with team(shared_server()) as crew:
        data = asyncio.run(scenario(crew))

    for plain in (b"sk-very-secret", b"198.51.100", b"private question", build.SECRET):
        assert plain not in data
    (seen,) = read_batch(data, KEY).sightings
    assert seen.account.startswith("acct_")


@needs_redis
def test_a_policy_that_does_not_ask_sends_nothing() -> None:
    async def scenario(crew: Team) -> None:
        brain = guard(crew, build.policy("mode: enforce"))
        await ask(brain)
        assert linked(brain).sender.waiting == 0
        await brain.close()

    with team(shared_server()) as crew:
        asyncio.run(scenario(crew))


@needs_redis
def test_every_guard_reads_its_policy_again_when_told_to(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(ring.REFUSES)
    with team(shared_server()) as crew:
        brains = [guard(crew, path) for _ in range(2)]
        for brain in brains:
            links = linked(brain)
            assert links.wait(PATIENCE)
            until(lambda links=links: links.follower._began, "it listens")  # type: ignore[misc]
        before = brains[0].policy.digest
        path.write_text(ring.REFUSES.replace("0.9", "0.5"))
        crew.do("XADD", crew.keys.reviews, "*", "r", pack_reload(KEY))
        until(lambda: brains[0].policy.digest != before, "the first has read it")
        until(lambda: brains[1].policy.digest == brains[0].policy.digest, "the second, too")
        for brain in brains:
            asyncio.run(brain.close())


@needs_redis
def test_a_middleware_knows_who_is_banned_before_its_first_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A busy machine must not look like a server that is away, which nobody waits for long.
    monkeypatch.setattr(background, "VERDICTS_SECONDS", PATIENCE)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "lifespan"

    async def scenario(crew: Team) -> bool:
        middleware = GuardMiddleware(
            app, policy=build.policy(ring.REFUSES), settings=settings(crew)
        )
        # What an ASGI server does first.
        await middleware({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
        known = contained(linked(middleware.guard))
        await middleware.guard.close()
        return known

    with team(shared_server()) as crew:
        linker = crew.linker()
        send(ring.stream(), linker)
        until(lambda: contained(linker), "the campaign is held")

        assert asyncio.run(scenario(crew))


@needs_redis
def test_a_guard_starts_and_decides_without_its_server() -> None:
    async def scenario(crew: Team) -> None:
        brain = guard(crew, build.policy(ring.REFUSES))
        links = linked(brain)
        assert not await asyncio.to_thread(links.wait, 0.05)
        for number in range(3):
            exchange = await ask(brain, f"sk-{number}")
            assert not exchange.decision.action.refuses
        assert links.trouble is not None
        crew.server.start()
        await asyncio.to_thread(until, lambda: links.sender.sent == 3, "what waited is sent")
        await asyncio.to_thread(until, lambda: links.trouble is None, "all is well")
        await asyncio.to_thread(until, lambda: sum(exchanges(links).values()) == 3, "and learnt")
        await brain.close()

    with Server() as server, team(server) as crew:
        server.kill()
        asyncio.run(scenario(crew))


def test_a_thread_that_fails_is_said_and_followed_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(_stop: asyncio.Event) -> None:
        raise RuntimeError("a bug")

    async def follows(stop: asyncio.Event) -> None:
        linking.follower.current = True
        await stop.wait()

    linking = SharedLinking("redis://127.0.0.1:1/0", build.SECRET)
    monkeypatch.setattr(linking.follower, "run", follows)
    monkeypatch.setattr(linking.leader, "run", fails)

    linking.start()
    assert linking._thread is not None
    linking._thread.join(PATIENCE)

    assert not linking._thread.is_alive()
    assert linking.trouble == "verdicts on campaigns cannot be followed; the last ones stay"
    linking.close()
