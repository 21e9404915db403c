"""Files below a directory that somebody named, without those that no one put there to be read."""

from __future__ import annotations

import os
from pathlib import Path


def below(folder: Path, *suffixes: str) -> list[Path]:
    """Files in `folder` and below whose names end with one of `suffixes`, sorted.

    What is hidden is left out, as shells and other tools do: `.venv` holds the policies of
    installed packages, a mounted ConfigMap each file twice (`..data`), an editor its locks.
    """
    found: list[Path] = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(place, name)
            for name in files
            if name.endswith(suffixes) and not name.startswith(".")
        ]
    return sorted(found)
