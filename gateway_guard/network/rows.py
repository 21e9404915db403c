"""CSV files of address ranges: read row by row, with the place of what is wrong."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from gateway_guard.errors import SourceError


def read_rows(
    path: Path, take: Callable[[list[str], int], None], *, form: str, binary: str
) -> None:
    """Hand each row of the file at `path`, and its number from 1 on, to `take`.

    Args:
        take: raises `ValueError` or `IndexError` where a row is none.
        form: what a row is; said of one that is none.
        binary: what to do about a file that is no text.

    Raises:
        SourceError: the file cannot be read, or has a bad row (the message begins `file:row:`).
    """
    number = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.reader(file):
                number += 1
                take(row, number)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not text in UTF-8; {binary}") from error
    except (ValueError, IndexError, csv.Error) as error:
        raise SourceError(f"{path}:{number}: not {form} with addresses as integers") from error
