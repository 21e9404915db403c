"""What waits to be sent is counted at every moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice
from typing import Any

from gateway_guard.streams.keys import Keys
from gateway_guard.streams.sending import Sender
from tests import build
from tests.campaigns import ring


class Listening:
    """A link that takes everything, and sees what waits meanwhile."""

    def __init__(self) -> None:
        self.sender: Any = None
        self.seen: list[int] = []

    async def all(self, commands: Sequence[Sequence[object]]) -> None:
        self.seen.append(self.sender.waiting)


def test_what_is_being_packed_waits_all_the_time(monkeypatch: Any) -> None:
    link: Any = Listening()
    sender = link.sender = Sender(link, Keys("test"), build.SECRET)
    sender.begin()
    really = sender._packed
    while_packed: list[int] = []

    def packed(first: int, batch: list[Any]) -> bytes:
        while_packed.append(sender.waiting)
        return really(first, batch)

    monkeypatch.setattr(sender, "_packed", packed)
    for seen in islice(ring.stream(), 10):
        sender.put(seen)

    asyncio.run(sender.flush())

    assert while_packed == [10]
    assert link.seen == [10]
    assert (sender.waiting, sender.sent) == (0, 10)
