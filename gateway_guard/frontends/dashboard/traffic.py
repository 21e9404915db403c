"""Decisions over time, as stacked bars, and levels as meters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from xml.etree.ElementTree import Element

from gateway_guard.pages.markup import tag
from gateway_guard.pages.plots import scale
from gateway_guard.record.tally import Bar
from gateway_guard.types import Action

#: In rising severity, as `Bar.actions` has them.
WORDS: Final = tuple(action.word for action in Action)
_WIDE: Final = 960.0
_LEFT: Final = 48.0
_TOP: Final = 8.0
_HIGH: Final = 180.0


def traffic(bars: Sequence[Bar]) -> Element:
    """Decisions by action over the time of `bars`, which must be of one length, without gaps."""
    ticks = scale(max((sum(bar.actions) for bar in bars), default=0))
    parts = []
    for tick in ticks:
        y = _TOP + _HIGH * (1 - tick / ticks[-1])
        parts.append(
            tag("line", cls="grid" if tick else "axis", x1=_LEFT, y1=y, x2=_WIDE, y2=y)
        )  # fmt: skip
        parts.append(
            tag("text", f"{tick:,}", cls="soft", x=_LEFT - 8, y=y + 4, text_anchor="end")
        )  # fmt: skip
    each = (_WIDE - _LEFT) / max(len(bars), 1)
    for i, bar in enumerate(bars):
        x, under = _LEFT + i * each, 0
        for word, count in zip(WORDS, bar.actions, strict=True):
            if count:
                tall = _HIGH * count / ticks[-1]
                y = _TOP + _HIGH * (1 - under / ticks[-1]) - tall
                parts.append(
                    tag("rect", tag("title", f"{_clock(bar.at)} {word} {count:,}"),
                        cls=f"a-{word}", x=x + 0.4, y=y, width=max(each - 0.8, 0.6), height=tall)
                )  # fmt: skip
                under += count
        if i % max(len(bars) // 6, 1) == 0 and i < len(bars) - 2:
            words, y = _clock(bar.at), _TOP + _HIGH + 18
            parts.append(tag("text", words, cls="soft", x=x, y=y, text_anchor="start"))
    return tag(
        "svg", tag("title", "Decisions by action over time"), parts,
        viewBox=f"0 0 {_WIDE:g} 210", width=_WIDE, height=210, role="img", cls="plot",
    )  # fmt: skip


def legend(actions: Sequence[int]) -> Element:
    """What the colours mean, with how many there were of each."""
    items = [
        tag(
            "li",
            tag("svg", tag("rect", cls=f"a-{word}", width=12, height=12, rx=2), width=12, height=12,
                viewBox="0 0 12 12", aria_hidden="true"),
            f"{word} {count:,}",
        )
        for word, count in zip(WORDS, actions, strict=True)
    ]  # fmt: skip
    return tag("ul", items, cls="legend")


def meter(value: float, words: str, *, level: int) -> Element:
    """A share in [0, 1] as a bar; `level` is 1 (fine) to 3 (bad)."""
    wide = 64.0
    return tag(
        "svg",
        tag("title", words),
        tag("rect", cls="track", x=0, y=3, width=wide, height=8, rx=2),
        tag("rect", cls=f"risk{level}", x=0, y=3, width=max(wide * min(value, 1.0), 1.0), height=8,
            rx=2),
        viewBox=f"0 0 {wide:g} 14", width=wide, height=14, role="img",
    )  # fmt: skip


def risk_level(risk: float) -> int:
    """1 below 0.4, 3 from 0.7 on: where the recommended policy begins to restrict and to refuse,
    roughly; only a colour.
    """
    return 1 if risk < 0.4 else 2 if risk < 0.7 else 3


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M}"
