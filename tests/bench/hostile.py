"""Streams made to keep the linker busy: webs of thousands of accounts that are looked at for ever.

Each is noise with a plain campaign in it, which must be found all the same: what the noise costs is
half of the question, what it hides the other half. Sightings in time order, made on the fly.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Final

from gateway_guard.campaigns.sighting import Sighting
from tests.bench.stream import DAY, START, draw

HOUR: Final = 3600.0
#: Exchanges an hour of every stream.
_HOURLY: Final = 2_000
#: Accounts of the campaign in the noise; every so many exchanges one is its, from this one on.
HIDDEN: Final = 40
_EVERY: Final = 25
_FROM: Final = 5_000
#: And ordinary customers, with nothing in common: without them whatever the noise has is usual.
_OTHERS: Final = 4_000

Noise = Callable[[int, float, random.Random], Sighting]


def _clock(turn: int) -> float:
    return START + turn * HOUR / _HOURLY


def clique(turn: int, at: float, rng: random.Random) -> Sighting:
    """3,000 accounts that share payments, ranges, sign-up minutes and templates in chunks that
    overlap, each exchange with another part of it."""
    n = rng.randrange(3_000)
    return Sighting(
        at=at, account=f"acct_n{n}", organisation=f"o_n{n}", payment=f"p_n{n // 40}",
        created_at=START - DAY + n // 60 * 60.0 + 7.0 + n % 50,
        address=draw(n * 8 + rng.randrange(8), 51), subnet=draw(n // 25 + rng.randrange(8), 52),
        model="apex-4", keys=tuple(draw(n // 20 + rng.randrange(12), 53) for _ in range(8)),
        tokens=500,
    )  # fmt: skip


def chained(turn: int, at: float, rng: random.Random) -> Sighting:
    """Webs of 40 to 400 accounts, each joined to the next by single values: they merge, and what
    was found in them falls apart."""
    web = rng.randrange(20)
    n = web * 400 + rng.randrange(40 + web * 19)
    bridge = rng.random() < 0.05
    pool = web + bridge
    return Sighting(
        at=at, account=f"acct_n{n}", organisation=f"o_n{n}",
        payment=f"p_n{web}_{n % 13}" if n % 3 else f"p_own{n}",
        created_at=START - (web + 2) * DAY + (n * 37 % 5_400) + 0.5,
        address=draw(n * 8 + rng.randrange(8), 54), subnet=draw(pool << 8 | rng.randrange(20), 55),
        model="apex-4", keys=tuple(draw(pool << 8 | rng.randrange(40), 56) for _ in range(6)),
        tokens=500,
    )  # fmt: skip


def newcomers(turn: int, at: float, rng: random.Random) -> Sighting:
    """One exchange of each account; what it shares with some, it does not with others."""
    n = turn
    return Sighting(
        at=at, account=f"acct_n{n}", organisation=f"o_n{n}",
        payment=f"p_n{n // 18}" if n % 3 == 0 else f"p_own{n}",
        created_at=at - 900.0 + n % 800 + 0.5, address=draw(n, 57), subnet=draw(n // 10, 58),
        model="apex-4", keys=tuple(draw(n // (7 + i) << 4 | i, 59) for i in range(8)), tokens=500,
    )  # fmt: skip


def giant(turn: int, at: float, rng: random.Random) -> Sighting:
    """5,000 accounts of one old web: each exchange of one ties it to some more."""
    n = turn if turn < 5_000 else rng.randrange(5_000)
    return Sighting(
        at=at, account=f"acct_n{n}", organisation=f"o_n{n}", payment=f"p_n{n // 2}",
        created_at=START - 30 * DAY + n * 11.3, address=draw(n << 32 | turn, 60),
        subnet=draw(rng.randrange(1_000), 61), model="apex-4",
        keys=tuple(draw(rng.randrange(800), 62) for _ in range(8)), tokens=500,
    )  # fmt: skip


NOISES: Final[dict[str, Noise]] = {
    "clique": clique, "chained": chained, "newcomers": newcomers, "giant": giant,
}  # fmt: skip


def _hidden(turn: int, at: float, rng: random.Random) -> Sighting:
    n = rng.randrange(HIDDEN)
    return Sighting(
        at=at, account=f"acct_h{n}", organisation=f"o_h{n}", payment=f"p_h{n // 8}",
        created_at=START - 2 * HOUR + n * 20.0 + 3.0, address=draw(n, 63),
        subnet=draw(rng.randrange(10), 64), model="apex-4",
        keys=tuple(draw(i, 65) for i in range(6)), tokens=1_500,
    )  # fmt: skip


def _other(turn: int, at: float, rng: random.Random) -> Sighting:
    n = rng.randrange(_OTHERS)
    return Sighting(
        at=at, account=f"acct_o{n}", organisation=f"o_o{n}", payment=f"p_o{n}",
        created_at=START - 400 * DAY + n * 8_641.0, address=draw(n, 66), subnet=draw(n, 67),
        model="apex-4", keys=tuple(rng.getrandbits(63) + 1 for _ in range(8)), tokens=900,
    )  # fmt: skip


def stream(noise: Noise, exchanges: int, *, seed: int = 1) -> Iterator[Sighting]:
    """`noise`, a fifth of it ordinary customers, and the campaign; the same for the same seed."""
    rng = random.Random(seed)
    for turn in range(exchanges):
        at = _clock(turn)
        if turn >= _FROM and turn % _EVERY == 0:
            yield _hidden(turn, at, rng)
        elif turn % 5 == 4:
            yield _other(turn, at, rng)
        else:
            yield noise(turn, at, rng)
