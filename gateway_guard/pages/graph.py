"""Who shares what, drawn: members on a circle, what they share on rings inside it."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from xml.etree.ElementTree import Element

import msgspec

from gateway_guard.campaigns.report import Report
from gateway_guard.campaigns.roster import Member
from gateway_guard.campaigns.sharing import Tie
from gateway_guard.pages.markup import tag

#: Most members drawn, the surest; and most that are numbered.
MOST_MEMBERS: Final = 120
_NUMBERED: Final = 72
#: Lines from which each is drawn paler.
_MANY: Final = 300
#: Radius of the circle of members, and half the picture's width.
_CIRCLE: Final = 300.0
_HALF: Final = 340.0
#: Kind of tie → radius of its ring, and most values on it; the most shared ones.
RINGS: Final[dict[str, tuple[float, int]]] = {
    "payment": (226.0, 40),
    "addresses": (162.0, 30),
    "sign-up": (100.0, 16),
    "client": (54.0, 6),
    "content": (26.0, 4),
}


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything is drawn; the middle is 0.

    Attributes:
        members: account → its place.
        values: label of a tie → its place.
        left_out: members, and shared values, that are not drawn.
    """

    members: dict[str, complex]
    values: dict[str, complex]
    left_out: tuple[int, int]


def layout(report: Report) -> Layout:
    """Places for the surest members and what at least two of them share; always the same."""
    shown = report.members[:MOST_MEMBERS]
    accounts = {member.account for member in shown}
    ties: dict[str, list[Tie]] = {kind: [] for kind in RINGS}
    left_out = 0
    for tie in report.ties:
        ring = ties.get(tie.kind)
        sharing = sum(account in accounts for account in tie.members)
        if ring is None or sharing < 2 or len(ring) >= RINGS[tie.kind][1]:
            left_out += 1
        else:
            ring.append(tie)
    order = sorted(shown, key=lambda member: _first(member, ties))
    # From the top, clockwise.
    angles = {m.account: math.tau * (i / len(order) - 0.25) for i, m in enumerate(order)}
    values: dict[str, complex] = {}
    for kind, ring in ties.items():
        values.update(_ring(ring, angles, RINGS[kind][0]))
    return Layout(
        members={account: cmath.rect(_CIRCLE, angle) for account, angle in angles.items()},
        values=values,
        left_out=(report.size - len(shown), left_out),
    )


def _first(member: Member, ties: Mapping[str, Sequence[Tie]]) -> tuple[int | str, ...]:
    """Puts members that share something beside each other: payment, then sign-up, then places."""
    mine = set(member.ties)
    places = [
        next((i for i, tie in enumerate(ties[kind]) if tie.label in mine), len(ties[kind]))
        for kind in ("payment", "sign-up", "addresses")
    ]
    return (*places, member.account)


def _ring(ring: Sequence[Tie], angles: Mapping[str, float], radius: float) -> dict[str, complex]:
    """Evenly around, in the order and as near as can be to the members that share each."""
    if len(ring) == 1:
        # What all share stands in the middle, and only that: the innermost ring has room for it.
        inmost = ring[0].kind == "content"
        where = cmath.phase(_pull(ring[0], angles))
        return {ring[0].label: 0j if inmost else cmath.rect(radius, where)}
    wanted = [(cmath.phase(_pull(tie, angles)), i) for i, tie in enumerate(ring)]
    wanted.sort()
    steps = [math.tau * i / len(wanted) for i in range(len(wanted))]
    drift = sum(cmath.rect(1.0, w - s) for (w, _), s in zip(wanted, steps, strict=True))
    turn = cmath.phase(drift) if abs(drift) > 1e-9 else 0.0
    return {
        ring[i].label: cmath.rect(radius, step + turn)
        for (_, i), step in zip(wanted, steps, strict=True)
    }


def _pull(tie: Tie, angles: Mapping[str, float]) -> complex:
    """The mean direction of those that share `tie`; the shorter, the more they are spread."""
    mine = [cmath.rect(1.0, angles[account]) for account in tie.members if account in angles]
    mean = sum(mine) / len(mine)
    # Rounded, so that what is evenly spread has a direction that does not depend on the machine.
    return complex(round(mean.real, 6), round(mean.imag, 6))


def graph(report: Report, row: Callable[[int], str]) -> Element:
    """The picture; `row` gives the address of a member's row, by its number. Those links are for
    pointing: by keys the table beside it is quicker than a hundred of them.
    """
    places = layout(report)
    number = {member.account: i for i, member in enumerate(report.members, 1)}
    by_account = {member.account: member for member in report.members}
    lines, marks, dots = [], [], []
    for tie in report.ties:
        at = places.values.get(tie.label)
        if at is None:
            continue
        for account in tie.members:
            there = places.members.get(account)
            if there is not None:
                lines.append(
                    tag("line", cls=tie.kind, x1=there.real, y1=there.imag, x2=at.real, y2=at.imag)
                )
        title = f"{tie.label}: {tie.kind}, shared by {tie.size} members"
        if tie.outside:
            title += f" and at least {tie.outside} other accounts"
        marks.append(
            tag(
                "g",
                tag("title", title),
                shape(tie.kind, at),
                tag("text", tie.label, cls="halo", x=at.real, y=at.imag - 11, text_anchor="middle"),
            )
        )
    most = max((member.exchanges for member in report.members), default=1) or 1
    for account, at in places.members.items():
        member, i = by_account[account], number[account]
        radius = 3.5 + 4.0 * math.sqrt(member.exchanges / most)
        label = None
        if len(places.members) <= _NUMBERED:
            out = at * (1.0 + 20.0 / _CIRCLE)
            label = tag(
                "text", i, cls="soft", x=out.real, y=out.imag + 4, text_anchor="middle"
            )  # fmt: skip
        title = f"{i}: {account}, {member.exchanges:,} exchanges, {' '.join(member.ties)}"
        dots.append(
            tag(
                "a",
                tag("title", title),
                tag("circle", cls="member", cx=at.real, cy=at.imag, r=radius),
                label,
                href=row(i),
                tabindex=-1,
            )
        )
    return tag(
        "svg",
        tag("title", f"What {len(places.members)} members share with each other"),
        tag("g", lines, cls="lines many" if len(lines) > _MANY else "lines"),
        marks,
        dots,
        viewBox=f"{-_HALF:g} {-_HALF:g} {2 * _HALF:g} {2 * _HALF:g}",
        width=2 * _HALF,
        height=2 * _HALF,
        role="group",
    )


def shape(kind: str, at: complex) -> Element:
    """The mark of a kind of tie around `at`: told apart by shape, not by colour alone."""
    x, y = at.real, at.imag
    if kind == "payment":
        return tag("path", cls=kind, d=f"M{x:.1f} {y - 8:.1f}l8 8-8 8-8-8z")
    if kind == "addresses":
        return tag("rect", cls=kind, x=x - 6, y=y - 6, width=12, height=12)
    if kind == "sign-up":
        return tag("path", cls=kind, d=f"M{x:.1f} {y - 8:.1f}l8 14h-16z")
    if kind == "client":
        return tag("path", cls=kind, d=f"M{x:.1f} {y + 8:.1f}l-8-14h16z")
    return tag("circle", cls=kind, cx=x, cy=y, r=6.5)
