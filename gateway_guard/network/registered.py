"""Two opinions on the country of an address: where it is used, and where its AS is registered.

The first is far better where it says anything (right for 99.0 % of the IPv4 addresses that are
announced, the second for 91.2 %, against GeoLite2 of 2026-09 where IP2Location agrees with it). It
says nothing of 1.2 % of the IPv6 networks announced, of which the second is right about 91 %. And
where it only repeats the seat of a registry, it speaks of an office and not of a user: see `SEATS`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway_guard.network.ranges import V4_END, apart, flatten

#: Where AFRINIC has its office; what its database says of blocks whose holder it does not place.
#: Of the 3.5 million IPv4 addresses announced that are said to be there by an AS registered
#: elsewhere, 15 % are by GeoLite2 of 2026-09 and 2 % by IP2Location, and 71 and 81 % where the AS
#: is registered. Measured, too, and left alone: Seychelles (42 against 38 %: no better), and the
#: same of IPv6 (79 % are in Mauritius).
SEATS: Final = frozenset(("MU",))

Countries = Iterable[tuple[int, int, str]]


def settled(used: Countries, registered: Countries) -> list[tuple[int, int, str]]:
    """Country ranges, in order and disjoint, of what both opinions come to."""
    found: list[tuple[int, int, str]] = []
    for first, last, (place, register) in flatten([apart(used), apart(registered)]):
        seat = place in SEATS and last < V4_END
        code = register if register is not None and (place is None or seat) else place
        if not isinstance(code, str):
            continue
        if found and found[-1][1] + 1 == first and found[-1][2] == code:
            first = found.pop()[0]  # noqa: PLW2901 - the same country goes on
        found.append((first, last, code))
    return found
