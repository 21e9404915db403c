"""Which account is meant: by the digest logs have, or by the key or name it is the digest of."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway_guard.core.credentials import ACCOUNT, digest, key_as_sent, name_digest
from gateway_guard.errors import SettingsError, SourceError

AccountArgument = Annotated[
    str | None, typer.Argument(metavar="ACCT", help="The digest logs name it by: acct_…")
]
KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        help="Instead of ACCT: a file that holds the API key as sent; - reads "
        "standard input. A key never goes on a command line.",
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option(
        "--name", help="Instead of ACCT: the account's name, where a token or the application says."
    ),
]


def digest_of(
    keyed: bool, secret: bytes, account: str | None, key_file: Path | None, name: str | None
) -> str:
    """The account that is meant, as a digest.

    Raises:
        typer.BadParameter: none or several ways to say it were used, or it is no digest.
        SettingsError: a key or a name cannot be digested without the guard's secret.
        SourceError: the file cannot be read or holds no key.
    """
    given = [value is not None for value in (account, key_file, name)]
    if sum(given) != 1:
        raise typer.BadParameter("name one account: ACCT, --key-file FILE or --name NAME")
    if account is not None:
        if not ACCOUNT.fullmatch(account):
            # Not quoted: it may be a key.
            raise typer.BadParameter(
                "that is no account: write acct_ and its 16 characters, as the decision log does. "
                "A key does not belong on a command line, where others can read it: put it in a "
                "file and name that with --key-file, or give - and pipe it in"
            )
        return account
    if not keyed:
        raise SettingsError(
            "the digest of a key or a name needs the guard's secret: set GATEWAY_GUARD_SECRET or "
            "GATEWAY_GUARD_SECRET_FILE as there"
        )
    if name is not None:
        if not name.strip():
            raise typer.BadParameter("--name: no name is empty")
        try:
            return name_digest(secret, name.encode())
        except UnicodeEncodeError:
            raise typer.BadParameter("--name: it is not UTF-8") from None
    assert key_file is not None  # noqa: S101 - one of the three was given
    if str(key_file) == "-":
        key = sys.stdin.buffer.read(65_536)
    else:
        try:
            key = key_file.read_bytes()
        except OSError as error:
            raise SourceError(f"{key_file}: {error.strerror}") from error
    key = key_as_sent(key)
    if not key or len(key.splitlines()) > 1:
        raise SourceError(f"{key_file}: holds no key, or more than one line")
    return digest(secret, key)
