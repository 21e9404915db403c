"""`gateway-guard intel crowdsec-pull|crowdsec-push`: decisions of CrowdSec's local API."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from gateway_guard.cli.casefile import FileOption, opened
from gateway_guard.cli.intel_export import confirmed, seen_in
from gateway_guard.cli.intel_options import TableOption, check_server, report, secret_in, table_file
from gateway_guard.cli.intel_taxii import CaOption, EveryOption, InsecureOption, repeat
from gateway_guard.cli.output import Format, FormatOption, console, print_json
from gateway_guard.cli.usage import usage
from gateway_guard.intel import crowdsec
from gateway_guard.intel.file import TableFile, limits_of
from gateway_guard.intel.http import Web
from gateway_guard.intel.keys import source_name
from gateway_guard.intel.sharing import DAYS
from gateway_guard.intel.table import Source, Table, merged, pruned, replaced
from gateway_guard.settings import Settings

UrlArgument = Annotated[
    str, typer.Argument(metavar="URL", help="Of the local API: http://127.0.0.1:8080/v1/")
]


def register(group: typer.Typer) -> None:
    """Add the commands to `group`."""
    group.command("crowdsec-pull")(pull)
    group.command("crowdsec-push")(push)


def pull(
    url: UrlArgument,
    key_file: Annotated[
        Path, typer.Option("--key-file", help="A file with a bouncer's key, nobody else's.")
    ],
    as_: Annotated[str, typer.Option("--as", help="The source's name, for policies.")] = "crowdsec",
    table: TableOption = None,
    every: EveryOption = None,
    ca: CaOption = None,
    insecure: InsecureOption = False,
    format: FormatOption = Format.TEXT,
) -> None:
    """Take in CrowdSec's decisions: all of them first, then, with --every, what changes."""
    check_server(url, insecure=insecure)
    settings = Settings.from_environment()
    with usage():
        name = source_name(as_, "--as")
    place = table_file(table, settings)
    # Where the server's cursor for this key stands is known only after a look by this process.
    startup = True
    key = secret_in(key_file, "a bouncer's key")
    with Web(url, headers={"x-api-key": key}, ca=ca, insecure=insecure) as web:

        def turn() -> bool:
            nonlocal startup
            # The server believes that what it said is known: if it is lost on the way here, all
            # of it must be asked for again.
            now, whole, startup = time.time(), startup, True
            found = crowdsec.stream(web, startup=whole, now=now, limits=limits_of(settings))
            left = _put(place, name, found, whole, settings, now)
            startup = False
            read = found.taken
            if left:
                read.skipped[f"beyond GATEWAY_GUARD_MAX_INDICATORS={settings.max_indicators}"] += (
                    left
                )
            if format is Format.JSON:
                print_json({"source": name, "startup": whole, "new": len(read.indicators),
                            "ended": len(found.ended), "refused": read.skipped,
                            "messages": read.messages})  # fmt: skip
            else:
                console().print(
                    f"{name}: {len(read.indicators):,} decisions, {len(found.ended):,} ended"
                )
                report(read.skipped, read.messages)
            return not read.skipped["refused"]

        repeat(turn, every)


def push(
    url: UrlArgument,
    machine: Annotated[str, typer.Option("--machine", help="The machine's name there.")],
    password_file: Annotated[
        Path, typer.Option("--password-file", help="A file with its password.")
    ],
    campaign: Annotated[
        list[str] | None, typer.Option("--campaign", help="Only these; by default all confirmed.")
    ] = None,
    confidence: Annotated[
        float, typer.Option("--min-confidence", min=0.5, max=1.0, help="What counts as confirmed.")
    ] = 0.99,
    traffic: Annotated[
        list[Path] | None, typer.Option("--traffic", help="Decision logs, plain or gzipped.")
    ] = None,
    kind: Annotated[str, typer.Option("--type", help="ban, captcha, …")] = "captcha",
    days: Annotated[
        int, typer.Option("--days", min=1, max=90, help="Days after a network was last seen.")
    ] = DAYS["network"],
    file: FileOption = None,
    ca: CaOption = None,
    insecure: InsecureOption = False,
    format: FormatOption = Format.TEXT,
) -> None:
    """Hand networks of confirmed campaigns to CrowdSec, as alerts with decisions."""
    check_server(url, insecure=insecure)
    if not traffic:
        raise typer.BadParameter(
            "--traffic is missing: which networks members came from is in the log"
        )
    if not kind.isalnum() or len(kind) > 32:
        raise typer.BadParameter(
            f"--type {kind[:40]!r}: a word your bouncers understand, e.g. captcha"
        )
    cases = list(confirmed(opened(file).linker, campaign, confidence, seen_in(traffic)))
    now = time.time()
    alerts = [a for case in cases for a in crowdsec.alerts_of(case, now=now, kind=kind, days=days)]
    ids: list[str] = []
    if alerts:
        with Web(url, ca=ca, insecure=insecure) as web:
            token = crowdsec.login(web, machine, secret_in(password_file, "a password"))
            ids = crowdsec.push(web, token, alerts)
    if format is Format.JSON:
        print_json({"alerts": len(alerts), "ids": ids})
    else:
        counts = Counter(case.campaign.id for case in cases)
        console().print(
            f"{len(alerts):,} networks of {len(counts)} campaigns handed over as {kind}"
        )


def _put(
    place: TableFile, name: str, found: crowdsec.Stream, whole: bool, settings: Settings,
    now: float,
) -> int:  # fmt: skip
    """Put what was heard into the table; how many were too many."""
    source, read, left = Source(kind="crowdsec", taken_at=int(now)), found.taken, 0

    def change(held: Table) -> Table:
        nonlocal left
        if whole:
            table = replaced(held, name, source, read.indicators)
        else:
            table = merged(held, name, source, read.indicators, found.ended)
        table, left = pruned(table, now=now, most=settings.max_indicators)
        return table

    place.update(change)
    return left
