"""All groups and campaigns of a world, in the order in which they are made."""

from __future__ import annotations

import sys

from tests.others import attacks, firms, gatherings, people
from tests.others.sources import Sources
from tests.others.world import ACCOUNTS, World


def made(
    seed: int,
    sources: Sources,
    accounts: int = ACCOUNTS,
    *,
    days: int | None = None,
    told: bool = False,
) -> World:
    """A world with everyone in it; `told`: how far it is, on stderr."""
    world = World(seed, sources, accounts, days=days)
    every = (*people.GROUPS, *gatherings.GROUPS, *firms.GROUPS, *attacks.CAMPAIGNS)
    for number, add in enumerate(every, 1):
        world.begin(f"{add.__module__}.{add.__name__}")
        add(world)
        if told:
            line = f"\rothers: {number} of {len(every)} groups, {world.summary()}"
            print(line, end="", file=sys.stderr, flush=True)
    return world
