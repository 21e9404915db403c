"""`gateway-guard decision`: what was decided on a request, or lately on an account, and why."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway_guard.cli import FINDINGS
from gateway_guard.cli.logs import (
    LogsArgument,
    moment,
    paths_of,
    progress,
    say_what_was_left_out,
    span_of,
)
from gateway_guard.cli.output import Format, FormatOption, console
from gateway_guard.cli.printable import printable
from gateway_guard.cli.screen import COLOURS
from gateway_guard.cli.tree import print_tree
from gateway_guard.core.credentials import ACCOUNT
from gateway_guard.core.explain import explain_tree
from gateway_guard.core.policy import Policy
from gateway_guard.errors import SourceError
from gateway_guard.pages.words import many
from gateway_guard.policy.compile import load_policy
from gateway_guard.policy.describe import limit_in_words, rule_in_words
from gateway_guard.record.finding import Found, Logs
from gateway_guard.record.read import exchange_of
from gateway_guard.types import Exchange

#: As `ids` makes them, and as problem details wrap them; somebody's own guard may make others.
_REQUEST: Final = re.compile(r"(?:urn:gateway-guard:)?(r_[0-9a-z]{8,32})", re.IGNORECASE)
_USUAL: Final = len("r_97jy8gm6c4tv1e")
_CAMPAIGN: Final = re.compile(r"c_[0-9]{1,12}")
_LATEST: Final = 20


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command("decision")
    def command(
        name: Annotated[
            str,
            typer.Argument(
                metavar="ID",
                help="A request (r_…), as its client was shown it, or an account (acct_…).",
            ),
        ],
        logs: LogsArgument = None,
        policy: Annotated[
            Path | None,
            typer.Option(
                "--policy",
                "-p",
                help="The policy that decided: adds weights, full quotas and what its rule asks.",
            ),
        ] = None,
        latest: Annotated[
            int,
            typer.Option(
                "--latest",
                "-n",
                min=1,
                max=10_000,
                help="Most decisions of an account that are listed.",
            ),
        ] = _LATEST,
        format: FormatOption = Format.TEXT,
    ) -> None:
        """What was decided on a request and why, or the latest decisions on an account.

        It is looked up in the decision log by the request id, which refusals and answers carry.
        json gives the lines of the log as they are.

        Exit 0 found, 1 not found, 2 usage, 3 a log or the policy cannot be read.
        """  # fmt: skip
        name = name.strip()
        request, account = _REQUEST.fullmatch(name), ACCOUNT.fullmatch(name)
        if request is None and account is None:
            # It is not shown again: it may be a key.
            raise typer.BadParameter(f"{_forms(name)}. No log was read")
        loaded = load_policy(policy) if policy is not None else None
        paths = paths_of(logs)
        with progress(paths) as advance:
            searched = Logs(paths, progress=advance)
            if request is not None:
                one = searched.decision(request[1].lower())
                found = [] if one is None else [one]
            else:
                found = searched.decisions(name, latest)
        as_list = request is None and format is Format.TEXT
        listed = _readable(searched, found) if as_list else []
        say_what_was_left_out(searched)
        if not (listed if as_list else found):
            typer.echo(_nothing(searched, name), err=True)
            raise typer.Exit(FINDINGS)
        if format is Format.JSON:
            for one in found:
                sys.stdout.buffer.write(one.text + b"\n")
            return
        if as_list:
            console().print(_listed(listed))
        else:
            _print_one(found[0], loaded, console())


def _nothing(searched: Logs, name: str) -> str:
    """That it was not found, and where and in what time it was looked for."""
    text = f"no decision on {name} in {searched.name}: {many(searched.lines, 'decision')}"
    text += span_of(searched)
    text += "; name older logs, too, where there are some"
    bare = name.rpartition(":")[2]
    if bare.lower().startswith("r_") and len(bare) != _USUAL:
        text += f". The guard's own ids have {_USUAL} characters, this one {len(bare)}"
    return text


def _forms(name: str) -> str:
    """What can be asked for, where `name` is neither a request nor an account."""
    text = (
        "ID is neither the id of a request, r_ and 14 letters or digits (r_97jy8gm6c4tv1e), nor an "
        "account as the log has it, acct_ and 16 letters or digits (acct_s5xjasyteaigjg76). "
    )
    if _CAMPAIGN.fullmatch(name):
        return f"{text}Campaigns are shown by `gateway-guard campaign show {name}`"
    return (
        f"{text}Answers and refusals have it in x-request-id (Anthropic's: request-id) or, where "
        "that is the upstream's own, in x-guard-request-id; the account of a key is told by "
        "`gateway-guard account show --key-file FILE`"
    )


def _readable(searched: Logs, found: Sequence[Found]) -> list[Exchange]:
    """Those that say enough; the others, as of a version that wrote otherwise, count as broken."""
    exchanges = []
    for one in found:
        try:
            exchanges.append(exchange_of(one.text))
        except SourceError:
            searched.disown(one)
    return exchanges


def _print_one(found: Found, policy: Policy | None, out: Console) -> None:
    try:
        exchange = exchange_of(found.text)
    except SourceError as error:
        raise SourceError(f"{found.place}: {error}") from error
    decision = exchange.decision
    own = policy if policy is not None and policy.digest == decision.policy else None
    about = f"{moment(found.at)} UTC  {exchange.request.account or 'no account'}  {found.place}"
    out.print(printable(about), soft_wrap=True)
    out.print(printable(_by(decision.policy, policy, same=own is not None)), soft_wrap=True)
    out.print()
    word = decision.action.word
    print_tree(explain_tree(exchange, own), out, word=word, colour=COLOURS[word])
    if own is not None:
        for line in _asked(own, decision.rule or ""):
            out.print(printable(line), soft_wrap=True)


def _by(digest: str, policy: Policy | None, *, same: bool) -> str:
    """Which policy decided, and whether `policy` is the `same`."""
    if policy is None:
        return f"by policy {digest} (--policy FILE shows its weights, quotas and rule)"
    if same:
        return f"by policy {digest}, as {policy.source} is now"
    return (
        f"by policy {digest}; {policy.source} has changed since (now {policy.digest}): the "
        "weights, quotas and rule of then are not shown"
    )


def _asked(policy: Policy, rule: str) -> list[str]:
    """The rule or limit that decided, in words, behind an empty line; nothing for any other."""
    words: list[str] = []
    kind, _, name = rule.rpartition(":")
    if kind == "limit":
        words = next((limit_in_words(one) for one in policy.limits if one.name == name), [])
    elif not kind:
        words = next((rule_in_words(policy, one) for one in policy.rules if one.name == name), [])
    return ["", *words] if words else []


def _listed(exchanges: Sequence[Exchange]) -> Table:
    """Decisions on one account, each in a line."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in ("arrived, UTC", "request", "decided", "because of", "path", "model"):
        table.add_column(title)
    for title in ("risk", "tokens"):
        table.add_column(title, justify="right")
    table.add_column("ended")
    for one in exchanges:
        request, decision, usage = one.request, one.decision, one.usage
        word = decision.action.word
        status = f" {decision.status}" if decision.action.refuses and decision.status else ""
        shadow = "" if decision.acted else " (in shadow)"
        tokens = None if usage is None else _sum(usage.input_tokens, usage.output_tokens)
        table.add_row(
            moment(datetime.fromtimestamp(request.at, UTC))[:-7],
            request.id,
            Text(f"{word}{status}{shadow}", style=COLOURS[word]),
            printable(decision.rule or "default"),
            printable(request.path or "ambiguous path"),
            printable(request.model or "–"),
            f"{one.assessment.risk:.2f}",
            "–" if tokens is None else f"{tokens:,}",
            "–" if usage is None else usage.outcome.value,
        )
    return table


def _sum(read: int | None, written: int | None) -> int | None:
    return None if read is None and written is None else (read or 0) + (written or 0)
