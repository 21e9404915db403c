"""`gateway-guard intel`: hand on what campaigns are recognised by, take in what others say.

The parts that speak with servers are in `intel_taxii` and `intel_crowdsec`, `export` in
`intel_export`.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Final

import typer
from rich import box
from rich.table import Table as Grid

from gateway_guard.cli import FINDINGS, intel_crowdsec, intel_export, intel_taxii
from gateway_guard.cli.intel_options import TableOption, report, table_file, trusted_keys
from gateway_guard.cli.output import Format, FormatOption, console, print_json
from gateway_guard.cli.usage import usage
from gateway_guard.errors import IntelError
from gateway_guard.intel import bundle as bundles
from gateway_guard.intel.file import TableFile, limits_of, read_bounded
from gateway_guard.intel.groups import group_of
from gateway_guard.intel.indicator import Indicator, checked
from gateway_guard.intel.keys import Signer, Trusted, source_name
from gateway_guard.intel.networks import Limits
from gateway_guard.intel.stix_reading import Taken, read_bundle, taken
from gateway_guard.intel.table import Source, Table, pruned, replaced, without
from gateway_guard.settings import Settings

_DAY: Final = 86_400.0
#: Whether there is anything new after what a source said before.
Fresh = Callable[[Source | None], bool]

TrustedOption = Annotated[
    Path | None,
    typer.Option("--trusted", help="Whose signatures are believed: lines `NAME ed25519:…`."),
]
BundleArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A signed bundle.")]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Indicators of campaigns: hand on (export, publish, serve, push), take in (import, "
        "poll, crowdsec).",
    )
    app.add_typer(group, name="intel")
    group.command("keygen")(keygen)
    group.command("export")(intel_export.export)
    group.command("verify")(verify)
    group.command("import")(take_in)
    group.command("list")(list_command)
    group.command("forget")(forget)
    intel_taxii.register(group)
    intel_crowdsec.register(group)


def keygen(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where the private key goes; must be new.")
    ],
    format: FormatOption = Format.TEXT,
) -> None:
    """Make the key that signs this guard's bundles, and print what others need to trust it."""
    signer = Signer.made()
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(signer.pem)
    except FileExistsError:
        raise IntelError(
            f"{file} is there already; a key others trust is not written over: name a new file"
        ) from None
    except OSError as error:
        raise IntelError(f"{file}: {error.strerror}") from error
    if format is Format.JSON:
        print_json({"file": str(file), "id": signer.id, "public": signer.public})
    else:
        out_ = console()
        out_.print(f"private key in {file}; its id is {signer.id}")
        out_.print("who is to trust it adds this line to their list, under a name of their own:")
        out_.print(f"NAME {signer.public}")


def verify(
    file: BundleArgument, trusted: TrustedOption = None, format: FormatOption = Format.TEXT
) -> None:
    """Check a bundle's signature, age and contents; take nothing in."""
    settings = Settings.from_environment()
    keys = trusted_keys(trusted)
    data = _read(file)
    try:
        bundle, signer, digest = bundles.verified(data, keys, now=time.time())
    except IntelError as error:
        raise IntelError(f"{file}: {error}") from None
    good, refused, messages = _checked(bundle.indicators, limits_of(settings))
    kinds = Counter(one.kind for one in good)
    if format is Format.JSON:
        print_json(
            {
                "source": signer.name, "key": signer.id, "number": bundle.number,
                "sha256": digest, "tlp": bundle.tlp, "group": bundle.group, "kinds": kinds,
                "refused": refused, "messages": messages,
            }
        )  # fmt: skip
    else:
        out = console()
        out.print(f"signed by {signer.name} (key {signer.id}), number {bundle.number}")
        out.print(f"made {_age(time.time() - bundle.made_at)} ago, TLP:{bundle.tlp.upper()}")
        out.print(f"{len(good):,} indicators: {_counts(kinds)}")
        report(refused, messages)
    if refused:
        raise typer.Exit(FINDINGS)


def take_in(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Signed bundles; with --as, STIX 2.1.")
    ],
    trusted: TrustedOption = None,
    as_: Annotated[
        str | None,
        typer.Option("--as", help="The files are STIX: the name of who said so, for policies."),
    ] = None,
    unsaid: Annotated[
        int,
        typer.Option(
            "--confidence", min=0, max=100, help="Of STIX indicators that state none, percent."
        ),
    ] = 50,
    table: TableOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Take in signed bundles of other guards, or STIX files. They refuse nobody by themselves."""
    if as_ is not None:
        with usage():
            as_ = source_name(as_, "--as")
    settings = Settings.from_environment()
    place, limits, now = table_file(table, settings), limits_of(settings), time.time()
    keys = trusted_keys(trusted) if as_ is None else {}
    found: list[dict[str, object]] = []
    skipped: Counter[str] = Counter()
    messages: list[str] = []
    for file in files:
        data = _read(file)
        try:
            if as_ is not None:
                name = as_
                fresh: Fresh = _always
                read = taken(read_bundle(data), now=now, limits=limits, unsaid=unsaid)
                source = Source(kind="stix", taken_at=int(now))
            else:
                name, source, read, fresh = _bundle(data, keys, limits, now)
            new = _put(place, name, source, read, fresh, settings, now)
        except IntelError as error:
            raise IntelError(f"{file}: {error}") from None
        skipped += read.skipped
        messages += read.messages
        kinds = Counter(one.kind for one in read.indicators)
        found.append({"file": str(file), "source": name, "new": new, "kinds": kinds})
    if format is Format.JSON:
        print_json({"table": str(place.path), "files": found, "refused": skipped,
                    "messages": messages})  # fmt: skip
    else:
        out = console()
        for one in found:
            counts = one["kinds"]
            said = _counts(counts) if one["new"] and isinstance(counts, Counter) else "nothing new"
            out.print(f"{one['file']}: {said} from {one['source']}")
        report(skipped, messages)
    if skipped["refused"]:
        raise typer.Exit(FINDINGS)


def list_command(
    source: Annotated[str | None, typer.Option("--source", help="Only of this source.")] = None,
    table: TableOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """What was taken in, by source; with --source, one line per indicator."""
    settings = Settings.from_environment()
    place = table_file(table, settings)
    held, now = place.read(), time.time()
    if not place.path.exists():
        typer.echo(f"{place.path}: no such file yet; what is taken in first makes it", err=True)
    if source is not None and source not in held.sources:
        raise typer.BadParameter(f"no source is called {source!r} (there are: {_names(held)})")
    if format is Format.JSON:
        chosen = held.sources if source is None else {source: held.sources[source]}
        print_json({"sources": chosen})
        return
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    if source is None:
        for title in ("source", "kind", "indicators", "in force", "taken in"):
            grid.add_column(
                title, justify="right" if title in ("indicators", "in force") else "left"
            )
        for name, one in held.sources.items():
            live = sum(i.since <= now < i.until for i in one.indicators.values())
            grid.add_row(
                name, one.kind, f"{len(one.indicators):,}", f"{live:,}",
                f"{_age(now - one.taken_at)} ago",
            )  # fmt: skip
    else:
        for title in ("kind", "value", "name", "confidence", "since", "until"):
            grid.add_column(title)
        for i in sorted(held.sources[source].indicators.values(), key=lambda i: (i.kind, i.value)):
            grid.add_row(
                i.kind, i.value, i.name, f"{i.confidence} %", f"{_age(now - i.since)} ago",
                f"in {_age(i.until - now)}" if i.until > now else "expired",
            )  # fmt: skip
    console().print(grid)


def forget(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="As `intel list` names it.")],
    table: TableOption = None,
) -> None:
    """Take out a source and all it said."""
    place = table_file(table, Settings.from_environment())
    held = place.read()
    if source not in held.sources:
        raise typer.BadParameter(f"no source is called {source!r} (there are: {_names(held)})")
    place.update(lambda now: without(now, source))
    console().print(
        f"{source} is forgotten; a running guard knows within a second or two. Its bundles can be "
        "taken in again, older ones too"
    )


def _bundle(
    data: bytes, keys: Mapping[str, Trusted], limits: Limits, now: float
) -> tuple[str, Source, Taken, Fresh]:
    """(source's name, source, what is taken, whether that is new) of a signed bundle."""
    bundle, signer, digest = bundles.verified(data, keys, now=now)
    good, refused, messages = _checked(bundle.indicators, limits)
    source = Source(
        kind="guard", taken_at=int(now), key=signer.id, number=bundle.number, digest=digest
    )
    read = Taken(indicators=good, skipped=refused, messages=messages)
    group_key = Settings.from_environment().intel_group_key
    own = group_of(group_key).id if group_key is not None else ""
    sealed = sum(one.kind in ("client", "template") for one in good)
    if sealed and bundle.group != own:
        read.messages.append(
            f"{sealed:,} digests are sealed for group {bundle.group}, and this guard "
            + (f"is of group {own}" if own else "has no GATEWAY_GUARD_INTEL_GROUP_KEY_FILE")
            + ": they match nothing here"
        )

    def fresh(before: Source | None) -> bool:
        return bundles.accept(bundle, signer, digest, before)

    return signer.name, source, read, fresh


def _always(_before: Source | None) -> bool:
    return True


def _put(
    place: TableFile, name: str, source: Source, read: Taken, fresh: Fresh, settings: Settings,
    now: float,
) -> bool:  # fmt: skip
    """Put what was read into the table, in place of what the source said before, if it is new."""
    new, left = True, 0

    def change(held: Table) -> Table:
        nonlocal new, left
        new = fresh(held.sources.get(name))
        if not new:
            return held
        table, left = pruned(
            replaced(held, name, source, read.indicators), now=now, most=settings.max_indicators
        )
        return table

    place.update(change)
    if left:
        read.skipped[f"beyond GATEWAY_GUARD_MAX_INDICATORS={settings.max_indicators}"] += left
    return new


def _checked(
    indicators: Iterable[Indicator], limits: Limits
) -> tuple[list[Indicator], Counter[str], list[str]]:
    """Those that may match, how many may not, and why the first of these."""
    read = Taken()
    for one in indicators:
        try:
            read.indicators.append(checked(one, limits))
        except IntelError as error:
            read.refuse("refused", str(error))
    return read.indicators, read.skipped, read.messages


def _read(file: Path) -> bytes:
    try:
        return read_bounded(file, bundles.MAX_BYTES)
    except FileNotFoundError:
        raise IntelError(f"{file}: no such file") from None


def _counts(kinds: Counter[str]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common()) or "none"


def _names(table: Table) -> str:
    return ", ".join(table.sources) or "none"


def _age(seconds: float) -> str:
    if abs(seconds) < 2 * 3600:
        return f"{max(seconds, 0.0) / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 2 * _DAY else f"{seconds / _DAY:.0f} days"
