"""One timer for all exchanges that take long."""

from __future__ import annotations

import asyncio

import pytest

from gateway_guard.frontends import lookout
from gateway_guard.frontends.lookout import Lookout
from tests.frontends.fakes import run


class Exchange:
    """Remembers how often it was told."""

    def __init__(self) -> None:
        self.told = 0
        self.heard = asyncio.Event()

    def overdue(self) -> None:
        self.told += 1
        self.heard.set()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "LOOK_EVERY", 0.0)


def test_who_stays_is_told_once_and_who_leaves_never() -> None:
    subject = Lookout()

    async def main() -> None:
        staying, leaving = Exchange(), Exchange()
        subject.add(staying)
        subject.add(leaving)
        subject.discard(leaving)
        await staying.heard.wait()
        for _ in range(10):
            await asyncio.sleep(0)
        assert (staying.told, leaving.told) == (1, 0)
        subject.discard(staying)

    run(main)
    assert len(subject) == 0


def test_who_leaves_between_two_looks_is_not_told() -> None:
    subject = Lookout()

    async def main() -> None:
        one, other = Exchange(), Exchange()
        subject.add(one)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        subject.discard(one)
        subject.add(other)
        await other.heard.wait()
        assert one.told == 0

    run(main)


def test_the_timer_stops_when_nobody_is_left_and_starts_again() -> None:
    subject = Lookout()

    async def main() -> None:
        for _ in range(2):
            one = Exchange()
            subject.add(one)
            await one.heard.wait()
            for _ in range(10):
                await asyncio.sleep(0)
            assert subject._timer is None
            assert len(subject) == 0

    run(main)


def test_a_new_event_loop_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Lookout()
    forgotten = Exchange()

    async def ends_early() -> None:
        subject.add(forgotten)

    async def main() -> None:
        one = Exchange()
        subject.add(one)
        await one.heard.wait()

    with monkeypatch.context() as late:
        late.setattr(lookout, "LOOK_EVERY", 3600.0)
        run(ends_early)
    run(main)

    assert forgotten.told == 0


def test_a_timer_of_a_loop_left_behind_touches_nobody_elses() -> None:
    subject = Lookout()
    old, new = asyncio.new_event_loop(), asyncio.new_event_loop()
    first, second = Exchange(), Exchange()

    async def add(one: Exchange) -> None:
        subject.add(one)

    async def turns() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    try:
        old.run_until_complete(add(first))
        new.run_until_complete(add(second))
        old.run_until_complete(turns())
        assert (first.told, second.told) == (0, 0)
        new.run_until_complete(turns())
        assert (first.told, second.told) == (0, 1)
    finally:
        old.close()
        new.close()
