"""The members of a campaign, a page at a time: in which order, and only those looked for. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

import msgspec

from gateway_guard.campaigns.report import Member, Report
from gateway_guard.frontends.dashboard.shell import account_path, campaign_path, empty, notice
from gateway_guard.pages.campaign_members import FIRST, legend, members_section, members_table
from gateway_guard.pages.campaign_tables import Ways
from gateway_guard.pages.markup import Child, tag
from gateway_guard.pages.words import many

Numbered = tuple[int, Member]

#: What is looked for: a piece of an account, a label, a country, a network. A key is none of these.
_WORD: Final = re.compile(r"(acct_)?[a-z2-7]{2,16}|acct_?|(as|[a-z])[0-9]{1,10}", re.IGNORECASE)
_LONGEST: Final = 64
#: Who pays, what it adds, sign-up, first seen, tokens, hours: columns of `members_table`.
_OPTIONAL: Final = (2, 4, 6, 7, 11, 14)
_ORDERS: Final[dict[str, tuple[str, Callable[[Numbered], float]]]] = {
    "surest": ("surest first", lambda one: one[0]),
    "doubtful": ("least sure first", lambda one: -one[0]),
    "busiest": ("most exchanges first", lambda one: -one[1].exchanges),
    "refused": ("most refused first", lambda one: -one[1].refused),
    "latest": ("latest seen first", lambda one: -one[1].last_at),
}
_SUREST: Final = "surest"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What part of the members is asked for.

    Attributes:
        words: what each of them has, in lower case.
        by: a name of `_ORDERS`.
        start: the first shown, from 1 on.
        odd: whether something else was typed in, which is not shown again: it may be a key.
    """

    words: tuple[str, ...] = ()
    by: str = _SUREST
    start: int = 1
    odd: bool = False


def asked_of(query: Mapping[str, str]) -> Asked:
    """What the address of a page asks for; what makes no sense is left out."""
    words = tuple(query.get("find", "").lower().split())
    odd = len("".join(words)) > _LONGEST or not all(map(_WORD.fullmatch, words))
    by, start = query.get("by", ""), query.get("from", "")
    return Asked(
        words=() if odd else words,
        by=by if by in _ORDERS else _SUREST,
        start=int(start) if re.fullmatch(r"[1-9][0-9]{0,5}", start) else 1,
        odd=odd,
    )


def ways(report: Report, path: str, asked: Asked) -> Ways:
    """Where links of the page at `path` lead; to members that are on other pages as well."""
    here = {i for i, _ in _shown(_chosen(report, asked), asked)}

    def member(number: int) -> str:
        start = (number - 1) // FIRST * FIRST + 1
        there = "" if number in here else _address(path, Asked(start=start)).partition("#")[0]
        return f"{there}#m{number}"

    return Ways(
        account=account_path,
        member=member,
        sharing=lambda label: _address(path, Asked(words=(label.lower(),))),
    )


def members_card(report: Report, path: str, asked: Asked) -> Element:
    """The part of the page at `path` that lists members."""
    every = _chosen(report, asked)
    shown = _shown(every, asked)
    if shown:
        listed = _narrowed(members_table(report, shown, ways(report, path, asked)))
    else:
        listed = _nobody(report, path, asked)
    long = len(report.members) > FIRST
    return members_section(
        *([_search(path, asked)] if long else []),
        *([notice("bad", "Nothing was looked for: write a piece of an account, a label (P1, O7), a "
                  "network (AS64500), a country (BR) or verified. A key does not belong here.")]
          if asked.odd else []),
        tag("p", _says(report, every, shown, asked), " ", legend(report), cls="note"),
        *([_orders(path, asked)] if long else []),
        listed,
        *([_pager(path, len(every), asked)] if len(every) > FIRST else []),
    )  # fmt: skip


def _chosen(report: Report, asked: Asked) -> list[Numbered]:
    """Members that have every word, in order."""
    found = [
        (i, member)
        for i, member in enumerate(report.members, 1)
        if all(_has(member, word) for word in asked.words)
    ]
    return sorted(found, key=_ORDERS[asked.by][1])


def _has(member: Member, word: str) -> bool:
    named = {member.organisation, *member.ties, member.declared or "", member.country or ""}
    named.add("unknown" if member.asn is None else f"as{member.asn}")
    if member.verified:
        named.add("verified")
    # Shorter pieces are in every other account.
    piece = len(word) > 3 and word in member.account
    return piece or word in {name.lower() for name in named}


def _shown(every: list[Numbered], asked: Asked) -> list[Numbered]:
    start = _start(len(every), asked)
    return every[start - 1 : start - 1 + FIRST]


def _start(count: int, asked: Asked) -> int:
    """The first member shown of so many: past the end it is that of the last page."""
    return min(asked.start, max(count - 1, 0) // FIRST * FIRST + 1)


def _address(path: str, asked: Asked) -> str:
    query = {
        "find": " ".join(asked.words),
        "by": asked.by if asked.by != _SUREST else "",
        "from": str(asked.start) if asked.start > 1 else "",
    }
    given = urlencode({name: value for name, value in query.items() if value})
    return f"{campaign_path(path)}{'?' if given else ''}{given}#members"


def _nobody(report: Report, path: str, asked: Asked) -> Element:
    rest = report.size - len(report.members)
    hint = f" {rest:,} more are not listed: an account's own page says whether it is one of them."
    return empty(
        f"None of the {many(len(report.members), 'member')} listed has all of these words.",
        hint if rest > 0 else None, " ",
        tag("a", "Show all that are", href=_address(path, Asked(by=asked.by))), ".",
    )  # fmt: skip


def _narrowed(table: Element) -> Element:
    """The table, of which narrow screens leave out what the pages of accounts have as well."""
    for row in table.iter("tr"):
        for column in _OPTIONAL:
            row[column].set("class", f"{row[column].get('class', '')} opt".strip())
    return table


def _search(path: str, asked: Asked) -> Element:
    order = tag("input", type="hidden", name="by", value=asked.by) if asked.by != _SUREST else None
    return tag(
        "form",
        tag("input", name="find", value=" ".join(asked.words), aria_label="Find members",
            placeholder="acct_…, P1, AS64500, BR, verified", maxlength=_LONGEST,
            spellcheck="false", autocomplete="off"),
        order,
        tag("button", "Find", cls="main"),
        method="get", action=_address(path, Asked()), cls="find", role="search",
    )  # fmt: skip


def _says(report: Report, every: list[Numbered], shown: list[Numbered], asked: Asked) -> str:
    words = _ORDERS[asked.by][0]
    listed = len(report.members)
    found = f"{len(every):,} of {listed:,} have “{' '.join(asked.words)}”, " if asked.words else ""
    if len(shown) == len(every):
        return f"{found}{words}." if found else f"{words.capitalize()}."
    start = _start(len(every), asked)
    of = f"{len(every):,}" if found else many(listed, "member")
    return f"{found}{start:,} to {start + len(shown) - 1:,} of {of}, {words}."


def _orders(path: str, asked: Asked) -> Element:
    links = [
        tag("a", words, href=_address(path, Asked(words=asked.words, by=name)),
            aria_current="true" if name == asked.by else None)
        for name, (words, _) in _ORDERS.items()
    ]  # fmt: skip
    return tag("p", tag("span", links, cls="switch"))


def _pager(path: str, count: int, asked: Asked) -> Element:
    start, last = _start(count, asked), (count - 1) // FIRST * FIRST + 1
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
