"""The scripts that run inside the server, and the names it knows them by."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Final, NamedTuple


class Script(NamedTuple):
    """One script.

    Attributes:
        name: what it does, for messages.
        text: Lua.
        digest: what `EVALSHA` calls it: SHA-1 in hexadecimal digits.
        mark: what its answers carry behind the reservation's id.
    """

    name: str
    text: bytes
    digest: bytes
    mark: bytes


def _script(name: str, mark: bytes) -> Script:
    folder = resources.files("gateway_guard.stores") / "lua"
    parts = [(folder / f"{part}.lua").read_bytes() for part in ("buckets", name)]
    # Comments are for people; the server keeps every byte.
    lines = b"\n".join(parts).split(b"\n")
    text = b"\n".join(line for line in lines if line and not line.lstrip().startswith(b"--"))
    digest = hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()
    return Script(name, text, digest, mark)


RESERVE: Final = _script("reserve", b"r")
SETTLE: Final = _script("settle", b"s")
RENEW: Final = _script("renew", b"n")
