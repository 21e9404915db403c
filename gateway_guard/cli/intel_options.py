"""What the commands of `intel` share: where the table is, whose keys are believed, secrets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from gateway_guard.cli.printable import printable
from gateway_guard.cli.usage import usage
from gateway_guard.errors import IntelError, SettingsError
from gateway_guard.intel.file import TableFile, read_bounded
from gateway_guard.intel.http import checked_url
from gateway_guard.intel.keys import Trusted, read_trusted
from gateway_guard.settings import Settings

_MOST_LIST: Final = 1 << 20

TableOption = Annotated[
    Path | None,
    typer.Option(
        "--table", help="What was taken in; by default where GATEWAY_GUARD_INTEL_FILE says."
    ),
]


def table_file(path: Path | None, settings: Settings) -> TableFile:
    """The table to work on.

    Raises:
        SettingsError: neither the option nor the settings name one.
    """
    where = path or settings.intel_file
    if not where:
        raise SettingsError(
            "no table of indicators is named: use --table FILE or set GATEWAY_GUARD_INTEL_FILE, "
            "the file the guard reads"
        )
    return TableFile(where)


def trusted_keys(path: Path | None) -> Mapping[str, Trusted]:
    """The keys listed in a file.

    Raises:
        IntelError: it cannot be read, or a line makes no sense.
        typer.BadParameter: none is named.
    """
    if path is None:
        raise typer.BadParameter(
            "whose signatures are believed? --trusted FILE, lines of a name and a key: "
            "acme ed25519:… (a STIX file is not signed: --as NAME)"
        )
    return read_trusted(_text(path), str(path))


def check_server(url: str, *, insecure: bool) -> None:
    """Whether `url` is one to ask, before anything is read for it.

    Raises:
        typer.BadParameter: it is none, holds a password, or would send credentials unprotected.
    """
    with usage():
        checked_url(url, insecure=insecure)


def secret_in(path: Path, what: str) -> str:
    """A password or key: the only line of a file, never given on the command line.

    Raises:
        IntelError: the file holds none.
    """
    text = _text(path).strip()
    if not text or not text.isprintable():
        raise IntelError(f"{path}: {what} was expected, one line of printable characters")
    return text


def report(skipped: Mapping[str, int], messages: list[str]) -> None:
    """Say on standard error what was not taken, and why."""
    for reason, count in skipped.items():
        typer.echo(printable(f"not taken: {count:,} {reason}"), err=True)
    for message in messages:
        typer.echo(printable(f"  {message}"), err=True)


def _text(path: Path) -> str:
    try:
        return read_bounded(path, _MOST_LIST).decode("utf-8")
    except FileNotFoundError:
        raise IntelError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise IntelError(f"{path}: no UTF-8 text") from None
