"""Which targets there are, and where their inputs are kept."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

Target = Callable[[bytes], None]

CORPUS: Final = Path(__file__).parent / "corpus"
#: Longest input made up, bytes; a kept one may be longer.
LONGEST: Final = 8192

#: One file each in `targets/`.
NAMES: Final = (
    "address_lists", "addresses", "bundles", "content_codings", "credentials", "envoy",
    "forms", "forwarded", "forwarded_for", "heads", "identify", "intelligence", "json_body",
    "jwt_tokens", "minted", "mmdb_files", "options", "paths", "policies", "prompt_reader",
    "proxy_protocol", "records", "rewriting", "seals", "snapshots", "sockets", "spoe", "streams",
    "units", "usage",
)  # fmt: skip


def load(name: str) -> Target:
    """The target of that name. Imports what it is about, so whoever instruments does so before."""
    found: Target = importlib.import_module(f"tests.fuzz.targets.{name}").target
    return found


def words(name: str) -> tuple[bytes, ...]:
    """Words of the target's format, for mutators; empty where it names none."""
    module = importlib.import_module(f"tests.fuzz.targets.{name}")
    found: tuple[bytes, ...] = getattr(module, "WORDS", ())
    return found


def kept(name: str) -> dict[str, bytes]:
    """The kept inputs of a target by file name, in order."""
    folder = CORPUS / name
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def keep(name: str, data: bytes, why: str) -> Path:
    """Keep an input: `why` and a digest are its name."""
    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{why}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path
