"""The tables of a campaign report."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final
from xml.etree.ElementTree import Element

from gateway_guard.campaigns.membership import PRIOR
from gateway_guard.campaigns.report import Member, Report
from gateway_guard.pages.markup import Child, tag
from gateway_guard.pages.plots import gauge, spark
from gateway_guard.pages.words import date, extent, many, moment, signed, sure

#: A space at which no line breaks.
_HOLD: Final = "\N{NO-BREAK SPACE}"
#: A hyphen at which no line breaks.
_HYPHEN: Final = "\N{NON-BREAKING HYPHEN}"


def networks(report: Report) -> Element:
    """Where members come from."""
    rows = [
        (
            tag("th", "unknown" if one.asn is None else f"AS{one.asn}", scope="row"),
            tag("td", one.country or "unknown"),
            number(one.members),
            tag("td", gauge(one.members / max(report.size, 1))),
            number(one.members / max(report.size, 1), "{:.0%}"),
            number(one.exchanges),
            number(one.elsewhere),
        )
        for one in report.networks
    ]
    heads = (
        "Network", "Country", "Members >", "Share of members", "Share >", "Exchanges >",
        "Declared another country >",
    )  # fmt: skip
    caption = "Where each member was last seen"
    rest = report.size - sum(one.members for one in report.networks)
    if rest > 0:
        caption += f"; smaller networks, with {many(rest, 'member')} together, are left out"
    return section("Networks", table(heads, rows, caption, sortable=True))


def templates(report: Report) -> Element:
    """What members have in common in what they ask."""
    if not report.templates:
        return section("Templates", tag("p", "No content is shared by several members."))
    text = any(one.sample is not None for one in report.templates)
    rows = [
        (
            tag("th", one.label, scope="row"),
            tag("td", tag("code", one.digest)),
            number(one.parts),
            number(one.members),
            number(one.outside),
            number(one.exchanges),
            tag("td", extent(one.shortest, one.longest), cls="n"),
            *([tag("td", one.sample or "", cls="text")] if text else []),
        )
        for one in report.templates
    ]
    heads = (
        "Label", "Digest", "Parts >", "Members >", "Others, at least >", "Exchanges since alarm >",
        "Characters >", *(["Begins with"] if text else []),
    )  # fmt: skip
    note = (
        "Content that members of several organisations have in common, by keyed digest; parts that "
        "the very same members share count as one template."
    )
    return section(
        "Templates", tag("p", note, cls="note"), table(heads, rows, sortable=True)
    )  # fmt: skip


def members(report: Report, *, link: Callable[[str], str] | None = None) -> Element:
    """Every member listed; `link` gives the address of an account's own page."""
    year = date(report.last_at)[-4:]
    rows = [_member(i, member, year, link) for i, member in enumerate(report.members, 1)]
    heads = (
        "# >", "Account", "Paid by", "Confidence >", "What it adds", "Shares", "Signed up",
        "First seen", "Last seen", "Exchanges >", "Refused >", "Tokens >", "Declared / seen",
        "Network", "Hours (UTC)",
    )  # fmt: skip
    note = (
        "The surest first. What it adds: weights for and against membership, as natural "
        f"logarithms, to the {signed(PRIOR)} that every account starts with. Times are UTC, "
        f"of {year} where no other year is named."
    )
    rest = report.size - len(report.members)
    if rest > 0:
        note += f" {many(rest, 'more account')} not listed."
    every = table(heads, rows, sortable=True)
    every.set("class", "scroll wide")
    found = section("Members", tag("p", note, cls="note"), every)
    found.set("class", "members")
    return found


def _member(
    i: int, member: Member, year: str, link: Callable[[str], str] | None
) -> tuple[Element, ...]:  # fmt: skip
    adds = ", ".join(
        f"{name.replace('-', _HYPHEN)}{_HOLD}{signed(points)}"
        for name, points in member.adds.items()
    )
    verified = " (verified)" if member.verified else None
    name = tag("code", member.account)
    if link is not None:
        name = tag("a", name, href=link(member.account))
    return (
        tag("td", i, cls="n", data_v=i, id=f"m{i}"),
        tag("th", name, verified, cls="w", scope="row"),
        tag("td", member.organisation, data_v=member.organisation[1:]),
        tag("td", sure(member.confidence), cls="n", data_v=member.points),
        tag("td", adds, cls="adds", data_v=member.points),
        tag("td", " ".join(member.ties), cls="ties"),
        _when(member.created_at, year),
        _when(member.first_at, year),
        _when(member.last_at, year),
        number(member.exchanges),
        number(member.refused),
        number(member.tokens),
        tag("td", f"{member.declared or '–'} / {member.country or '–'}", cls="w"),
        tag("td", "–" if member.asn is None else f"AS{member.asn}", data_v=member.asn or 0),
        tag("td", spark(member.active), data_v=sum(n > 0 for n in member.active)),
    )


def _when(at: float | None, year: str) -> Element:
    """A cell with a time, which breaks between date and time only; `year` goes without saying."""
    if at is None:
        return tag("td", "unknown", data_v=0)
    before, _, time = moment(at).partition(", ")
    return tag("td", f"{before.removesuffix(year).strip().replace(' ', _HOLD)}, {time}", data_v=at)


def table(
    heads: Sequence[str], rows: Iterable[tuple[Element, ...]], caption: str | None = None, *,
    sortable: bool = False,
) -> Element:  # fmt: skip
    """A table; a heading that ends in ` >` stands above numbers."""
    found = tag(
        "table",
        tag("caption", caption) if caption else None,
        tag(
            "thead",
            tag(
                "tr",
                [
                    tag(
                        "th", head.removesuffix(" >"), scope="col",
                        cls="n" if head.endswith(" >") else None,
                    )
                    for head in heads
                ],
            ),
        ),
        tag("tbody", [tag("tr", cells) for cells in rows]),
        cls="sortable" if sortable else None,
    )  # fmt: skip
    return tag("div", found, cls="scroll")


def folded(summary: str, child: Element) -> Element:
    """Something that is shown when it is asked for."""
    return tag("details", tag("summary", summary), child)


def number(value: float | None, how: str = "{:,}") -> Element:
    """A cell with a number; `–` for None."""
    if value is None:
        return tag("td", "–", cls="n", data_v=-1)
    return tag("td", how.format(value), cls="n", data_v=value)


def links(numbers: Iterable[int]) -> list[Child]:
    """Numbers of members, each a link to its row."""
    found: list[Child] = []
    for i in sorted(numbers):
        if found:
            found.append(", ")
        found.append(tag("a", i, href=f"#m{i}"))
    return found


def section(title: str, *children: Child) -> Element:
    """A part of the report under its heading."""
    name = re.sub(r"[^a-z]+", "-", title.lower())
    return tag("section", tag("h2", title, id=name), *children, aria_labelledby=name)
