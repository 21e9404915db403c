"""Moments and durations as STIX, TAXII and CrowdSec write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

_STAMP: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,12}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_GO: Final = re.compile(r"(\d{1,12}(?:\.\d{0,12})?)(h|ms|m|s|us|µs|ns)", re.ASCII)
_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def stamp(seconds: float) -> str:
    """Unix seconds as an RFC 3339 moment in milliseconds, e.g. `2026-03-02T12:00:00.000Z`."""
    return _shown(seconds, "milliseconds")


def fine_stamp(seconds: float) -> str:
    """The same in microseconds."""
    return _shown(seconds, "microseconds")


def parse_stamp(text: object) -> float | None:
    """Unix seconds of an RFC 3339 moment; None when `text` is none."""
    match = _STAMP.fullmatch(text) if isinstance(text, str) and len(text) <= 64 else None
    if match is None:
        return None
    day, time, fraction, zone = match.groups()
    zone = "+00:00" if zone in "Zz" else zone
    try:
        moment = datetime.fromisoformat(f"{day}T{time}.{(fraction or '0')[:6]:0<6}{zone}")
        seconds = moment.timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if seconds >= 0.0 else None


def parse_go(text: object) -> float | None:
    """Seconds of a duration as Go writes it (`3h59m12.5s`, `-5m`); None when `text` is none."""
    if not isinstance(text, str) or not 2 <= len(text) <= 64:
        return None
    sign, rest = (-1.0, text[1:]) if text[0] == "-" else (1.0, text.removeprefix("+"))
    seconds, at = 0.0, 0
    while at < len(rest):
        match = _GO.match(rest, at)
        if match is None:
            return None
        seconds += float(match[1]) * _SECONDS[match[2]]
        at = match.end()
    return sign * seconds if at else None


def go(seconds: float) -> str:
    """Whole seconds >= 0 as Go reads them, e.g. `336h0m0s`."""
    whole = max(0, int(seconds))
    return f"{whole // 3600}h{whole // 60 % 60}m{whole % 60}s"


def _shown(seconds: float, unit: str) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec=unit).replace("+00:00", "Z")
