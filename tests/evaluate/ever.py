"""Whom a guard refused anything, at any time.

The scorer tells of the end: an account of which half of the last ten exchanges were refused. Who
was held for two days and let go is none of those, and was still wronged.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Final

import msgspec

#: Actions after which the client has no answer. Source: FORMAT, Guard output.
REFUSED: Final = frozenset(("challenge", "throttle", "deny"))


class _Exchange(msgspec.Struct, frozen=True, gc=False):
    id: str
    account: str


class _Decided(msgspec.Struct, frozen=True, gc=False):
    id: str
    action: str


def ever_refused(traffic: Path, decisions: Path) -> frozenset[str]:
    """The accounts of which at least one exchange was refused, whatever for."""
    decided = msgspec.json.Decoder(_Decided)
    with decisions.open("rb") as lines:
        refused = {one.id for one in map(decided.decode, lines) if one.action in REFUSED}
    exchange = msgspec.json.Decoder(_Exchange)
    with gzip.open(traffic) as lines:
        return frozenset(one.account for one in map(exchange.decode, lines) if one.id in refused)
