"""The scripts that change several keys in one step, and the names the server knows them by."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Final, NamedTuple


class Script(NamedTuple):
    """One script: Lua, and what `EVALSHA` calls it."""

    text: bytes
    digest: bytes


def _script(name: str) -> Script:
    source = (resources.files("gateway_guard.streams") / "lua" / f"{name}.lua").read_bytes()
    # Comments are for people; the server keeps every byte.
    text = b"\n".join(
        line for line in source.split(b"\n") if line and not line.lstrip().startswith(b"--")
    )
    return Script(text, hashlib.sha1(text, usedforsecurity=False).hexdigest().encode())


ACQUIRE: Final = _script("acquire")
RENEW: Final = _script("renew")
RELEASE: Final = _script("release")
PUBLISH: Final = _script("publish")
SAVE: Final = _script("save")
BEAT: Final = _script("beat")
