"""A small campaign nobody could miss, among bystanders, under accounts as the logs name them.

For tests of what is done with one (commands, snapshots, the guard), one sighting at a time or all;
tests of how campaigns are found use `build`, of what is said of them `reported`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway_guard.campaigns.linker import Linker
from gateway_guard.campaigns.sighting import Sighting
from tests import build
from tests.campaigns.build import learnt

HOUR: Final = 3600.0
#: Accounts of the campaign and bystanders; the members' names sort first.
MEMBERS: Final = 24
BYSTANDERS: Final = 120
EXCHANGES: Final = 12

#: A policy by which none of its members passes.
REFUSES: Final = """
version: 1
mode: enforce
rules:
  - name: campaign-members
    when: { campaign: { min: 0.9 } }
    then: deny
"""

_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_KEYS: Final = tuple(0xC0FFEE0000000000 + n for n in range(6))


def account(kind: str, number: int) -> str:
    """A digest as accounts have it: `acct_`, the kind and the number."""
    return f"acct_{kind}" + "".join(_ALPHABET[number >> shift & 31] for shift in range(70, -1, -5))


def member(number: int, turn: int = 0, *, at: float | None = None) -> Sighting:
    """Exchange `turn` of member `number`: one of three cards, two of eight ranges, one template."""
    subnet = 0xABC0000000000000 + (number + turn) % 8
    return Sighting(
        at=build.NOW + turn * HOUR + number if at is None else at,
        account=account("a", number), organisation=f"org-a{number}", payment=f"card-{number % 3}",
        created_at=build.NOW - 5 * HOUR + 20.0 * number, verified=False,
        address=subnet ^ number << 40, subnet=subnet, country="BR" if number % 4 else "US",
        asn=64500 + number % 2, declared="US", model="apex-4", keys=_KEYS, chars=900, tokens=1200,
    )  # fmt: skip


def bystander(number: int, turn: int = 0) -> Sighting:
    """Exchange `turn` of a customer who shares nothing with anybody."""
    subnet = 0x1230000000000000 + number
    return Sighting(
        at=build.NOW + turn * HOUR + 600.0 + number,
        account=account("b", number), organisation=f"org-b{number}", payment=f"own-{number}",
        created_at=build.NOW - (9 + number) * 86400.0, verified=True,
        address=subnet ^ 1 << 40, subnet=subnet, country="NO", asn=64600 + number % 9,
        declared="NO", model="apex-4", keys=tuple(number << 32 | turn << 8 | k for k in range(4)),
        chars=300, tokens=400,
    )  # fmt: skip


def stream(*, members: int = MEMBERS, exchanges: int = EXCHANGES) -> Iterator[Sighting]:
    """Everything, in time order."""
    for turn in range(exchanges):
        yield from (member(number, turn) for number in range(members))
        yield from (bystander(number, turn) for number in range(BYSTANDERS))


def caught(*, members: int = MEMBERS) -> Linker:
    """A linker that has seen it all and holds the campaign.

    Raises:
        AssertionError: it does not: then nothing that follows would be tested.
    """
    linker = learnt(stream(members=members))
    assert len(linker.held) == 1
    (held,) = linker.held.values()
    assert len(held.members) == members
    return linker
