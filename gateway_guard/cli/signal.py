"""`gateway-guard signal [NAME]`: the detectors, or the manual page of one."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import typer

from gateway_guard.cli.output import Format, FormatOption, print_json
from gateway_guard.policy.diagnostics import suggest
from gateway_guard.signals import DETECTORS, detectors
from gateway_guard.signals.base import Detector


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""

    @app.command("signal")
    def signal(
        name: str = typer.Argument("", help="A signal, e.g. template-sweep; none lists them all."),
        format: FormatOption = Format.TEXT,
    ) -> None:
        """List the signals, or print the manual page of one with its parameters."""
        table = detectors()
        if name and name not in table:
            raise typer.BadParameter(f"unknown signal '{name}': {suggest(name, table)}")
        chosen = {name: table[name]} if name else table
        pages = [page(one, cls) for one, cls in chosen.items()]
        if format is Format.JSON:
            print_json(pages[0] if name else pages)
        elif name:
            typer.echo(text_of(pages[0]))
        else:
            width = max(len(one) for one in chosen)
            for entry in pages:
                typer.echo(f"{entry['name']:<{width}}  {entry['summary']}")


def page(name: str, cls: type[Detector]) -> dict[str, Any]:
    """The manual page of one detector as data: name, summary, manual, parameters, ours."""
    manual = inspect.getdoc(cls) or "No manual page."
    summary, _, rest = manual.partition("\n")
    return {
        "name": name,
        "summary": summary.strip(),
        "manual": rest.strip(),
        "parameters": parameters(cls),
        "bundled": name in DETECTORS,
    }


def parameters(cls: type[Detector]) -> list[dict[str, Any]]:
    """Name, type and default of each parameter a policy may set; empty without fields."""
    if not dataclasses.is_dataclass(cls):
        return []
    return [
        {
            "name": field.name,
            "type": field.type if isinstance(field.type, str) else field.type.__name__,
            "default": None if field.default is dataclasses.MISSING else field.default,
        }
        for field in dataclasses.fields(cls)
    ]


def text_of(entry: dict[str, Any]) -> str:
    """The manual page as a terminal shows it."""
    lines = [f"{entry['name']}: {entry['summary']}", ""]
    if entry["manual"]:
        lines += [entry["manual"], ""]
    lines.append("Defaults:" if entry["parameters"] else "No parameters.")
    width = max((len(one["name"]) for one in entry["parameters"]), default=0)
    for one in entry["parameters"]:
        value = one["default"]
        shown = str(value).lower() if isinstance(value, bool) else f"{value}"
        lines.append(f"    {one['name']:<{width}}  {shown}  ({one['type']})")
    return "\n".join(lines)
