"""`gateway-guard store` against a real server."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from tests.cli.run import Ran, run
from tests.servers import Server, needs_redis, shared_cluster, shared_server
from tests.stores.shared import ACCOUNT, flying, namespace, opened, take, tokens

Run = tuple[pytest.MonkeyPatch, pytest.CaptureFixture[str]]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.delenv("GATEWAY_GUARD_STORE", raising=False)
    monkeypatch.delenv("GATEWAY_GUARD_STORE_NAMESPACE", raising=False)
    return monkeypatch, capfd


def store(at: Run, *words: str) -> Ran:
    return run(at[0], at[1], "store", *words)


def filled(uri: str, name: str, accounts: int = 3) -> None:
    """So many accounts with tokens and one request in flight each, and one address."""

    async def main() -> None:
        async with opened(uri, namespace=name) as shared:
            for number in range(accounts):
                who = ACCOUNT[:-1] + "abcdefgh"[number]
                many = (tokens(limit="tokens/tokens", who=who), tokens(limit="day", who=who))
                await take(shared, *many, flying(who=who))
            await take(shared, tokens(limit="ip", who="203.0.113.7"))

    asyncio.run(main())


@needs_redis
@pytest.mark.parametrize("kind", ["server", "cluster"])
def test_stats_counts_keys_and_memory_limit_by_limit(at: Run, kind: str) -> None:
    uri = shared_server().uri if kind == "server" else shared_cluster().uri
    name = namespace()
    filled(uri, name)

    ran = store(at, "stats", "--store", uri, "-n", name, "--format", "json")

    found = msgspec.json.decode(ran.out)
    assert ran.code == 0
    assert {limit["limit"]: limit["keys"] for limit in found["limits"]} == {
        "day": 3, "in-flight": 3, "ip": 1, "tokens": 3,
    }  # fmt: skip
    # A key of buckets and one of requests in flight each, one of the address, four reservations.
    assert (found["keys"], found["reservations"]) == (11, 4)
    assert 0 < sum(limit["memory"] for limit in found["limits"]) < found["memory"] < 5_000


@needs_redis
def test_stats_for_a_person_names_limits_and_takes_the_store_from_the_environment(at: Run) -> None:
    name = namespace()
    filled(shared_server().uri, name)
    at[0].setenv("GATEWAY_GUARD_STORE", shared_server().uri)
    at[0].setenv("GATEWAY_GUARD_STORE_NAMESPACE", name)

    ran = store(at, "stats")

    assert ran.code == 0
    assert "in-flight" in ran.out
    assert "11 keys" in ran.out
    assert "(no bound: maxmemory is not set), noeviction" in ran.out


@needs_redis
def test_stats_of_a_server_that_forgets_debts_is_a_finding(at: Run) -> None:
    with Server("maxmemory 100mb", "maxmemory-policy allkeys-lru") as server:
        ran = store(at, "stats", "--store", server.uri)

    assert ran.code == 1
    assert "CONFIG SET maxmemory-policy noeviction" in ran.out


@needs_redis
def test_flush_asks_first_and_a_script_must_say_yes(at: Run) -> None:
    uri, name = shared_server().uri, namespace()
    filled(uri, name)

    ran = store(at, "flush", "--store", uri, "--namespace", name)

    assert ran.code == 2
    assert "11 keys" in ran.err
    assert "--yes" in ran.err
    assert len(shared_server().do("KEYS", f"{name}:*")) == 11


@needs_redis
@pytest.mark.parametrize("kind", ["server", "cluster"])
def test_flush_forgets_one_namespace_and_not_what_campaigns_share(at: Run, kind: str) -> None:
    uri = shared_server().uri if kind == "server" else shared_cluster().uri
    nodes = [shared_server()] if kind == "server" else shared_cluster().nodes
    name, other = namespace(), namespace()
    kept = f"{name}:{{campaigns}}:bans"
    filled(uri, name)
    filled(uri, other)
    node = nodes[0] if kind == "server" else shared_cluster().node_of(kept)
    node.do("SET", kept, "x", "PX", 60_000)

    ran = store(at, "flush", "--store", uri, "--namespace", name, "--yes")

    left = [key for one in nodes for key in one.do("KEYS", "*")]
    assert ran.code == 0
    assert "11 keys" in ran.out
    assert [key for key in left if key.startswith(f"{name}:")] == [kept]
    assert len([key for key in left if key.startswith(f"{other}:")]) == 11


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ((), "GATEWAY_GUARD_STORE"),
        (("--store", "redis://127.0.0.1:1"), "unreachable"),
    ],
)
def test_what_cannot_work_says_why(at: Run, words: tuple[str, ...], part: str) -> None:
    ran = store(at, "stats", *words)

    assert ran.code == 3
    assert part in ran.err
    assert "Traceback" not in ran.err
