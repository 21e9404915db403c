"""Files a command writes: never over one that it reads, and what cannot be written said at once."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Mapping
from pathlib import Path

import typer

from gateway_guard.errors import SourceError


def check_outputs(outputs: Mapping[str, Path | None], *inputs: Path | None) -> None:
    """Look at what is going to be written, flag by flag, before any work is done.

    A flag after another in the history of a shell is soon a flag with the other's file: recorded
    traffic, a list or a key would be gone. What is no file (`/dev/null`) may be named twice.

    Raises:
        typer.BadParameter: a file is read, too, or named by two flags, or `-`.
        SourceError: it cannot be written.
    """
    named: dict[str, Path] = {}
    for flag, path in outputs.items():
        if path is None:
            continue
        if str(path) == "-":
            raise typer.BadParameter(f"{flag} -: standard output is called /dev/stdout here")
        if any(same_file(path, one) for one in inputs if one is not None):
            raise typer.BadParameter(
                f"{flag} {path} would be written over what is read from it: name another file"
            )
        for other, before in named.items():
            if same_file(path, before):
                raise typer.BadParameter(f"{other} and {flag} name one file, {path}: name two")
        named[flag] = path
        wrong = _trouble(path)
        if wrong:
            raise SourceError(f"{path}: cannot be written: {os.strerror(wrong)}")


def same_file(path: Path, other: Path) -> bool:
    """Whether both lead to one file, by links, too; what is no file is never one."""
    if path.exists() and not path.is_file():
        return False
    with contextlib.suppress(OSError):
        if path.samefile(other):
            return True
    return os.path.realpath(path) == os.path.realpath(other)


def _trouble(path: Path) -> int:
    """Why nothing can be written there, an `errno`; 0 when it seems that it can."""
    if path.is_dir():
        return errno.EISDIR
    folder = path.absolute().parent
    if not folder.is_dir():
        return errno.ENOENT
    return 0 if os.access(path if path.exists() else folder, os.W_OK) else errno.EACCES
