"""Where requests come from: homes, carriers, offices' and clouds' addresses over time."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network
from typing import Final

from tests.others.sources import CLOUDS, Sources

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
#: Networks of mobile carriers among those with homes.
_CARRIERS: Final = ("55836", "36994", "4775", "45609", "4837", "9121")

#: The address an account has at a time, Unix seconds.
Place = Callable[[float], str]


def weekend(at: float) -> bool:
    """Whether it is Saturday or Sunday; day 0 of 1970 was a Thursday."""
    return int(at // DAY) % 7 in (2, 3)


def fixed(address: str) -> Place:
    """Always the same address."""
    return lambda at: address


class Places:
    """Addresses of one world.

    Attributes:
        carriers: pools of addresses that strangers on one mobile network share.
        exits: pools of addresses of one commercial VPN each.
    """

    def __init__(self, chance: random.Random, sources: Sources) -> None:
        self._chance, self._sources = chance, sources
        self._taken: set[str] = set()
        mobile = [asn for asn in _CARRIERS if asn in sources.homes]
        self._fixed_line = [asn for asn in sources.homes if asn not in _CARRIERS]
        #: Ranges of clouds and of access providers in which strangers meet by chance.
        self._clouds = {name: [self.network(name) for _ in range(12)] for name in CLOUDS}
        self._access = [self.network() for _ in range(260)]
        self.carriers: list[list[str]] = []
        for asn in (asn for asn in mobile[:5] for _ in range(2)):
            ranges = [self.network(asn=asn) for _ in range(chance.randint(3, 6))]
            self.carriers.append([self.within(each) for each in ranges for _ in range(6)])
        self.exits = [
            [self.within(self.network("vpn")) for _ in range(chance.randint(8, 20))]
            for _ in range(5)
        ]

    def network(self, kind: str | None = None, asn: str | None = None) -> str:
        """A /24 (its first three numbers) that nobody has yet: homes', or a hosting company's."""
        chance, sources = self._chance, self._sources
        while True:
            if kind is None:
                address = chance.choice(sources.homes[asn or chance.choice(self._fixed_line)])
            else:
                block = IPv4Network(chance.choice(sources.ranges[kind]))
                address = str(block[chance.randrange(block.num_addresses)])
            found = address.rpartition(".")[0]
            if found not in self._taken or chance.random() < 0.01:
                self._taken.add(found)
                return found

    def within(self, network: str) -> str:
        """An address of a /24."""
        return f"{network}.{self._chance.randint(2, 253)}"

    def address(self, kind: str | None = None) -> str:
        """An address in a range nobody else has."""
        return self.within(self.network(kind))

    def cloud(self) -> str:
        """A machine at a hosting company, in a range where strangers have theirs too."""
        return self.within(self._chance.choice(self._clouds[self._chance.choice(CLOUDS)]))

    def egress(self, ranges: int, each: int, kind: str | None = None) -> list[str]:
        """Addresses behind which many come: `each` of them in each of so many new ranges."""
        networks = [self.network(kind) for _ in range(ranges)]
        return [self.within(network) for network in networks for _ in range(each)]

    def house(self) -> str:
        """A subscriber's address; a third are in ranges with others of this world."""
        shared = self._chance.random() < 0.35
        return self.within(self._chance.choice(self._access) if shared else self.network())

    def home(self) -> Place:
        """At home; a quarter of people also use their mobile network."""
        house = self.house()
        if self._chance.random() >= 0.25:
            return fixed(house)
        mobile, first = self._chance.choice(self.carriers), self._chance.randrange(10**6)

        def place(at: float) -> str:
            if int(at // HOUR) % 3:
                return house
            return mobile[(first + int(at // (3 * HOUR)) * 7) % len(mobile)]

        return place

    def roaming(self, addresses: Sequence[str], every: float = 6 * HOUR) -> Place:
        """One of `addresses`, another after `every` seconds."""
        phase = self._chance.random()

        def place(at: float) -> str:
            # Multiples of the golden ratio visit all of them evenly.
            return addresses[int((phase + int(at // every) * 0.61803) % 1 * len(addresses))]

        return place

    def across(self, networks: Sequence[str], every: float = 6 * HOUR) -> Place:
        """An address of one's own in each of these ranges, one after the other."""
        return self.roaming([self.within(network) for network in networks], every)

    def mobile(self, pool: Sequence[str], count: int = 5, every: float = 3 * HOUR) -> Place:
        """Some addresses of a carrier or of a VPN, one after the other."""
        return self.roaming(self._chance.sample(pool, min(count, len(pool))), every)

    @staticmethod
    def commute(work: Place, home: Place, zone: float = 0.0) -> Place:
        """At work from 8 to 18 on weekdays, elsewhere `home`; `zone`: hours east of UTC."""

        def place(at: float) -> str:
            local = at + zone * HOUR
            busy = 8 <= local / HOUR % 24 < 18 and not weekend(local)
            return (work if busy else home)(at)

        return place
