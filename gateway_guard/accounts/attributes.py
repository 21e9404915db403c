"""Attributes of an account, read from text or JSON values: what makes no sense is unknown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from gateway_guard.policy import countries
from gateway_guard.types import AccountFacts

#: The fields of `AccountFacts`, as files and applications spell them.
FIELDS: Final = tuple(field.name for field in msgspec.structs.fields(AccountFacts))
_LONGEST: Final = 256
_MOST_TAGS: Final = 32
#: Unix seconds; in the year 5138.
_LATEST: Final = 1e11
_TRUE: Final = frozenset(("true", "yes", "1"))
_FALSE: Final = frozenset(("false", "no", "0"))


def text(value: object) -> str | None:
    """Non-empty printable text of at most 256 characters, an integer's digits or a UUID's; else
    None.
    """
    if type(value) is int:
        return str(value) if abs(value) < 1 << 63 else None
    if isinstance(value, UUID):
        return str(value)
    if not isinstance(value, str):
        return None
    value = value.strip()
    return value if 0 < len(value) <= _LONGEST and value.isprintable() else None


def country(value: object) -> str | None:
    """An ISO 3166-1 code in either case, `UK` and `EL` as what they are there; None for others."""
    return countries.known((text(value) or "").upper())


def moment(value: object) -> float | None:
    """Unix seconds from a number, a numeral, a date or an ISO 8601 one; without zone it is UTC.

    None beyond the year 5000: those are milliseconds, and would make an account new for ever.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, date):
        value = value.isoformat()
    if isinstance(value, str):
        value = _written(value.strip())
    if not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) and abs(seconds) < _LATEST else None


def created(value: object) -> float | None:
    """A `moment` after 1970; 0 and less is what systems write that do not know it, and would make
    strangers look as if they had signed up together, long ago.
    """
    seconds = moment(value)
    return seconds if seconds is not None and seconds > 0.0 else None


def _written(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        pass
    try:
        when = datetime.fromisoformat(value)
        return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def flag(value: object) -> bool | None:
    """A boolean, or one of the words true, yes, 1, false, no, 0."""
    if isinstance(value, bool):
        return value
    if value == 0 or value == 1:
        return bool(value)
    word = value.strip().lower() if isinstance(value, str) else ""
    return True if word in _TRUE else False if word in _FALSE else None


def tags(value: object) -> tuple[str, ...]:
    """Labels from a list, or from text separated by spaces, commas or semicolons; at most 32."""
    if isinstance(value, str):
        value = value.replace(",", " ").replace(";", " ").split()
    if not isinstance(value, Iterable) or isinstance(value, bytes | Mapping):
        return ()
    kept: list[str] = []
    for item in value:
        label = text(item)
        if label is not None and label not in kept and len(kept) < _MOST_TAGS:
            kept.append(label)
    return tuple(kept)


def read(members: Mapping[str, Any]) -> dict[str, Any]:
    """The known members, in the types of `AccountFacts`; those that make no sense are left out."""
    found: dict[str, Any] = {}
    for name, reader in _READERS.items():
        value = members.get(name)
        if value is None or value == "":
            continue
        read_value = reader(value)
        if read_value is not None:
            found[name] = read_value
    return found


_READERS: Final = {
    "organisation": text,
    "created_at": created,
    "country": country,
    "payment": text,
    "programme": text,
    "tier": text,
    "verified": flag,
    "tags": tags,
}
