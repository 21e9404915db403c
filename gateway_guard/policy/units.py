"""Quantities as policies write them. Each function takes text and raises `ValueError` in words."""

from __future__ import annotations

import math
import re
from typing import Final

import limits

_NUMBER: Final = re.compile(
    r"[+-]?(\d{1,15}(\.\d{0,15})?|\.\d{1,15})(?:[eE][+-]?\d{1,2})?", re.ASCII
)
_QUANTITY: Final = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s*([A-Za-z]+)", re.ASCII)
_RATE: Final = re.compile(r"(\d{1,30})\s*(?:/|per)\s*(?:[1-9]\d{0,8}\s*)?[a-z]+", re.ASCII)

SECONDS: Final = {
    "ms": 0.001, "millisecond": 0.001, "s": 1.0, "sec": 1.0, "second": 1.0, "m": 60.0, "min": 60.0,
    "minute": 60.0, "h": 3600.0, "hour": 3600.0, "d": 86400.0, "day": 86400.0, "w": 604800.0,
    "week": 604800.0,
}  # fmt: skip
BYTES: Final = {"b": 1, "byte": 1, "kb": 1 << 10, "kib": 1 << 10, "mb": 1 << 20, "mib": 1 << 20}

#: Most units a rate may grant; sums of this size are still exact in a double.
MAX_AMOUNT: Final = 10**12


def number(text: str) -> float:
    """A finite decimal number, dimensionless."""
    if _NUMBER.fullmatch(text) is None:
        raise ValueError(f"'{text[:40]}' is not a plain finite number")
    return float(text)


def integer(text: str) -> int:
    """A whole number of at most 15 digits."""
    if re.fullmatch(r"[+-]?\d{1,15}", text, re.ASCII) is None:
        raise ValueError(f"'{text[:40]}' is not a whole number")
    return int(text)


def duration(text: str) -> float:
    """Seconds, > 0: `500 ms`, `30s`, `1 hour`, `7 days`."""
    found = _QUANTITY.fullmatch(text)
    unit = found.group(2).lower() if found else ""
    seconds = SECONDS.get(unit) or SECONDS.get(unit.removesuffix("s"))
    if found is None or seconds is None:
        raise ValueError(f"'{text[:40]}' is not a duration")
    value = float(found.group(1)) * seconds
    if value <= 0.0:
        raise ValueError(f"'{text[:40]}' is no time at all")
    return value


def percent(text: str) -> float:
    """A share, dimensionless: `25%` is 0.25."""
    body = text.removesuffix("%")
    digits = body.strip(" \t")
    if body == text or _NUMBER.fullmatch(digits) is None:
        raise ValueError(f"'{text[:40]}' is not a percentage")
    return float(digits) / 100.0


def size(text: str) -> int:
    """Bytes, >= 1: `512 KB`, `8 MB`; 1 KB is 1024 bytes."""
    found = _QUANTITY.fullmatch(text)
    unit = found.group(2).lower() if found else ""
    scale = BYTES.get(unit) or BYTES.get(unit.removesuffix("s"))
    if found is None or scale is None:
        raise ValueError(f"'{text[:40]}' is not a size")
    value = int(float(found.group(1)) * scale)
    if value < 1:
        raise ValueError(f"'{text[:40]}' is less than a byte")
    return value


def length(text: str) -> int:
    """Characters, >= 1: `200 characters`."""
    found = re.fullmatch(r"(\d{1,9})\s*characters?", text, re.ASCII)
    if found is None:
        raise ValueError(f"'{text[:40]}' is not a length")
    value = int(found.group(1))
    if value < 1:
        raise ValueError(f"'{text[:40]}' is less than a character")
    return value


def rate(text: str) -> tuple[int, int]:
    """(units, seconds), both >= 1, as `limits` writes it: `120/minute`, `5 per 10 seconds`."""
    shape = _RATE.fullmatch(text)
    if shape is None:
        raise ValueError(f"'{text[:40]}' is not a rate")
    try:
        item = limits.parse(text)
    except ValueError as error:
        raise ValueError(f"'{text[:40]}' is not a rate") from error
    amount, seconds = int(shape.group(1)), item.get_expiry()
    if amount < 1 or seconds < 1:
        raise ValueError(f"'{text[:40]}' grants nothing")
    if amount > MAX_AMOUNT or seconds > 10 * 366 * 86400:
        raise ValueError(f"'{text[:40]}' is out of all proportion")
    return amount, seconds


def show_seconds(seconds: float) -> str:
    """A duration as policies write it: `7 days`."""
    for unit, scale in (("day", 86400.0), ("hour", 3600.0), ("minute", 60.0), ("second", 1.0)):
        if seconds >= scale and math.isclose(seconds / scale, round(seconds / scale)):
            count = round(seconds / scale)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds:g} s"


def show_share(share: float) -> str:
    """A share as policies write it: `25%`."""
    return f"{share * 100:g}%"
