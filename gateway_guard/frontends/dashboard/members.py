"""The members of a campaign, a page at a time: in which order, and only those looked for. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

import msgspec

from gateway_guard.campaigns.report import Report
from gateway_guard.campaigns.roster import SUREST, Asked, Found
from gateway_guard.frontends.dashboard.shell import account_path, campaign_path, empty, notice
from gateway_guard.pages.campaign_members import FIRST, legend, members_section, members_table
from gateway_guard.pages.campaign_tables import Ways
from gateway_guard.pages.markup import Child, tag
from gateway_guard.pages.words import many

#: What is looked for: a piece of an account, a label, a country, a network. A key is none of these.
_WORD: Final = re.compile(r"(acct_)?[a-z2-7]{2,16}|acct_?|(as|[a-z])[0-9]{1,10}", re.IGNORECASE)
_LONGEST: Final = 64
#: Who pays, what it adds, sign-up, first seen, tokens, hours: columns of `members_table`.
_OPTIONAL: Final = (2, 4, 6, 7, 11, 14)
#: The orders of `roster.ORDERS` in words.
_ORDERS: Final = {
    SUREST: "surest first",
    "doubtful": "least sure first",
    "busiest": "most exchanges first",
    "refused": "most refused first",
    "latest": "latest seen first",
}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a page asks for.

    Attributes:
        members: what part of the members.
        odd: whether something else was typed in, which is not shown again: it may be a key.
    """

    members: Asked = Asked(most=FIRST)
    odd: bool = False


def asked_of(query: Mapping[str, str]) -> Wanted:
    """What the address of a page asks for; what makes no sense is left out."""
    words = tuple(query.get("find", "").lower().split())
    odd = len("".join(words)) > _LONGEST or not all(map(_WORD.fullmatch, words))
    by, start = query.get("by", ""), query.get("from", "")
    asked = Asked(
        words=() if odd else words,
        by=by if by in _ORDERS else SUREST,
        start=int(start) if re.fullmatch(r"[1-9][0-9]{0,6}", start) else 1,
        most=FIRST,
    )
    return Wanted(members=asked, odd=odd)


def ways(path: str, found: Found) -> Ways:
    """Where links of the page at `path` lead; to members that are on other pages as well."""
    here = {i for i, _ in found.members}

    def member(number: int) -> str:
        start = (number - 1) // FIRST * FIRST + 1
        there = "" if number in here else _address(path, Asked(start=start)).partition("#")[0]
        return f"{there}#m{number}"

    return Ways(
        account=account_path,
        member=member,
        sharing=lambda label: _address(path, Asked(words=(label.lower(),))),
    )


def members_card(report: Report, path: str, wanted: Wanted, found: Found) -> Element:
    """The part of the page at `path` that lists members: those `found`."""
    asked = wanted.members
    if found.members:
        listed = _narrowed(members_table(report, found.members, ways(path, found)))
    else:
        listed = _nobody(report, path, asked)
    long = report.size > FIRST
    return members_section(
        *([_search(path, asked)] if long else []),
        *([notice("bad", "Nothing was looked for: write a piece of an account, a label (P1, O7), a "
                  "network (AS64500), a country (BR) or verified. A key does not belong here.")]
          if wanted.odd else []),
        tag("p", _says(report, found, asked), " ", legend(report), cls="note"),
        *([_orders(path, asked)] if long else []),
        listed,
        *([_pager(path, found, asked)] if found.count > FIRST else []),
    )  # fmt: skip


def _address(path: str, asked: Asked) -> str:
    query = {
        "find": " ".join(asked.words),
        "by": asked.by if asked.by != SUREST else "",
        "from": str(asked.start) if asked.start > 1 else "",
    }
    given = urlencode({name: value for name, value in query.items() if value})
    return f"{campaign_path(path)}{'?' if given else ''}{given}#members"


def _nobody(report: Report, path: str, asked: Asked) -> Element:
    return empty(
        f"None of the {many(report.size, 'member')} has all of these words. ",
        tag("a", "Show all of them", href=_address(path, Asked(by=asked.by))), ".",
    )  # fmt: skip


def _narrowed(table: Element) -> Element:
    """The table, of which narrow screens leave out what the pages of accounts have as well."""
    for row in table.iter("tr"):
        for column in _OPTIONAL:
            row[column].set("class", f"{row[column].get('class', '')} opt".strip())
    return table


def _search(path: str, asked: Asked) -> Element:
    order = tag("input", type="hidden", name="by", value=asked.by) if asked.by != SUREST else None
    return tag(
        "form",
        tag("input", name="find", value=" ".join(asked.words), aria_label="Find members",
            placeholder="acct_…, P1, AS64500, BR, verified", maxlength=_LONGEST,
            spellcheck="false", autocomplete="off"),
        order,
        tag("button", "Find", cls="main"),
        method="get", action=_address(path, Asked()), cls="find", role="search",
    )  # fmt: skip


def _says(report: Report, found: Found, asked: Asked) -> str:
    words, count = _ORDERS[asked.by], found.count
    some = f"{count:,} of {report.size:,} have “{' '.join(asked.words)}”, " if asked.words else ""
    if len(found.members) == count:
        return f"{some}{words}." if some else f"{words.capitalize()}."
    of = f"{count:,}" if some else many(count, "member")
    last = found.start + len(found.members) - 1
    return f"{some}{found.start:,} to {last:,} of {of}, {words}."


def _orders(path: str, asked: Asked) -> Element:
    links = [
        tag("a", words, href=_address(path, Asked(words=asked.words, by=name)),
            aria_current="true" if name == asked.by else None)
        for name, words in _ORDERS.items()
    ]  # fmt: skip
    return tag("p", tag("span", links, cls="switch"))


def _pager(path: str, found: Found, asked: Asked) -> Element:
    start, last = found.start, (found.count - 1) // FIRST * FIRST + 1
    steps: list[Child] = []
    for words, to, on in (
        ("First", 1, start > 1),
        ("Previous", max(start - FIRST, 1), start > 1),
        ("Next", start + FIRST, start < last),
        ("Last", last, start < last),
    ):
        there = _address(path, Asked(words=asked.words, by=asked.by, start=to))
        steps.append(tag("a", words, href=there) if on else tag("span", words, cls="off"))
    return tag("nav", steps, cls="jumps", aria_label="Pages of members")
