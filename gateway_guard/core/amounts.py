"""Units of a limit in words. Pure."""

from __future__ import annotations

from math import floor, inf


def amount(value: float) -> str:
    """Units >= 0 with at most two places, rounded down: `1,000,000`, `0.1`; infinity is `∞`.

    Not to the nearest: of what was refused less is left than was asked, and must look like less.
    """
    if value == inf:
        return "∞"
    hundredths = floor(value * 100.0 + 1e-6)
    if value >= 100.0 or hundredths % 100 == 0:
        return f"{hundredths // 100:,}"
    return f"{hundredths / 100.0:.2f}"
