"""One timer ends the waiting of all who wait equally long, each in time and nobody else's."""

from __future__ import annotations

import asyncio

import pytest

from gateway_guard.stores.deadlines import Deadlines
from tests.stores.hurry import hurried

SECONDS = 0.05


def now() -> float:
    return asyncio.get_running_loop().time()


async def waits(deadlines: Deadlines, seconds: float) -> float:
    """When the waiting was ended, or 0.0 where it came to its end by itself."""
    try:
        with deadlines.limit():
            await asyncio.sleep(seconds)
    except TimeoutError:
        return now()
    return 0.0


def test_each_waits_from_its_own_beginning() -> None:
    async def scenario() -> None:
        deadlines, began, tasks = Deadlines(SECONDS), now(), []
        for _ in range(3):
            tasks.append(asyncio.create_task(waits(deadlines, 1.0)))
            await asyncio.sleep(SECONDS / 2)

        ended = [await task - began for task in tasks]

        assert ended == pytest.approx([SECONDS, 1.5 * SECONDS, 2.0 * SECONDS])

    hurried(scenario)


def test_who_is_done_in_time_is_left_alone() -> None:
    async def scenario() -> None:
        deadlines = Deadlines(SECONDS)

        ended = await waits(deadlines, SECONDS / 2)
        await asyncio.sleep(2 * SECONDS)  # what comes next in this task is not cancelled either

        assert ended == 0.0

    hurried(scenario)


def test_what_is_over_does_not_pile_up() -> None:
    async def scenario() -> None:
        deadlines = Deadlines(SECONDS)
        for _ in range(1_000):
            await waits(deadlines, 0.0)

        assert len(deadlines) == 1

        await asyncio.sleep(2 * SECONDS)
        assert len(deadlines) == 0

    hurried(scenario)


@pytest.mark.parametrize(
    ("turns", "arrives", "in_time"), [(0, 0, False), (3, 0, True), (3, 1, True), (3, 3, False)]
)
def test_an_answer_that_is_handed_through_within_so_many_turns_is_in_time(
    turns: int, arrives: int, in_time: bool
) -> None:
    async def scenario() -> bool:
        loop = asyncio.get_running_loop()
        deadlines, answer = Deadlines(SECONDS, turns), loop.create_future()

        def arrive(left: int) -> None:
            if left:
                loop.call_soon(arrive, left - 1)
            elif not answer.done():
                answer.set_result(None)

        try:
            with deadlines.limit():
                loop.call_later(SECONDS, arrive, arrives)  # the limit's own timer was there before
                await answer
        except TimeoutError:
            return False
        return True

    assert hurried(scenario) is in_time


def test_who_is_cancelled_meanwhile_stays_cancelled() -> None:
    async def scenario() -> None:
        task = asyncio.create_task(waits(Deadlines(SECONDS), 1.0))
        asyncio.get_running_loop().call_later(SECONDS, task.cancel)
        await asyncio.sleep(0)  # both are due in one turn

        with pytest.raises(asyncio.CancelledError):
            await task

    hurried(scenario)


def test_what_goes_wrong_before_is_told_as_it_is() -> None:
    async def scenario() -> None:
        async def fails() -> None:
            with Deadlines(SECONDS).limit():
                await asyncio.sleep(0)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fails()

    hurried(scenario)


def test_what_one_event_loop_left_behind_is_nobody_s_in_the_next() -> None:
    deadlines = Deadlines(SECONDS)

    async def left() -> None:
        deadlines.limit()

    async def next_one() -> float:
        return await waits(deadlines, 1.0)

    hurried(left)

    assert hurried(next_one) > 0.0


def test_outside_a_task_there_is_nobody_to_cancel() -> None:
    async def scenario() -> list[BaseException]:
        loop, seen = asyncio.get_running_loop(), []
        loop.set_exception_handler(lambda _, context: seen.append(context["exception"]))
        loop.call_soon(Deadlines(SECONDS).limit)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return seen

    (error,) = hurried(scenario)

    assert "in one" in str(error)
