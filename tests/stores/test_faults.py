"""The shared store when server or network fail: what it says, and how it counts afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest

from gateway_guard.errors import StoreError
from gateway_guard.stores.redis import RedisStore
from tests import build
from tests.servers import PATIENCE, Server, needs_redis, until
from tests.stores.shared import Proxy, flying, opened, take, tokens, used

pytestmark = needs_redis
NOW = build.NOW


@pytest.fixture
def server() -> Iterator[Server]:
    with Server("busy-reply-threshold 50", "maxmemory-policy noeviction") as server:
        yield server


def error_of(error: str) -> Callable[[bytes], bytes]:
    return lambda _piece: f"-{error}\r\n".encode()


async def refusal(store: RedisStore, name: str = "refused") -> str:
    with pytest.raises(StoreError) as caught:
        await take(store, tokens(), flying(), id=name)
    return str(caught.value)


def test_scripts_come_back_after_they_were_flushed(server: Server) -> None:
    async def main() -> tuple[float, int]:
        async with opened(server.uri) as store:
            await take(store, tokens(), id="one")
            server.do("SCRIPT", "FLUSH")
            assert await take(store, tokens(), id="two")
            server.do("SCRIPT", "FLUSH")
            await asyncio.gather(*(take(store, tokens(0.0)) for _ in range(20)))
            server.do("SCRIPT", "FLUSH")
            await store.settle((tokens(),), (3.0,), id="one", now=NOW)
            return await used(store, tokens()), store.wire.lost

    assert asyncio.run(main()) == (4.0, 0)


def test_a_demoted_server_says_readonly_and_counts_again_once_promoted(server: Server) -> None:
    async def main() -> tuple[str, float]:
        async with opened(server.uri) as store:
            await take(store, tokens())
            server.do("REPLICAOF", "127.0.0.1", "1")
            said = await refusal(store)
            server.do("REPLICAOF", "NO", "ONE")
            await take(store, tokens())
            return said, await used(store, tokens())

    said, level = asyncio.run(main())

    assert "READONLY" in said
    assert level == 2.0


def test_a_full_server_refuses_whole_reservations_and_still_settles(server: Server) -> None:
    async def main() -> tuple[str, float, float]:
        async with opened(server.uri) as store:
            await take(store, tokens(8.0), flying(), id="one")
            server.do("CONFIG", "SET", "maxmemory", "1")
            said = await refusal(store)
            await store.settle((tokens(8.0), flying()), (3.0, 0.0), id="one", now=NOW)
            await store.drained()
            assert store.undelivered == 0
            server.do("CONFIG", "SET", "maxmemory", "0")
            return said, await used(store, tokens()), await used(store, flying())

    said, level, flown = asyncio.run(main())

    assert "OOM" in said
    assert "maxmemory" in said
    assert (level, flown) == (3.0, 0.0)


def test_a_busy_server_is_named_and_forgiven(server: Server) -> None:
    def hog() -> None:
        with contextlib.suppress(Exception):
            server.do("EVAL", "while true do end", 0)

    def busy() -> bool:
        with contextlib.suppress(Exception):
            server.do("PING")
            return False
        return True

    async def main() -> tuple[str, float]:
        async with opened(server.uri) as store:
            await take(store, tokens())
            thread = threading.Thread(target=hog)
            thread.start()
            until(busy, "the script keeps the server busy")
            said = await refusal(store)
            server.do("SCRIPT", "KILL")
            thread.join(PATIENCE)
            await take(store, tokens())
            return said, await used(store, tokens())

    said, level = asyncio.run(main())

    assert "BUSY" in said
    assert level == 2.0


@pytest.mark.parametrize(
    ("reply", "part"),
    [
        ("LOADING Redis is loading the dataset in memory", "LOADING"),
        ("MASTERDOWN Link with MASTER is down", "lost its master"),
        ("CLUSTERDOWN Hash slot not served", "serves no slots"),
        ("MOVED 3999 127.0.0.1:6381", r"redis\+cluster"),
        ("NOAUTH Authentication required.", "password"),
        ("NOPERM this user has no permissions", "namespace's keys"),
        ("MISCONF Redis is configured to save RDB snapshots", "cannot save"),
        ("ERR something nobody foresaw", "something nobody foresaw"),
    ],
)
def test_an_error_reply_is_named_charges_nothing_and_is_over_with_its_cause(
    server: Server, reply: str, part: str
) -> None:
    async def main() -> float:
        async with Proxy(server.port) as proxy, opened(proxy.uri) as store:
            await take(store, tokens())
            # Nothing reaches the server, as when it refuses.
            proxy.up = lambda _piece: b"PING\r\n"
            proxy.down = error_of(reply)
            with pytest.raises(StoreError, match=part):
                await take(store, tokens())
            proxy.healthy()
            return await used(store, tokens())

    assert asyncio.run(main()) == 1.0


@pytest.mark.parametrize("reply", [b"$-1\r\n", b":7\r\n", b"+OK\r\n", b"*0\r\n", b"$3\r\nabc\r\n"])
def test_a_reply_of_another_kind_is_not_believed(server: Server, reply: bytes) -> None:
    async def main() -> tuple[str, float]:
        async with Proxy(server.port) as proxy, opened(proxy.uri) as store:
            await take(store, tokens())
            proxy.down = lambda _piece: reply
            said = await refusal(store)
            proxy.healthy()
            # What the server did all the same is taken back.
            return said, await used(store, tokens()) + await used(store, flying())

    said, level = asyncio.run(main())

    assert "misordered" in said
    assert level == 1.0


def test_replies_one_place_late_are_given_to_nobody(server: Server) -> None:
    async def main() -> tuple[str, float, int]:
        async with Proxy(server.port) as proxy, opened(proxy.uri, timeout=2.0) as store:
            await take(store, tokens())
            stale = b"$10\r\nr_elser1abcd\r\n".replace(b"$10", b"$12")
            proxy.down = lambda piece: stale + piece
            said = await refusal(store)
            proxy.healthy()
            return said, await used(store, tokens()), store.abandoned

    said, level, abandoned = asyncio.run(main())

    assert "misordered" in said
    assert (level, abandoned) == (1.0, 1)


def test_a_connection_cut_in_mid_reply_is_replaced_and_charged_once(server: Server) -> None:
    async def main() -> tuple[bool, float, float, int]:
        async with Proxy(server.port) as proxy, opened(proxy.uri) as store:
            await take(store, tokens())

            def cut(_piece: bytes) -> None:
                proxy.healthy()

            # The server has acted; its answer is lost.
            proxy.down = cut
            granted = await take(store, tokens(9.0), flying(1.0))
            return granted, await used(store, tokens()), await used(store, flying()), proxy.made

    granted, level, flown, connections = asyncio.run(main())

    assert (granted, level, flown) == (True, 10.0, 1.0)
    assert connections == 2


def test_a_whole_batch_that_lost_its_answers_is_charged_once(server: Server) -> None:
    async def main() -> tuple[int, float]:
        async with Proxy(server.port) as proxy, opened(proxy.uri) as store:
            await take(store, tokens(0.0))

            def cut(piece: bytes) -> bytes:
                proxy.ends = True
                return piece[: len(piece) // 2]

            proxy.down = cut
            answers = await asyncio.gather(*(take(store, tokens(capacity=7.0)) for _ in range(20)))
            return sum(answers), await used(store, tokens())

    assert asyncio.run(main()) == (7, 7.0)


def test_whoever_stops_waiting_is_charged_nothing(server: Server) -> None:
    async def main() -> tuple[float, float, int]:
        async with Proxy(server.port) as proxy, opened(proxy.uri, timeout=2.0) as store:
            await take(store, tokens())
            proxy.down = lambda _piece: b""
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(take(store, tokens(), flying()), 0.05)
            proxy.healthy()
            return await used(store, tokens()), await used(store, flying()), store.abandoned

    assert asyncio.run(main()) == (1.0, 0.0, 1)


def test_a_reservation_given_up_before_it_arrives_takes_nothing(server: Server) -> None:
    async def main() -> tuple[float, float]:
        async with Proxy(server.port) as proxy, opened(proxy.uri) as store:
            await take(store, tokens(0.0))
            held: list[bytes] = []
            arrived = asyncio.Event()

            def hold(piece: bytes) -> bytes:
                held.append(piece)
                arrived.set()
                return b""

            proxy.up = hold
            asking = asyncio.create_task(take(store, tokens(), flying()))
            await arrived.wait()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            proxy.healthy()
            await store.drained()
            # Only now does the server read what was asked first.
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(held[0])
            assert (await reader.read(100)).startswith(b"$")
            writer.close()
            await writer.wait_closed()
            return await used(store, tokens()), await used(store, flying())

    assert asyncio.run(main()) == (0.0, 0.0)


def test_a_call_nobody_waits_for_any_more_is_not_sent(server: Server) -> None:
    async def main() -> tuple[float, int]:
        async with opened(server.uri) as store:
            await take(store, tokens())
            trips = store.wire.trips
            asking = asyncio.create_task(take(store, tokens()))
            await asyncio.sleep(0)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            sent = store.wire.trips - trips
            return await used(store, tokens()), sent

    assert asyncio.run(main()) == (1.0, 0)


def test_a_silent_server_is_an_error_in_time_and_settlements_outlive_it(server: Server) -> None:
    async def main() -> tuple[str, float, int]:
        async with opened(server.uri, timeout=1.5) as store:
            await take(store, tokens(8.0), id="one")
            server.freeze()
            said = await refusal(store)
            await store.settle((tokens(8.0),), (3.0,), id="one", now=NOW)
            # The first attempt has run into the timeout when nothing is on its way any more.
            await asyncio.wait(store._delivery._flying)
            server.thaw()
            return said, await used(store, tokens()), store.undelivered

    said, level, undelivered = asyncio.run(main())

    assert "no answer within 1.5 s" in said
    assert (level, undelivered) == (3.0, 0)


def test_a_server_that_was_killed_and_started_again_counts_again(server: Server) -> None:
    async def main() -> tuple[str, bool]:
        async with opened(server.uri) as store:
            await asyncio.gather(*(take(store, tokens()) for _ in range(5)))
            server.kill()
            said = await refusal(store)
            server.start()
            return said, await take(store, tokens(10.0))

    said, again = asyncio.run(main())

    assert "unreachable" in said
    assert again


def test_a_server_that_is_not_there_is_an_error_and_closing_does_not_hang() -> None:
    async def main() -> str:
        async with opened("redis://127.0.0.1:1", timeout=0.2) as store:
            await store.settle((tokens(),), (0.0,), id="one", now=NOW)
            return await refusal(store)

    assert "unreachable" in asyncio.run(main())


def test_a_key_that_holds_something_else_is_named(server: Server) -> None:
    async def main() -> str:
        async with opened(server.uri, namespace="taken") as store:
            await take(store, tokens())
            (key,) = [key for key in server.do("KEYS", "taken:*") if key.endswith(":b")]
            server.do("DEL", key)
            server.do("LPUSH", key, "mine")
            return await refusal(store)

    assert "choose another namespace" in asyncio.run(main())


def test_a_settlement_the_server_refuses_for_good_is_counted_and_dropped(server: Server) -> None:
    async def main() -> tuple[int, int]:
        async with opened(server.uri, namespace="spoilt") as store:
            await take(store, tokens(8.0), id="one")
            (key,) = [key for key in server.do("KEYS", "spoilt:*") if key.endswith(":b")]
            server.do("DEL", key)
            server.do("LPUSH", key, "mine")
            await store.settle((tokens(8.0),), (3.0,), id="one", now=NOW)
            await store.drained()
            return store.undelivered, store.owed

    assert asyncio.run(main()) == (1, 0)
