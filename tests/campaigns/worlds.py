"""Made-up worlds that hold the campaign linker to its word: `python -m tests.campaigns.worlds`.

A world is a group or two of `benign` or `attacks` among an ordinary population, mixed into one
stream in time order. An account counts as held when it was at the time of one of its exchanges, or
is at the end: that is who would have been refused. Worlds are made before and apart from the
linker; one that gets somebody accused is a finding, not a mistake of the world.
"""

from __future__ import annotations

import argparse
import functools
import heapq
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.sighting import Sighting
from tests.campaigns.attacks import ATTACKS
from tests.campaigns.benign import BENIGN, Maker
from tests.campaigns.making import Making, ordinary
from tests.campaigns.nature import DAY, START, Group, Internet, Span, sightings

WORLDS: Final[dict[str, tuple[Maker, int]]] = {**BENIGN, **ATTACKS}
DAYS: Final = 4
#: Accounts of uneven and of even pace that the guard saw before the world began, as many among
#: whom a fifth are even as in recorded traffic. In so few days the steady ones are known first:
#: left to themselves these worlds would make an even pace look common, and nobody suspicious.
SEEN: Final = (800, 200)


@dataclass(slots=True)
class World:
    """Groups among ordinary accounts, and how to play them."""

    name: str
    seed: int
    population: int
    days: float
    groups: list[Group]

    def stream(self) -> Iterator[tuple[Sighting, Group]]:
        """Every exchange with the group it comes from, in time order; the same each time."""
        streams: list[Iterable[tuple[Sighting, Group]]] = [
            sightings(group, random.Random(f"stream/{self.seed}/{i}"))
            for i, group in enumerate(self.groups)
        ]
        streams.append(_ordinary(self.seed, self.population, self.days))
        return heapq.merge(*streams, key=lambda event: event[0].at)


@functools.lru_cache(maxsize=2)
def _ordinary(seed: int, population: int, days: float) -> list[tuple[Sighting, Group]]:
    """What everyday customers do; the same in every world of a seed."""
    rng = random.Random(f"ordinary/{seed}")
    span = Span(START, START + days * DAY)
    make = Making(net=Internet(seed, population), rng=rng, span=span, size=population)
    ordinary(make)
    return list(sightings(make.made[0], rng))


def world(
    names: str | Sequence[str], *, seed: int, population: int = 2000, size: int | None = None,
    scale: float = 1.0, days: float = DAYS,
) -> World:  # fmt: skip
    """The worlds of these names as one, among `population` ordinary accounts.

    `size` is that of each group (harvesters, customers, …), by default its own times `scale`. A
    group is the same whichever others are there.
    """
    chosen = [names] if isinstance(names, str) else list(names)
    net, span = Internet(seed, population), Span(START, START + days * DAY)
    groups: list[Group] = []
    for name in chosen:
        maker, usual = WORLDS[name]
        make = Making(
            net=net,
            rng=random.Random(f"{name}/{seed}"),
            span=span,
            size=size or max(int(usual * scale), 4),
        )
        maker(make)
        for group in make.made:
            if len(chosen) > 1:
                group.name = f"{name}/{group.name}"
        groups += make.made
    return World(" + ".join(chosen), seed, population, days, groups)


@dataclass(slots=True)
class Counts:
    """Who was there, and who was held.

    Attributes:
        accounts: group → its accounts that were seen at all.
        held: group → those held at an exchange of theirs, or at the end.
        exchanges, refused: group → its exchanges, and those while it was held.
    """

    accounts: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    exchanges: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Outcome(Counts):
    """What the linker made of a world.

    Attributes:
        attack: the groups that are campaigns.
        grounds: the verdict of every campaign that has a benign member, in words.
    """

    attack: set[str] = field(default_factory=set)
    grounds: list[str] = field(default_factory=list)

    def benign_held(self) -> int:
        """Benign accounts held, of all groups."""
        return sum(n for name, n in self.held.items() if name not in self.attack)

    def share(self, *, attack: bool, ordinary: bool = True) -> float:
        """Share of the attack (or benign) accounts that were held, in [0, 1]; 0 of none.

        `ordinary=False` leaves the ordinary population out.
        """
        names = [
            name
            for name in self.accounts
            if (name in self.attack) is attack and (ordinary or name != "ordinary")
        ]
        every = sum(self.accounts[name] for name in names)
        return sum(self.held[name] for name in names) / every if every else 0.0

    def harvested(self) -> float:
        """Share of the attack's exchanges before their account was held, in [0, 1]; 0 of none."""
        every = sum(self.exchanges[name] for name in self.attack)
        return 1.0 - sum(self.refused[name] for name in self.attack) / every if every else 0.0


def play(scene: World, linker: Linker | None = None) -> Outcome:
    """Show the linker every exchange of `scene`; its verdict is asked before each."""
    judge = linker or Linker()
    for even, count in enumerate(SEEN):
        judge.memory.paces[even] += count
    outcome = Outcome(attack={group.name for group in scene.groups if group.attack})
    home: dict[str, Group] = {}
    held: set[str] = set()
    grounds: dict[str, str] = {}
    facts, learn = judge.facts, judge.learn
    for seen, group in scene.stream():
        account = seen.account
        home[account] = group
        outcome.exchanges[group.name] += 1
        found = facts(account)
        learn(seen)
        if found is None:
            continue
        outcome.refused[group.name] += 1
        if account not in held:
            held.add(account)
            if not group.attack and found.id not in grounds:
                grounds[found.id] = _ground(judge, found.id, group)
    for account, group in home.items():
        outcome.accounts[group.name] += 1
        found = facts(account)
        if found is not None and account not in held:
            held.add(account)
            if not group.attack:
                grounds.setdefault(found.id, _ground(judge, found.id, group))
    for account in held:
        outcome.held[home[account].name] += 1
    outcome.grounds = list(grounds.values())
    return outcome


def _ground(judge: Linker, name: str, group: Group) -> str:
    held = judge.held[name]
    verdict = held.verdict
    weights = ", ".join(
        f"{weight.kind} {weight.tied}/{weight.looked} (chance {weight.chance:.2f}, "
        f"{weight.log_ratio:+.1f})"
        for weight in verdict.weights
    )
    return (
        f"{group.name} in {name}: {len(held.members)} held of {verdict.members} judged, "
        f"core {verdict.core}, total {verdict.total:.1f} of {verdict.needed:.1f}, "
        f"left {verdict.left:.1f} by {verdict.explanation!r}; {weights}"
    )


def _table(names: Sequence[str], seeds: range, population: int, scale: float) -> None:
    found: dict[str, list[Outcome]] = {name: [] for name in names}
    for seed in seeds:  # outermost: the ordinary population is made once a seed
        for name in names:
            scene = world(name, seed=seed, population=population, scale=scale)
            found[name].append(play(scene))
    print(f"\n{population} ordinary accounts, {len(seeds)} seeds, groups × {scale}\n")
    print("| world | attack held % | harvested % | benign held | of | worlds |")
    print("|---|---|---|---|---|---|")
    for name, outcomes in found.items():
        where: Counter[str] = sum((o.held for o in outcomes), Counter())
        of: Counter[str] = sum((o.accounts for o in outcomes), Counter())
        campaign = outcomes[0].attack
        attack, harvest = "–", "–"
        if campaign:
            shares = [100 * o.share(attack=True) for o in outcomes]
            attack = f"{sum(shares) / len(shares):.0f} ({min(shares):.0f}–{max(shares):.0f})"
            harvest = f"{100 * sum(o.harvested() for o in outcomes) / len(outcomes):.0f}"
        wrong = ", ".join(f"{k} {v}" for k, v in where.items() if k not in campaign)
        near = sum(v for k, v in of.items() if k not in campaign and k != "ordinary")
        hit = sum(o.benign_held() > 0 for o in outcomes)
        print(f"| {name} | {attack} | {harvest} | {wrong or 0} | {near} | {hit}/{len(seeds)} |")
    for name, outcomes in found.items():
        for seed, outcome in zip(seeds, outcomes, strict=True):
            for ground in outcome.grounds:
                print(f"{name}, seed {seed}: {ground}")


def _together(names: Sequence[str], seed: int, population: int, scale: float) -> None:
    outcome = play(world(names, seed=seed, population=population, scale=scale))
    print(f"\n{population} ordinary accounts and all worlds at once, seed {seed}\n")
    print("| group | held | of | refused % of its exchanges |\n|---|---|---|---|")
    for name, accounts in outcome.accounts.items():
        refused = 100 * outcome.refused[name] / max(outcome.exchanges[name], 1)
        mark = " (attack)" if name in outcome.attack else ""
        print(f"| {name}{mark} | {outcome.held[name]} | {accounts} | {refused:.0f} |")
    print("\n".join(outcome.grounds))


def main() -> None:
    """Print the table, then why each benign account was held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="worlds; all when none")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--population", type=int, nargs="+", default=[2000])
    parser.add_argument("--scale", type=float, default=1.0, help="size of the groups")
    parser.add_argument("--benign", action="store_true", help="only worlds without a campaign")
    parser.add_argument("--together", action="store_true", help="all chosen worlds as one")
    chosen = parser.parse_args()
    names = chosen.names or list(BENIGN if chosen.benign else WORLDS)
    seeds = range(chosen.first, chosen.first + chosen.seeds)
    for population in chosen.population:
        if chosen.together:
            for seed in seeds:
                _together(names, seed, population, chosen.scale)
            continue
        _table(names, seeds, population, chosen.scale)


if __name__ == "__main__":
    main()
