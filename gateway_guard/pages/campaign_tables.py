"""The tables of a campaign report."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final
from xml.etree.ElementTree import Element

import msgspec

from gateway_guard.campaigns.report import Report
from gateway_guard.pages.markup import Child, tag
from gateway_guard.pages.plots import gauge
from gateway_guard.pages.words import extent, many, moment

#: Rows of a long table that are shown before somebody asks for all.
_FIRST: Final = 10
#: Rows for which nothing is folded: to unfold them would take as much room.
_FEW: Final = 5
#: Most members named in one cell.
_NAMED: Final = 40


class Ways(msgspec.Struct, frozen=True, kw_only=True):
    """Where links of a report lead.

    Attributes:
        account: the address of an account's own page; None where there is none.
        member: the address of a member's row, by its number.
        sharing: the address of the members that share the value of a label; None where there is
            none.
    """

    account: Callable[[str], str] | None = None
    member: Callable[[int], str] = "#m{}".format
    sharing: Callable[[str], str] | None = None


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
    every = table(heads, rows, caption, sortable=True, label="Networks of members")
    return section("Networks", long(every, "networks"))


def templates(report: Report) -> Element:
    """What members have in common in what they ask."""
    if not report.templates:
        return section("Templates", tag("p", "No content is shared by several members."))
    text = any(one.sample is not None for one in report.templates)
    rows = [
        (
            tag("th", one.label, scope="row"),
            tag("td", tag("code", one.digest), cls="w"),
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
    note += " Those of the most members first."
    every = table(heads, rows, sortable=True, label="Templates that members share")
    return section("Templates", tag("p", note, cls="note"), long(every, "templates"))


def reviews(report: Report) -> Element:
    """What people decided on it, and on its members."""
    rows = [
        (
            tag("th", moment(one.at), scope="row", cls="w"),
            tag("td", one.ruling.value),
            tag("td", tag("code", one.account) if one.account else "all of it"),
            tag("td", one.by or "–"),
            tag("td", one.reason, cls="text"),
        )
        for one in report.reviews
    ]
    every = table(("When (UTC)", "What", "About", "By", "Reason"), rows, label="Reviews")
    return section("What people decided", long(every, "decisions"))


def table(
    heads: Sequence[str], rows: Iterable[tuple[Element, ...]], caption: str | None = None, *,
    label: str, sortable: bool = False,
) -> Element:  # fmt: skip
    """A table; a heading that ends in ` >` stands above numbers. Where it is wider than the page
    it is scrolled, by keys as well; `label` is what it is called there. On a phone each row is a
    card instead, in which every cell says under what heading it stands.
    """
    names = [head.removesuffix(" >") for head in heads]
    rows = list(rows)
    for row in rows:
        for cell, name in zip(row[1:], names[1:], strict=True):
            cell.set("data-h", name)
    found = tag(
        "table",
        tag("caption", caption) if caption else None,
        tag(
            "thead",
            tag(
                "tr",
                [
                    tag(
                        "th", name, scope="col", cls="n" if head.endswith(" >") else None,
                    )
                    for name, head in zip(names, heads, strict=True)
                ],
            ),
        ),
        tag("tbody", [tag("tr", cells) for cells in rows]),
        cls="cards sortable" if sortable else "cards",
    )  # fmt: skip
    return scroller(found, label)


def scroller(child: Element, label: str) -> Element:
    """Something that may be wider than the page."""
    return tag("div", child, cls="scroll", tabindex=0, role="region", aria_label=label)


def long(every: Element, what: str, first: int = _FIRST) -> Element:
    """A table (as of `table`) whose `first` rows are shown, and the others once a box is ticked;
    on paper all. A link to a row shows it. `what` the rows are, in the plural.
    """
    found, rows = every.find("table"), every.findall("table/tbody/tr")
    if found is None or len(rows) <= first + _FEW:
        return every
    found.set("data-first", str(first))
    for row in rows[first:]:
        row.set("class", "rest")
    words = f" Show all {len(rows):,} {what}, not only the first {first}"
    box = tag("label", tag("input", type="checkbox", autocomplete="off"), words)
    return tag("div", tag("div", box, cls="unfold"), every, cls="long")


def folded(summary: str, child: Element) -> Element:
    """Something that is shown when it is asked for."""
    return tag("details", tag("summary", summary), child)


def number(value: float | None, how: str = "{:,}") -> Element:
    """A cell with a number; `–` for None."""
    if value is None:
        return tag("td", "–", cls="n", data_v=-1)
    return tag("td", how.format(value), cls="n", data_v=value)


def links(numbers: Iterable[int], label: str, ways: Ways) -> list[Child]:
    """Numbers of the members that share the value of `label`, each a link to its row; the surest,
    where there are many.
    """
    every = sorted(numbers)
    found: list[Child] = []
    for i in every[:_NAMED]:
        if found:
            found.append(", ")
        found.append(tag("a", i, href=ways.member(i)))
    if len(every) > _NAMED:
        words = f"{len(every) - _NAMED:,} more"
        to = ways.sharing(label) if ways.sharing is not None else None
        found += [" and ", words if to is None else tag("a", words, href=to)]
    return found


def section(title: str, *children: Child) -> Element:
    """A part of the report under its heading."""
    name = re.sub(r"[^a-z]+", "-", title.lower())
    return tag("section", tag("h2", title, id=name), *children, aria_labelledby=name)
