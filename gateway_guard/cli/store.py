"""`gateway-guard store`: what limits take in a shared store, and how to empty it."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from gateway_guard.cli import FINDINGS, USAGE
from gateway_guard.cli.output import Format, FormatOption, console, print_json
from gateway_guard.cli.post import NamespaceOption, StoreOption, check_typed
from gateway_guard.cli.printable import printable
from gateway_guard.errors import SettingsError
from gateway_guard.settings import Settings
from gateway_guard.stores.connect import Address, parse_address
from gateway_guard.stores.survey import Stats, count, flush, survey


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(
        no_args_is_help=True, help="A shared store: what limits take in it, and how to empty it."
    )
    app.add_typer(group, name="store")

    @group.command("stats")
    def stats(
        store: StoreOption = None,
        namespace: NamespaceOption = None,
        format: FormatOption = Format.TEXT,
    ) -> None:
        """Keys and memory, limit by limit. Exit 1 when the server may forget who owes."""
        address, name = _chosen(store, namespace)
        with _progress() as progress:
            task = progress.add_task("keys looked at: 0")

            def walked(keys: int) -> None:
                progress.update(task, description=f"keys looked at: {keys:,}")

            found = asyncio.run(survey(address, name, progress=walked))
        if format is Format.JSON:
            print_json(found)
        else:
            _show(found)
        if found.forgets:
            raise typer.Exit(FINDINGS)

    @group.command("flush")
    def empty(
        store: StoreOption = None,
        namespace: NamespaceOption = None,
        yes: Annotated[
            bool, typer.Option("--yes", "-y", help="Do it without asking, as scripts must.")
        ] = False,
    ) -> None:
        """Forget everything used and in flight: every account starts anew."""
        address, name = _chosen(store, namespace)
        if not yes:
            keys = asyncio.run(count(address, name))
            question = f"Forget {keys:,} keys of {name!r} in {address}?"
            if not sys.stdin.isatty():
                typer.echo(f"{question} Nothing was done: add --yes.", err=True)
                raise typer.Exit(USAGE)
            typer.confirm(question, abort=True)
        with _progress() as progress:
            task = progress.add_task("keys forgotten: 0")

            def walked(keys: int) -> None:
                progress.update(task, description=f"keys forgotten: {keys:,}")

            gone = asyncio.run(flush(address, name, progress=walked))
        typer.echo(f"{gone:,} keys of {name!r} forgotten in {address}")


def _chosen(store: str | None, namespace: str | None) -> tuple[Address, str]:
    check_typed(store, namespace)
    settings = Settings.from_environment()
    uri = store or settings.store
    if not uri:
        raise SettingsError("name the store: --store redis://host:6379/0, or GATEWAY_GUARD_STORE")
    address = parse_address(uri)
    if not address.shared:
        raise SettingsError("memory:// is one process's own: nothing of it is seen from here")
    return address, namespace or settings.store_namespace


def _progress() -> Progress:
    terminal = console(stderr=True)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        console=terminal,
        transient=True,
        disable=not terminal.is_terminal,
    )


def _show(found: Stats) -> None:
    out = console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("limit")
    for column in ("keys", "memory", "each"):
        table.add_column(column, justify="right")
    for limit in found.limits:
        each = limit.memory / limit.keys if limit.keys else 0.0
        table.add_row(
            printable(limit.limit), f"{limit.keys:,}", size(limit.memory), f"{each:,.0f} B"
        )
    if found.limits:
        out.print(table)
    guess = "" if found.measured >= found.keys else f", estimated from {found.measured:,} keys"
    bound = f"of {size(found.maximum)}" if found.maximum else "(no bound: maxmemory is not set)"
    server = f"the server uses {size(found.server_memory)} {bound}"
    lines = [
        f"{found.namespace!r} in {found.store}: {found.keys:,} keys, {size(found.memory)}{guess}",
        f"{found.reservations:,} reservations are not settled yet",
        f"{server}, {found.policy or 'policy unknown'}",
    ]
    for line in lines:
        out.print(line, markup=False)
    if found.forgets:
        out.print(
            f"{found.policy} forgets who owes once the server is full: "
            "CONFIG SET maxmemory-policy noeviction",
            style="yellow",
        )


def size(count: int) -> str:
    """`count` bytes as a person says it."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000.0 or unit == "GB":
            break
        value /= 1000.0
    return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"
