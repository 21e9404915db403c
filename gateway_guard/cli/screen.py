"""What the demonstration shows: the sidecar's decision log as it grows, and what came of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gateway_guard.pages.words import many

#: Decisions on the live screen; with the lines above them they fit into 24.
_NOTABLE: Final = 9
_ALLOWED: Final = 4

COLOURS: Final = {
    "allow": "green",
    "restrict": "yellow",
    "challenge": "yellow",
    "throttle": "red",
    "deny": "red",
}


class Answers:
    """What clients were told: account's role → status → count."""

    def __init__(self) -> None:
        self.roles: dict[str, Counter[str]] = {}
        self.sent = 0

    @property
    def failed(self) -> int:
        """Requests that got no HTTP answer at all, or half of one."""
        return sum(
            count
            for counts in self.roles.values()
            for status, count in counts.items()
            if not status.isdigit()
        )

    def add(self, account: str | None, status: str) -> None:
        """Count one answer: a status code, or the name of what went wrong."""
        role = account.rpartition("-")[0] if account else "no credential"
        self.roles.setdefault(role, Counter())[status] += 1
        self.sent += 1


class Decisions:
    """The sidecar's decision log, read as it grows.

    Attributes:
        telling: the line of the riskiest request not allowed so far; empty when all were.
        contained: campaign → its accounts of which a request was refused.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._most = -1.0
        self.telling = b""
        self.notable: deque[dict[str, Any]] = deque(maxlen=_NOTABLE)
        self.allowed: deque[dict[str, Any]] = deque(maxlen=_ALLOWED)
        self.actions: Counter[str] = Counter()
        self.rules: Counter[tuple[str, str]] = Counter()
        self.contained: dict[str, set[str]] = {}

    def read(self) -> list[dict[str, Any]]:
        """The decisions written since the last call."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        fresh = []
        for line in whole.splitlines():
            one: dict[str, Any] = msgspec.json.decode(line)
            fresh.append(one)
            self.actions[one["action"]] += 1
            self.rules[_rule(one), one["action"]] += 1
            if one["action"] == "allow":
                self.allowed.append(one)
                continue
            self.notable.append(one)
            if "campaign" in one and "status" in one:
                self.contained.setdefault(one["campaign"], set()).add(one["account"])
            if one["risk"] > self._most:
                self._most, self.telling = one["risk"], line
        return fresh


async def watch(decisions: Decisions, seconds: float, out: Console, done: asyncio.Event) -> None:
    """Show decisions until `done`: live on a terminal, elsewhere a line now and then."""
    started = time.monotonic()
    if out.is_terminal and not out.is_dumb_terminal:
        with Live(console=out, auto_refresh=False, transient=True) as live:
            while not done.is_set():
                decisions.read()
                live.update(_live(decisions, time.monotonic() - started, seconds), refresh=True)
                await _pause(done, 0.2)
        return
    seen: set[tuple[str, str]] = set()
    while not done.is_set():
        for one in decisions.read():
            what = (_rule(one), one["action"])
            if what not in seen:
                seen.add(what)
                out.print(f"  first {_sentence(one)}")
        if seen:
            said = [_counts(decisions), _campaigns(decisions)]
            out.print(f"{time.monotonic() - started:4.0f} s  {'   '.join(filter(None, said))}")
        await _pause(done, 5.0 if seen else 0.5)


async def _pause(done: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await done.wait()
    except TimeoutError:
        return


def _rule(one: dict[str, Any]) -> str:
    return str(one.get("rule", "default"))


def _from(one: dict[str, Any]) -> str:
    return " ".join([one.get("country", "unknown"), *one.get("network", [])])


def _counts(decisions: Decisions) -> str:
    return "   ".join(f"{word} {count:,}" for word, count in decisions.actions.most_common())


def _campaigns(decisions: Decisions) -> str:
    return "   ".join(
        f"{name}: {many(len(accounts), 'account')} contained"
        for name, accounts in decisions.contained.items()
    )


def _sentence(one: dict[str, Any]) -> str:
    status = f" {one['status']}" if "status" in one else ""
    return f"{one['action']}{status}  {_rule(one)}  {_from(one)}  risk {one['risk']:.2f}"


def _live(decisions: Decisions, elapsed: float, seconds: float) -> RenderableType:
    title = Text(f"{elapsed:3.0f} s of {seconds:.0f}   {_counts(decisions)}", style="bold")
    table = Table(box=None, pad_edge=False, expand=True, header_style="dim")
    for name, width, least in (
        ("decided", 13, 13), ("by", None, 16), ("account", 13, 13), ("from", None, 14),
        ("risk", 4, 4),
    ):  # fmt: skip
        table.add_column(name, no_wrap=True, width=width, min_width=least, overflow="ellipsis")
    for one in decisions.notable:
        _row(table, one)
    for _ in range(_NOTABLE - len(decisions.notable)):
        table.add_row()
    table.add_section()
    table.add_row()
    for one in decisions.allowed:
        _row(table, one)
    return Group(title, Text(_campaigns(decisions), style="bold red"), table)


def _row(table: Table, one: dict[str, Any]) -> None:
    status = f" {one['status']}" if "status" in one else ""
    account = one.get("account", "none")
    table.add_row(
        Text(one["action"] + status, style=COLOURS[one["action"]]), Text(_rule(one)),
        Text(account if len(account) <= 13 else account[:12] + "…"), Text(_from(one)),
        f"{one['risk']:.2f}",
    )  # fmt: skip


def print_summary(answers: Answers, decisions: Decisions, seconds: float, out: Console) -> None:
    """Two tables: what each kind of client was told, and which rules decided."""
    decided = sum(decisions.actions.values())
    out.print(f"{answers.sent:,} requests sent in {seconds:.0f} s, {decided:,} decided\n")
    table = _table("who", "sent", "answered", "refused", "with")
    for role, counts in answers.roles.items():
        other = Counter({s: n for s, n in counts.items() if not s.startswith("2")})
        reasons = ", ".join(f"{status} × {n:,}" for status, n in sorted(other.items()))
        refused = sum(n for status, n in other.items() if status.isdigit())
        total = counts.total()
        done = total - other.total()
        table.add_row(role, f"{total:,}", f"{done:,}", f"{refused:,}", reasons)
    out.print(table)
    out.print()
    table = _table("rule", "decided", "requests")
    for (rule, action), count in decisions.rules.most_common():
        table.add_row(rule, Text(action, style=COLOURS[action]), f"{count:,}")
    out.print(table)


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in names:
        words = name in ("who", "with", "rule", "decided")
        table.add_column(name, justify="left" if words else "right")
    return table
