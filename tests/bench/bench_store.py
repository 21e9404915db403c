"""What a decision over a shared store costs, beside one bare `EVALSHA` of the same client.

Needs `redis-server`; without it there are no rows. One process, Redis on loopback beside it.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from gateway_guard.stores.connect import connect, parse_address
from gateway_guard.stores.deadlines import Deadlines
from gateway_guard.stores.layout import Layout
from gateway_guard.stores.memory import MemoryStore
from gateway_guard.stores.redis import RedisStore
from gateway_guard.types import Charge
from tests import build
from tests.bench.measure import Row
from tests.servers import REDIS, Server

#: Decisions a repeat measures, repeats of every way, and how many are under way at once.
DECISIONS = 1_024
REPEATS = 9
AT_ONCE = 64
#: Accounts whose memory is measured.
ACCOUNTS = 100_000

Way = Callable[[], Awaitable[object]]


def charges_of(account: str) -> tuple[Charge, ...]:
    """Four limits and requests in flight, of one account."""
    return (
        build.charge(limit="requests", key=f"requests:{account}", capacity=1e9, rate=1e6),
        build.charge(limit="day", key=f"day:{account}", capacity=1e9, rate=1e6),
        build.charge(limit="tokens", key=f"tokens:{account}", unit="tokens", cost=900.0,
                     capacity=1e9, rate=1e6),
        build.charge(limit="output", key=f"output:{account}", unit="output-tokens", cost=500.0,
                     capacity=1e9, rate=1e6),
        build.charge(limit="in-flight", key=f"in-flight:{account}", unit="concurrent",
                     capacity=1e6, rate=0.0, window=0.0),
    )  # fmt: skip


ACTUAL = (1.0, 1.0, 640.0, 240.0, 0.0)


async def in_turn(way: Way) -> None:
    """One after the other."""
    for _ in range(DECISIONS):
        await way()


async def at_once(way: Way) -> None:
    """`AT_ONCE` of them at any time."""

    async def some() -> None:
        for _ in range(DECISIONS // AT_ONCE):
            await way()

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


async def measured(server: Server) -> dict[tuple[str, str], float]:
    """(way, how) → median CPU microseconds of this process for one decision."""
    store = RedisStore(server.uri, secret=build.SECRET, namespace="bench")
    client: Any = connect(parse_address(server.uri), connections=2 * AT_ONCE)
    memory = MemoryStore()
    charges = charges_of("acct_aaaaaaaaaaaaaaaa")
    ids = (f"r_bench{number:09d}" for number in itertools.count())
    # As much to send and to receive as a decision has.
    (visit,) = Layout(build.SECRET, "bench", scattered=False, given_back=False).visits(charges, "x")
    text = "return string.rep('x', 60)"
    digest = str(await client.script_load(text))
    bare_words = (digest, len(visit.keys), *visit.keys, b"r_bench000000000", b"x" * 35, visit.asks)

    async def bare() -> object:
        return await client.execute_command("EVALSHA", *bare_words)

    open_: list[str] = []

    async def reserve() -> object:
        name = next(ids)
        open_.append(name)
        return await store.reserve(charges, id=name, now=0.0)

    async def whole() -> object:
        name = next(ids)
        grants = await store.reserve(charges, id=name, now=0.0)
        await store.settle(charges, ACTUAL, id=name, now=0.0)
        return grants

    async def local() -> object:
        name = next(ids)
        grants = memory.reserve_now(charges, id=name, now=0.0)
        memory.settle_now(charges, ACTUAL, id=name, now=0.0)
        return grants

    ways = {"bare": bare, "reserve": reserve, "whole": whole, "memory": local}
    hows = {"in turn": in_turn, "at once": at_once}
    times: dict[tuple[str, str], list[float]] = {}
    for repeat in range(REPEATS + 1):
        for name, way in ways.items():
            for how, run in hows.items():
                started = time.process_time()
                await run(way)
                await store.drained()
                spent = (time.process_time() - started) / DECISIONS * 1e6
                while open_:
                    await store.settle(charges, ACTUAL, id=open_.pop(), now=0.0)
                await store.drained()
                if repeat:
                    times.setdefault((name, how), []).append(spent)
    await client.aclose()
    await store.close()
    return {key: statistics.median(values) for key, values in times.items()}


def cpu_of(server: Server) -> float:
    """Seconds of CPU the server has used."""
    info = server.info("INFO", "cpu")
    return float(info["used_cpu_sys"]) + float(info["used_cpu_user"])


async def served(server: Server) -> tuple[float, float]:
    """CPU microseconds of the server for one reservation, and for one settlement; I/O included."""
    store = RedisStore(server.socket_uri, secret=build.SECRET, namespace="served")
    charges = charges_of("acct_aaaaaaaaaaaaaaaa")
    count = itertools.count()
    reserving, settling = [], []
    for _ in range(REPEATS):
        names = [f"r_{next(count)}" for _ in range(DECISIONS)]
        started = cpu_of(server)
        await asyncio.gather(*(store.reserve(charges, id=name, now=0.0) for name in names))
        between = cpu_of(server)
        for name in names:
            await store.settle(charges, ACTUAL, id=name, now=0.0)
        await store.drained()
        reserving.append(between - started)
        settling.append(cpu_of(server) - between)
    await store.close()
    each = 1e6 / DECISIONS
    return statistics.median(reserving) * each, statistics.median(settling) * each


async def memory_of(server: Server) -> tuple[float, float]:
    """Bytes of the server for one account with four limits: settled, and with one in flight."""
    store = RedisStore(server.socket_uri, secret=build.SECRET, namespace="memory")
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    names = itertools.product(letters, repeat=4)
    accounts = ["acct_aaaaaaaaaaaa" + "".join(next(names)) for _ in range(ACCOUNTS)]

    def used() -> float:
        return float(server.info("INFO", "memory")["used_memory"])

    start = used()
    for first in range(0, ACCOUNTS, 1_000):
        some = accounts[first : first + 1_000]
        everything = [charges_of(account) for account in some]
        slow = [tuple(build.charge(limit=c.limit, key=c.key, unit=c.unit, cost=c.cost,
                      capacity=1e9, rate=0.0 if c.unit == "concurrent" else 0.01) for c in charges)
                for charges in everything]  # fmt: skip
        await asyncio.gather(
            *(store.reserve(c, id=f"r_{a}", now=0.0) for c, a in zip(slow, some, strict=True))
        )
        if first == 0:
            one = (used() - start) / len(some)
        for charges, account in zip(slow, some, strict=True):
            await store.settle(charges, ACTUAL, id=f"r_{account}", now=0.0)
        await store.drained()
    settled = (used() - start) / ACCOUNTS
    await store.close()
    return settled, one


async def limited() -> tuple[float, float]:
    """CPU microseconds of limiting one wait: with a timer each, and with one for all."""
    deadlines = Deadlines(1.0)

    async def nothing() -> None:
        """What is waited for: it is there at once."""

    each: list[float] = []
    shared: list[float] = []
    for _ in range(REPEATS):
        started = time.process_time()
        for _ in range(DECISIONS):
            async with asyncio.timeout(1.0):
                await nothing()
        between = time.process_time()
        for _ in range(DECISIONS):
            with deadlines.limit():
                await nothing()
        each.append(between - started)
        shared.append(time.process_time() - between)
    return statistics.median(each) / DECISIONS * 1e6, statistics.median(shared) / DECISIONS * 1e6


def rows() -> list[Row]:
    """The table; empty without a server."""
    if REDIS is None:
        return [Row("shared store", "redis-server is not installed")]
    with Server() as server:
        cost = asyncio.run(measured(server))
        reserving, settling = asyncio.run(served(server))
        settled, flying = asyncio.run(memory_of(server))
    each, shared = uvloop.run(limited())
    found = []
    for how in ("in turn", "at once"):
        words = how if how == "in turn" else f"{AT_ONCE} at once"
        bare = cost["bare", how]
        found.append(Row(f"bare EVALSHA of redis-py, {words}", f"{bare:.1f} µs", "1"))
        for name, what in (
            ("reserve", "decision over Redis: 4 limits + in flight"),
            ("whole", "the same and its settlement"),
            ("memory", "the same in memory"),
        ):
            value = cost[name, how]
            found.append(Row(f"{what}, {words}", f"{value:.1f} µs", f"{value / bare:.2f}"))
    return [
        *found,
        Row("limiting a wait, uvloop: a timer each", f"{each:.1f} µs", "1"),
        Row("the same, one timer for all", f"{shared:.1f} µs", f"{shared / each:.2f}"),
        Row("CPU of the server: reserve / settle", f"{reserving:.1f} / {settling:.1f} µs"),
        Row(f"server's memory of an account with 4 limits, {ACCOUNTS:,}", f"{settled:,.0f} B"),
        Row("the same with one request in flight", f"{flying:,.0f} B"),
    ]
