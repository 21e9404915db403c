"""Several processes, one guard: races for what is left, and workers that die."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import build
from tests.servers import PATIENCE, needs_redis, shared_cluster, shared_server
from tests.stores.shared import flying, namespace, opened, take, tokens, used

pytestmark = needs_redis
ROOT = Path(__file__).resolve().parent.parent.parent
NOW = build.NOW


@contextmanager
def workers(many: int, *arguments: str) -> Iterator[list[subprocess.Popen[str]]]:
    """Worker processes that said they are ready; killed at the end."""
    command = [sys.executable, "-m", "tests.stores.worker", *arguments]
    found = [
        subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(many)
    ]
    try:
        for worker in found:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        yield found
    finally:
        for worker in found:
            worker.kill()
            worker.communicate(timeout=PATIENCE)


def granted(found: list[subprocess.Popen[str]]) -> int:
    """Let all of them go at once; how much was granted together."""
    for worker in found:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    return sum(int(worker.stdout.readline()) for worker in found if worker.stdout is not None)


@pytest.mark.parametrize("capacity", [1, 37])
def test_a_burst_of_sixty_over_four_processes_is_granted_exactly_what_there_is(
    capacity: int,
) -> None:
    with workers(4, shared_server().uri, namespace(), "15", str(capacity)) as found:
        assert granted(found) == capacity


def test_a_burst_over_processes_and_a_cluster_is_granted_exactly_what_there_is() -> None:
    with workers(3, shared_cluster().uri, namespace(), "20", "23") as found:
        assert granted(found) == 23


def test_a_killed_workers_places_are_free_when_its_lease_ends() -> None:
    uri, name = shared_server().uri, namespace()

    async def flown(later: float) -> float:
        more = {"time": "caller", "lease": 30.0}
        async with opened(uri, namespace=name, **more) as store:
            return await used(store, flying(), now=NOW + later)

    with workers(1, uri, name, "5", "10", "keep") as found:
        assert granted(found) == 5
        found[0].kill()

    assert [asyncio.run(flown(later)) for later in (29.0, 31.0)] == [5.0, 0.0]


def test_a_killed_workers_reservations_stay_at_their_estimate() -> None:
    uri, name = shared_server().uri, namespace()

    async def level() -> float:
        async with opened(uri, namespace=name, time="caller", lease=30.0) as store:
            assert not await take(store, tokens(6.0, capacity=10.0))
            return await used(store, tokens(), now=NOW + 31.0)

    with workers(1, uri, name, "5", "10", "keep") as found:
        assert granted(found) == 5
        found[0].kill()

    assert asyncio.run(level()) == 5.0
