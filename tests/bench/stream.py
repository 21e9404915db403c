"""A provider's traffic at full size, made on the fly: sightings in time order, in bounded memory.

At scale 1: 24,000 harvesting accounts that make 16 million exchanges in 45 days, 26 a day each, in
campaigns of 2,000, among 600,000 others with about 8 million. Nothing is stored per account: what
an account is follows from its number by a keyed digest, so only what is under way is held.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import xxhash

from gateway_guard.campaigns.sighting import Sighting

DAY: Final = 86_400.0
#: A Monday, 00:00 UTC.
START: Final = 1_772_409_600.0
DAYS: Final = 45
#: Of a campaign account: exchanges a day, and days it lives; 667 exchanges in all.
DAILY: Final = 26.0
LIFE: Final = 25.64
#: Accounts of a campaign, of one sign-up burst, of a payment, and per network of its pool.
CAMPAIGN: Final = 2000
BURST: Final = 25
PAYMENT: Final = 10
POOL: Final = 5
#: Seconds made at a time.
_SLOT: Final = 600.0
#: Sessions begun in each hour of the day, UTC, in percent of the mean.
_ABOUT_DAY: Final = (
    *(30, 20, 20, 20, 30, 50, 80, 120, 150, 160, 160, 150),
    *(140, 150, 150, 150, 140, 130, 130, 130, 120, 100, 80, 50),
)

_xxh3: Final = xxhash.xxh3_64_intdigest


def draw(number: int, salt: int) -> int:
    """64 bits that follow from a number and what they are for."""
    return _xxh3(number.to_bytes(8, "little"), salt)


def chance(number: int, salt: int) -> float:
    """The same as a fraction in [0, 1)."""
    return draw(number, salt) / 2.0**64


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much traffic.

    Attributes:
        scale: share of the full size, in (0, 1].
        q: share of the campaign accounts with the shared payment, networks and burst, each apart.
        cover: share of campaign exchanges that say something unrelated.
        seed: of everything random.
    """

    scale: float = 0.01
    q: float = 0.75
    cover: float = 0.3
    seed: int = 1

    @property
    def harvesters(self) -> int:
        """Campaign accounts; whole bursts."""
        return max(int(24_000 * self.scale) // BURST, 1) * BURST

    @property
    def others(self) -> int:
        """Everybody else."""
        return int(600_000 * self.scale)


class Stream:
    """Iterate for `(sighting, campaign)`; campaign is None for everybody else."""

    def __init__(self, size: Scale) -> None:
        self.size = size
        self.rng = random.Random(size.seed)
        self.campaigns = max(round(size.harvesters / CAMPAIGN), 1)
        self.harvesters, self.others = size.harvesters, size.others
        # What many share grows with the population, its sharers each do not.
        self.templates = max(self.others * 4 // 100 // 50, 5)
        self.products = max(self.others // 10 // 1000, 3)
        self.carriers = max(self.others // 3000, 4)
        self.clouds = max(self.others // 180, 20)

    def __iter__(self) -> Iterator[tuple[Sighting, int | None]]:
        pending: list[tuple[float, int, int]] = []
        for slot in range(int(DAYS * DAY / _SLOT)):
            start = START + slot * _SLOT
            self._campaign(pending, start)
            self._services(pending, start)
            self._sessions(pending, start)
            while pending and pending[0][0] < start + _SLOT:
                at, who, turn = heapq.heappop(pending)
                if turn > 1:
                    gap = self.rng.lognormvariate(4.5, 0.8) if who < self.others else 0.0
                    heapq.heappush(pending, (at + gap, who, turn - 1))
                if who >= self.others:
                    number = who - self.others
                    yield self._harvests(number, at), number // BURST % self.campaigns
                else:
                    yield self._other(who, at), None

    def _poisson(self, mean: float) -> int:
        return max(round(self.rng.gauss(mean, math.sqrt(mean))), 0) if mean > 0 else 0

    def _campaign(self, pending: list[tuple[float, int, int]], start: float) -> None:
        # Bursts follow each other until the last has just time to live.
        grown = (start - START) / DAY / (DAYS - LIFE)
        gone = (start - START - LIFE * DAY) / DAY / (DAYS - LIFE)
        high = min(int(grown * self.harvesters), self.harvesters)
        low = max(int(gone * self.harvesters), 0)
        for _ in range(self._poisson((high - low) * DAILY * _SLOT / DAY)):
            who = self.others + self.rng.randrange(low, high)
            heapq.heappush(pending, (start + self.rng.random() * _SLOT, who, 1))

    def _services(self, pending: list[tuple[float, int, int]], start: float) -> None:
        # One account in 200 is a small service, steady round the clock, 8 a day.
        services = self.others // 200
        for _ in range(self._poisson(services * 8 * _SLOT / DAY)):
            who = self.rng.randrange(services) * 200
            if self.created(who) < start:
                heapq.heappush(pending, (start + self.rng.random() * _SLOT, who, 1))

    def _sessions(self, pending: list[tuple[float, int, int]], start: float) -> None:
        hour = _ABOUT_DAY[int(start % DAY // 3600)] / 100
        for _ in range(self._poisson(self.others * 2.2 / DAYS * _SLOT / DAY * hour)):
            who = self.rng.randrange(self.others)
            if self.created(who) < start:
                job = who % 20 == 1
                turns = self.rng.randint(10, 60) if job else self.rng.randint(1, 7)
                heapq.heappush(pending, (start + self.rng.random() * _SLOT, who, turns))

    def created(self, who: int) -> float:
        """When one of the others signed up: over 500 days, the last 45 of them now."""
        return START + (chance(who, 1) * 545 - 500) * DAY

    def _fresh(self, count: int) -> tuple[int, ...]:
        bits = self.rng.getrandbits
        return tuple([bits(63) + 1 for _ in range(count)])

    @staticmethod
    def _frame(number: int, salt: int) -> tuple[int, ...]:
        return tuple([draw(number * 8 + i, salt) for i in range(7)])

    def _harvests(self, number: int, at: float) -> Sighting:
        q, burst = self.size.q, number // BURST
        campaign, within = burst % self.campaigns, number // self.campaigns
        # The burst signs up within 20 minutes, hours before it starts to work.
        working = START + burst * BURST / self.harvesters * (DAYS - LIFE) * DAY
        created = working - 4 * 3600 + chance(number, 11) * 1200
        if chance(number, 12) >= q:
            created = working - chance(number, 13) * 30 * DAY - 3600
        payment = f"p_c{campaign}_{within // PAYMENT}" if chance(number, 14) < q else f"p_{number}"
        turn = int(at // 21_600) + number
        if chance(number, 15) < q:
            pool = max(self.harvesters // self.campaigns // POOL, 3)
            subnet = draw(campaign << 32 | draw(number * 3 + turn % 3, 16) % pool, 17)
        else:
            subnet = draw(number * 3 + turn % 3, 18)
        if self.rng.random() < self.size.cover:
            keys = self._fresh(9)
        else:
            keys = (*self._frame(campaign << 8 | self.rng.randrange(6), 19), *self._fresh(4))
        return Sighting(
            at=at, account=f"acct_h{number:025d}", organisation=f"o_h{number}", payment=payment,
            created_at=created, address=draw(number * 3 + turn % 3, 20), subnet=subnet,
            model="apex-4", keys=keys, tokens=1500,
        )  # fmt: skip

    @staticmethod
    def kind(who: int) -> str:
        """What one of the others is, by where it comes from."""
        if chance(who, 2) < 0.02:
            return "reseller's customer"
        if who % 200 == 0 or who % 20 == 1:
            return "service or job"
        for below, name in ((0.12, "carrier"), (0.18, "VPN"), (0.22, "office")):
            if chance(who, 2) < below:
                return name
        return "home"

    def _other(self, who: int, at: float) -> Sighting:
        kind = chance(who, 2)
        service, job = who % 200 == 0, who % 20 == 1
        organisation = f"o_{who}"
        payment = f"p_{who}" if chance(who, 3) < 0.7 else None
        resold = kind < 0.02
        if resold:  # about 40 customers each, two cards, four egress addresses
            seller = draw(who, 4) % max(self.others // 2000, 1)
            payment = f"p_s{seller}_{who % 2}"
            egress = seller * 4 + int(at // 3600 + who) % 4
            address, subnet = draw(egress, 21), draw(egress, 22)
        elif service or job:
            address, subnet = draw(who, 23), draw(draw(who, 24) % self.clouds, 25)
        elif kind < 0.12:  # carriers
            carrier = draw(who, 5) % self.carriers * 8 + (int(at // 10_800) + who) % 8
            address, subnet = draw(carrier << 4 | who % 16, 26), draw(carrier, 27)
        elif kind < 0.18:  # commercial VPN
            exit_ = (int(at // DAY) + draw(who, 6)) % (24 + self.others // 3000)
            address, subnet = draw(exit_, 28), draw(exit_, 29)
        elif kind < 0.22:  # offices of about 20
            office = draw(who, 7) % max(self.others * 4 // 2000, 1)
            address, subnet = draw(office, 30), draw(office, 31)
        else:
            address, subnet = draw(who, 32), draw(who, 33)
        style = chance(who, 8)
        if service or job:
            keys = (*self._frame(who, 34), *self._fresh(4))
        elif style < 0.10:
            keys = (*self._frame(draw(who, 9) % self.products, 35), *self._fresh(6))
        elif style < 0.14:
            keys = (*self._frame(draw(who, 10) % self.templates, 36), *self._fresh(4))
        else:
            keys = self._fresh(8)
        return Sighting(
            at=at, account=f"acct_o{who:025d}", organisation=organisation, payment=payment,
            created_at=self.created(who), address=address, subnet=subnet, model="apex-4",
            keys=keys, tokens=900,
        )  # fmt: skip
