"""What the detectors cost: µs a request by detector, bytes an account.

Run as `python -m tests.bench.bench_signals`.

Requests carry what `core.identify` leaves of a 2 KB chat: two roles, 36 fragments. Medians of 20
chunks of 100 requests by one established account; "chat" says something new each time, "batch"
fills one template. Nothing here is compared across machines.
"""

from __future__ import annotations

import random
import statistics
import time
import tracemalloc
from collections.abc import Callable, Sequence

from gateway_guard.core.assess import assess
from gateway_guard.core.policy import Weighted
from gateway_guard.core.profile import Profiles, observe, observe_usage
from gateway_guard.signals import DETECTORS
from gateway_guard.types import Client, Facts, PromptShape, Request, RoleShape, Usage
from tests import build

CHUNKS = 20
CHUNK = 100
FRAGMENTS = 36
USAGE = Usage(input_tokens=500, output_tokens=200, status=200)


def requests(count: int, *, template: bool, seed: int = 1) -> list[Request]:
    """`count` requests, 20 s apart on average."""
    rng = random.Random(seed)

    def word() -> int:
        return rng.getrandbits(64)

    system = RoleShape(role="system", head=word(), tail=word(), skeleton=word(), chars=900)
    head = word()
    frame = [word() for _ in range(24)]
    at = build.NOW
    made = []
    for number in range(count):
        at += rng.expovariate(1 / 20)
        fresh = FRAGMENTS - len(frame) if template else FRAGMENTS
        shingles = (*(frame if template else ()), *(word() for _ in range(fresh)))
        user = RoleShape(
            role="user",
            head=head if template else word(),
            tail=word(),
            skeleton=0,
            chars=1100 + number % 400,
        )
        shape = PromptShape(
            messages=2, chars=2000, roles=(system, user), shingles=shingles, input_tokens=500
        )
        made.append(build.request(at=at, prompt=shape, client=Client(languages=("NO",))))
    return made


def median_us(
    work: Callable[[Request, Facts], object], chunk: Sequence[Request], known: Facts
) -> float:
    """µs of one call of `work`, over a chunk."""
    start = time.perf_counter()
    for one in chunk:
        work(one, known)
    return (time.perf_counter() - start) / len(chunk) * 1e6


def broken(name: str, error: Exception) -> None:
    """No detector of ours breaks."""
    raise AssertionError(name) from error


def by_detector(*, template: bool) -> dict[str, float]:
    """Median µs per request of every detector, of `assess` over all of them and of `observe`."""
    detectors = {name: cls() for name, cls in DETECTORS.items()}
    weighted = [Weighted(detector=detector, weight=0.3) for detector in detectors.values()]
    profile = Profiles(10).get("acct_bench")
    known = build.facts(account=build.account(country="NO"), profile=profile)
    every = requests((CHUNKS + 5) * CHUNK, template=template)
    for one in every[: 5 * CHUNK]:
        observe(profile, one, known)
        observe_usage(profile, one, USAGE)
    took: dict[str, list[float]] = {}
    for start in range(5 * CHUNK, len(every), CHUNK):
        chunk = every[start : start + CHUNK]
        for name, detector in detectors.items():
            took.setdefault(name, []).append(median_us(detector.look, chunk, known))
        took.setdefault("assess (all)", []).append(
            median_us(lambda one, facts: assess(weighted, one, facts, broken), chunk, known)
        )
        took.setdefault("observe", []).append(
            median_us(lambda one, facts: observe(profile, one, facts), chunk, known)
        )
        took.setdefault("observe_usage", []).append(
            median_us(lambda one, facts: observe_usage(profile, one, USAGE), chunk, known)
        )
    return {name: statistics.median(times) for name, times in took.items()}


def bytes_per_account(accounts: int, capacity: int, events: int) -> tuple[float, int]:
    """Bytes per remembered account (key and table included) and how many are remembered, after
    `accounts` accounts sent `events` requests each."""
    sent = requests(events, template=False)
    tracemalloc.start()
    profiles = Profiles(capacity)
    for number in range(accounts):
        name = f"acct_{number:026}"
        for one in sent:
            profile = profiles.get(name)
            observe(profile, one, Facts(network=build.network(), profile=profile))
            observe_usage(profile, one, USAGE)
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return size / len(profiles), len(profiles)


def main() -> None:
    """Print the tables."""
    for kind in ("chat", "batch"):
        print(f"µs a request, {kind}")
        for name, cost in by_detector(template=kind == "batch").items():
            print(f"  {name:<24}{cost:8.2f}")
    for accounts, capacity, events in ((20_000, 20_000, 1), (20_000, 20_000, 8)):
        size, kept = bytes_per_account(accounts, capacity, events)
        print(f"{size:,.0f} bytes an account, {kept:,} accounts of {events} requests")


if __name__ == "__main__":
    main()
