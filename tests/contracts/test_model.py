"""Every store does what the oracle does, over any sequence of calls and clock jumps."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway_guard.core.limits import Oracle
from gateway_guard.stores.base import Store
from gateway_guard.types import Charge
from tests import build
from tests.contracts.subjects import KINDS, STORES

_UNITS = ("requests", "tokens", "concurrent")
_asks = st.lists(
    st.tuples(
        st.sampled_from(_UNITS),
        st.sampled_from("abc"),
        st.floats(0.0, 30.0),
        st.sampled_from((0.0, 0.05, 0.5, 1.0)),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda ask: ask[0],
)


@dataclasses.dataclass
class _Reservation:
    id: str
    charges: tuple[Charge, ...]


def _charge(unit: str, who: str, cost: float, share: float, *, steady: bool = False) -> Charge:
    """`steady`: the rate is no part of what adaptation scales."""
    flying = unit == "concurrent"
    return build.charge(
        limit=unit,
        key=f"{unit}:{who}",
        unit=unit,
        cost=1.0 if flying else cost,
        capacity=(2.0 if share else 0.0) if flying else 20.0 * share,
        rate=0.0 if flying else 2.0 * (1.0 if steady else share),
    )


class StoreMachine(RuleBasedStateMachine):
    """Drives a store and the oracle side by side."""

    kind = "oracle"

    def __init__(self) -> None:
        super().__init__()
        self.store: Store = STORES[self.kind]()
        self.oracle = Oracle()
        self.loop = asyncio.new_event_loop()
        self.now = build.NOW
        self.count = 0
        self.open: list[_Reservation] = []

    @property
    def _steady(self) -> bool:
        """Whether rates stay and time only goes forward.

        Between groups of a Cluster, taking and giving back drains a bucket up to that moment, at
        the rate of whoever is refused: what comes later agrees only under these two.
        """
        return self.kind == "redis-cluster"

    def teardown(self) -> None:
        self.loop.run_until_complete(self.store.close())
        self.loop.close()

    @rule(seconds=st.one_of(st.floats(0.0, 5.0), st.floats(-600.0, 3000.0)))
    def clock(self, seconds: float) -> None:
        # In a Cluster a refused request may leave buckets drained up to its moment: see `_steady`.
        self.now += abs(seconds) if self._steady else seconds

    @rule(asks=_asks)
    def reserve(self, asks: list[tuple[str, str, float, float]]) -> None:
        charges = tuple(_charge(*ask, steady=self._steady) for ask in asks)
        self.count += 1
        name = f"r_{self.count}"

        found = self.loop.run_until_complete(self.store.reserve(charges, id=name, now=self.now))

        expected = self.oracle.reserve(charges, id=name, now=self.now)
        assert [g.allowed for g in found] == [g.allowed for g in expected]
        for one, other in zip(found, expected, strict=True):
            assert one.remaining == pytest.approx(other.remaining, abs=1e-6)
            assert one.retry_after == pytest.approx(other.retry_after, abs=1e-6)
            assert one.reset == pytest.approx(other.reset, abs=1e-6)
            assert one.remaining >= 0.0
            assert one.retry_after >= 0.0
        if all(g.allowed for g in found):
            self.open.append(_Reservation(name, charges))

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 10**6), actual=st.floats(0.0, 60.0), twice=st.booleans())
    def settle(self, which: int, actual: float, twice: bool) -> None:
        done = self.open.pop(which % len(self.open))
        costs = tuple(0.0 if c.unit == "concurrent" else actual for c in done.charges)
        for _ in range(1 + twice):
            self.loop.run_until_complete(
                self.store.settle(done.charges, costs, id=done.id, now=self.now)
            )
        self.oracle.settle(done.charges, costs, id=done.id, now=self.now)

    @invariant()
    def nothing_is_negative(self) -> None:
        for unit in _UNITS:
            for who in "abc":
                assert self.oracle.used(_charge(unit, who, 1.0, 1.0), self.now) >= 0.0


@pytest.mark.untraced
@pytest.mark.parametrize("kind", KINDS)
def test_every_store_agrees_with_the_oracle(kind: str) -> None:
    machine = type(f"Machine_{kind}", (StoreMachine,), {"kind": kind})

    case = machine.TestCase  # type: ignore[attr-defined]  # hypothesis adds it
    case.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
    case("runTest").runTest()
