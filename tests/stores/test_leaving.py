"""Whoever stops waiting is charged nothing, at whatever moment that is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests import build
from tests.servers import Server, needs_redis, shared_server
from tests.stores.shared import Proxy, flying, opened, take, tokens, used

pytestmark = needs_redis


class SlowSource:
    """Connections of another source, given when the test says so."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def take(self) -> Any:
        self.asked.set()
        await self.go.wait()
        return await self._source.take()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def test_who_leaves_while_a_connection_is_made_is_charged_nothing() -> None:
    async def main() -> tuple[float, float, int]:
        async with opened(shared_server().uri) as store:
            lanes: Any = store.wire._lanes  # type: ignore[attr-defined]
            slow = lanes.source = SlowSource(lanes.source)
            leaving = asyncio.create_task(take(store, tokens(), flying()))
            staying = asyncio.create_task(take(store, tokens()))
            await slow.asked.wait()
            leaving.cancel()
            await asyncio.wait({leaving})
            slow.go.set()
            assert await staying
            return await used(store, tokens()), await used(store, flying()), store.abandoned

    assert asyncio.run(main()) == (1.0, 0.0, 0)


def test_who_leaves_while_the_scripts_are_loaded_is_charged_nothing() -> None:
    async def main() -> tuple[float, float, int]:
        with Server() as server:
            async with opened(server.uri) as store:
                lanes: Any = store.wire._lanes  # type: ignore[attr-defined]
                trip = lanes._trip

                async def watched(connection: Any, batch: Any, load: Any) -> Any:
                    if load:
                        leaving.cancel()
                        await asyncio.wait({leaving})
                    return await trip(connection, batch, load)

                lanes._trip = watched
                leaving = asyncio.create_task(take(store, tokens(), flying()))
                staying = asyncio.create_task(take(store, tokens()))
                assert await staying
                return await used(store, tokens()), await used(store, flying()), store.abandoned

    # Given back although the server said that it knew no script: somebody between may have.
    assert asyncio.run(main()) == (1.0, 0.0, 1)


def test_who_leaves_just_as_the_answer_comes_is_charged_nothing() -> None:
    async def main() -> tuple[float, float, int]:
        async with opened(shared_server().uri) as store:
            await take(store, tokens())
            leaving: asyncio.Task[bool] | None = None
            wire: Any = store.wire
            send = wire.call

            def watched(*what: Any) -> Any:
                call = send(*what)
                # Before the task itself hears of it: callbacks come in the order they were added.
                call.answer.add_done_callback(lambda _: leaving and leaving.cancel())
                wire.call = send
                return call

            wire.call = watched
            leaving = asyncio.create_task(take(store, tokens(), flying()))
            with pytest.raises(asyncio.CancelledError):
                await leaving
            return await used(store, tokens()), await used(store, flying()), store.abandoned

    assert asyncio.run(main()) == (1.0, 0.0, 1)


def test_who_leaves_after_somebody_between_said_readonly_is_charged_nothing() -> None:
    def lies(_piece: bytes) -> bytes:
        return b"-READONLY You can't write against a read only replica.\r\n"

    async def main() -> tuple[float, float, int]:
        async with Proxy(shared_server().port) as proxy, opened(proxy.uri) as store:
            await take(store, tokens())
            honest = proxy.down
            lanes: Any = store.wire._lanes  # type: ignore[attr-defined]
            slow = lanes.source = SlowSource(lanes.source)
            proxy.down = lies
            leaving = asyncio.create_task(take(store, tokens(), flying()))
            await slow.asked.wait()  # the server has taken it, and is asked once more
            leaving.cancel()
            await asyncio.wait({leaving})
            proxy.down = honest
            slow.go.set()
            return await used(store, tokens()), await used(store, flying()), store.abandoned

    assert asyncio.run(main()) == (1.0, 0.0, 1)


@pytest.mark.parametrize("sent_twice", [False, True])
def test_what_was_given_up_takes_nothing_when_it_comes_late(sent_twice: bool) -> None:
    async def main() -> tuple[float, float]:
        async with opened(shared_server().uri) as store:
            charges = (tokens(), flying())
            (visit,) = store._layout.visits(charges, "late")
            if sent_twice:
                assert await take(store, *charges, id="late")
            # Settled to nothing besides: two who do not know of each other may both say so.
            for head in (store._head(1, build.NOW), store._head(0, build.NOW)):
                store._undo(charges, visit, b"late", head)
                await store.drained()
            await take(store, *charges, id="late")
            return await used(store, tokens()), await used(store, flying())

    assert asyncio.run(main()) == (0.0, 0.0)
