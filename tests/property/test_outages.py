"""Any sequence of faults: in the end the store says exactly what was admitted."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.errors import StoreError
from gateway_guard.stores.patience import PatientStore
from tests import build
from tests.stores.hurry import REFUSED, FaultyStore, hurried, loop_time

NOW = build.NOW
CAPACITY = 30.0
CHARGES = (
    build.charge(capacity=CAPACITY, rate=0.0),
    build.charge(
        limit="in-flight", key="in-flight:a", unit="concurrent", capacity=8.0, rate=0.0, quota=8.0,
        window=0.0,
    ),
)  # fmt: skip
FAULTS: dict[str, dict[str, Any]] = {
    "none": {},
    "refused": {"fault": REFUSED},
    "lost": {"lost": REFUSED},
    "hangs": {"hangs": True},
    "slow": {"delay": 0.3},
    "slow-answers": {"reply_delay": 0.3},
    "a-little-slow": {"delay": 0.04},
    "wrong": {"short": True},
}

phases = st.lists(
    st.tuples(
        st.sampled_from(sorted(FAULTS)),
        st.lists(st.tuples(st.floats(0.0, 0.2), st.floats(0.0, 0.5), st.booleans()), max_size=8),
    ),
    max_size=5,
)


@given(phases, st.booleans())
def test_what_the_store_says_was_used_is_what_was_admitted(
    plan: list[tuple[str, list[tuple[float, float, bool]]]], local: bool
) -> None:
    async def scenario() -> None:
        faulty = FaultyStore()
        store = PatientStore(faulty, budget=0.05, clock=loop_time)
        admitted = {"shared": 0, "local": 0}

        async def request(name: str, lasts: float, leaves: bool) -> None:
            where = "shared"
            began = loop_time()
            try:
                if leaves:
                    async with asyncio.timeout(0.02):
                        grants = await store.reserve(CHARGES, id=name, now=NOW)
                else:
                    grants = await store.reserve(CHARGES, id=name, now=NOW)
            except TimeoutError:
                return
            except StoreError:
                if not local:
                    return
                where = "local"
                grants = store.local.reserve_now(CHARGES, id=name, now=NOW)
            assert loop_time() - began < 0.0501
            if not all(grant.allowed for grant in grants):
                return
            admitted[where] += 1
            await asyncio.sleep(lasts)
            await store.settle(CHARGES, (1.0, 0.0), id=name, now=NOW)

        async with asyncio.TaskGroup() as group:
            for number, (fault, requests) in enumerate(plan):
                faulty.works()
                for name, value in FAULTS[fault].items():
                    setattr(faulty, name, value)
                for other, (pause, lasts, leaves) in enumerate(requests):
                    await asyncio.sleep(pause)
                    group.create_task(request(f"r{number}-{other}", lasts, leaves))
            await asyncio.sleep(0.1)
            faulty.works()
        ended = loop_time()
        while store.calls or not store.mender.idle:
            assert loop_time() - ended < 30.0
            await asyncio.sleep(0.01)

        assert admitted["shared"] <= CAPACITY
        assert faulty.memory.in_flight == 0
        (grant, flying) = await store.reserve(CHARGES, id="last", now=NOW)
        used = CAPACITY - grant.remaining - (1.0 if grant.allowed and flying.allowed else 0.0)
        assert used == min(CAPACITY, admitted["shared"] + admitted["local"])
        assert flying.remaining == 7.0 or not grant.allowed
        await store.close()

    hurried(scenario)
