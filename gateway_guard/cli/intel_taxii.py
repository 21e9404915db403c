"""`gateway-guard intel publish|serve|poll|push`: STIX over TAXII 2.1."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from gateway_guard.cli import FINDINGS
from gateway_guard.cli.intel_options import TableOption, check_server, report, secret_in, table_file
from gateway_guard.cli.output import Format, FormatOption, console, print_json
from gateway_guard.cli.printable import lines_printable
from gateway_guard.cli.usage import LONGEST, usage
from gateway_guard.errors import IntelError
from gateway_guard.files import write_whole
from gateway_guard.intel import collection as collections
from gateway_guard.intel.file import TableFile, limits_of, locked, read_bounded
from gateway_guard.intel.http import Web
from gateway_guard.intel.keys import source_name
from gateway_guard.intel.networks import Limits
from gateway_guard.intel.stix_reading import MAX_BYTES, read_bundle, taken
from gateway_guard.intel.table import Source, Table, merged, pruned
from gateway_guard.intel.taxii import ROOT
from gateway_guard.intel.taxii_client import Pushed, poll, push
from gateway_guard.settings import Settings

CollectionOption = Annotated[
    Path, typer.Option("--collection", help="The file that holds what is served.")
]
UserOption = Annotated[str | None, typer.Option("--user", help="Name for the server.")]
PasswordOption = Annotated[
    Path | None, typer.Option("--password-file", help="A file that holds its password.")
]
CaOption = Annotated[
    str | None, typer.Option("--ca", help="Trust only these authorities for it (PEM).")
]
InsecureOption = Annotated[
    bool, typer.Option("--insecure", help="Allow http to other hosts: credentials go in the clear.")
]
UrlArgument = Annotated[
    str, typer.Argument(metavar="URL", help="Of the collection: https://…/collections/ID/")
]
EveryOption = Annotated[
    float | None,
    typer.Option(
        "--every", min=1.0, max=LONGEST, help="Go on, and ask again after so many seconds."
    ),
]
_LONGEST_WAIT: Final = 3_600.0


def register(group: typer.Typer) -> None:
    """Add the commands to `group`."""
    group.command("publish")(publish)
    group.command("serve")(serve)
    group.command("poll")(poll_command)
    group.command("push")(push_command)


def publish(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A STIX bundle of `intel export`.")],
    collection: CollectionOption,
    title: Annotated[
        str, typer.Option("--title", help="Of a new collection, for people.")
    ] = "Campaigns",
    format: FormatOption = Format.TEXT,
) -> None:
    """Add a STIX bundle to the collection that `intel serve` serves. Once is enough."""
    objects = _objects(file)
    try:
        with locked(collection):
            held = _held(collection, title)
            held, new = collections.published(held, objects, now=time.time())
            write_whole(collection, collections.encode(held))
    except OSError as error:
        raise IntelError(f"{collection}: {error.strerror}") from error
    if format is Format.JSON:
        print_json({"id": held.id, "new": new, "entries": len(held.entries)})
    else:
        console().print(
            f"{new:,} new of {len(objects):,} objects; served at {ROOT}collections/{held.id}/"
        )


def serve(
    collection: CollectionOption,
    users: Annotated[
        Path, typer.Option("--users", help="Who may read: lines of a name and a password.")
    ],
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")
    ] = 9910,
    ssl_certfile: Annotated[
        str | None,
        typer.Option("--ssl-certfile", help="Serve TLS: PEM chain, read again when it changes."),
    ] = None,
    ssl_keyfile: Annotated[
        str | None, typer.Option("--ssl-keyfile", help="Its private key.")
    ] = None,
    title: Annotated[str, typer.Option("--title", help="Of the server.")] = "gateway_guard",
) -> None:
    """Serve a collection over TAXII 2.1, read-only, to those who have a password."""
    from gateway_guard.frontends import listen, taxii  # noqa: PLC0415  (uvicorn is an extra)
    from gateway_guard.frontends.certificate import Certificate  # noqa: PLC0415

    tls = Certificate(ssl_certfile, ssl_keyfile) if ssl_certfile else None
    if tls is None and host not in ("127.0.0.1", "::1", "localhost"):
        raise typer.BadParameter(
            f"--host {host} without TLS would carry passwords in the clear: add --ssl-certfile, or "
            "listen on loopback behind a proxy that has it"
        )
    app = taxii.TaxiiApp(collection, users, title)
    listener = listen.bind_tcp(host, port, flag="--host and --port")
    scheme = "https" if tls else "http"
    address, bound = listener.getsockname()[:2]
    shown = f"[{address}]" if ":" in address else address
    typer.echo(f"TAXII 2.1 on {scheme}://{shown}:{bound}/taxii2/", err=True)
    taxii.run(app, listener, tls)


def poll_command(
    url: UrlArgument,
    as_: Annotated[str, typer.Option("--as", help="The name of who says so, for policies.")],
    user: UserOption = None,
    password_file: PasswordOption = None,
    table: TableOption = None,
    unsaid: Annotated[
        int,
        typer.Option("--confidence", min=0, max=100, help="Of indicators that state none, %."),
    ] = 50,
    every: EveryOption = None,
    ca: CaOption = None,
    insecure: InsecureOption = False,
    format: FormatOption = Format.TEXT,
) -> None:
    """Take in what a TAXII collection has that was not taken in yet."""
    check_server(url, insecure=insecure)
    settings = Settings.from_environment()
    with usage():
        name = source_name(as_, "--as")
    place = table_file(table, settings)
    with Web(url, auth=_auth(user, password_file), ca=ca, insecure=insecure) as web:

        def turn() -> bool:
            skipped, messages, kinds = _poll(web, place, name, settings, unsaid)
            if format is Format.JSON:
                print_json({"source": name, "kinds": kinds, "refused": skipped,
                            "messages": messages})  # fmt: skip
            else:
                counts = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
                console().print(f"{name}: {counts or 'nothing new'}")
                report(skipped, messages)
            return not skipped["refused"]

        repeat(turn, every)


def repeat(turn: Callable[[], bool], every: float | None) -> None:
    """Take one turn, or one every so many seconds until the process is ended.

    Raises:
        typer.Exit: the only turn had findings.
        IntelError: it failed. When there are more, they are waited for: as long as the server asked
            for, otherwise longer each time.
    """
    wait = every or 0.0
    while True:
        try:
            good = turn()
        except IntelError as error:
            if every is None:
                raise
            typer.echo(lines_printable(f"gateway-guard: {error}"), err=True)
            if error.after is not None:
                wait = max(error.after, every)
            else:
                wait = min(2.0 * wait, max(_LONGEST_WAIT, every))
        else:
            if every is None:
                if not good:
                    raise typer.Exit(FINDINGS)
                return
            wait = every
        time.sleep(wait)


def push_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A STIX bundle.")],
    url: UrlArgument,
    user: UserOption = None,
    password_file: PasswordOption = None,
    ca: CaOption = None,
    insecure: InsecureOption = False,
    format: FormatOption = Format.TEXT,
) -> None:
    """Add a STIX bundle to somebody's TAXII collection."""
    check_server(url, insecure=insecure)
    objects = _objects(file)
    with Web(url, auth=_auth(user, password_file), ca=ca, insecure=insecure) as web:
        done: Pushed = push(web, objects, wait=time.sleep)
    if format is Format.JSON:
        print_json(done)
    else:
        console().print(
            f"{done.taken:,} objects taken, {done.refused:,} refused, {done.pending:,} pending"
        )
        report({}, done.messages)
    if done.refused:
        raise typer.Exit(FINDINGS)


def _poll(
    web: Web, place: TableFile, name: str, settings: Settings, unsaid: int
) -> tuple[Counter[str], list[str], Counter[str]]:
    """(reason → how many were not taken, messages, kind → how many were)."""
    before = place.read().sources.get(name)
    if before is not None and before.kind != "taxii":
        raise IntelError(f"{name} is the name of another kind of source: choose another")
    cursor, etag = (before.cursor, before.etag) if before is not None else ("", "")
    skipped: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    messages: list[str] = []
    limits: Limits = limits_of(settings)
    for page in poll(web, now=time.time(), added_after=cursor, etag=etag):
        now = time.time()
        read = taken(page.objects, now=now, limits=limits, unsaid=unsaid)
        # The cursor moves when the poll is complete: what broke off is asked for again.
        source = Source(
            kind="taxii", taken_at=int(now), cursor=page.cursor if page.last else cursor,
            etag=page.etag if page.last else "",
        )  # fmt: skip
        left = 0

        def change(held: Table) -> Table:
            nonlocal left
            known = held.sources.get(name)
            gone = read.gone(known.indicators) if known is not None else ()  # noqa: B023
            table, left = pruned(
                merged(held, name, source, read.indicators, gone),  # noqa: B023
                now=now, most=settings.max_indicators,  # noqa: B023
            )  # fmt: skip
            return table

        place.update(change)
        skipped += read.skipped
        kinds += Counter(one.kind for one in read.indicators)
        messages += read.messages
        if left:
            skipped[f"beyond GATEWAY_GUARD_MAX_INDICATORS={settings.max_indicators}"] += left
    return skipped, messages[:20], kinds


def _held(path: Path, title: str) -> collections.Collection:
    try:
        return collections.decode(read_bounded(path, collections.MAX_BYTES), str(path))
    except FileNotFoundError:
        return collections.empty(title)


def _auth(user: str | None, password_file: Path | None) -> tuple[str, str] | None:
    if user is None and password_file is None:
        return None
    if user is None or password_file is None:
        raise typer.BadParameter("--user and --password-file belong together")
    return user, secret_in(password_file, "a password")


def _objects(file: Path) -> list[Mapping[str, Any]]:
    data = _read(file)
    try:
        return read_bundle(data)
    except IntelError as error:
        raise IntelError(f"{file}: {error}") from None


def _read(file: Path) -> bytes:
    try:
        return read_bounded(file, MAX_BYTES)
    except FileNotFoundError:
        raise IntelError(f"{file}: no such file") from None
