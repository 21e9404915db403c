"""What a late settlement finds in a bucket that has long been empty again."""

from __future__ import annotations

import asyncio

import pytest

from gateway_guard.stores.memory import MemoryStore
from tests import build


@pytest.mark.parametrize("idle", [0.5, 1.0, 1.5, 1.9, 30.0])
def test_rest_is_never_saved_up_for_what_a_request_turns_out_to_cost(idle: float) -> None:
    charge = build.charge()
    store = MemoryStore()

    async def scenario() -> float:
        await store.reserve([charge], id="one", now=build.NOW)
        await store.settle([charge], [4.0], id="one", now=build.NOW + idle)
        (grant,) = await store.reserve([charge], id="two", now=build.NOW + idle)
        return grant.remaining

    left = asyncio.run(scenario())

    # One unit a second comes back, until nothing is owed; then come 3 more, and 1 for the second.
    assert left == pytest.approx(60.0 - max(0.0, 1.0 - idle) - 3.0 - 1.0)
