"""What stands below the options of every `--help`: exit codes and an example."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import typer
from typer.main import get_command_name
from typer.models import CommandInfo


class Page(NamedTuple):
    """One command.

    Attributes:
        example: a whole command line.
        findings: what exit code 1 means; empty where there is no such end.
        good: what exit code 0 means.
    """

    example: str
    findings: str = ""
    good: str = "done"


_RELEASED: Final = "--reason 'a benchmark of ours'"

#: Command → its page; a test walks all commands. Exit codes are left out where a command's own text
#: says them.
PAGES: Final[dict[str, Page]] = {
    "serve": Page(
        "gateway-guard serve --policy policy.yaml --upstream http://127.0.0.1:8000",
        good="ended by SIGTERM or SIGINT",
    ),
    "demo": Page("gateway-guard demo --seconds 20"),
    "check": Page("gateway-guard check policies/"),
    "test": Page("gateway-guard test policies/standard.test.yaml"),
    "explain": Page(
        "gateway-guard explain examples/requests/sweep.json --policy policy.yaml",
        good="decided, whatever the decision",
    ),
    "decision": Page(
        "gateway-guard decision r_bjkzjv2y8xw3hq decisions.jsonl --policy policy.yaml"
    ),
    "summary": Page("gateway-guard summary decisions.jsonl* --rule hidden-newcomers"),
    "replay": Page("gateway-guard replay traffic.jsonl.gz --policy policy.yaml"),
    "lookup": Page("gateway-guard lookup 192.0.2.7 2001:db8::1"),
    "network show": Page("gateway-guard network show"),
    "network build": Page(
        "gateway-guard network build --list vpn=vpn.txt --out network.mmdb", good="written"
    ),
    "network update": Page(
        "gateway-guard network update --url cities=https://host/cities.mmdb.gz --dir /var/lib/mmdb"
    ),
    "campaign list": Page("gateway-guard campaign list"),
    "campaign show": Page("gateway-guard campaign show c_0001 --members 20"),
    "campaign export": Page("gateway-guard campaign export c_0001 --out c_0001.html"),
    "campaign challenge": Page(
        "gateway-guard campaign challenge c_0001 --reason 'alike, not yet sure'"
    ),
    "campaign release": Page(f"gateway-guard campaign release c_0001 {_RELEASED}"),
    "export": Page("gateway-guard export ecs decisions.jsonl"),
    "account show": Page("gateway-guard account show acct_f72s2pqm4xkd7w3a"),
    "account export": Page("gateway-guard account export --organisation o_17 --out of-them.json"),
    "account erase": Page(
        "gateway-guard account erase acct_f72s2pqm4xkd7w3a --reason 'Art. 17, ticket 88'"
    ),
    "account allow": Page(f"gateway-guard account allow acct_f72s2pqm4xkd7w3a {_RELEASED}"),
    "account ban": Page(
        "gateway-guard account ban acct_f72s2pqm4xkd7w3a --reason 'resells answers'"
    ),
    "account clear": Page(
        "gateway-guard account clear acct_f72s2pqm4xkd7w3a --reason 'called them'"
    ),
    "account challenge": Page(
        "gateway-guard account challenge acct_f72s2pqm4xkd7w3a --reason 'five countries in a day'"
    ),
    "account verify": Page(
        "gateway-guard account verify acct_f72s2pqm4xkd7w3a --reason 'saw a contract'"
    ),
    "account note": Page("gateway-guard account note acct_f72s2pqm4xkd7w3a --reason 'asked sales'"),
    "audit verify": Page("gateway-guard audit verify", good="whole"),
    "audit show": Page("gateway-guard audit show --account acct_f72s2pqm4xkd7w3a"),
    "intel keygen": Page("gateway-guard intel keygen guard.key"),
    "intel export": Page(
        "gateway-guard intel export --name acme --key guard.key --traffic decisions.jsonl.gz "
        "--out acme.bundle"
    ),
    "intel verify": Page(
        "gateway-guard intel verify acme.bundle --trusted trusted.keys", "an indicator is refused"
    ),
    "intel import": Page(
        "gateway-guard intel import acme.bundle --trusted trusted.keys", "an indicator was refused"
    ),
    "intel list": Page("gateway-guard intel list --source acme"),
    "intel forget": Page("gateway-guard intel forget acme"),
    "intel publish": Page("gateway-guard intel publish acme.json --collection collection.json"),
    "intel serve": Page(
        "gateway-guard intel serve --collection collection.json --users users.txt",
        good="ended by SIGTERM or SIGINT",
    ),
    "intel poll": Page(
        "gateway-guard intel poll https://host/api/collections/ID/ --as acme --every 60",
        "an indicator was refused",
    ),
    "intel push": Page(
        "gateway-guard intel push acme.json https://host/api/collections/ID/",
        "an object was refused",
    ),
    "intel crowdsec-pull": Page(
        "gateway-guard intel crowdsec-pull http://127.0.0.1:8080/v1/ --key-file bouncer.key",
        "a decision was refused",
    ),
    "intel crowdsec-push": Page(
        "gateway-guard intel crowdsec-push http://127.0.0.1:8080/v1/ --machine guard "
        "--password-file machine.key --traffic decisions.jsonl.gz"
    ),
    "linker": Page(
        "gateway-guard linker --policy policy.yaml --store redis://redis:6379/0",
        good="ended by SIGTERM or SIGINT",
    ),
    "guards list": Page("gateway-guard guards list --store redis://redis:6379/0"),
    "guards reload": Page("gateway-guard guards reload --store redis://redis:6379/0"),
    "store stats": Page("gateway-guard store stats --store redis://redis:6379/0"),
    "store flush": Page("gateway-guard store flush --store redis://redis:6379/0 --yes"),
    "signal": Page("gateway-guard signal template-sweep"),
    "rule": Page("gateway-guard rule GG203"),
    "schema": Page("gateway-guard schema --output policy.schema.json"),
}


def add_pages(app: typer.Typer) -> None:
    """Put its page below the help of every command of `app` that has one; let lists of commands
    show the first sentence of each whole.
    """
    for path, command in commands(app):
        page = PAGES.get(path)
        text = command.help or inspect.getdoc(command.callback) or ""
        command.short_help = _sentence(text)
        if page is not None and command.epilog is None:
            command.epilog = epilog(page, text)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            group.short_help = _sentence(group.typer_instance.info.help or "")


def _sentence(help: str) -> str:
    """The first sentence of a help text, on one line."""
    return re.split(r"(?<=\.)\s", " ".join(help.split()), maxsplit=1)[0]


def epilog(page: Page, help: str) -> str:
    """The page below the `help` of a command; click takes `\\b` for "leave these lines as they
    are".
    """
    parts = [f"\b\nExample:\n  {page.example}"]
    if "Exit" not in help:
        found = f"1 {page.findings}, " if page.findings else ""
        parts.insert(0, f"Exit 0 {page.good}, {found}2 usage, 3 it cannot work: stderr says why.")
    return "\n\n".join(parts)


def commands(app: typer.Typer, above: str = "") -> Iterator[tuple[str, CommandInfo]]:
    """Every command of `app`, by what is typed to call it."""
    for command in app.registered_commands:
        own = getattr(command.callback, "__name__", "")
        yield above + (command.name or get_command_name(own)), command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            yield from commands(group.typer_instance, f"{above}{group.name} ")
