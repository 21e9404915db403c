"""Plots of a campaign report, as SVG: time, hours of the day, shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element

import msgspec

from gateway_guard.campaigns.report import Hour, Report
from gateway_guard.pages.markup import tag
from gateway_guard.pages.words import day, moment

_WIDE: Final = 960.0
_LEFT: Final = 52.0
_RIGHT: Final = 12.0
#: Top and height of the panel of active members, and of that of exchanges.
_ACTIVE: Final = (48.0, 74.0)
_DONE: Final = (166.0, 130.0)
_HIGH: Final = 322.0
#: Most bars of a timeline, and what one may stand for, hours.
_BARS: Final = 240
_STEPS: Final = (1, 2, 3, 6, 12, 24, 48)
_HOUR: Final = 3600
_DAY: Final = 86400


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One or more hours as one bar.

    Attributes:
        at: start, Unix seconds.
        active: most members active in one of its hours.
        exchanges, refused, tokens: their sums; None when nothing was counted yet.
    """

    at: int
    active: int
    exchanges: int | None
    refused: int | None
    tokens: int | None


def bars(hours: Sequence[Hour]) -> tuple[int, tuple[Bar, ...]]:
    """The timeline in at most 240 bars or so, and the hours that each stands for."""
    if not hours:
        return 1, ()
    span = (hours[-1].at - hours[0].at) // _HOUR + 1
    step = next((step for step in _STEPS if span <= _BARS * step), _STEPS[-1])
    found: dict[int, list[Hour]] = {}
    for hour in hours:
        found.setdefault(hour.at // (_HOUR * step), []).append(hour)

    def total(numbers: Sequence[int | None]) -> int | None:
        known = [number for number in numbers if number is not None]
        return sum(known) if known else None

    return step, tuple(
        Bar(
            at=number * step * _HOUR,
            active=max(hour.active for hour in them),
            exchanges=total([hour.exchanges for hour in them]),
            refused=total([hour.refused for hour in them]),
            tokens=total([hour.tokens for hour in them]),
        )
        for number, them in found.items()
    )


def scale(top: float) -> list[int]:
    """Round numbers from 0 to at least `top`, four or so."""
    rough = max(top, 1.0) / 3
    power = 10.0 ** math.floor(math.log10(rough))
    step = max(next(int(f * power) for f in (1, 2, 5, 10) if f * power >= rough), 1)
    return [step * i for i in range(math.ceil(max(top, 1.0) / step) + 1)]


class _Time(msgspec.Struct, frozen=True):
    """The time axis: Unix seconds of both ends."""

    start: float
    end: float

    def x(self, at: float) -> float:
        return _LEFT + (_WIDE - _LEFT - _RIGHT) * (at - self.start) / (self.end - self.start)


def timeline(report: Report) -> Element | None:
    """Members active, and exchanges, over time, with the alarm; None when no hour is known."""
    step, every = bars(report.hours)
    if not every:
        return None
    wide = step * _HOUR
    time = _Time(
        min(every[0].at, report.alarm_at), max(every[-1].at + wide, report.alarm_at + wide)
    )
    bar = max(time.x(time.start + wide) - _LEFT - 0.6, 0.6)
    active, done = scale(max(one.active for one in every)), scale(max(map(_exchanges, every)))
    parts = _before(time.x(report.alarm_at))
    each = "an hour" if step == 1 else f"{step} hours"
    most = "" if step == 1 else f" (the most in one of {each})"
    parts += _rows(_ACTIVE, active, f"Members active in an hour{most}")
    parts += _rows(_DONE, done, f"Exchanges in {each}: answered, and on top refused")
    for one in every:
        x, refused = time.x(one.at), one.refused or 0
        answered = _exchanges(one) - refused
        parts += _column(_ACTIVE, active[-1], x, bar, "bar", one.active)
        parts += _column(_DONE, done[-1], x, bar, "bar", answered)
        parts += _column(_DONE, done[-1], x, bar, "refused", refused, under=answered)
    parts += _days(time)
    parts += _alarm(time.x(report.alarm_at), report.alarm_at)
    return tag(
        "svg",
        tag("title", f"Timeline with the alarm on {moment(report.alarm_at)} UTC"),
        parts,
        viewBox=f"0 0 {_WIDE:g} {_HIGH:g}", width=_WIDE, height=_HIGH, role="img",
    )  # fmt: skip


def _exchanges(bar: Bar) -> int:
    return bar.exchanges or 0


def _before(alarm: float) -> list[Element]:
    """The time in which nothing was counted."""
    (top, high), wide = _DONE, alarm - _LEFT
    if wide <= 1:
        return []
    parts = [tag("rect", cls="unknown", x=_LEFT, y=top, width=wide, height=high)]
    if wide > 190:
        x, y = _LEFT + wide / 2, top + high / 2
        words = "not counted before the alarm"
        parts.append(tag("text", words, cls="soft", x=x, y=y, text_anchor="middle"))
    return parts


def _alarm(x: float, at: float) -> list[Element]:
    left = x > 0.7 * _WIDE
    return [
        *(
            tag("line", cls="alarm", x1=x, y1=y, x2=x, y2=y + high)
            for y, high in ((2.0, 18.0), _ACTIVE, _DONE)
        ),
        tag(
            "text", f"alarm {moment(at)}", cls="alarm", x=x - 6 if left else x + 6, y=12,
            text_anchor="end" if left else "start",
        ),
    ]  # fmt: skip


def _column(
    panel: tuple[float, float], top: int, x: float, wide: float, cls: str, count: int,
    under: int = 0,
) -> list[Element]:  # fmt: skip
    if not count:
        return []
    y, high = panel
    tall = high * count / top
    return [
        tag("rect", cls=cls, x=x, y=y + high * (1 - under / top) - tall, width=wide, height=tall)
    ]


def _rows(panel: tuple[float, float], ticks: Sequence[int], title: str) -> list[Element]:
    top, high = panel
    parts = [tag("text", title, cls="soft", x=_LEFT, y=top - 11)]
    for tick in ticks:
        y = top + high * (1 - tick / ticks[-1])
        cls = "grid" if tick else "axis"
        parts.append(tag("line", cls=cls, x1=_LEFT, y1=y, x2=_WIDE - _RIGHT, y2=y))
        words = f"{tick:,}"
        parts.append(tag("text", words, cls="soft", x=_LEFT - 8, y=y + 4, text_anchor="end"))
    return parts


def _days(time: _Time) -> list[Element]:
    """Midnights below the timeline, at most a dozen."""
    first, last = math.ceil(time.start / _DAY), math.floor(time.end / _DAY)
    every = max(math.ceil((last - first + 1) / 12), 1)
    bottom = sum(_DONE)
    parts = []
    for number in range(first, last + 1, every):
        x = time.x(number * _DAY)
        parts.append(tag("line", cls="axis", x1=x, y1=bottom, x2=x, y2=bottom + 5))
        if x > _WIDE - 40:
            continue
        words = day(number * _DAY)
        parts.append(tag("text", words, cls="soft", x=x, y=bottom + 19, text_anchor="middle"))
    return parts


def clock(active: Sequence[int]) -> Element:
    """When in the day (UTC) the members are active: 24 bars."""
    wide, left, top, high = 640.0, 44.0, 10.0, 120.0
    ticks = scale(max(active))
    parts = []
    for tick in ticks:
        y = top + high * (1 - tick / ticks[-1])
        cls = "grid" if tick else "axis"
        parts.append(tag("line", cls=cls, x1=left, y1=y, x2=wide, y2=y))
        words = f"{tick:,}"
        parts.append(tag("text", words, cls="soft", x=left - 8, y=y + 4, text_anchor="end"))
    each = (wide - left) / 24
    for hour, count in enumerate(active):
        x = left + hour * each
        parts += _column((top, high), ticks[-1], x + 2, each - 4, "bar", count)
        if hour % 3 == 0:
            words, y = f"{hour:02}:00", top + high + 18
            parts.append(
                tag("text", words, cls="soft", x=x + each / 2, y=y, text_anchor="middle")
            )  # fmt: skip
    return tag(
        "svg",
        tag("title", "Hours of the day in which members are active"),
        parts,
        viewBox=f"0 0 {wide:g} 156", width=wide, height=156, role="img",
    )  # fmt: skip


def spark(active: Sequence[int]) -> Element:
    """The same for one member, to stand in a row of a table."""
    top = max(*active, 1)
    path = "".join(
        f"M{4 * hour} 16v{-16 * count / top:.1f}h3V16z"
        for hour, count in enumerate(active)
        if count
    )
    busiest = max(range(24), key=active.__getitem__)
    title = f"active in {sum(n > 0 for n in active)} of 24 hours, most often at {busiest:02}:00"
    return tag(
        "svg",
        tag("title", title),
        tag("path", cls="grid", d="M0 16.5H96", fill="none"),
        tag("path", cls="bar", d=path or "M0 0"),
        viewBox="0 0 96 17", width=96, height=17, role="img",
    )  # fmt: skip


def gauge(share: float, mark: float | None = None) -> Element:
    """A share in [0, 1] as a bar, and a second one as a mark on it."""
    wide = 120.0
    title = f"{share:.0%}" + ("" if mark is None else f", {mark:.0%} by chance")
    parts = [tag("rect", cls="track", x=0, y=4, width=wide, height=8)]
    parts.append(tag("rect", cls="bar", x=0, y=4, width=wide * min(share, 1.0), height=8))
    if mark is not None:
        x = min(max(wide * mark, 1.0), wide - 1.0)
        parts.append(tag("line", cls="mark", x1=x, y1=0, x2=x, y2=16))
    return tag(
        "svg", tag("title", title), parts,
        viewBox=f"0 0 {wide:g} 16", width=wide, height=16, role="img",
    )  # fmt: skip
