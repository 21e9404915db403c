"""The linker in made-up worlds: whom it accuses, whom it finds, and what it is known to get wrong.

`python -m tests.campaigns.worlds` prints the whole table; here are one seed, a small population and
smaller groups.
"""

from __future__ import annotations

import functools
import itertools
from typing import Final

import pytest

from tests.campaigns.attacks import ATTACKS
from tests.campaigns.benign import BENIGN
from tests.campaigns.worlds import WORLDS, Outcome, play, world

#: Ordinary accounts, and the size of campaigns, and of some other groups, over their usual one: for
#: the sake of time.
POPULATION: Final = 300
SCALE: Final = 0.3
SMALLER: Final = {
    "launch": 0.5,
    "launch, none resold": 0.5,
    "launch, half services": 0.7,
    "release day": 0.5,
    "reseller-large": 0.5,
}

#: Worlds whose honest groups are accused today, and the share of them held at most; everywhere else
#: it is none. Every entry is a defect to be mended in the linker, not in the world; lower an entry
#: that has become better, and take it out at 0.
KNOWN: Final = {
    # Attackers join the victims' own exit or half hour of sign-up, and use their template: nothing
    # tells them apart. All of the victims are held, or all but one.
    "poison: joins VPN": 1.0,
    "poison: joins sign-up": 1.0,
    "poison: joins both": 1.0,
    # The same of a whole class whose prompt, school and card they share.
    "poison: joins class": 1.0,
}

#: Share of a campaign's accounts held at least: what is measured less a tenth or so. Campaigns that
#: are not here are not won; those that are partly found (a half, a fifth) are there, too.
FOUND: Final = {
    "hydra q=0.75": 0.9,
    "hydra q=1": 0.9,
    "hydra one payment": 0.9,
    "hydra no burst": 0.85,
    "hydra exact addresses": 0.9,
    "cover traffic q=0.5": 0.3,
    "ban and replace": 0.9,
    "system role only": 0.85,
    "under a product's prompt": 0.75,
    "copied victims": 0.65,
    "poison: joins VPN": 0.9,
    "poison: joins sign-up": 0.9,
    "poison: joins both": 0.9,
    "poison: joins class": 0.9,
    "poison: popular template": 0.9,
}
BYSTANDERS: Final = [
    "under a product's prompt",
    "through a reseller",
    "copied victims",
    *(name for name in ATTACKS if name.startswith("poison")),
]
PLAYED: Final = sorted({*BENIGN, *FOUND, *BYSTANDERS})


@functools.cache
def outcome(name: str) -> Outcome:
    scale = SCALE if name in ATTACKS else SMALLER.get(name, 1.0)
    return play(world(name, seed=0, population=POPULATION, scale=scale))


@pytest.mark.untraced
@pytest.mark.parametrize("name", PLAYED)
def test_nobody_is_held_who_is_no_part_of_a_campaign(name: str) -> None:
    found = outcome(name)

    assert found.held["ordinary"] == 0, found.grounds
    assert found.share(attack=False, ordinary=False) <= KNOWN.get(name, 0.0), found.grounds


@pytest.mark.untraced
@pytest.mark.parametrize("name", KNOWN)
def test_what_is_known_to_go_wrong_still_does(name: str) -> None:
    assert outcome(name).share(attack=False, ordinary=False) > 0.0, "mended: take it out of KNOWN"


@pytest.mark.untraced
@pytest.mark.parametrize("name", FOUND)
def test_a_campaign_is_found(name: str) -> None:
    found = outcome(name)

    assert found.share(attack=True) >= FOUND[name]


@pytest.mark.untraced
@pytest.mark.parametrize("name", WORLDS)
def test_a_world_is_the_same_twice_and_in_time_order(name: str) -> None:
    scene = [world(name, seed=3, population=30, size=12, days=2) for _ in range(2)]

    first, second = ([seen for seen, _ in one.stream()] for one in scene)

    assert first == second
    assert all(a.at <= b.at for a, b in itertools.pairwise(first))
    assert all(seen.created_at is not None and seen.created_at <= seen.at for seen in first)


def test_worlds_mix_without_changing_each_other() -> None:
    both = world(["families", "hydra q=1"], seed=2, population=50, size=10)

    alone = world("hydra q=1", seed=2, population=50, size=10)

    mixed = [group for group in both.groups if group.attack]
    assert [g.name for g in mixed] == ["hydra q=1/campaign"]
    assert [a.times for a in mixed[0].accounts] == [a.times for a in alone.groups[0].accounts]
