"""`gateway-guard audit`: what people decided, and whether the record of it is whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich import box
from rich.table import Table

from gateway_guard.cli import FINDINGS
from gateway_guard.cli.output import Format, FormatOption, console, print_json
from gateway_guard.cli.printable import printable
from gateway_guard.core.credentials import ACCOUNT
from gateway_guard.errors import SourceError
from gateway_guard.pages.words import many, moment
from gateway_guard.record.audit import Audit, absent
from gateway_guard.record.chain import Checked, Place
from gateway_guard.settings import Settings

_CAMPAIGN: Final = re.compile(r"c_[0-9]{1,12}")

FileOption = Annotated[
    Path | None,
    typer.Option(
        "--file", help="The audit file; by default GATEWAY_GUARD_AUDIT_FILE, or the campaigns'."
    ),
]


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What `verify` says.

    Attributes:
        file: the audit file.
        entries: lines that are as they were written.
        last: number and digest of the last of them, to be noted elsewhere.
        broken: the first line that is not (`file:line`); None when the chain is whole.
        why: what is wrong with it.
    """

    file: str
    entries: int
    last: str
    broken: str | None
    why: str


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(
        no_args_is_help=True,
        help="What people decided (bans, releases, notes …), and whether the record is whole.",
    )
    app.add_typer(group, name="audit")

    @group.command("verify")
    def verify_command(
        parts: Annotated[
            list[Path] | None,
            typer.Argument(
                metavar="FILE",
                help="Parts of the chain that were moved elsewhere; by default the file and what "
                "was rotated away beside it.",
            ),
        ] = None,
        file: FileOption = None,
        last: Annotated[
            str | None,
            typer.Option("--last", help="A `last` that was noted earlier: it must be there still."),
        ] = None,
        format: FormatOption = Format.TEXT,
    ) -> None:
        """Check every line: changed, removed, moved or added ones are found. Exit 1 names the
        first.
        """
        audit = _audit(file, parts)
        found = audit.verify(expected=_place(last), files=parts or ())
        if format is Format.JSON:
            print_json(_verified(audit, found))
        else:
            _print(audit, found)
        if found.broken is not None:
            raise typer.Exit(FINDINGS)

    @group.command("show")
    def show_command(
        file: FileOption = None,
        account: Annotated[
            str | None, typer.Option("--account", help="Only what is about it: acct_…")
        ] = None,
        campaign: Annotated[
            str | None, typer.Option("--campaign", help="Only what is about it: c_0001, …")
        ] = None,
        most: Annotated[
            int, typer.Option("--most", min=1, max=1_000_000, help="Only so many, the latest.")
        ] = 50,
        format: FormatOption = Format.TEXT,
    ) -> None:
        """What was decided, by whom and why, oldest first. Lines that are not as they were written
        are left out, which is said.
        """
        for name, form, like in ((account, ACCOUNT, "acct_…"), (campaign, _CAMPAIGN, "c_0001")):
            if name is not None and not form.fullmatch(name):
                raise typer.BadParameter(f"{printable(name)[:40]!r}: write {like}, as pages do")
        skipped: list[str] = []
        audit = _audit(file)
        if not audit.parts():
            why = absent(audit.path)
            if audit.begun():
                why = f"{audit.path} is gone; `gateway-guard audit verify` says how much was in it"
            if file is not None:
                raise SourceError(why)
            typer.echo(why, err=True)
        found = audit.latest(most, account=account, campaign=campaign, skipped=skipped.append)
        if skipped:
            typer.echo(
                f"{skipped[0]}: {many(len(skipped), 'line')} changed, or written with another "
                "secret, left out; `gateway-guard audit verify` says more", err=True,
            )  # fmt: skip
        if format is Format.JSON:
            print_json({"entries": found})
            return
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for title in ("#", "at (UTC)", "what", "about", "by", "via", "reason"):
            table.add_column(title)
        for entry in found:
            written = (
                entry.action, entry.account or entry.campaign or "", entry.by, entry.via,
                entry.reason,
            )  # fmt: skip
            table.add_row(str(entry.n), moment(entry.at), *map(printable, written))
        out = console()
        if found:
            out.print(table)
        out.print(many(len(found), "decision"))


def _audit(file: Path | None, parts: list[Path] | None = None) -> Audit:
    settings = Settings.from_environment()
    if file is None and parts:
        file = parts[-1]
    if file is not None:
        settings = msgspec.structs.replace(settings, audit_file=str(file))
    return Audit.configured(settings, settings.campaigns_file)


def _place(text: str | None) -> Place | None:
    if text is None:
        return None
    try:
        return Place.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--last") from None


def _verified(audit: Audit, found: Checked) -> Verified:
    return Verified(
        file=str(audit.path), entries=found.entries, last=str(found.last), broken=found.broken,
        why=found.why,
    )  # fmt: skip


def _print(audit: Audit, found: Checked) -> None:
    out = console()
    entries = f"{found.entries:,} {'entry' if found.entries == 1 else 'entries'}"
    if found.broken is None:
        out.print(f"{audit.path}: {entries}, whole")
    else:
        out.print(f"{found.broken}: {found.why}")
        out.print(f"{entries} before it as they were written")
    out.print(f"last {found.last}")
