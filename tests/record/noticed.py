"""What a guard warns of that shows in requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from gateway_guard.building import build_guard
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.record import noticing
from gateway_guard.settings import Settings
from gateway_guard.types import Wire
from tests import build


def warned(
    caplog: pytest.LogCaptureFixture, text: str, wire: Callable[[], Wire], times: int = 1
) -> list[str]:
    """What was logged of so many requests under the policy `text`."""

    async def ask() -> None:
        guard = build_guard(
            build.policy(text), network=NoNetwork(), settings=Settings(secret=build.SECRET)
        )
        for _ in range(times):
            await guard.decide(wire())

    with caplog.at_level(logging.WARNING, logger=noticing.__name__):
        asyncio.run(ask())
    return [record.message for record in caplog.records if record.name == noticing.__name__]
