"""What quotas cost, against `limits`' own memory storage in the same run.

    python -m tests.bench.bench_limits

Medians of interleaved repeats; compare the ratios, not the microseconds. `--flood` also measures
memory and the longest pause while a million random accounts pass.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from gateway_guard.core.adapt import Adapt
from gateway_guard.core.limits import Limit, actuals, charges_for
from gateway_guard.core.usage import UsageReader
from gateway_guard.stores.memory import MemoryStore
from gateway_guard.types import (
    Assessment,
    Charge,
    Dialect,
    Facts,
    Inspection,
    PromptShape,
    Request,
    Usage,
)

_REPEATS = 9
_CALLS = 5_000
_NOW = 1_772_452_800.0

_LIMITS = (
    Limit(name="requests", per=("account",), unit="requests", quota=1e9, window=60.0, burst=1e9),
    Limit(name="in-flight", per=("account",), unit="concurrent", quota=1e9, window=0.0, burst=1e9),
    Limit(
        name="tokens", per=("account",), unit="tokens", quota=1e12, window=60.0, burst=1e12,
        adapt=Adapt(risk=((0.3, 1.0), (0.6, 0.25), (0.9, 0.05)), recover=3600.0),
    ),
    Limit(name="address", per=("client_ip",), unit="requests", quota=1e9, window=60.0, burst=1e9),
)  # fmt: skip
_REQUEST = Request(
    id="r_bench", at=_NOW, method="POST", path="/v1/chat/completions", dialect=Dialect.OPENAI,
    model_route=True, model="apex-4", client_ip="192.0.2.1", subnet="192.0.2.0/24",
    account="acct_abcdefghijklmnopqrstuvwxyz", inspection=Inspection.FULL,
    prompt=PromptShape(input_tokens=500, max_output_tokens=512),
)  # fmt: skip
_EVENT = (
    b'data: {"id":"chatcmpl-123456789012345678901234567890","object":"chat.completion.chunk",'
    b'"created":1772452800,"model":"apex-4","choices":[{"index":0,"delta":{"content":" word"},'
    b'"finish_reason":null}],"usage":null}\n\n'
)


def _charges() -> tuple[Charge, ...]:
    return charges_for(_LIMITS, _REQUEST, Facts(), Assessment())


async def _time(call: Callable[[int], Awaitable[object]]) -> float:
    start = time.perf_counter()
    for i in range(_CALLS):
        await call(i)
    return (time.perf_counter() - start) / _CALLS * 1e6


async def compare() -> None:
    """Print the table."""
    limiter = FixedWindowRateLimiter(MemoryStorage())
    item = RateLimitItemPerMinute(10**9)
    store = MemoryStore()
    charges = _charges()
    costs = actuals(charges, _REQUEST, Usage(input_tokens=480, output_tokens=300, reported=True))
    reader = UsageReader(Dialect.OPENAI, content_type=b"text/event-stream", hide_usage_chunk=True)

    async def theirs_once(_: int) -> None:
        await limiter.hit(item, "acct")

    async def theirs_four(_: int) -> None:
        for name in ("a", "b", "c", "d"):
            await limiter.hit(item, name)

    async def ours_one(i: int) -> None:
        await store.reserve(charges[:1], id=f"x{i}", now=_NOW + i * 1e-4)

    async def ours_four(i: int) -> None:
        await store.reserve(charges, id=f"r{i}", now=_NOW + i * 1e-4)

    async def ours_whole(i: int) -> None:
        asked = _charges()
        await store.reserve(asked, id=f"w{i}", now=_NOW + i * 1e-4)
        await store.settle(asked, costs, id=f"w{i}", now=_NOW + i * 1e-4)

    async def ours_event(_: int) -> None:
        reader.feed(_EVENT)

    subjects: dict[str, Callable[[int], Awaitable[object]]] = {
        "limits fixed window, 1 hit": theirs_once,
        "limits fixed window, 4 hits": theirs_four,
        "reserve, 1 limit": ours_one,
        "reserve, 4 limits": ours_four,
        "charges + reserve + settle, 4 limits": ours_whole,
        f"usage reader, one {len(_EVENT)}-byte event": ours_event,
    }
    times: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(_REPEATS):
        for name, call in subjects.items():
            times[name].append(await _time(call))
    base = statistics.median(times["limits fixed window, 4 hits"])
    sys.stdout.write(f"{'':40}{'µs':>8}{'ratio':>8}\n")
    for name, taken in times.items():
        median = statistics.median(taken)
        sys.stdout.write(f"{name:40}{median:8.2f}{median / base:8.2f}\n")


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


async def flood(keys: int = 1_000_000) -> None:
    """Print memory and pauses while `keys` random accounts pass, unbounded enough and bounded."""
    gc.collect()
    gc.freeze()
    for most in (keys, keys // 10):
        store = MemoryStore(max_keys=most)
        before, worst, halfway = _resident(), 0.0, 0
        for i in range(keys):
            charge = Charge(
                limit="tokens", key=f"tokens:acct_{i * 2654435761 % 2**64:026d}", unit="tokens",
                cost=5.0, capacity=100.0, rate=0.001, quota=100.0, window=60.0,
            )  # fmt: skip
            start = time.perf_counter()
            await store.reserve((charge,), id="r", now=_NOW)
            worst = max(worst, time.perf_counter() - start)
            if i == keys // 2:
                halfway = _resident()
        end = _resident()
        sys.stdout.write(
            f"{keys} keys into {most}: {(end - before) / len(store):.0f} bytes a bucket, "
            f"{(end - halfway) / 1e6:.1f} MB in the second half, "
            f"longest call {worst * 1e3:.1f} ms\n"
        )
        del store
        gc.collect()


if __name__ == "__main__":
    asyncio.run(compare())
    if "--flood" in sys.argv:
        asyncio.run(flood())
