"""The results as one picture: a bar for each peer, quartiles as a line, logarithmic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element, tostring

from gateway_guard.pages.markup import tag
from tests.peers import in_process, proxies
from tests.peers.figures import Figure, Results, Row
from tests.peers.table import number

_WIDE: Final = 960.0
_LEFT: Final = 310.0
_RIGHT: Final = 150.0
_BAR: Final = 14.0
_STEP: Final = 20.0
_HEAD: Final = 34.0
#: Readable on a page of either colour: a picture in a README does not see the page's.
_STYLE: Final = """
text { font: 12px system-ui, sans-serif; fill: #57606a; }
text.title { font-weight: 600; }
.ours { fill: #2f81f7; } .other { fill: #8c959f; }
.spread { stroke: #d29922; stroke-width: 2; } .grid { stroke: #8c959f; stroke-opacity: 0.3; }
@media (prefers-color-scheme: dark) { text { fill: #9ea7b3; } }
"""


def picture(results: Results) -> str:
    """The picture, an SVG document."""
    panels = (
        ("Added to a request in process, µs of processor time (all scales logarithmic)",
         results.in_process, in_process.ADDED),
        ("A request through a proxy, µs of processor time", results.proxies, proxies.REQUEST),
        ("One event of a stream, µs of processor time", results.proxies, proxies.EVENT),
        ("Memory with 1,000 open streams, MB", results.proxies, proxies.HELD),
    )  # fmt: skip
    parts: list[Element] = []
    y = 8.0
    for title, rows, what in panels:
        known = [(row, row.figures[what]) for row in rows if what in row.figures]
        if known:
            parts += _panel(y, title, known, what)
            y += _HEAD + _STEP * len(known) + 22
    svg = tag(
        "svg", tag("title", "The guard beside its peers"), tag("style", _STYLE), parts,
        xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {_WIDE:g} {y:g}", width=_WIDE,
        height=y, role="img",
    )  # fmt: skip
    return tostring(svg, encoding="unicode") + "\n"


def decades(least: float, most: float) -> list[float]:
    """Powers of ten from at most `least` to at least `most`, both above 0; at least two."""
    first, last = math.floor(math.log10(least)), math.ceil(math.log10(most))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]


def _panel(top: float, title: str, known: Sequence[tuple[Row, Figure]], what: str) -> list[Element]:
    # What is around an app can cost less than the noise: such a bar has no length.
    values = [max(figure.median, 0.1) for _, figure in known]
    ticks = decades(min(values), max(values))
    low, high = math.log10(ticks[0]), math.log10(ticks[-1])

    def x(value: float) -> float:
        share = (math.log10(max(value, ticks[0])) - low) / (high - low)
        return _LEFT + (_WIDE - _LEFT - _RIGHT) * min(share, 1.0)

    bottom = top + _HEAD + _STEP * len(known)
    parts = [tag("text", title, cls="title", x=_LEFT, y=top + 12)]
    for tick in ticks:
        parts.append(tag("line", cls="grid", x1=x(tick), y1=top + 22, x2=x(tick), y2=bottom))
        words = f"{tick:,.0f}" if tick >= 1 else f"{tick:g}"
        parts.append(tag("text", words, x=x(tick), y=bottom + 12, text_anchor="middle"))
    for place, (row, figure) in enumerate(known):
        y = top + _HEAD + _STEP * place - 6
        least, most = figure.quartiles
        cls = "ours" if row.name.startswith("gateway_guard") else "other"
        parts.append(tag("text", row.name, x=_LEFT - 8, y=y + 11, text_anchor="end"))
        parts.append(
            tag("rect", cls=cls, x=_LEFT, y=y, width=x(figure.median) - _LEFT, height=_BAR)
        )  # fmt: skip
        middle = y + _BAR / 2
        parts.append(tag("line", cls="spread", x1=x(least), y1=middle, x2=x(most), y2=middle))
        end = max(x(figure.median), x(most)) + 6
        note = row.notes.get(what, "").partition(":")[0]
        parts.append(tag("text", f"{number(figure.median)} {note}".strip(), x=end, y=y + 11))
    return parts
