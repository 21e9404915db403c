"""How a process is: places in code, and never what stands in variables."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from gateway_guard.record import running

CANARY = "sk-canary-in-a-local-variable"


def test_a_process_has_memory_descriptors_and_an_age() -> None:
    found = running.process(time.monotonic() - 5.0)

    assert found["pid"] == os.getpid()
    assert found["uptime"] >= 5.0
    assert found["resident_bytes"] > 1_000_000
    assert 0 < found["descriptors"] <= found["descriptors_limit"]


def test_a_thread_is_shown_by_the_places_it_is_at_and_not_by_what_it_holds() -> None:
    go, there = threading.Event(), threading.Event()

    def waiting_here(secret: str) -> None:
        there.set()
        go.wait(60.0)
        assert secret

    thread = threading.Thread(target=waiting_here, args=(CANARY,), name="a-thread")
    thread.start()
    there.wait(60.0)
    try:
        found = {one["name"]: one["at"] for one in running.threads()}
    finally:
        go.set()
        thread.join()

    assert any("waiting_here" in place for place in found["a-thread"])
    assert threading.current_thread().name not in found
    assert CANARY not in str(found)


async def seen_among(
    waiting: Sequence[Callable[[asyncio.Event], Coroutine[Any, Any, None]]],
) -> dict[str, Any]:
    """What is seen of tasks, seen from a thread, while these wait for an event."""
    event = asyncio.Event()
    made = [asyncio.create_task(one(event)) for one in waiting]
    await asyncio.sleep(0)
    found = await asyncio.to_thread(running.tasks, asyncio.get_running_loop())
    event.set()
    await asyncio.gather(*made)
    return found


def test_tasks_are_counted_by_what_they_are_and_where_they_wait() -> None:
    async def inner(secret: str, event: asyncio.Event) -> str:
        await event.wait()
        return secret

    async def outer(event: asyncio.Event) -> None:
        await inner(CANARY, event)

    found = asyncio.run(seen_among([outer] * 3))

    assert found["count"] == 4
    (three,) = [kind for kind in found["kinds"] if kind["count"] == 3]
    assert three["task"].endswith("outer")
    assert three["at"].endswith("Event.wait")
    assert CANARY not in str(found)


def test_however_many_kinds_of_tasks_there_are_only_the_most_frequent_are_shown() -> None:
    kinds: dict[str, Any] = {}
    for number in range(running.KINDS + 20):
        exec(f"async def kind_{number}(event): await event.wait()", {}, kinds)

    found = asyncio.run(seen_among(list(kinds.values())))

    assert found["count"] == running.KINDS + 21
    assert len(found["kinds"]) == running.KINDS


def test_a_loop_that_stands_still_is_noticed_and_one_that_turns_is_measured() -> None:
    async def scenario() -> tuple[float | None, float | None]:
        loop = asyncio.get_running_loop()
        turning = await asyncio.to_thread(running.lag, loop, 60.0)
        blocked: list[float | None] = []
        thread = threading.Thread(target=lambda: blocked.append(running.lag(loop, 0.01)))
        thread.start()
        thread.join()  # in the loop's own thread: it stands still meanwhile
        return turning, blocked[0]

    turning, blocked = asyncio.run(scenario())

    assert turning is not None
    assert turning > 0.0
    assert blocked is None


def test_a_closed_loop_does_not_answer() -> None:
    loop = asyncio.new_event_loop()
    loop.close()

    assert running.lag(loop, 0.01) is None
