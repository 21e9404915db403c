"""The table of a campaign's members."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from xml.etree.ElementTree import Element

from gateway_guard.campaigns.membership import PRIOR
from gateway_guard.campaigns.report import Report
from gateway_guard.campaigns.roster import Member
from gateway_guard.pages.campaign_tables import Ways, long, number, section, table
from gateway_guard.pages.markup import tag
from gateway_guard.pages.plots import spark
from gateway_guard.pages.words import date, many, moment, signed, sure

#: Members shown at first: a page of a screen or two.
FIRST: Final = 25
#: Most labels of what it shares in the row of a member: of templates there may be a hundred.
_LABELS: Final = 8
_HEADS: Final = (
    "# >", "Account", "Paid by", "Confidence >", "What it adds", "Shares", "Signed up",
    "First seen", "Last seen", "Exchanges >", "Refused >", "Tokens >", "Declared / seen",
    "Network", "Hours (UTC)",
)  # fmt: skip
#: A space at which no line breaks.
_HOLD: Final = "\N{NO-BREAK SPACE}"
#: A hyphen at which no line breaks.
_HYPHEN: Final = "\N{NON-BREAKING HYPHEN}"


def members(report: Report) -> Element:
    """Every member listed, the surest first, and how many are not."""
    every = members_table(report, enumerate(report.members, 1), Ways())
    note = f"The surest first. {legend(report)}"
    rest = report.size - len(report.members)
    if rest > 0:
        note += f" {many(rest, 'more account')} not listed."
    return members_section(tag("p", note, cls="note"), long(every, "members", FIRST))


def members_section(*children: Element) -> Element:
    """The part of a report that lists members."""
    found = section("Members", *children)
    found.set("class", "members")
    return found


def legend(report: Report) -> str:
    """What stands in the columns."""
    return (
        "What it adds: weights for and against membership, as natural logarithms, to the "
        f"{signed(PRIOR)} that every account starts with. Shares: labels as in “Who shares what”. "
        f"Times are UTC, of {_year(report)} where no other year is named."
    )


def members_table(report: Report, numbered: Iterable[tuple[int, Member]], ways: Ways) -> Element:
    """These members, each with its place among the surest."""
    year = _year(report)
    rows = [_member(i, member, year, ways) for i, member in numbered]
    every = table(_HEADS, rows, sortable=True, label="Members")
    every.set("class", "scroll wide")
    return every


def _year(report: Report) -> str:
    return date(report.last_at)[-4:]


def _member(i: int, member: Member, year: str, ways: Ways) -> tuple[Element, ...]:
    adds = ", ".join(
        f"{name.replace('-', _HYPHEN)}{_HOLD}{signed(points)}"
        for name, points in member.adds.items()
    )
    verified = tag("small", " (verified)") if member.verified else None
    name = tag("code", member.account)
    if ways.account is not None:
        name = tag("a", name, href=ways.account(member.account))
    shares = " ".join(member.ties[:_LABELS])
    if len(member.ties) > _LABELS:
        shares += f" and {len(member.ties) - _LABELS} more"
    return (
        tag("td", i, cls="n", data_v=i, id=f"m{i}"),
        tag("th", name, verified, cls="w", scope="row"),
        tag("td", member.organisation, data_v=member.organisation[1:]),
        tag("td", sure(member.confidence), cls="n", data_v=member.points),
        tag("td", adds, cls="adds", data_v=member.points),
        tag("td", shares, cls="ties", data_all=" ".join(member.ties)),
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
