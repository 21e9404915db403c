"""What nobody waits for: orders sent again, and signs of life; over a wire that does as told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway_guard.errors import StoreError
from gateway_guard.stores import delivery, leases
from gateway_guard.stores.calls import Call
from gateway_guard.stores.delivery import Delivery, Order
from gateway_guard.stores.layout import Layout
from gateway_guard.stores.leases import Leases
from gateway_guard.stores.scripts import RENEW, SETTLE, Script
from tests import build
from tests.stores.hurry import hurried
from tests.stores.shared import flying, tokens

ORDER = Order(SETTLE, b"r_1", (b"gg:{a}:r:r_1",), (b"head", b"changes"))


class ToldWire:
    """Answers each call with the next of `outcomes`: None, `StoreError`, or one raised at once.

    Attributes:
        called: what was called.
    """

    trips = lost = 0

    def __init__(self, *outcomes: object) -> None:
        self.called: list[tuple[Script, bytes]] = []
        self._outcomes = list(outcomes)

    def call(
        self, script: Script, id: bytes, keys: tuple[bytes, ...], args: tuple[bytes, ...]
    ) -> Call:
        self.called.append((script, id))
        outcome = self._outcomes.pop(0) if self._outcomes else None
        if outcome == "crowded":
            raise StoreError("too many calls wait")
        call = Call(script, id, keys, args, asyncio.get_running_loop().create_future())
        if outcome is None:
            call.answer.set_result(b"1")
        else:
            call.passing = outcome == "passing"
            call.fail(StoreError(str(outcome)))
        return call

    async def close(self) -> None:
        return None


@pytest.mark.parametrize(
    ("outcomes", "calls", "undelivered"),
    [
        ((), 1, 0),
        (("passing", "passing"), 3, 0),
        (("crowded", "crowded"), 3, 0),
        (("for good",), 1, 1),
        (("passing", "for good"), 2, 1),
    ],
)
def test_an_order_is_sent_until_it_arrives_or_is_refused_for_good(
    outcomes: tuple[str, ...], calls: int, undelivered: int
) -> None:
    async def scenario() -> None:
        wire = ToldWire(*outcomes)
        sending = Delivery(wire, hold=60.0)

        sending.send(ORDER)
        await sending.drained()

        assert wire.called == [(SETTLE, b"r_1")] * calls
        assert (sending.undelivered, sending.owed) == (undelivered, 0)

    hurried(scenario)


def test_an_order_that_is_too_old_is_given_up() -> None:
    async def scenario() -> int:
        sending = Delivery(ToldWire("passing", "passing"), hold=0.0)
        sending.send(ORDER)
        await sending.drained()
        return sending.undelivered

    assert hurried(scenario) == 1


def test_more_than_can_be_kept_is_given_up_and_closing_leaves_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery, "MOST_OWED", 2)

    async def scenario() -> tuple[int, int]:
        sending = Delivery(ToldWire(*["crowded"] * 1_000), hold=60.0)
        for _ in range(5):
            sending.send(ORDER)
        await sending.close(1.0)
        return sending.undelivered, sending.owed

    assert hurried(scenario) == (3, 2)


@pytest.mark.parametrize("refused", ["crowded", "passing"])
def test_what_has_no_lease_is_kept_known_and_tried_again_where_that_fails(refused: str) -> None:
    layout = Layout(build.SECRET, "gg", scattered=False, given_back=False)

    async def scenario() -> list[Any]:
        wire = ToldWire(refused, refused)
        open_ = Leases(wire, b"head", 3600.0, hold=1e-9)
        open_.add("r_1", layout.visits((tokens(),), "r_1"))
        async with asyncio.timeout(60):
            while len(wire.called) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0)
        open_.close()
        return wire.called[:3]

    assert hurried(scenario) == [(RENEW, b"r_1")] * 3


def test_signs_of_life_that_fail_are_given_again_and_only_what_is_in_flight_needs_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leases, "MOST_OPEN", 2)
    layout = Layout(build.SECRET, "gg", scattered=False, given_back=False)

    async def scenario() -> tuple[list[Any], int, Any]:
        wire = ToldWire("crowded", "passing")
        # Shorter than any time that has passed: each turn is due.
        open_ = Leases(wire, b"head", 1e-9, hold=3600.0)
        for name, charge in (("gone", flying()), ("r_1", flying()), ("r_2", tokens())):
            open_.add(name, layout.visits((charge,), name))
        async with asyncio.timeout(60):
            while len(wire.called) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0)
        open_.close()
        return wire.called[:3], len(open_), open_.take("gone")

    called, count, gone = hurried(scenario)

    assert called == [(RENEW, b"r_1")] * 3
    assert (count, gone) == (2, None)
