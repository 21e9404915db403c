"""`gateway-guard network`: show, build and refresh the network database."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from gateway_guard.cli.output import Format, FormatOption, console, print_json
from gateway_guard.cli.outputs import check_outputs
from gateway_guard.cli.printable import printable
from gateway_guard.cli.usage import check_sources
from gateway_guard.errors import SourceError
from gateway_guard.files import write_whole
from gateway_guard.network.build import (
    AsRange,
    FlagList,
    build,
    known_lists,
    read_as_ranges,
    read_countries,
)
from gateway_guard.network.database import NetworkDatabase
from gateway_guard.network.ip2proxy import read_ip2proxy
from gateway_guard.network.mmdb import open_bytes
from gateway_guard.network.ranges import Range
from gateway_guard.network.update import Feed, update
from gateway_guard.pages.words import many
from gateway_guard.settings import Settings
from gateway_guard.types import NETWORK_FLAGS


def _progress() -> Progress:
    """A line on standard error; nothing when that is no terminal."""
    output = console(stderr=True)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=output,
        transient=True,
        disable=not output.is_terminal,
    )


def _option_list(specs: list[str], *, asns: bool) -> list[FlagList]:
    lists = []
    for spec in specs:
        flag, equals, file = spec.partition("=")
        if not equals or flag not in NETWORK_FLAGS or not file:
            known = ", ".join(NETWORK_FLAGS)
            raise typer.BadParameter(f"{spec!r}: write FLAG=FILE with one of: {known}")
        lists.append(FlagList(file=file, flag=flag, asns=asns))
    return lists


def _as_files(path: Path) -> list[Path]:
    """The CSV files with integer addresses: `path` itself, or those in the folder `path`."""
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("asn-ipv?-num.csv"))
    if not files:
        raise SourceError(f"{path}: no asn-ipv4-num.csv or asn-ipv6-num.csv in it")
    return files


def _build(
    sources: Path | None,
    countries: list[Path],
    registered: list[Path],
    systems: list[Path],
    lists: list[FlagList],
    proxies: list[Path],
    out: Path,
    built: date,
) -> dict[str, Any]:
    flag_lists = (known_lists(sources) if sources is not None else []) + lists
    if not (flag_lists or countries or registered or systems or proxies):
        raise typer.BadParameter(
            "nothing to build from: --sources, --country, --registered, --asn, --list or --ip2proxy"
        )
    if any(entry.asns for entry in lists) and not systems:
        raise typer.BadParameter("--asn-list needs --asn: whose addresses are those of a number?")
    files = [file for path in systems for file in _as_files(path)]
    listed = [Path(one.file) for one in flag_lists]
    check_outputs({"--out": out}, *countries, *registered, *files, *listed, *proxies)
    with _progress() as bar:
        task = bar.add_task("reading countries")
        country_ranges = [entry for path in countries for entry in read_countries(path)]
        registered_ranges = [entry for path in registered for entry in read_countries(path)]
        bar.update(task, description="reading AS numbers")
        as_ranges: list[AsRange] = []
        for file in files:
            as_ranges += read_as_ranges(file)
        by_flag: dict[str, list[Range]] = {}
        for path in proxies:
            bar.update(task, description=f"reading {path.name}")
            for flag, ranges in read_ip2proxy(path).items():
                by_flag.setdefault(flag, []).extend(ranges)
        made = build(
            countries=country_ranges,
            registered=registered_ranges,
            systems=as_ranges,
            lists=flag_lists,
            ranges_by_flag=by_flag,
            build_epoch=int(datetime(built.year, built.month, built.day, tzinfo=UTC).timestamp()),
            progress=lambda step: bar.update(task, description=step),
        )
        if not made.ranges:
            raise SourceError(
                f"{out}: not written: the sources tell nothing of an address that a client can have"
            )
        bar.update(task, description="checking")
        checked = open_bytes(made.data, str(out))
        checked.reader.close()
        try:
            write_whole(out, made.data, 0o644)
        except OSError as error:
            raise SourceError(f"{out}: cannot be written: {error.strerror}") from error
    return {
        "file": str(out),
        "size": len(made.data),
        "sha256": checked.sha256,
        "ranges": made.ranges,
        "records": made.records,
        "ipv4_addresses": dict(made.flagged),
    }


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(no_args_is_help=True, help="Show, build and refresh the network database.")
    app.add_typer(group, name="network")

    @group.command("show")
    def show(
        database: Annotated[
            list[str] | None, typer.Option(help="As for `lookup`; repeatable.")
        ] = None,
        output: FormatOption = Format.TEXT,
    ) -> None:
        """The files look-ups are answered from, their dates and digests.

        Exit status 1 when a file cannot be used.
        """
        check_sources(database or ())
        files = database or Settings.from_environment().network_files
        entries = NetworkDatabase.bundled(files, strict=False).describe()
        if output is Format.JSON:
            print_json(entries)
        else:
            table = Table(box=None, pad_edge=False, header_style="bold")
            for title in ("file", "type", "built", "tells", "bytes", "sha256", "error"):
                table.add_column(title, overflow="fold")
            for entry in entries:
                cells = (
                    entry["path"],
                    entry.get("type", "?"),
                    entry.get("built") or "?",
                    " ".join(entry.get("holds", ())),
                    f"{entry.get('size', 0):,}",
                    entry.get("sha256", "")[:12],
                    entry["error"] or "",
                )
                table.add_row(*map(Text, cells))
            console().print(table)
        if any(entry["error"] for entry in entries):
            raise typer.Exit(1)

    @group.command("build")
    def build_command(
        out: Annotated[Path, typer.Option(help="The MMDB file to write.")],
        sources: Annotated[
            Path | None, typer.Option(help="Folder of the published lists, by their known names.")
        ] = None,
        country: Annotated[
            list[Path] | None, typer.Option(help="MMDB file with countries; repeatable.")
        ] = None,
        registered: Annotated[
            list[Path] | None,
            typer.Option(
                help="MMDB file with the country each AS is registered in, for what --country "
                "leaves open; repeatable."
            ),
        ] = None,
        asn: Annotated[
            list[Path] | None,
            typer.Option(help="CSV `first,last,number,name`, or a folder of asn-ipv?-num.csv."),
        ] = None,
        flag_list: Annotated[
            list[str] | None, typer.Option("--list", help="FLAG=FILE of addresses; repeatable.")
        ] = None,
        asn_list: Annotated[
            list[str] | None, typer.Option("--asn-list", help="FLAG=FILE of AS numbers.")
        ] = None,
        ip2proxy: Annotated[
            list[Path] | None,
            typer.Option("--ip2proxy", help="CSV of IP2Proxy, with CIDR or ranges; repeatable."),
        ] = None,
        built: Annotated[
            str, typer.Option("--date", help="Build date YYYY-MM-DD; today when left out.")
        ] = "",
        output: FormatOption = Format.TEXT,
    ) -> None:
        """Compile country, AS and address lists into one MMDB file.

        The same inputs and date give the same bytes.
        """
        try:
            day = date.fromisoformat(built) if built else datetime.now(UTC).date()
        except ValueError:
            raise typer.BadParameter(f"--date {built!r} is not YYYY-MM-DD") from None
        if day <= date(1970, 1, 1):
            raise typer.BadParameter(f"--date {built!r} is before there were such files")
        report = _build(
            sources,
            country or [],
            registered or [],
            asn or [],
            _option_list(flag_list or [], asns=False) + _option_list(asn_list or [], asns=True),
            ip2proxy or [],
            out,
            day,
        )
        if output is Format.JSON:
            print_json(report)
            return
        typer.echo(
            f"{report['file']}: {report['size']:,} bytes, {many(report['ranges'], 'range')}, "
            f"{many(report['records'], 'record')}, sha256 {report['sha256'][:16]}…"
        )
        for flag, count in report["ipv4_addresses"].items():
            typer.echo(f"  {flag:<12}{count:>14,} IPv4 addresses")

    @group.command("update")
    def update_command(
        url: Annotated[
            list[str],
            typer.Option(
                help="NAME=URL of an .mmdb, .mmdb.gz or .tar.gz; NAME:FLAG=URL of a text list."
            ),
        ],
        folder: Annotated[
            Path, typer.Option("--dir", help="Where NAME.mmdb is kept; a network file itself.")
        ],
        sha256: Annotated[
            list[str] | None,
            typer.Option(help="NAME=HEX, NAME=URL of a checksum, or NAME=auto for URL.sha256."),
        ] = None,
        max_mb: Annotated[int, typer.Option(min=1, max=4096, help="Most megabytes a feed.")] = 512,
        output: FormatOption = Format.TEXT,
    ) -> None:
        """Fetch feeds; keep the last good file of any that fails.

        Exit status 1 when a feed failed. Run it from cron; a running guard notices by itself.
        """
        checksums = dict[str, str]()
        for spec in sha256 or []:
            name, _, value = spec.partition("=")
            checksums[name] = value
        feeds = []
        for spec in url:
            name = spec.partition("=")[0].partition(":")[0]
            try:
                feeds.append(Feed.parse(spec, checksums.pop(name, None)))
            except SourceError as error:
                raise typer.BadParameter(str(error)) from None
        if checksums:
            raise typer.BadParameter(f"--sha256 names no feed: {', '.join(sorted(checksums))}")
        with _progress() as bar:
            task = bar.add_task("fetching")
            outcomes = update(
                feeds,
                folder,
                max_bytes=max_mb * 1024 * 1024,
                progress=lambda name, size: bar.update(task, description=f"{name} {size:,} bytes"),
            )
        if output is Format.JSON:
            print_json(outcomes)
        else:
            for outcome in outcomes:
                typer.echo(printable(f"{outcome.name}: {outcome.status}: {outcome.detail}"))
        if any(outcome.status == "failed" for outcome in outcomes):
            raise typer.Exit(1)
