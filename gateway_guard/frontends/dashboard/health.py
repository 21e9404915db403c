"""What `/readyz` says of each guard, as rows: everything it depends on, its policy, its data. Pure.

Fields that another version does not have are left out; nothing here raises for what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import msgspec

from gateway_guard.pages.words import many

#: Name (empty for a single guard), HTTP status and body of each `/readyz`.
Guards = Sequence[tuple[str, int, dict[str, Any]]]


class Dependency(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can fail. `state` is `ok`, `degraded` or `down`."""

    name: str
    state: str
    detail: str


class PolicyUsed(msgspec.Struct, frozen=True, kw_only=True):
    """A policy in force, and which guards have it."""

    source: str
    digest: str
    enforce: bool
    who: str


class DataFile(msgspec.Struct, frozen=True, kw_only=True):
    """A database in use. `digest` is the beginning of its SHA-256; empty when unknown."""

    name: str
    built: str
    digest: str


def dependencies(guards: Guards) -> tuple[Dependency, ...]:
    """Each dependency of each guard, the worst first."""
    found = []
    for label, status, report in guards:
        who = f"worker {label}: " if label else ""
        state = str(report.get("status", "unknown"))
        good = "ok" if state == "ok" else "down" if status >= 500 else "degraded"
        found.append(Dependency(name=f"{who}guard", state=good, detail=state))
        found.append(_store(who, report.get("store")))
        found += [_file(who, entry) for entry in _entries(report)]
        if not _entries(report):
            found.append(
                Dependency(name=f"{who}network data", state="degraded",
                           detail="none: every address is unknown")
            )  # fmt: skip
        found += _others(who, report)
        upstream = report.get("upstream")
        if isinstance(upstream, Mapping):
            reached = state != "unready"
            detail = (
                f"{many(int(upstream.get('connections', 0)), 'connection')} open, "
                f"{many(int(upstream.get('retried', 0)), 'request')} sent twice"
            )
            found.append(
                Dependency(name=f"{who}upstream", state="ok" if reached else "down", detail=detail)
            )  # fmt: skip
    worst = {"down": 0, "degraded": 1, "ok": 2}
    return tuple(sorted(found, key=lambda one: worst.get(one.state, 0)))


def policies(guards: Guards) -> tuple[PolicyUsed, ...]:
    """Every policy in force; one, when all is well."""
    found: dict[tuple[str, str, bool], list[str]] = {}
    for label, _, report in guards:
        policy = report.get("policy")
        if isinstance(policy, Mapping):
            key = (
                str(policy.get("source", "")), str(policy.get("digest", "")),
                bool(policy.get("enforce")),
            )  # fmt: skip
            found.setdefault(key, []).append(label)
    return tuple(
        PolicyUsed(
            source=source, digest=digest, enforce=enforce,
            who=f"worker {', '.join(labels)}" if any(labels) else "",
        )
        for (source, digest, enforce), labels in found.items()
    )  # fmt: skip


def data(guards: Guards) -> tuple[DataFile, ...]:
    """Every database some guard has open, once."""
    found = {
        DataFile(
            name=str(entry.get("type") or PurePath(str(entry.get("path", ""))).name),
            built=str(entry.get("built") or "")[:10],
            digest=str(entry.get("sha256") or "")[:12],
        ): None
        for _, _, report in guards
        for entry in _entries(report)
    }  # fmt: skip
    return tuple(found)


def _entries(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    network = report.get("network")
    return [e for e in network if isinstance(e, Mapping)] if isinstance(network, list) else []


def _store(who: str, store: object) -> Dependency:
    name = f"{who}limits"
    if not isinstance(store, Mapping):
        return Dependency(name=name, state="ok", detail="counted in this process's memory")
    if store.get("up"):
        waiting = int(store.get("settlements") or 0)
        detail = "shared store answers"
        if waiting:
            detail += f"; {many(waiting, 'settlement')} to be delivered"
        return Dependency(name=name, state="ok", detail=detail)
    why = str(store.get("trouble") or "it does not answer")
    return Dependency(name=name, state="down", detail=f"shared store: {why}")


def _others(who: str, report: Mapping[str, Any]) -> list[Dependency]:
    """Account attributes, campaigns, decision log, indicators, key sets."""
    found = []
    for name, key in (
        ("account attributes", "accounts"), ("campaigns", "campaigns"),
        ("decision log", "decision_log"),
    ):  # fmt: skip
        entry = report.get(key)
        if isinstance(entry, Mapping):
            found.append(_said(who + name, entry.get("error"), "well"))
    indicators = report.get("indicators")
    if isinstance(indicators, Mapping):
        loaded = many(int(indicators.get("loaded") or 0), "indicator")
        found.append(_said(f"{who}shared indicators", indicators.get("error"), f"{loaded} in use"))
    keys = report.get("keys")
    if isinstance(keys, Mapping):
        found += [_said(f"{who}key set {url}", why, "") for url, why in keys.items()]
    return found


def _said(name: str, error: object, well: str) -> Dependency:
    if error:
        return Dependency(name=name, state="degraded", detail=str(error))
    return Dependency(name=name, state="ok", detail=well)


def _file(who: str, entry: Mapping[str, Any]) -> Dependency:
    name = PurePath(str(entry.get("path", "network data"))).name
    error = entry.get("error")
    if error:
        return Dependency(name=f"{who}{name}", state="degraded", detail=str(error))
    failed = int(entry.get("failed_lookups") or 0)
    detail = f"built {str(entry.get('built') or 'at an unknown time')[:10]}"
    if failed:
        detail += f"; {many(failed, 'look-up')} failed"
    return Dependency(name=f"{who}{name}", state="degraded" if failed else "ok", detail=detail)
