"""`gateway-guard campaign`: the campaigns a guard holds: list, show, export, challenge, release."""

from __future__ import annotations

import enum
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from gateway_guard.campaigns.casebook import BANNED
from gateway_guard.campaigns.ended import WORDS, Ended
from gateway_guard.campaigns.report import Report, report_of
from gateway_guard.campaigns.reviews import LEFT_ALONE, Review, Ruling
from gateway_guard.campaigns.summary import Summary, summaries
from gateway_guard.cli import USAGE
from gateway_guard.cli.campaign_challenge import challenge_command
from gateway_guard.cli.casefile import (
    ByOption,
    Casefile,
    FileOption,
    ReasonOption,
    author_of,
    bench_of,
    named,
    opened,
    reason_of,
)
from gateway_guard.cli.output import Format, FormatOption, console, print_json
from gateway_guard.cli.outputs import check_outputs
from gateway_guard.cli.post import NamespaceOption, StoreOption, post_of
from gateway_guard.cli.printable import printable
from gateway_guard.errors import SourceError
from gateway_guard.files import write_whole
from gateway_guard.pages.words import day, let_go, many, moment, signed, sure
from gateway_guard.streams.post import Post

CampaignArgument = Annotated[str, typer.Argument(metavar="ID", help="Its name: c_0001, …")]

#: Networks named in one line of `list`; days, members and what one of them shares, shown by `show`.
_NETWORKS: Final = 3
_TIES: Final = 6
_DAYS: Final = 14
_MEMBERS: Final = 20
_COUNTRIES: Final = 12
#: Campaigns let go that `list` shows.
_ENDED: Final = 10
_BARS: Final = " ▁▂▃▄▅▆▇█"


class Document(enum.StrEnum):
    """What `export` writes."""

    JSON = "json"
    HTML = "html"


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(
        no_args_is_help=True,
        help="The campaigns a guard holds: who, since when, on what evidence; hand on; let go.",
    )
    app.add_typer(group, name="campaign")

    @group.command("list")
    def list_command(file: FileOption = None, format: FormatOption = Format.TEXT) -> None:
        """Every campaign held, one a line, the oldest alarm first; and those let go lately."""
        case = opened(file)
        found = summaries(case.linker, case.snapshot.exchanges if case.snapshot else 0)
        ended = list(case.linker.cases.endings.latest)
        if format is Format.JSON:
            print_json({"file": str(case.file.path), "as_of": _as_of(case), "campaigns": found,
                        "let_go": ended})  # fmt: skip
            return
        out = console()
        if found:
            out.print(_listed(found))
        if ended:
            _heading(out, "let go lately")
            out.print(_let_go(ended[-_ENDED:]))
            out.print()
        out.print(_foot(case, len(found)))

    @group.command("show")
    def show_command(
        name: CampaignArgument,
        file: FileOption = None,
        members: Annotated[
            int, typer.Option("--members", min=0, help="Most members listed; json lists 1000.")
        ] = _MEMBERS,
        format: FormatOption = Format.TEXT,
    ) -> None:
        """One campaign: evidence, members and why each is one, hours, networks, countries."""
        case = opened(file)
        report = _report(case, name)
        if format is Format.JSON:
            print_json(report)
        else:
            # Names begin anew when a linker does.
            said = [one for one in case.reviews if one.campaign == name
                    and one.at >= report.alarm_at]  # fmt: skip
            print_report(report, console(), members, said)

    @group.command("export")
    def export_command(
        name: CampaignArgument,
        file: FileOption = None,
        format: Annotated[
            Document | None,
            typer.Option("--format", help="By default html where --out says so, else json."),
        ] = None,
        out: Annotated[
            Path | None, typer.Option("--out", "-o", help="The file to write; else printed.")
        ] = None,
    ) -> None:
        """A report to hand on: json for programs, html for people; no text of any prompt."""
        case = opened(file)
        check_outputs({"--out": out}, case.file.path, case.file.reviews)
        report = _report(case, name)
        page = out is not None and out.suffix.lower() in (".html", ".htm")
        if format is Document.HTML or (format is None and page):
            # Only here: it is the largest part of this command.
            from gateway_guard.pages.campaign import render  # noqa: PLC0415

            text = render(report)
        else:
            text = msgspec.json.format(msgspec.json.encode(report), indent=1).decode() + "\n"
        if out is None:
            sys.stdout.write(text)
            return
        try:
            write_whole(out, text.encode(), 0o644)
        except OSError as error:
            raise SourceError(f"{out}: {error.strerror}") from error

    group.command("challenge")(challenge_command)

    @group.command("release")
    def release_command(
        name: CampaignArgument,
        reason: ReasonOption,
        by: ByOption = None,
        file: FileOption = None,
        store: StoreOption = None,
        namespace: NamespaceOption = None,
        format: FormatOption = Format.TEXT,
    ) -> None:
        """Let a campaign go and leave its accounts alone for 30 days."""
        post = post_of(store, namespace, file)
        if post is not None:
            _release_everywhere(post, name, reason_of(reason), author_of(by), format)
            return
        case = opened(file)
        report = _report(case, name)
        review = Review(
            # Recorded traffic may be from a clock that is ahead.
            at=max(time.time(), report.alarm_at), ruling=Ruling.RELEASE, campaign=name,
            reason=reason_of(reason), by=author_of(by),
        )  # fmt: skip
        bench_of(None, case).rule(review)
        reviews, held = case.linker.cases.reviews, case.linker.held[name]
        traces = case.linker.memory.traces
        banned = sum(reviews.banned(traces[n].account) for n in held.members if n in traces)
        alone = report.size - banned
        if format is Format.JSON:
            print_json({"review": review, "accounts": alone})
        else:
            stay = "stays" if banned == 1 else "stay"
            kept = f"; {many(banned, 'account')} {stay} banned" if banned else ""
            console().print(
                f"{name} is released, {many(alone, 'account')} left alone for "
                f"{LEFT_ALONE / 86400:.0f} days (`account clear` takes that back for one){kept}; a "
                "running guard knows within a second or two"
            )


def _release_everywhere(post: Post, name: str, reason: str, by: str, format: Format) -> None:
    """Tell all guards of a store, and their linker, that campaign `name` is let go."""
    # Who is banned on their own is in none.
    told = [facts.id for facts in post.verdicts().values() if facts.id != BANNED]
    accounts = told.count(name)
    if not accounts:
        held = named(set(told))
        typer.echo(f"no campaign '{name}' is held by the guards of the store ({held})", err=True)
        raise typer.Exit(USAGE)
    review = Review(
        at=time.time(), ruling=Ruling.RELEASE, campaign=name, reason=reason, by=by
    )  # fmt: skip
    bench_of(post, None).rule(review)
    if format is Format.JSON:
        print_json({"review": review, "accounts": accounts})
    else:
        console().print(
            f"{name} is released, its {many(accounts, 'account')} left alone for "
            f"{LEFT_ALONE / 86400:.0f} days; every guard of the store knows within a second or two"
        )


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
    _heading(out, f"evidence, weighed last on {moment(report.examined_at)} UTC")
    for sentence in report.evidence:
        out.print(f"  {printable(sentence)}")


def print_report(
    report: Report, out: Console, members: int, reviews: Sequence[Review] = ()
) -> None:  # fmt: skip
    """A campaign as text: `members` of its members are listed, and all that people said of it."""
    print_case(report, out)
    if reviews:
        _heading(out, "reviews")
    for review in reviews:
        by = f" by {review.by}" if review.by else ""
        out.print(f"  {moment(review.at)} UTC  {printable(f'{review.ruling.value}{by}: ')}"
                  f"{printable(review.reason)}")  # fmt: skip
    _heading(out, "members")
    if members:
        out.print(_members(report, members))
    listed, shown = len(report.members), min(members, len(report.members))
    if listed > shown:
        out.print(f"  and {report.size - shown:,} more (--members {listed})")
    elif report.size > shown:
        out.print(f"  and {report.size - shown:,} more, less sure, which no report lists")
    _heading(out, "hours of the day, UTC")
    out.print("  00    03    06    09    12    15    18    21")
    most = max(report.active, default=0)
    out.print("  " + "".join(_bar(count, most) * 2 for count in report.active))
    _heading(out, "days")
    for when, count in _days(report)[-_DAYS:]:
        out.print(f"  {when:<7} {count:>9,}")
    _heading(out, "networks")
    out.print(_networks(report))
    rest = report.size - sum(one.members for one in report.networks[:_MEMBERS])
    if rest > 0:
        out.print(f"  and smaller ones, with {many(rest, 'member')} together")
    _heading(out, "countries")
    for word, countries in (
        ("declared", Counter(m.declared or "unknown" for m in report.members)),
        ("seen", Counter(m.country or "unknown" for m in report.members)),
    ):
        names = ", ".join(f"{name} {n:,}" for name, n in countries.most_common(_COUNTRIES))
        more = len(countries) - _COUNTRIES
        out.print(f"  {word:<8}  {printable(names)}{f', {more} more' if more > 0 else ''}")
    _heading(out, "what next")
    out.print("  one of them    gateway-guard account show ACCT")
    out.print(f"  to hand it on  gateway-guard campaign export {report.id} --out {report.id}.html")
    out.print(f"  to let it go   gateway-guard campaign release {report.id} --reason WHY")


def _listed(found: list[Summary]) -> Table:
    table = _table("campaign", "members>", "confidence>", "first seen, UTC", "alarm, UTC",
                   "exchanges>", "share>", "networks")  # fmt: skip
    for one in found:
        names = list(one.networks.items())
        networks = ", ".join(f"{name} {count:,}" for name, count in names[:_NETWORKS])
        if len(names) > _NETWORKS:
            networks += f", {len(names) - _NETWORKS} more"
        table.add_row(
            one.id, f"{one.members:,}", sure(one.confidence), moment(one.first_seen),
            moment(one.alarm_at), f"{one.exchanges:,}", f"{one.share:.1%}", networks,
        )  # fmt: skip
    return table


def _let_go(ended: list[Ended]) -> Table:
    table = _table("campaign", "members>", "alarm, UTC", "let go, UTC", "refused>", "because")
    for one in reversed(ended):
        table.add_row(
            one.id, f"{one.members:,}", moment(one.alarm_at), moment(one.ended_at),
            f"{one.refused:,} of {one.exchanges:,}", WORDS[one.why],
        )  # fmt: skip
    return table


def _members(report: Report, most: int) -> Table:
    table = _table("account", "confidence>", "points>", "because of", "exchanges>", "network",
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
    table = _table("network", "country", "members>", "exchanges>", "declared another country>")
    for one in report.networks[:_MEMBERS]:
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


def _report(case: Casefile, name: str) -> Report:
    linker = case.linker
    try:
        return report_of(linker, name, made_at=_as_of(case))
    except LookupError:
        ended = [one for one in linker.cases.endings.latest if one.id == name]
        if ended:
            into = next((one.id for one in linker.held.values() if name in one.absorbed), "")
            typer.echo(let_go(ended[-1], name, into), err=True)
        else:
            held = named(linker.held)
            typer.echo(f"no campaign '{name}' is held in {case.file.path} ({held})", err=True)
        raise typer.Exit(USAGE) from None


def _as_of(case: Casefile) -> float | None:
    return case.snapshot.saved_at if case.snapshot is not None else None


def _foot(case: Casefile, count: int) -> str:
    snapshot = case.snapshot
    if snapshot is None:
        return ""
    return (
        f"{many(count, 'campaign')} among {many(snapshot.accounts, 'account')}, as of "
        f"{moment(snapshot.saved_at)} UTC"
    )


def _heading(out: Console, text: str) -> None:
    out.print(f"\n{text}", style="bold")


def _bar(count: int, most: int) -> str:
    return _BARS[-(-count * (len(_BARS) - 1) // most)] if most else _BARS[0]


def _table(*columns: str) -> Table:
    """A table; columns whose title ends in `>` are right-aligned."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in columns:
        right = title.endswith(">")
        table.add_column(title.rstrip(">"), justify="right" if right else "left")
    return table
