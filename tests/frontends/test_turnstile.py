"""How long the turns of a real event loop are, and what follows from it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway_guard.frontends.turnstile import LOOK_EVERY, QUIET, SURE_EVERY, Turnstile
from tests.frontends.fakes import run


async def happens(condition: Callable[[], bool]) -> None:
    """Wait until it does; `run` bounds the wait."""
    while not condition():  # noqa: ASYNC110 - what is waited for is measured, and tells nobody
        await asyncio.sleep(LOOK_EVERY)


def swamp(stile: Turnstile) -> None:
    """As if every turn of the loop had been long, and this one had begun all it may."""
    for turn in range(2):
        stile.shedding.turned(10.0, 0.001, 10.0 * turn)
    assert stile.shedding.crowded
    while stile.shedding.takes():
        continue


def test_turns_of_a_loop_that_is_not_busy_are_short() -> None:
    async def main() -> None:
        stile = Turnstile()
        stile.turns_away(10.0)

        await happens(lambda: stile.shedding.turn > 0.0)

        assert not stile.shedding.crowded
        assert not stile.turns_away(10.0)
        stile.close()

    run(main)


def test_turns_that_are_long_every_time_turn_requests_away_until_they_are_short() -> None:
    async def main() -> None:
        stile = Turnstile()
        loop, over = asyncio.get_running_loop(), False

        def work() -> None:
            # Always something due, and a lot of it.
            sum(range(300_000))
            if not over:
                loop.call_soon(work)

        loop.call_soon(work)
        await happens(lambda: any(stile.turns_away(0.001) for _ in range(100)))
        refused = stile.shedding.refused
        over = True
        await happens(lambda: not stile.shedding.crowded)

        assert refused > 0
        assert not stile.turns_away(10.0)
        stile.close()

    run(main)


def test_where_nothing_comes_nobody_looks() -> None:
    async def main() -> None:
        stile = Turnstile()
        stile.turns_away(10.0)
        stile._quiet = QUIET - 1
        stile._heard = stile._asked

        await happens(lambda: stile._look is None)

        assert not stile.turns_away(10.0)
        assert stile._look is not None
        stile.close()

    run(main)


def test_what_was_measured_in_a_loop_that_is_gone_counts_for_nothing() -> None:
    stile = Turnstile()

    async def before() -> None:
        stile.turns_away(10.0)
        swamp(stile)
        assert stile.turns_away(10.0)

    async def after() -> None:
        assert not stile.turns_away(10.0)
        assert not stile.shedding.crowded
        stile.close()

    run(before)
    run(after)


def test_a_loop_that_is_gone_is_noticed_when_it_is_calm_too() -> None:
    stile = Turnstile()

    async def before() -> None:
        stile.turns_away(10.0)

    async def after() -> None:
        for _ in range(SURE_EVERY):
            stile.turns_away(10.0)

        assert stile._loop is asyncio.get_running_loop()
        stile.close()

    run(before)
    run(after)
