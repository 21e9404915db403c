"""One builder per noun of the linker, and plain campaigns: a test names only what it is about."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any, Final

from gateway_guard.campaigns.evidence import Kind, Tied
from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.memory import Bounds, Memory
from gateway_guard.campaigns.sighting import Sighting
from gateway_guard.campaigns.traces import Trace
from tests import build as nouns

NOW: Final = nouns.NOW
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
#: So small that a few dozen of anything overflow.
TINY: Final = Bounds(accounts=40, keys=30, shared=20, values=20, most=4, web=30)


def sighting(account: str = "a_test", **fields: Any) -> Sighting:
    """One exchange at `NOW` by an account of which nothing is known."""
    defaults: dict[str, Any] = {"at": NOW, "account": account}
    return Sighting(**defaults | fields)


def trace(account: str = "a_test", **fields: Any) -> Trace:
    """An account first seen at `NOW`, an organisation of its own, of which nothing is known."""
    defaults: dict[str, Any] = {
        "account": account,
        "organisation": account,
        "payment": "",
        "created_at": 0.0,
        "first_at": NOW,
        "last_at": NOW,
    }
    return Trace(**defaults | fields)


def paced(one: Trace, *, even: bool) -> Trace:
    """The same trace after a day whose pace is known to be even, or to come in one session."""
    start = one.pace_start * HOUR
    hours = range(0, 26, 2) if even else [0] * 12 + [20]
    for hour in hours:
        one.paced(start + hour * HOUR)
    assert one.even() is even
    return one


def tied(
    *kinds: Kind, of: Iterable[Kind] = tuple(Kind), chance: float = 0.1, lasting: bool = True,
    paid: bool | None = None,
) -> Tied:  # fmt: skip
    """A member with ties of these kinds, out of the kinds that could be looked at."""
    looked = {*of, *kinds}
    return Tied(
        has={kind: kind in kinds for kind in looked},
        chance=dict.fromkeys(looked, chance),
        lasting={kind: lasting and kind in kinds for kind in looked},
        paid=paid,
    )


def campaign(
    name: str = "x", *, size: int = 24, exchanges: int = 12, at: float = NOW
) -> list[Sighting]:
    """A campaign nobody could miss, in time order.

    Each account is an organisation of its own; they pay with three cards, move over eight address
    ranges, signed up 20 s apart and fill one template.
    """
    base = random.Random(name).getrandbits(60) << 3
    return [
        sighting(
            f"a_{name}{i:03d}", at=at + turn * HOUR + i, organisation=f"o_{name}{i}",
            payment=f"p_{name}{i % 3}", created_at=at - 5 * HOUR + 20.0 * i,
            subnet=base + (i + turn) % 8, address=base + (i + turn) % 8 + (i << 40) & (1 << 63) - 1,
            model="m-1", keys=tuple(base + 100 + k for k in range(4)), chars=900, tokens=1200,
        )
        for turn in range(exchanges)
        for i in range(size)
    ]  # fmt: skip


def strangers(count: int = 120, *, exchanges: int = 4, at: float = NOW) -> list[Sighting]:
    """Customers who share nothing with anybody, in time order."""
    return [
        sighting(
            f"a_stranger{i:05d}", at=at + turn * 3 * HOUR + i, organisation=f"o_stranger{i}",
            payment=f"p_stranger{i}", created_at=at - (9 + i) * DAY, subnet=(1 << 62) + i,
            address=(1 << 62) + i, model="m-1", keys=((1 << 61) + i * 8 + turn,), chars=300,
            tokens=400,
        )
        for turn in range(exchanges)
        for i in range(count)
    ]  # fmt: skip


def mixed(*streams: Sequence[Sighting]) -> list[Sighting]:
    """Several streams as one, in time order."""
    return sorted((one for stream in streams for one in stream), key=lambda one: one.at)


def learnt(seen: Iterable[Sighting], linker: Linker | None = None) -> Linker:
    """A linker that has taken in `seen`."""
    linker = linker or Linker()
    for one in seen:
        linker.learn(one)
    return linker


def remembered(seen: Iterable[Sighting], bounds: Bounds | None = None) -> Memory:
    """A memory that has taken in `seen`."""
    memory = Memory(bounds or Bounds())
    for one in seen:
        memory.note(one)
    return memory


def parts(linker: Linker) -> set[frozenset[str]]:
    """The campaigns held, as sets of accounts: who is with whom, whatever they are called."""
    return {frozenset(one.members) for one in linker.campaigns()}
