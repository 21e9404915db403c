"""How measured values become scores, and how parameters are checked. Pure arithmetic."""

from __future__ import annotations

from math import isfinite
from typing import Final

#: Seconds.
MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86400.0


def excess(value: float, floor: float) -> float:
    """How far `value` lies above `floor`: `1 - floor / value`, 0 at or below it; in [0, 1).

    Twice the floor scores 0.5, ten times 0.9: it never reaches 1 and one more unit matters less the
    more there are. `floor` must be > 0. Source: our choice of scale, not measured.
    """
    return 1.0 - floor / value if value > floor else 0.0


def ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high`, linear between; needs `low < high`."""
    if value <= low:
        return 0.0
    if value >= high:
        return 1.0
    return (value - low) / (high - low)


def at_least(name: str, value: float, least: float, most: float | None = None) -> None:
    """Check a parameter. Raises `ValueError` unless it is a finite number in [least, most]."""
    if not _number(value) or value < least or (most is not None and value > most):
        upper = "" if most is None else f" and at most {most:g}"
        raise ValueError(f"{name} must be a number of at least {least:g}{upper}, not {value!r}")


def above(name: str, value: float, bound: float) -> None:
    """Check a parameter. Raises `ValueError` unless it is a finite number greater than `bound`."""
    if not _number(value) or value <= bound:
        raise ValueError(f"{name} must be a number greater than {bound:g}, not {value!r}")


def share(name: str, value: float) -> None:
    """Check a parameter. Raises `ValueError` unless it is a number in [0, 1]."""
    if not _number(value) or not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} must be a number in [0, 1], not {value!r}")


def flag(name: str, value: bool) -> None:
    """Check a parameter. Raises `ValueError` unless it is true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, not {value!r}")


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
