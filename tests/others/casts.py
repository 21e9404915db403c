"""Which groups and campaigns are in a world, in the order in which they are made."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Final

from tests.others import (
    attacks,
    disguised,
    firms,
    gatherings,
    lookalike_classes,
    lookalike_customers,
    lookalike_firms,
    lookalike_products,
    people,
)
from tests.others.sources import Sources
from tests.others.world import ACCOUNTS, World

#: Whatever adds the accounts of one group or campaign to a world.
Group = Callable[[World], None]

#: The cast of a world when none is named.
EVERYONE: Final = "everyone"
CASTS: Final[Mapping[str, tuple[Group, ...]]] = {
    EVERYONE: (*people.GROUPS, *gatherings.GROUPS, *firms.GROUPS, *attacks.CAMPAIGNS),
    # Without people of no group at all everything in it would be common.
    "lookalikes": (
        people.human,
        people.cgnat,
        people.vpn,
        people.batch,
        *lookalike_classes.GROUPS,
        *lookalike_customers.GROUPS,
        *lookalike_firms.GROUPS,
        *lookalike_products.GROUPS,
        *disguised.CAMPAIGNS,
    ),
}


def made(
    seed: int,
    sources: Sources,
    accounts: int = ACCOUNTS,
    *,
    cast: str = EVERYONE,
    days: int | None = None,
    told: bool = False,
) -> World:
    """A world with all of a cast in it; `told`: how far it is, on stderr."""
    world = World(seed, sources, accounts, days=days)
    for number, add in enumerate(CASTS[cast], 1):
        world.begin(f"{add.__module__}.{add.__name__}")
        add(world)
        if told:
            line = f"\rothers: {number} of {len(CASTS[cast])} groups, {world.summary()}"
            print(line, end="", file=sys.stderr, flush=True)
    return world
