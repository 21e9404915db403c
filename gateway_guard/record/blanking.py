"""Taking lines out of decision logs that may still be written to: those of accounts to be erased.

A plain file is changed in place: a line becomes as many spaces, which every reader of JSON lines
passes over. So whoever appends meanwhile, or reads by position, is not disturbed, and nothing that
is being written gets lost. A gzipped one, to which nobody appends, is written anew.
"""

from __future__ import annotations

import glob
import gzip
import io
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from gateway_guard.errors import UNDECODABLE, SourceError
from gateway_guard.files import write_whole

_GZIP: Final = b"\x1f\x8b"
_decode: Final = msgspec.json.Decoder(dict[str, object]).decode


def blank(path: Path, accounts: Collection[str]) -> int:
    """Take every line about one of `accounts` out of the decision log `path`; how many those were.

    The log may be in the guard's own form, in ECS or in OCSF. What is no line of any is left alone.

    Raises:
        SourceError: it cannot be read or written to its end; lines before that are gone.
    """
    wanted = [account.encode() for account in accounts]

    def about(line: bytes) -> bool:
        return any(one in line for one in wanted) and account_of(line) in accounts

    try:
        with path.open("r+b") as file:
            if file.read(2) != _GZIP:
                file.seek(0)
                return _blanked(file, about)
        return _packed_anew(path, about)
    except (OSError, EOFError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise SourceError(f"{path}: lines could not be taken out: {why}") from error


def account_of(line: bytes) -> str | None:
    """The account that a line of a decision log is about; None where it is about none, or no line.

    Where the account stands is looked at, not whether it occurs: a client can write anybody's into
    the path of a request.
    """
    try:
        found = _decode(line)
    except UNDECODABLE:
        return None
    actor = found.get("actor")
    for holder, key in (
        (found, "account"), (found.get("user"), "id"),
        (actor.get("user") if isinstance(actor, dict) else None, "uid"),
    ):  # fmt: skip
        if isinstance(holder, dict):
            account = holder.get(key)
            if isinstance(account, str):
                return account
    return None


def parts(path: Path) -> list[Path]:
    """`path`, where it is there, and what was rotated away from it beside it: its name and more."""
    name = path.name
    beside = [
        one for one in path.absolute().parent.glob(f"{glob.escape(name)}*")
        if one.is_file() and (one.name == name or one.name.startswith((f"{name}.", f"{name}-")))
    ]  # fmt: skip
    return sorted(path.with_name(one.name) for one in beside)


def _blanked(file: BinaryIO, about: Callable[[bytes], bool]) -> int:
    gone = at = 0
    while line := file.readline():
        if about(line):
            text = line.rstrip(b"\r\n")
            os.pwrite(file.fileno(), b" " * len(text), at)
            gone += 1
        at += len(line)
    os.fsync(file.fileno())
    return gone


def _packed_anew(path: Path, about: Callable[[bytes], bool]) -> int:
    gone, kept = 0, io.BytesIO()
    with gzip.open(path) as lines, gzip.GzipFile(fileobj=kept, mode="wb") as out:
        for line in lines:
            if about(line):
                gone += 1
            else:
                out.write(line)
    if gone:
        write_whole(path, kept.getvalue(), path.stat().st_mode & 0o777)
    return gone
