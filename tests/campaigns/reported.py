"""A campaign as uneven as real ones, with something secret in every field: what reports are about.

What is the same for all members of `ring`, and of the campaigns of `build`, differs here: sign-ups,
cards, networks, clients, and what is not known at all.
"""

from __future__ import annotations

import functools
import random
from typing import Final

from gateway_guard.campaigns.sighting import Sighting
from tests.campaigns.nature import DAY, HOUR, START

#: What must not be found in any report.
SECRET: Final = "secret"
DAYS: Final = 6

_SIZE: Final = 23
_STRANGERS: Final = 120


@functools.cache
def stream() -> tuple[Sighting, ...]:
    """A campaign of 23 accounts among 120 strangers, in time order; the same each time.

    Its accounts pay with four cards, come from six address ranges, signed up in two bursts, use
    one template (three keys of 700–900 characters) and are evenly paced. The first four are of two
    organisations, the first nine show the same client; nothing is known of the sign-up of the last
    two and of the payment of the last.
    """
    rng = random.Random(7)
    pool = [rng.getrandbits(64) for _ in range(6)]
    networks = [(64501, "VN"), (64502, "VN"), (64503, "SG")]
    frame = tuple(rng.getrandbits(64) for _ in range(3))
    seen: list[Sighting] = []
    for i in range(_SIZE):
        joined = START + (i % 3) * 0.4 * DAY
        created = START - (2 if i % 2 else 9) * DAY + rng.uniform(0, 0.3 * HOUR)
        mine = rng.sample(range(6), 3)
        at = joined + rng.expovariate(1 / HOUR)
        while at < START + DAYS * DAY:
            place = mine[int(at // (6 * HOUR)) % 3]
            asn, country = networks[place // 2]
            seen.append(
                Sighting(
                    at=at, account=f"a_{0xC0FFEE * (i + 1) % 2**48:012x}",
                    organisation=f"{SECRET}-organisation-{i // 2 if i < 4 else i}",
                    payment=f"{SECRET}-card-{i % 4}" if i < _SIZE - 1 else None,
                    created_at=created if i < _SIZE - 2 else None,
                    address=pool[place] ^ i, subnet=pool[place], asn=asn, country=country,
                    flags=frozenset({"hosting"}), declared="US",
                    client=77 if i < 9 else 0, model="m-1",
                    keys=(*frame, rng.getrandbits(64)), chars=rng.randint(700, 900),
                    tokens=rng.randint(400, 1600), refused=at > START + 4.5 * DAY,
                )
            )  # fmt: skip
            at += rng.expovariate(1 / HOUR)
    for i in range(_STRANGERS):
        subnet, where = rng.getrandbits(64), rng.choice((("US", 64601), ("DE", 64602)))
        created = START - rng.uniform(30, 300) * DAY
        for at in _sessions(rng):
            seen.append(
                Sighting(
                    at=at, account=f"a_stranger{i:04d}", organisation=f"o_{i}",
                    payment=f"p_{i}", created_at=created, address=subnet ^ 1, subnet=subnet,
                    country=where[0], asn=where[1], declared=where[0], model="m-1",
                    keys=(rng.getrandbits(64),), chars=rng.randint(20, 3000), tokens=800,
                )
            )  # fmt: skip
    return tuple(sorted(seen, key=lambda one: (one.at, one.account)))


def _sessions(rng: random.Random) -> list[float]:
    times = []
    for day in range(DAYS):
        for _ in range(rng.randint(0, 2)):
            at = START + (day + rng.uniform(0.3, 0.8)) * DAY
            times += [at + rng.uniform(0, 0.5 * HOUR) for _ in range(rng.randint(2, 9))]
    return times
