"""Markdown tables that can also be read as they are, and how figures are written in them."""

from __future__ import annotations

from collections.abc import Sequence

from tests.evaluate.scores import Share

NONE = "–"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its columns padded to one width; all but the first are figures."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *rest = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]
    return "\n".join([line(headings), f"|{'|'.join(rule)}|", *map(line, rows)])


def percent(share: float | None) -> str:
    """12.3 %, with the digits that small shares need; – for None."""
    if share is None:
        return NONE
    value = 100.0 * share
    return (
        f"{value:.2f} %"
        if 0.0 < value < 1.0
        else f"{value:.1f} %"
        if value % 1
        else f"{value:.0f} %"
    )


def with_interval(share: Share) -> str:
    """The share and its 95 % interval."""
    if share.share is None:
        return NONE
    low, high = share.ci95
    return f"{percent(share.share)} ({100 * low:.0f}–{100 * high:.0f})"


def counted(share: Share) -> str:
    """k of n and the 95 % interval, in percent: for what should be none."""
    low, high = share.ci95
    digits = 2 if high < 0.01 else 1
    return f"{share.k:,} of {share.n:,} ({100 * low:.{digits}f}–{100 * high:.{digits}f} %)"


def decimal(value: float | None) -> str:
    """Two decimals, – for None."""
    return NONE if value is None else f"{value:.2f}"
