"""`gateway-guard lookup`: what the guard knows of an address."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from typing import IO, Annotated, Final

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from gateway_guard.cli.output import Format, FormatOption, console
from gateway_guard.cli.printable import printable
from gateway_guard.cli.usage import check_sources
from gateway_guard.core.address import parse_ip
from gateway_guard.network.database import NetworkDatabase
from gateway_guard.network.lists import without_port
from gateway_guard.settings import Settings
from gateway_guard.types import NetworkFacts

_CHUNK: Final = 1 << 16
_LONGEST_LINE: Final = 1_000
_NOT_AN_ADDRESS: Final = "not an IP address"
#: What a line of a log, a list or a table may begin with: an address, in quotes, behind a scheme,
#: with a port, before a prefix length, a zone or other columns.
_FIRST: Final = re.compile(r"""(?:\w+://)?["']?(\[?[0-9A-Fa-f:.]+(?:\](?::\d+)?)?)""")
_NO_ANSWER: Final = "no database answers for this address"


class Line(msgspec.Struct, kw_only=True, gc=False):
    """One JSON line of `lookup --format json`.

    Attributes:
        ip: the address as given.
        country, asn, as_org: null when unknown.
        network: flags, sorted; empty for none.
        canonical: the address the guard sees, when `ip` is another spelling of it.
        error: why there is no answer; absent when there is one.
    """

    ip: str
    country: str | None = None
    asn: int | None = None
    as_org: str | None = None
    network: tuple[str, ...] = ()
    canonical: str | msgspec.UnsetType = msgspec.UNSET
    error: str | msgspec.UnsetType = msgspec.UNSET


class _Answers:
    """Looks up and counts what could not be answered."""

    def __init__(self, database: NetworkDatabase) -> None:
        self._lookup = database.lookup
        self._sorted: dict[frozenset[str], tuple[str, ...]] = {}
        self.bad = 0

    def line(self, text: str) -> Line:
        address = parse_ip(text)
        if address is None:
            self.bad += 1
            return Line(ip=text[:100], error=_bad(text))
        facts: NetworkFacts = self._lookup(address)
        if not facts.known:
            self.bad += 1
        flags = self._sorted.get(facts.flags)
        if flags is None:
            flags = self._sorted[facts.flags] = tuple(sorted(facts.flags))
        return Line(
            ip=text,
            country=facts.country,
            asn=facts.asn,
            as_org=facts.as_org,
            network=flags,
            canonical=msgspec.UNSET if address == text else address,
            error=msgspec.UNSET if facts.known else _NO_ANSWER,
        )


def _bad(text: str) -> str:
    """Why `text` is not answered, and which address in front of it would be.

    That is not looked up by itself: the address of a proxy is not its client's, and one address
    stands for no prefix.
    """
    found = _FIRST.match(text[:_LONGEST_LINE])
    meant = parse_ip(without_port(found[1])) if found else None
    return _NOT_AN_ADDRESS if meant is None else f"{_NOT_AN_ADDRESS} alone; ask for {meant}"


def batches(stream: IO[bytes]) -> Iterator[list[str]]:
    """The lines of `stream`, stripped, blank ones left out, as they arrive.

    A line that is too long is one (bad) line; bytes that are not UTF-8 are replaced. Whatever has
    arrived is yielded at once, so a program may ask line by line and wait for each answer.
    """
    read = getattr(stream, "read1", stream.read)
    rest = b""
    while chunk := read(_CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        # Of an overlong line keep enough to be recognised as one, however long it grows.
        rest = rest[:_LONGEST_LINE]
        yield [text for line in lines if (text := _stripped(line))]
    if text := _stripped(rest):
        yield [text]


def _stripped(line: bytes) -> str:
    """`line` without white space and without the byte order mark a file of it began with."""
    return line.decode("utf-8", "replace").strip().removeprefix("\ufeff").strip()


def _write_json(answers: _Answers, texts: Iterator[list[str]], out: IO[bytes]) -> None:
    encode = msgspec.json.Encoder().encode
    line = answers.line
    for batch in texts:
        if batch:
            out.write(b"\n".join([encode(line(text)) for text in batch]) + b"\n")
            out.flush()


def _text(argument: str) -> str:
    """As a line of standard input would be read: bytes that are not UTF-8 are replaced."""
    return os.fsencode(argument).decode("utf-8", "replace")


def _columns(line: Line) -> tuple[str, ...]:
    if isinstance(line.error, str):
        return (line.ip, "?", "", line.error, "")
    shown = line.ip if line.canonical is msgspec.UNSET else f"{line.ip} = {line.canonical}"
    system = f"AS{line.asn}" if line.asn is not None else ""
    return (shown, line.country or "?", system, line.as_org or "", " ".join(line.network))


def _write_table(answers: _Answers, texts: list[str]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("address", "country", "AS", "operator", "network"):
        table.add_column(title, no_wrap=title != "operator")
    for text in texts:
        table.add_row(*(Text(printable(cell)) for cell in _columns(answers.line(text))))
    console().print(table)


def _write_rows(answers: _Answers, texts: Iterator[list[str]], out: IO[bytes]) -> None:
    for batch in texts:
        for text in batch:
            cells = (printable(cell) for cell in _columns(answers.line(text)))
            out.write(("\t".join(cells) + "\n").encode())
        out.flush()


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def lookup(
        addresses: Annotated[
            list[str],
            typer.Argument(
                metavar="ADDRESS", help="Addresses; `-` reads them from standard input."
            ),
        ],
        database: Annotated[
            list[str] | None,
            typer.Option(
                help="Ask this MMDB file before the bundled one (repeatable); FLAG=LIST.txt and "
                "authoritative=FILE work too. Default: GATEWAY_GUARD_NETWORK_FILES."
            ),
        ] = None,
        alone: Annotated[
            bool, typer.Option("--alone", help="Leave the bundled database out.")
        ] = False,
        output: FormatOption = Format.TEXT,
    ) -> None:
        """Country, AS and network flags of addresses, as the guard sees them.

        Exit status 1 when an address is malformed or no database answers for it.
        """
        check_sources(database or ())
        files = database or Settings.from_environment().network_files
        if alone and not files:
            raise typer.BadParameter("--alone needs a --database")
        source = NetworkDatabase(files) if alone else NetworkDatabase.bundled(files)
        for entry in source.describe():
            if entry["error"]:
                typer.echo(f"not asked: {entry['error']}", err=True)
        answers = _Answers(source)
        out = sys.stdout.buffer
        if "-" in addresses:
            if len(addresses) > 1:
                raise typer.BadParameter("`-` stands alone")
            texts = batches(sys.stdin.buffer)
            if output is Format.JSON:
                _write_json(answers, texts, out)
            else:
                _write_rows(answers, texts, out)
        elif output is Format.JSON:
            _write_json(answers, iter([[_text(one) for one in addresses]]), out)
        else:
            _write_table(answers, addresses)
        if answers.bad:
            raise typer.Exit(1)
