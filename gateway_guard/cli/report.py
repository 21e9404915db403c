"""What a replay prints: a report as data, and the same as tables."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from gateway_guard.campaigns.ended import WORDS, Why
from gateway_guard.campaigns.linker import Linker
from gateway_guard.cli.labels import Label, by_class, score
from gateway_guard.cli.printable import printable
from gateway_guard.cli.tally import Tally, compare
from gateway_guard.pages.words import many

#: Accounts listed on a terminal; `--format json` lists all.
_SHOWN: Final = 20


class Outcomes(msgspec.Struct):
    """What a replay saw besides the tallies: counts, and the seconds it took."""

    exchanges: int = 0
    malformed: int = 0
    disordered: int = 0
    unread_addresses: int = 0
    seconds: float = 0.0


def campaigns_of(linker: Linker) -> dict[str, Any]:
    """What a replay found of campaigns: how many are held at its end, the accounts in them, and
    how many were held before, by why they were let go."""
    return {
        "held": len(linker.held),
        "accounts": sum(len(held.members) for held in linker.held.values()),
        "let_go": {why: n for why, n in linker.cases.endings.counts.items() if n},
    }


def report_of(
    seen: Outcomes,
    tally: Tally,
    other: Tally | None,
    labels: dict[str, Label] | None,
    *,
    accounts_known: bool,
) -> dict[str, Any]:
    """Everything a replay found, for `--format json`; `failures` is left to the caller.

    `accounts_known` says whether there was an accounts file at all.
    """
    report: dict[str, Any] = {
        "exchanges": seen.exchanges,
        "malformed": seen.malformed,
        "out_of_order": seen.disordered,
        "addresses_not_understood": seen.unread_addresses,
        "accounts_known": accounts_known,
        "seconds": round(seen.seconds, 3),
        "exchanges_per_second": round(seen.exchanges / seen.seconds) if seen.seconds else None,
        "policies": [part.as_json() for part in (tally, other) if part is not None],
    }
    if other is not None:
        rows = compare(tally, other)
        report["different"] = {
            "exchanges": sum(row["changed"] for row in rows),
            "accounts": rows,
        }
    if labels is not None:
        report["labels"] = [score(part, labels) for part in (tally, other) if part is not None]
        report["classes"] = by_class(tally, labels)
    return report


def print_report(report: dict[str, Any], out: Console) -> None:
    """The report as tables."""
    rate = report["exchanges_per_second"] or 0
    first = report["policies"][0]
    out.print(
        f"{many(report['exchanges'], 'exchange')} of {many(first['accounts'], 'account')}, "
        f"replayed in {report['seconds']:.1f} s ({rate:,} a second)"
    )
    if report["malformed"]:
        out.print(f"{many(report['malformed'], 'line')} could not be read: left out")
    if report["out_of_order"]:
        lines = many(report["out_of_order"], "line")
        out.print(f"{lines} earlier than one before: time is never turned back")
    if report["addresses_not_understood"]:
        lines = many(report["addresses_not_understood"], "exchange")
        out.print(f"{lines} whose client_ip is no IP address: country and network unknown")
    if report["accounts_known"] and first["accounts_without_attributes"]:
        strangers = many(first["accounts_without_attributes"], "account")
        out.print(
            f"{strangers} of which the accounts file tells nothing: age, tier, country unknown"
        )
    for dependency, count in report["failures"].items():
        out.print(f"{dependency} failed {many(count, 'time')}: see the log")
    for part in report["policies"]:
        _print_policy(part, out)
    if "different" in report:
        rows = report["different"]["accounts"]
        out.print(
            f"\n{many(len(rows), 'account')} treated differently, "
            f"{many(report['different']['exchanges'], 'exchange')}\n"
        )
        if rows:
            keys = ("account", "exchanges", "changed", "refused", "refused_against")
            table = _table("account", "exchanges", "decided differently", "refused", "against")
            for row in rows[:_SHOWN]:
                table.add_row(*(_cell(row[key]) for key in keys))
            out.print(table)
            if len(rows) > _SHOWN:
                out.print(f"… and {len(rows) - _SHOWN:,} more (--format json lists all)")
    if "labels" in report:
        _print_labels(report["labels"], report["classes"], out)


def _print_policy(part: dict[str, Any], out: Console) -> None:
    total = part["exchanges"]
    note = "" if part["mode"] == "enforce" else ", in shadow mode: what it would do"
    out.print(f"\n{part['policy']} ({part['digest']}{note})\n")
    table = _table("action", "exchanges", "share")
    for word, count in part["actions"].items():
        table.add_row(word, _cell(count), _share(count, total))
    out.print(table)
    out.print()
    table = _table("rule", "action", "exchanges", "accounts", "share")
    for kind, suffix in (("rules", ""), ("shadow", "  (shadow)")):
        for row in part[kind]:
            count = row["exchanges"]
            action = row["action"] + suffix
            accounts, share = _cell(row["accounts"]), _share(count, total)
            table.add_row(_cell(row["rule"]), action, _cell(count), accounts, share)
    out.print(table)
    out.print()
    if part["limits"]:
        table = _table("limit without room", "exchanges", "share")
        for name, count in part["limits"].items():
            table.add_row(_cell(name), _cell(count), _share(count, total))
        out.print(table)
        out.print()
    if part["signals"]:
        table = _table("signal", "exchanges", "accounts", "highest")
        for name, row in part["signals"].items():
            cells = (_cell(row["exchanges"]), _cell(row["accounts"]), f"{row['highest']:.2f}")
            table.add_row(_cell(name), *cells)
        out.print(table)
        out.print()
    table = _table("tier", "exchanges", "refused", "share")
    for tier, row in part["tiers"].items():
        share = _share(row["refused"], row["exchanges"])
        table.add_row(_cell(tier), _cell(row["exchanges"]), _cell(row["refused"]), share)
    out.print(table)
    out.print(
        f"\n{many(part['accounts_refused'], 'account')} refused at least once, "
        f"{part['accounts_contained']:,} contained (half of their last ten or more)"
    )
    if "campaigns" in part:
        _print_campaigns(part["campaigns"], out)


def _print_campaigns(found: dict[str, Any], out: Console) -> None:
    let_go = sum(found["let_go"].values())
    out.print(
        f"{many(found['held'], 'campaign')} held at the end"
        + (f", {many(found['accounts'], 'account')} in all" if found["held"] else "")
        + (f"; {let_go:,} held before and let go" if let_go else "")
    )
    for why, count in found["let_go"].items():
        out.print(f"  {count:,} let go: {WORDS[Why(why)]}")
    if found["held"] or let_go:
        out.print("  who is in them and why: --snapshot FILE, then `campaign list --file FILE`")


#: What is scored against labels, in words, and whether it counts accounts (or exchanges).
_SCORES: Final = {
    "precision": ("precision: contained accounts that are attackers", True),
    "recall": ("recall: attackers contained", True),
    "attack_answered": ("harvested: attack exchanges answered", False),
    "benign_contained": ("cost: benign accounts contained", True),
    "benign_met": ("cost: benign accounts refused at any time", True),
    "benign_refused": ("cost: benign exchanges refused", False),
    "benign_restricted": ("cost: benign exchanges restricted", False),
}


def _print_labels(
    scores: list[dict[str, Any]], classes: list[dict[str, Any]], out: Console
) -> None:
    first = scores[0]
    unlabelled, absent = first["unlabelled"], first["not_in_traffic"]
    out.print(
        f"\n{many(first['attack'], 'account')} labelled attack, {first['benign']:,} benign"
        + (f", {unlabelled:,} without a label" if unlabelled else "")
        + (f"; {absent:,} labelled and not in the traffic" if absent else "")
        + "\n"
    )
    table = _table("against the labels (95 % interval)", *(part["policy"] for part in scores))
    for name, (words, accounts) in _SCORES.items():
        table.add_row(words, *(_scored(part[name], accounts) for part in scores))
    out.print(table)
    out.print()
    scenarios = any(row["scenario"] for row in classes)
    headings = ("accounts", "contained", "ever refused", "exchanges", "refused", "share")
    table = _table("scenario or class" if scenarios else "class", "label", *headings)
    for row in classes:
        share = _share(row["refused"], row["exchanges"])
        name = row["scenario"] or row["class"] or "–"
        keys = ("label", "accounts", "contained", "met", "exchanges", "refused")
        table.add_row(*map(_cell, (name, *(row[key] for key in keys))), share)
    out.print(table)


def _scored(share: dict[str, Any], accounts: bool) -> str:
    if share["share"] is None:
        return "– (0 of 0)"
    counts = f"{100 * share['share']:.2f} % ({share['k']:,} of {share['n']:,}"
    if not accounts:
        return counts + ")"
    low, high = share["ci95"]
    return f"{counts}; {100 * low:.1f}–{100 * high:.1f})"


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(first)
    for name in others:
        words = name in ("action", "label")
        table.add_column(name, justify="left" if words else "right")
    return table


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else printable(str(value))


def _share(part: int, total: int) -> str:
    return f"{100.0 * part / total:.2f} %" if total else "–"
