"""The results as Markdown, for the README and the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tests.peers import in_process, proxies
from tests.peers.catalogue import EVERYBODY, IN_PROCESS, InProcess, Proxy
from tests.peers.figures import Figure, Results, Row

#: What the others are compared with: ours with one limit, and the issue's yardstick of proxies.
OURS: Final = IN_PROCESS[0].name
YARDSTICK: Final = "Envoy"

_DOES: Final = {(type(one), one.name): one.does for one in EVERYBODY}


def page(results: Results) -> str:
    """Everything."""
    said = (
        f"{results.state}, {results.machine}. Medians and in brackets quartiles of "
        f"{_rounds(results.in_process)} rounds in process and {_rounds(results.proxies)} of "
        "proxies, all in turns; ratios are taken round by round. CPU is user and system time of "
        "all threads and processes."
    )
    tables = (
        *([_added(results.in_process)] if results.in_process else ()),
        *([_served(results.proxies)] if results.proxies else ()),
    )
    return "\n\n".join((said, *tables, *_missing((*results.in_process, *results.proxies))))


def _rounds(rows: Sequence[Row]) -> int:
    return max((len(figure.rounds) for row in rows for figure in row.figures.values()), default=0)


def number(value: float) -> str:
    """A figure in three digits or so."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cell(figure: Figure | None, unit: str = "") -> str:
    """The median, and the quartiles where there are any."""
    if figure is None:
        return "–"
    if len(figure.rounds) == 1:
        return f"{number(figure.median)}{unit}"
    low, high = figure.quartiles
    return f"{number(figure.median)}{unit} [{number(low)}, {number(high)}]"


def ratio(row: Row, other: Row | None, what: str) -> str:
    """How many times the other's figure the row's is, round by round; `–` where one is missing."""
    figure = row.figures.get(what)
    base = other.figures.get(what) if other is not None else None
    return cell(figure.over(base) if figure is not None and base is not None else None, " ×")


def named(rows: Sequence[Row], name: str) -> Row | None:
    """The row of that name."""
    return next((row for row in rows if row.name == name), None)


def _title(row: Row) -> str:
    return f"{row.name} {row.version}".strip()


def _added(rows: Sequence[Row]) -> str:
    ours = named(rows, OURS)
    lines = [
        "| in process, 2 KB chat | added a request, µs | to ours | app alone, µs | what one gets |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        added, alone = (row.figures.get(what) for what in (in_process.ADDED, in_process.ALONE))
        lines.append(
            f"| {_title(row)} | {cell(added)} | {ratio(row, ours, in_process.ADDED)} "
            f"| {number(alone.median) if alone else '–'} | {_DOES.get((InProcess, row.name), '')} |"
        )
    return "\n".join(lines)


def _served(rows: Sequence[Row]) -> str:
    yardstick = named(rows, YARDSTICK)
    to = f"to {YARDSTICK}"
    columns = (
        "proxy, 32 connections", "CPU a request, µs", to, "requests/s", "first event, ms",
        "CPU an event, µs", to, "idle, MB", "1,000 streams, MB", "what one gets",
    )  # fmt: skip
    lines = [f"| {' | '.join(columns)} |", f"| --- |{' ---: |' * 8} --- |"]
    for row in rows:
        held = cell(row.figures.get(proxies.HELD))
        if proxies.HELD in row.notes:
            held += f" ({row.notes[proxies.HELD]})"
        cells = (
            _title(row),
            cell(row.figures.get(proxies.REQUEST)),
            ratio(row, yardstick, proxies.REQUEST),
            cell(row.figures.get(proxies.RATE)),
            cell(row.figures.get(proxies.FIRST)),
            cell(row.figures.get(proxies.EVENT)),
            ratio(row, yardstick, proxies.EVENT),
            cell(row.figures.get(proxies.IDLE)),
            held,
            _DOES.get((Proxy, row.name), ""),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _missing(rows: Sequence[Row]) -> list[str]:
    lines = [f"* {row.name}: {row.missing}" for row in rows if row.missing is not None]
    return ["Not measured:", "\n".join(lines)] if lines else []
