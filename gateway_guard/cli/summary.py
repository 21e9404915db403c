"""`gateway-guard summary`: what a decision log comes to, by rule, and whom each rule hit."""

from __future__ import annotations

import difflib
from collections import Counter
from typing import Annotated, Any, Final, Literal

import msgspec
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from gateway_guard.cli import FINDINGS
from gateway_guard.cli.logs import (
    LogsArgument,
    paths_of,
    progress,
    say_what_was_left_out,
    span_of,
)
from gateway_guard.cli.output import Format, FormatOption, console, print_json
from gateway_guard.cli.printable import printable
from gateway_guard.errors import UNDECODABLE
from gateway_guard.pages.words import many
from gateway_guard.record.finding import Logs

_MOST: Final = 20
_ALLOW: Final = "allow"
_NOBODY: Final = "no account"


#: As `types.Action` spells them.
_Word = Literal["allow", "restrict", "challenge", "throttle", "deny"]


class _Rehearsed(msgspec.Struct, gc=False):
    rule: str
    action: _Word


class _Line(msgspec.Struct, gc=False):
    """What is counted of a line."""

    action: _Word
    acted: bool
    policy: str
    rule: str = "default"
    account: str | None = None
    shadow: tuple[_Rehearsed, ...] = ()


class _Count(msgspec.Struct):
    """Decisions that were carried out, those in shadow, and whose (or by which rules)."""

    acted: int = 0
    shadow: int = 0
    whose: Counter[str] = msgspec.field(default_factory=Counter)

    def add(self, other: str, *, acted: bool) -> None:
        self.acted += acted
        self.shadow += not acted
        self.whose[other] += 1


class Summary:
    """Counts lines. With `rule`, only what that one decided, or would have in rehearsal.

    Attributes:
        rules: (rule, action) → decisions, and of which accounts.
        hit: account → decisions that were anything but `allow`, and by which rules.
        seen: accounts of all lines.
        policies: digest → lines.
    """

    def __init__(self, rule: str | None = None) -> None:
        self.rules: dict[tuple[str, str], _Count] = {}
        self.hit: dict[str, _Count] = {}
        self.seen: set[str] = set()
        self.policies: Counter[str] = Counter()
        self.names: set[str] = set()
        self._only = rule

    def add(self, line: _Line) -> None:
        """Count one line."""
        account = line.account or _NOBODY
        self.seen.add(account)
        self.policies[line.policy] += 1
        self._add(account, line.rule, line.action, acted=line.acted)
        for one in line.shadow:
            self._add(account, one.rule, one.action, acted=False)

    def _add(self, account: str, rule: str, action: str, *, acted: bool) -> None:
        self.names.add(rule)
        if self._only not in (None, rule):
            return
        self.rules.setdefault((rule, action), _Count()).add(account, acted=acted)
        if action != _ALLOW:
            self.hit.setdefault(account, _Count()).add(rule, acted=acted)

    def as_json(self, logs: Logs, most: int) -> dict[str, Any]:
        """Everything counted; of accounts the `most` that were hit most often."""
        rules = sorted(self.rules.items(), key=lambda one: (-one[1].whose.total(), one[0]))
        hit = sorted(self.hit.items(), key=lambda one: (-one[1].whose.total(), one[0]))
        return {
            "decisions": logs.lines,
            "earliest": logs.earliest,
            "latest": logs.latest,
            "accounts": len(self.seen - {_NOBODY}),
            "policies": dict(self.policies.most_common()),
            "rules": [
                {"rule": rule, "action": action, "acted": one.acted, "shadow": one.shadow,
                 "accounts": len(one.whose.keys() - {_NOBODY})}
                for (rule, action), one in rules
            ],
            "accounts_hit": len(self.hit.keys() - {_NOBODY}),
            "hit": [
                {"account": None if account == _NOBODY else account, "acted": one.acted,
                 "shadow": one.shadow, "rules": dict(one.whose.most_common())}
                for account, one in hit[:most]
            ],
        }  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command("summary")
    def command(
        logs: LogsArgument = None,
        rule: Annotated[
            str | None,
            typer.Option(
                "--rule", help="Only what this rule or limit (limit:NAME) decided, or would have."
            ),
        ] = None,
        most: Annotated[
            int, typer.Option("--most", "-n", min=1, max=1_000_000, help="Most accounts listed.")
        ] = _MOST,
        format: FormatOption = Format.TEXT,
    ) -> None:
        """What a decision log comes to: by rule, acted on or in shadow, and whom each hit.

        Before a policy in shadow is enforced it says what would change, and for whom.

        Exit 0 counted, 1 nothing to count, 2 usage, 3 a log cannot be read.
        """  # fmt: skip
        paths = paths_of(logs)
        with progress(paths) as advance:
            searched = Logs(paths, progress=advance)
            summary = Summary(rule)
            for found in searched:
                try:
                    summary.add(_decode(found.text))
                except UNDECODABLE:
                    searched.disown(found)
        say_what_was_left_out(searched)
        if not summary.rules:
            typer.echo(_nothing(searched, summary, rule), err=True)
            raise typer.Exit(FINDINGS)
        report = summary.as_json(searched, most)
        if format is Format.JSON:
            print_json(report)
        else:
            _print(report, searched, console())


_decode: Final = msgspec.json.Decoder(_Line).decode


def _nothing(searched: Logs, summary: Summary, rule: str | None) -> str:
    where = f"{searched.name}: {many(searched.lines, 'decision')}{span_of(searched)}"
    if rule is None or not summary.names:
        return f"nothing to count in {where}"
    near = difflib.get_close_matches(rule, sorted(summary.names), n=1)
    near = near or sorted(name for name in summary.names if name.endswith(f":{rule}"))
    hint = f"; did you mean {near[0]!r}?" if near else ""
    known = ", ".join(sorted(summary.names))
    return printable(f"no decision by {rule!r} in {where}{hint} (by these: {known})")


def _print(report: dict[str, Any], searched: Logs, out: Console) -> None:
    accounts = many(report["accounts"], "account")
    out.print(f"{many(report['decisions'], 'decision')} on {accounts}{span_of(searched)}")
    word = "policy" if len(report["policies"]) == 1 else "policies"
    out.print(printable(f"by {word} {', '.join(report['policies'])}"), soft_wrap=True)
    out.print()
    table = _table("decided by", "action", "acted on", "in shadow", "accounts", "share")
    for row in report["rules"]:
        counts = [f"{row[name]:,}" for name in ("acted", "shadow", "accounts")]
        share = f"{100.0 * (row['acted'] + row['shadow']) / report['decisions']:.2f} %"
        table.add_row(printable(row["rule"]), row["action"], *counts, share)
    out.print(table)
    if not report["hit"]:
        out.print("\nnobody was hit: everything was, or would have been, allowed")
        return
    out.print()
    table = _table("account", "because of", "acted on", "in shadow")
    for row in report["hit"]:
        rules = ", ".join(f"{name} {count:,}" for name, count in row["rules"].items())
        counts = [f"{row[name]:,}" for name in ("acted", "shadow")]
        table.add_row(printable(row["account"] or _NOBODY), printable(rules), *counts)
    out.print(table)
    more = len([row for row in report["hit"] if row["account"] is not None])
    if report["accounts_hit"] > more:
        out.print(f"… and {report['accounts_hit'] - more:,} accounts more (--most)")


def _table(*names: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in names:
        left = name in ("decided by", "action", "account", "because of")
        table.add_column(name, justify="left" if left else "right")
    return table
