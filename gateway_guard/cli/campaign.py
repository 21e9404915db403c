"""`gateway-guard campaign`: the campaigns a guard holds: list, show, export, challenge, release."""

from __future__ import annotations

import enum
import sys
import time
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.table import Table

from gateway_guard.campaigns.casebook import BANNED
from gateway_guard.campaigns.ended import WORDS, Ended
from gateway_guard.campaigns.report import Report, report_of
from gateway_guard.campaigns.reviews import LEFT_ALONE, Review, Ruling
from gateway_guard.campaigns.summary import Summary, summaries
from gateway_guard.cli import USAGE
from gateway_guard.cli.campaign_challenge import challenge_command
from gateway_guard.cli.campaign_text import MEMBERS, columns_of, heading, print_report
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
from gateway_guard.errors import SourceError
from gateway_guard.files import write_whole
from gateway_guard.pages.words import let_go, many, moment, sure
from gateway_guard.streams.post import Post

CampaignArgument = Annotated[str, typer.Argument(metavar="ID", help="Its name: c_0001, …")]

#: Networks named in one line of `list`.
_NETWORKS: Final = 3
#: Campaigns let go that `list` shows.
_ENDED: Final = 10


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
            heading(out, "let go lately")
            out.print(_let_go(ended[-_ENDED:]))
            out.print()
        out.print(_foot(case, len(found)))

    @group.command("show")
    def show_command(
        name: CampaignArgument,
        file: FileOption = None,
        members: Annotated[
            int, typer.Option("--members", min=0, help="Most members listed; json lists 1000.")
        ] = MEMBERS,
        format: FormatOption = Format.TEXT,
    ) -> None:
        """One campaign: evidence, members and why each is one, hours, networks, countries."""
        case = opened(file)
        report = _report(case, name)
        if format is Format.JSON:
            print_json(report)
        else:
            said = [one for one in _said(case, report) if one.campaign is not None]
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
        reviews: Annotated[
            bool,
            typer.Option(
                "--reviews",
                help="Also what people decided on it and its members, with their names and "
                "reasons: for colleagues.",
            ),
        ] = False,
    ) -> None:
        """A report to hand on: json for programs, html for people; no text of any prompt."""
        case = opened(file)
        check_outputs({"--out": out}, case.file.path, case.file.reviews)
        report = _report(case, name)
        if reviews:
            report = msgspec.structs.replace(report, reviews=tuple(_said(case, report)))
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
            write_whole(out, text.encode())
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


def _listed(found: list[Summary]) -> Table:
    table = columns_of("campaign", "members>", "confidence>", "first seen, UTC", "alarm, UTC",
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
    table = columns_of("campaign", "members>", "alarm, UTC", "let go, UTC", "refused>", "because")
    for one in reversed(ended):
        table.add_row(
            one.id, f"{one.members:,}", moment(one.alarm_at), moment(one.ended_at),
            f"{one.refused:,} of {one.exchanges:,}", WORDS[one.why],
        )  # fmt: skip
    return table


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


def _said(case: Casefile, report: Report) -> list[Review]:
    """What people decided on a campaign and on its members, oldest first."""
    members = {member.account for member in report.members}
    return [
        one
        for one in case.reviews
        # Names begin anew when a linker does.
        if one.account in members or (one.campaign == report.id and one.at >= report.alarm_at)
    ]


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
