"""A campaign as text, for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from gateway_guard.campaigns.report import Report
from gateway_guard.campaigns.reviews import Review
from gateway_guard.cli.printable import printable
from gateway_guard.pages.words import day, many, moment, signed, sure

#: Members and networks listed where nobody says how many.
MEMBERS: Final = 20
#: Days listed, countries named, and of what one member shares.
_DAYS: Final = 14
_COUNTRIES: Final = 12
_TIES: Final = 6
_BARS: Final = " ▁▂▃▄▅▆▇█"


def print_case(report: Report, out: Console) -> None:
    """A campaign in short: its size, its time, what it did, and the evidence."""
    out.print(
        f"{report.id}  {many(report.size, 'account')} of "
        f"{many(report.organisations, 'organisation')}, confidence {sure(report.confidence)}",
        style="bold",
    )
    out.print(
        f"first seen {moment(report.first_seen)} UTC, alarm {moment(report.alarm_at)}, "
        f"last seen {moment(report.last_at)}"
    )
    out.print(
        f"{many(report.exchanges, 'exchange')} (at least {report.before:,} before "
        f"membership), "
        f"{report.refused:,} refused, {many(report.tokens, 'token')}; "
        f"{report.share:.1%} of all exchanges"
    )
    if report.absorbed:
        out.print(f"was also {', '.join(report.absorbed)}")
    heading(out, f"evidence, weighed last on {moment(report.examined_at)} UTC")
    for sentence in report.evidence:
        out.print(f"  {printable(sentence)}")


def print_report(
    report: Report, out: Console, members: int, reviews: Sequence[Review] = ()
) -> None:  # fmt: skip
    """A campaign as text: `members` of its members are listed, and all that people said of it."""
    print_case(report, out)
    if reviews:
        heading(out, "reviews")
    for review in reviews:
        by = f" by {review.by}" if review.by else ""
        out.print(f"  {moment(review.at)} UTC  {printable(f'{review.ruling.value}{by}: ')}"
                  f"{printable(review.reason)}")  # fmt: skip
    heading(out, "members")
    if members:
        out.print(_members(report, members))
    listed, shown = len(report.members), min(members, len(report.members))
    if listed > shown:
        out.print(f"  and {report.size - shown:,} more (--members {listed})")
    elif report.size > shown:
        out.print(f"  and {report.size - shown:,} more, less sure, which no report lists")
    heading(out, "hours of the day, UTC")
    out.print("  00    03    06    09    12    15    18    21")
    most = max(report.active, default=0)
    out.print("  " + "".join(_bar(count, most) * 2 for count in report.active))
    heading(out, "days")
    for when, count in _days(report)[-_DAYS:]:
        out.print(f"  {when:<7} {count:>9,}")
    heading(out, "networks")
    out.print(_networks(report))
    rest = report.size - sum(one.members for one in report.networks[:MEMBERS])
    if rest > 0:
        out.print(f"  and smaller ones, with {many(rest, 'member')} together")
    heading(out, "countries")
    for word, countries in (
        ("declared", Counter(m.declared or "unknown" for m in report.members)),
        ("seen", Counter(m.country or "unknown" for m in report.members)),
    ):
        names = ", ".join(f"{name} {n:,}" for name, n in countries.most_common(_COUNTRIES))
        more = len(countries) - _COUNTRIES
        out.print(f"  {word:<8}  {printable(names)}{f', {more} more' if more > 0 else ''}")
    heading(out, "what next")
    out.print("  one of them    gateway-guard account show ACCT")
    out.print(f"  to hand it on  gateway-guard campaign export {report.id} --out {report.id}.html")
    out.print(f"  to let it go   gateway-guard campaign release {report.id} --reason WHY")


def _members(report: Report, most: int) -> Table:
    table = columns_of("account", "confidence>", "points>", "because of", "exchanges>", "network",
                   "declared, seen", "shares")  # fmt: skip
    for one in report.members[:most]:
        adds = sorted(one.adds.items(), key=lambda item: -item[1])
        table.add_row(
            one.account,
            sure(one.confidence),
            signed(one.points),
            ", ".join(f"{kind} {signed(value)}" for kind, value in adds),
            f"{one.exchanges:,}",
            "unknown" if one.asn is None else f"AS{one.asn}",
            printable(f"{one.declared or '?'}, {one.country or '?'}"),
            " ".join(one.ties[:_TIES]) + (" …" if len(one.ties) > _TIES else ""),
        )
    return table


def _networks(report: Report) -> Table:
    table = columns_of("network", "country", "members>", "exchanges>", "declared another country>")
    for one in report.networks[:MEMBERS]:
        table.add_row(
            "unknown" if one.asn is None else f"AS{one.asn}", printable(one.country or "unknown"),
            f"{one.members:,}", f"{one.exchanges:,}", f"{one.elsewhere:,}",
        )  # fmt: skip
    return table


def _days(report: Report) -> list[tuple[str, int]]:
    """Exchanges by day, from the alarm on, when they were counted."""
    days: Counter[str] = Counter()
    for hour in report.hours:
        if hour.exchanges is not None:
            days[day(hour.at)] += hour.exchanges
    return list(days.items())


def heading(out: Console, text: str) -> None:
    """What stands above a part."""
    out.print(f"\n{text}", style="bold")


def _bar(count: int, most: int) -> str:
    return _BARS[-(-count * (len(_BARS) - 1) // most)] if most else _BARS[0]


def columns_of(*columns: str) -> Table:
    """An empty table; columns whose title ends in `>` are right-aligned."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in columns:
        right = title.endswith(">")
        table.add_column(title.rstrip(">"), justify="right" if right else "left")
    return table
