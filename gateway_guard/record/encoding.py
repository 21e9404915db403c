"""Values as JSON, whatever is in them: names of files, for one, need not be Unicode."""

from __future__ import annotations

from typing import Any

import msgspec


def encoded(value: object) -> bytes:
    """`value` as JSON; what has no form there as its words, what is not Unicode with escapes."""
    try:
        return msgspec.json.encode(value, enc_hook=str)
    except UnicodeEncodeError:
        return msgspec.json.encode(escaped(msgspec.to_builtins(value, enc_hook=str)))


def escaped(value: Any) -> Any:
    """`value`, of builtins, with backslash escapes for whatever is not Unicode: lone surrogates,
    as Python has them for the bytes of a file name that are no UTF-8.
    """
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {escaped(name): escaped(one) for name, one in value.items()}
    return [escaped(one) for one in value] if isinstance(value, list | tuple) else value
