"""What a guard still has to tell shared state, once it answers again. Pure, of bounded size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from gateway_guard.core.buckets import Bucket
from gateway_guard.types import Charge

#: Settlements that may wait: what 1,000 requests a second leave unsettled in ten seconds.
MOST_SETTLEMENTS: Final = 10_000
#: Keys whose use here may wait to be charged; about 400 bytes each.
MOST_DEBTS: Final = 50_000


class Settlement(NamedTuple):
    """A settlement that has not reached the store; it counts once however often it is sent.

    `doubtful`: of a reservation nobody knows to have been made, or wants any more.
    """

    id: str
    charges: Sequence[Charge]
    actual: Sequence[float]
    doubtful: bool = False


def nothing(charges: Sequence[Charge], id: str) -> Settlement:
    """What gives a reservation back, be it made or not."""
    return Settlement(id, charges, (0.0,) * len(charges), doubtful=True)


class Debt(NamedTuple):
    """Units used under a key that the store does not know of. `charge` is the latest one's."""

    charge: Charge
    used: Bucket


class Arrears:
    """Settlements that were not delivered, and what was admitted without the store.

    What was admitted drains here at this worker's share of the limit's rate, as it would have in
    the store: after an outage of an hour nobody owes an hour's use, only what a bucket still holds.

    Attributes:
        share: this worker's share of every quota, in (0, 1].
        dropped: settlements and keys forgotten because the tables were full, the oldest first.
    """

    def __init__(
        self,
        share: float = 1.0,
        *,
        most_settlements: int = MOST_SETTLEMENTS,
        most_debts: int = MOST_DEBTS,
    ) -> None:
        self.share = share
        self.dropped = 0
        self._most_settlements = most_settlements
        self._most_debts = most_debts
        self._settlements: dict[str, Settlement] = {}
        self._debts: dict[str, Debt] = {}

    def __bool__(self) -> bool:
        return bool(self._settlements or self._debts)

    @property
    def settlements(self) -> int:
        """Settlements that wait."""
        return len(self._settlements)

    @property
    def debts(self) -> int:
        """Keys whose use here waits to be charged."""
        return len(self._debts)

    def owe(self, settlement: Settlement) -> None:
        """Keep a settlement; one for the same id that waits already stays as it is.

        The first says what happened: a reservation is settled once.
        """
        if settlement.id not in self._settlements:
            self._make_room(self._settlements, self._most_settlements)
            self._settlements[settlement.id] = settlement

    def use(self, charge: Charge, cost: float, now: float) -> None:
        """Add `cost` units used under the charge's key. Requests in flight leave nothing behind."""
        if charge.unit == "concurrent" or cost <= 0.0:
            return
        debt = self._debts.get(charge.key)
        if debt is None:
            self._make_room(self._debts, self._most_debts)
            bucket = Bucket(at=now)
        else:
            bucket = debt.used
        bucket.set(bucket.level(charge.rate * self.share, now) + cost, now)
        self._debts[charge.key] = Debt(charge, bucket)

    def set_back(self, seconds: float) -> None:
        """As `MemoryStore.set_back`."""
        for debt in self._debts.values():
            debt.used.at -= seconds

    def next_settlement(self) -> Settlement | None:
        """Take out the settlement that has waited longest; None when none waits."""
        if not self._settlements:
            return None
        return self._settlements.pop(next(iter(self._settlements)))

    def next_debts(self, most: int, now: float) -> list[tuple[Charge, float]]:
        """Take out up to `most` keys, the oldest first: a charge of cost 0, and units used.

        What has drained away is forgotten on the way.
        """
        taken: list[tuple[Charge, float]] = []
        while self._debts and len(taken) < most:
            charge, used = self._debts.pop(next(iter(self._debts)))
            level = used.level(charge.rate * self.share, now)
            if level > 0.0:
                taken.append((msgspec.structs.replace(charge, cost=0.0), level))
        return taken

    def _make_room(self, table: dict[str, Settlement] | dict[str, Debt], most: int) -> None:
        if len(table) >= most:
            del table[next(iter(table))]
            self.dropped += 1
