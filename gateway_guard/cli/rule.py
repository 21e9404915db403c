"""`gateway-guard rule …`: what a diagnostic code means, or what a rule does, in words."""

from __future__ import annotations

import textwrap
from typing import Annotated, Any

import typer

from gateway_guard.cli.output import Format, FormatOption, print_json
from gateway_guard.policy.compile import load_policy
from gateway_guard.policy.describe import limit_in_words, rule_in_words
from gateway_guard.policy.diagnostics import CODES, Code, suggest


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def rule(
        name: Annotated[
            str,
            typer.Argument(
                metavar="CODE|NAME|list", help="GG203; with --policy a rule or limit; or list."
            ),
        ],
        policy: Annotated[
            str | None,
            typer.Option("--policy", "-p", help="The policy NAME is a rule or limit of."),
        ] = None,
        format: FormatOption = Format.TEXT,
    ) -> None:
        """Explain a diagnostic code, or what a rule or limit of a policy does.

        Exit 0 explained, 2 no such code or name, 3 the policy does not load.
        """
        lines = _in_policy(name, policy) if policy is not None else None
        if lines is not None:
            answer: Any = {"name": name, "words": lines}
            text = "\n".join(lines)
        elif name == "list" and policy is None:
            answer = [_as_dict(code, CODES[code]) for code in CODES]
            text = "\n".join(
                f"{code}  {'warning' if entry.severity == 'warning' else 'error  '}  {entry.title}"
                for code, entry in CODES.items()
            )
        elif name.upper() in CODES and policy is None:
            entry = CODES[name.upper()]
            answer = _as_dict(name.upper(), entry)
            text = f"{name.upper()} ({entry.severity.value}): {entry.title}\n\n" + textwrap.fill(
                entry.text, 88
            )
        else:
            typer.echo(
                f"'{name}' is no diagnostic code (`gateway-guard rule list` prints them all); "
                "for a rule or limit of a policy add --policy POLICY",
                err=True,
            )
            raise typer.Exit(2)
        if format is Format.JSON:
            print_json(answer)
        else:
            typer.echo(text)


def _in_policy(name: str, path: str) -> list[str]:
    policy = load_policy(path)
    if name == "list":
        return [
            *(f"rule   {rule.name}  {rule.where}" for rule in policy.rules),
            *(f"limit  {limit.name}  {limit.where}" for limit in policy.limits),
        ]
    words: list[str] = []
    for rule in policy.rules:
        if rule.name == name:
            words += rule_in_words(policy, rule)
    for limit in policy.limits:
        if limit.name == name:
            words += limit_in_words(limit)
    if not words:
        names = [rule.name for rule in policy.rules] + [limit.name for limit in policy.limits]
        typer.echo(f"{path} has no rule or limit '{name}'; {suggest(name, names)}", err=True)
        raise typer.Exit(2)
    return words


def _as_dict(code: str, entry: Code) -> dict[str, str]:
    return {
        "code": code,
        "severity": entry.severity.value,
        "title": entry.title,
        "text": entry.text,
    }
