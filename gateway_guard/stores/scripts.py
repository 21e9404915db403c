"""The scripts that run inside the server, and the names it knows them by."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Final, NamedTuple


class Script(NamedTuple):
    """One script.

    Attributes:
        text: Lua.
        digest: what `EVALSHA` calls it: SHA-1 in hexadecimal digits.
        mark: what its answers carry behind the reservation's id; empty where they carry no id.
    """

    text: bytes
    digest: bytes
    mark: bytes = b""


def script(package: str, *names: str, mark: bytes = b"") -> Script:
    """The files `lua/NAME.lua` of `package`, one behind the other."""
    folder = resources.files(package) / "lua"
    lines = b"\n".join((folder / f"{name}.lua").read_bytes() for name in names).split(b"\n")
    # Comments are for people; the server keeps every byte.
    text = b"\n".join(line for line in lines if line and not line.lstrip().startswith(b"--"))
    digest = hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()
    return Script(text, digest, mark)


RESERVE: Final = script(__package__, "buckets", "reserve", mark=b"r")
SETTLE: Final = script(__package__, "buckets", "settle", mark=b"s")
RENEW: Final = script(__package__, "buckets", "renew", mark=b"n")
