"""A map of the world on which every country is one square, so that small ones are seen as well.

Neighbours are near each other, roughly; areas mean nothing. Drawn for this page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final
from xml.etree.ElementTree import Element

from gateway_guard.pages.markup import tag
from gateway_guard.policy.countries import COUNTRIES
from gateway_guard.record.tally import Seen

_ROWS: Final = """
.. .. .. .. .. .. GL .. .. .. .. NO .. .. FI .. .. .. .. .. .. .. .. .. .. .. .. .. .. .. .. ..
CA .. .. .. .. .. .. IS .. .. NL DK SE .. .. LV EE .. .. .. .. .. RU .. .. .. .. .. .. .. .. ..
.. .. .. .. .. .. .. .. IE GB BE DE CZ PL SK LT BY .. .. .. .. .. .. .. .. .. .. .. .. .. .. ..
.. .. .. .. .. .. .. .. .. .. LU CH AT HR HU RO MD UA .. .. .. .. KZ .. .. MN .. .. .. .. .. ..
.. .. .. .. .. .. .. .. .. .. FR IT SI BA RS XK BG .. .. GE AZ .. UZ KG .. .. .. .. .. .. .. ..
.. US .. .. .. .. .. .. PT ES .. .. .. ME AL MK .. .. TR SY AM .. TM TJ .. CN .. KP JP .. .. ..
.. .. .. .. .. .. .. .. .. MA .. TN MT .. GR .. .. CY LB IQ KW IR AF .. .. .. .. .. KR .. .. ..
.. .. BS .. .. .. .. .. .. .. DZ .. .. LY .. .. EG IL PS JO BH QA PK NP BT .. .. TW .. .. .. ..
MX .. CU HT .. .. .. .. EH .. .. .. .. .. .. .. .. .. .. SA .. AE .. IN BD MM MO HK .. .. .. ..
GT BZ JM DO PR .. .. .. MR ML .. NE .. .. .. .. .. SD .. ER YE OM .. .. .. LA VN .. .. .. .. ..
.. SV HN .. BB .. CV GM SN BF .. .. .. TD .. .. .. .. .. DJ .. .. .. .. .. TH KH .. .. .. .. ..
.. NI CR .. TT .. .. GW GN GH BJ NG .. .. .. .. .. .. .. ET .. .. .. .. .. .. .. PH .. .. .. ..
.. .. PA CO VE GY SR SL LR CI TG .. CM .. CF .. .. SS .. .. SO .. .. LK .. .. BN .. .. .. .. ..
.. .. EC .. .. .. GF .. .. .. ST GQ GA CG .. .. RW UG KE .. .. .. .. MV .. SG MY ID .. .. .. ..
.. .. .. PE .. BR .. .. .. .. .. .. .. .. .. CD BI .. TZ .. .. SC .. .. .. .. .. TL PG SB .. ..
.. .. .. .. BO .. .. .. .. .. .. .. .. AO .. .. ZM MW MZ KM .. .. .. .. .. .. .. .. .. .. VU WS
.. .. .. .. .. PY .. .. .. .. .. .. .. NA .. BW ZW .. .. .. MG RE MU .. .. .. .. .. .. NC FJ TO
.. .. .. CL .. UY .. .. .. .. .. .. .. .. .. ZA LS SZ .. .. .. .. .. .. .. .. .. .. AU .. .. ..
.. .. .. .. AR .. .. .. .. .. .. .. .. .. .. .. .. .. .. .. .. .. .. .. .. .. .. .. .. .. NZ ..
"""
#: Country → column and row of its square.
PLACES: Final[Mapping[str, tuple[int, int]]] = {
    code: (x, y)
    for y, row in enumerate(_ROWS.strip().splitlines())
    for x, code in enumerate(row.split())
    if code != ".."
}
#: Shades, the palest for the fewest.
SHADES: Final = 5
_STEP: Final = 26
_SIDE: Final = 24


def shade(count: int, most: int) -> int:
    """0 for none, else 1 to 5: equal steps of the logarithm up to `most`."""
    if count <= 0 or most <= 0:
        return 0
    return 1 + min(int(SHADES * math.log1p(count) / math.log1p(most)), SHADES - 1)


def world(seen: Mapping[str, Seen]) -> Element:
    """The map, shaded by exchanges."""
    most = max((seen[code].all for code in PLACES if code in seen), default=0)
    squares = []
    for code, (x, y) in PLACES.items():
        one = seen.get(code, Seen())
        title = f"{COUNTRIES.get(code, code)}: {one.all:,}"
        if one.stopped:
            title += f", {one.stopped:,} stopped"
        squares.append(
            tag(
                "g",
                tag("title", title),
                tag("rect", cls=f"q{shade(one.all, most)}", x=x * _STEP, y=y * _STEP,
                    width=_SIDE, height=_SIDE, rx=3),
                tag("text", code, cls=f"t{shade(one.all, most)}", x=x * _STEP + _SIDE / 2,
                    y=y * _STEP + 16, text_anchor="middle"),
            )
        )  # fmt: skip
    wide = (max(x for x, _ in PLACES.values()) + 1) * _STEP
    high = (max(y for _, y in PLACES.values()) + 1) * _STEP
    return tag(
        "svg", tag("title", "Exchanges by country"), squares,
        viewBox=f"0 0 {wide} {high}", width=wide, height=high, role="img", cls="world",
    )  # fmt: skip
