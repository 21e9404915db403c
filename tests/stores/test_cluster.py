"""The shared store on a Cluster: groups in several slots, slots that move, nodes that are away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway_guard.core.breaker import State
from gateway_guard.errors import SlotMovingError, StoreError
from gateway_guard.stores.patience import PatientStore
from gateway_guard.types import Charge
from tests import build
from tests.servers import PATIENCE, Cluster, needs_redis, shared_cluster
from tests.stores.shared import ACCOUNT, flying, namespace, opened, take, tokens, used

pytestmark = needs_redis
NOW = build.NOW


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return shared_cluster()


def country(cost: float = 1.0, capacity: float = 10.0, who: str = "NO") -> Charge:
    return tokens(cost, limit="country", who=who, capacity=capacity)


def test_one_account_is_one_trip(cluster: Cluster) -> None:
    async def main() -> int:
        async with opened(cluster.uri) as store:
            await take(store, tokens(), flying())
            before = store.wire.trips
            await take(store, *(tokens(limit=name) for name in "abcd"), flying())
            return store.wire.trips - before

    assert asyncio.run(main()) == 1


def test_a_refusal_in_a_later_group_gives_back_what_earlier_ones_took(cluster: Cluster) -> None:
    async def main() -> list[float]:
        async with opened(cluster.uri) as store:
            await take(store, tokens(4.0), country(8.0))
            charges = (country(5.0), tokens(2.0), flying())
            grants = await store.reserve(charges, id="refused", now=NOW)
            assert [grant.allowed for grant in grants] == [False, True, True]
            assert [grant.remaining for grant in grants] == [2.0, 6.0, 2.0]
            return [await used(store, charge) for charge in charges]

    assert asyncio.run(main()) == [8.0, 4.0, 0.0]


def test_a_refusal_in_the_first_group_tells_the_levels_of_all(cluster: Cluster) -> None:
    async def main() -> list[tuple[bool, float]]:
        async with opened(cluster.uri) as store:
            await take(store, tokens(10.0), country(3.0), country(4.0, who="SE"))
            charges = (country(), tokens(), country(who="SE"))
            grants = await store.reserve(charges, id="refused", now=NOW)
            return [(grant.allowed, grant.remaining) for grant in grants]

    assert asyncio.run(main()) == [(True, 7.0), (False, 0.0), (True, 6.0)]


def test_many_for_the_last_unit_of_two_groups_are_granted_once(cluster: Cluster) -> None:
    async def main() -> tuple[int, float, float]:
        name = namespace()
        async with (
            opened(cluster.uri, namespace=name) as one,
            opened(cluster.uri, namespace=name) as two,
        ):
            charges = (tokens(capacity=1.0), country(capacity=1.0), flying(99.0))
            answers = await asyncio.gather(
                *(take(store, *order) for store in (one, two) for order in
                  (charges, charges[::-1]) for _ in range(10))
            )  # fmt: skip
            await one.drained()
            return sum(answers), await used(two, tokens()), await used(two, country())

    assert asyncio.run(main()) == (1, 1.0, 1.0)


def test_a_settlement_reaches_every_group_once(cluster: Cluster) -> None:
    async def main() -> list[float]:
        async with opened(cluster.uri) as store:
            charges = (tokens(4.0), country(4.0), flying())
            await take(store, *charges, id="one")
            for _ in range(3):
                await store.settle(charges, (1.0, 9.0, 0.0), id="one", now=NOW)
            return [await used(store, charge) for charge in charges]

    assert asyncio.run(main()) == [1.0, 9.0, 0.0]


def test_scripts_come_back_on_every_node_after_they_were_flushed(cluster: Cluster) -> None:
    accounts = [f"acct_{letter * 16}" for letter in "abcdefgh"]

    async def main() -> float:
        async with opened(cluster.uri) as store:
            for _ in range(2):
                for node in cluster.nodes:
                    node.do("SCRIPT", "FLUSH")
                await asyncio.gather(*(take(store, tokens(who=who)) for who in accounts))
            return sum([await used(store, tokens(who=who)) for who in accounts])

    assert asyncio.run(main()) == 16.0


def test_a_slot_that_moves_keeps_its_counts_and_is_followed() -> None:
    async def main(cluster: Cluster) -> tuple[list[bool], float]:
        key = f"{{{ACCOUNT}}}"
        slot, source = cluster.slot(key), cluster.node_of(key)
        target = next(node for node in cluster.nodes if node is not source)
        async with opened(cluster.uri) as store:
            answers = [await take(store, tokens())]
            loop = asyncio.get_running_loop()
            moving = loop.run_in_executor(None, cluster.move, slot, source, target)
            while not moving.done():
                try:
                    answers.append(await take(store, tokens(0.0)))
                except SlotMovingError:
                    # Half moved for longer than it was waited for: said so, and charged nothing.
                    continue
            await moving
            answers.append(await take(store, tokens(3.0)))
            assert source.do("CLUSTER", "COUNTKEYSINSLOT", slot) == 0
            wire: Any = store.wire
            async with asyncio.timeout(PATIENCE):
                while wire._mapper is not None:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            before = wire.trips
            answers.append(await take(store, tokens(0.0)))
            assert wire.trips == before + 1, "it is known where the slot is now"
            return answers, await used(store, tokens())

    cluster = Cluster()
    try:
        answers, level = asyncio.run(main(cluster))
    finally:
        cluster.stop()

    assert all(answers)
    assert level == 4.0


def test_while_a_slot_is_on_its_way_new_keys_are_asked_for_at_its_new_node() -> None:
    """The state between MIGRATING and NODE, held: the old node answers ASK for what it has not."""

    async def main(cluster: Cluster) -> tuple[bool, float, int]:
        key = f"{{{ACCOUNT}}}"
        slot, source = cluster.slot(key), cluster.node_of(key)
        target = next(node for node in cluster.nodes if node is not source)
        async with opened(cluster.uri) as store:
            await take(store, tokens(who="acct_bbbbbbbbbbbbbbbb"))
            cluster.open(slot, source, target)
            with pytest.raises(SlotMovingError, match="is being moved"):
                # Several keys of which none exists: the importing node cannot know that.
                await take(store, tokens(), id="early")
            cluster.close(slot, target)
            granted = await take(store, tokens())
            return granted, await used(store, tokens()), store.undelivered

    cluster = Cluster()
    try:
        found = asyncio.run(main(cluster))
    finally:
        cluster.stop()

    assert found == (True, 1.0, 0)


def test_accounts_of_a_slot_on_its_way_fail_in_time_and_nobody_else_does(cluster: Cluster) -> None:
    moving, staying = tokens(who="acct_mmmmmmmmmmmmmmmm"), tokens(0.0)

    async def main() -> tuple[PatientStore, bool, float]:
        key = "{acct_mmmmmmmmmmmmmmmm}"
        slot, source = cluster.slot(key), cluster.node_of(key)
        target = next(node for node in cluster.nodes if node is not source)
        async with opened(cluster.uri, patience=0.03) as store:
            # A budget that a busy machine does not use up.
            patient = PatientStore(store, keeps=True, budget=PATIENCE)
            await patient.reserve((moving,), id="before", now=NOW)
            cluster.open(slot, source, target)
            try:
                for number in range(12):
                    with pytest.raises(StoreError, match="on its way"):
                        await patient.reserve((moving,), id=f"moving{number}", now=NOW)
                (grant,) = await patient.reserve((staying,), id="staying", now=NOW)
            finally:
                for node in (target, source):
                    node.do("CLUSTER", "SETSLOT", slot, "STABLE")
            await patient.reserve((moving,), id="after", now=NOW)
            level = await used(store, moving)
            await patient.close()
            return patient, grant.allowed, level

    patient, granted, level = asyncio.run(main())

    assert (granted, level) == (True, 2.0)
    assert patient.failures == {"late": 0, "failed": 0, "moving": 12, "resting": 0, "crowded": 0}
    assert (patient.breaker.state, patient.breaker.opened) == (State.CLOSED, 0)


def test_a_cluster_that_is_not_there_is_an_error() -> None:
    async def main() -> None:
        async with opened("redis+cluster://127.0.0.1:1", timeout=1.0) as store:
            for _ in range(2):
                with pytest.raises(StoreError, match="unreachable"):
                    await take(store, tokens())

    asyncio.run(main())


def test_a_node_that_is_away_fails_its_own_slots_and_leaves_nothing_taken() -> None:
    async def main(cluster: Cluster) -> tuple[bool, str, float]:
        away = cluster.node_of(f"{{{ACCOUNT}}}")
        letters = "abcdefghijklmnop"
        others = [f"acct_{letter * 16}" for letter in letters]
        other = next(who for who in others if cluster.node_of(f"{{{who}}}") is not away)
        async with opened(cluster.uri, timeout=1.0) as store:
            await take(store, tokens(), tokens(who=other, limit="theirs"))
            away.freeze()
            mine = await take(store, tokens(who=other, limit="theirs"))
            with pytest.raises(StoreError) as caught:
                await take(store, tokens(), tokens(who=other, limit="theirs"))
            level = 0.0
            away.thaw()
            await store.drained()
            level = await used(store, tokens(who=other, limit="theirs"))
            level += await used(store, tokens())
            away.kill()
            with pytest.raises(StoreError, match="unreachable"):
                await take(store, tokens())
            assert await take(store, tokens(0.0, who=other, limit="theirs"))
            return mine, str(caught.value), level

    cluster = Cluster()
    try:
        mine, said, level = asyncio.run(main(cluster))
    finally:
        cluster.stop()

    assert mine
    assert "no answer" in said
    assert level == 3.0
