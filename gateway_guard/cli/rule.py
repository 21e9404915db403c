"""`gateway-guard rule …`: what a diagnostic code means, or what a rule does, in words."""

from __future__ import annotations

import textwrap
from typing import Annotated, Any

import typer

from gateway_guard.cli.output import Format, FormatOption, print_json
from gateway_guard.core.limits import Limit
from gateway_guard.core.own import OWN
from gateway_guard.core.policy import Policy
from gateway_guard.core.rules import Rule
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
                metavar="CODE|NAME|list",
                help="GG203; guard:NAME as in decision logs; with --policy a rule or limit (also "
                "limit:NAME); or list.",
            ),
        ],
        policy: Annotated[
            str | None,
            typer.Option("--policy", "-p", help="The policy NAME is a rule or limit of."),
        ] = None,
        format: FormatOption = Format.TEXT,
    ) -> None:
        """Explain a diagnostic code, a rule or limit of a policy, or what a decision log names.

        Exit 0 explained, 2 no such code or name, 3 the policy does not load.
        """
        answer: Any
        if name in OWN:
            answer = {"kind": "guard", "name": name, "text": OWN[name]}
            text = f"{name}: the guard's own\n\n{textwrap.fill(OWN[name], 88)}"
        elif policy is not None:
            answer, text = _in_policy(name, load_policy(policy), policy)
        elif name == "list":
            answer = [_as_dict(code, CODES[code]) for code in CODES]
            text = "\n".join(
                f"{code}  {'warning' if entry.severity == 'warning' else 'error  '}  {entry.title}"
                for code, entry in CODES.items()
            )
        elif name.upper() in CODES:
            entry = CODES[name.upper()]
            answer = _as_dict(name.upper(), entry)
            text = f"{name.upper()} ({entry.severity.value}): {entry.title}\n\n" + textwrap.fill(
                entry.text, 88
            )
        else:
            typer.echo(
                f"'{name}' is no diagnostic code (`gateway-guard rule list` prints them all); "
                "for a rule or limit of a policy add --policy POLICY; the guard's own are "
                f"{', '.join(OWN)}",
                err=True,
            )
            raise typer.Exit(2)
        if format is Format.JSON:
            print_json(answer)
        else:
            typer.echo(text)


def _in_policy(name: str, policy: Policy, path: str) -> tuple[Any, str]:
    """What programs and people are told of a rule or limit, or of all of them."""
    if name == "list":
        lines = [f"rule   {rule.name}  {rule.where}" for rule in policy.rules]
        lines += [f"limit  {limit.name}  {limit.where}" for limit in policy.limits]
        return [*map(_of_rule, policy.rules), *map(_of_limit, policy.limits)], "\n".join(lines)
    fields: dict[str, Any] = {}
    words: list[str] = []
    # As decision logs and `summary` call a limit that refused.
    kind, _, bare = name.rpartition(":")
    for limit in policy.limits:
        if limit.name == bare and kind in ("", "limit"):
            fields, words = _of_limit(limit), limit_in_words(limit)
    for rule in policy.rules:
        if rule.name == name:
            # A limit may have the same name; its words follow.
            fields, words = _of_rule(rule), [*rule_in_words(policy, rule), *words]
    if not words:
        names = [rule.name for rule in policy.rules] + [limit.name for limit in policy.limits]
        typer.echo(f"{path} has no rule or limit '{name}'; {suggest(name, names)}", err=True)
        raise typer.Exit(2)
    return {**fields, "words": words}, "\n".join(words)


def _of_rule(rule: Rule) -> dict[str, Any]:
    """A rule for programs; the keys stay."""
    return {
        "kind": "rule",
        "name": rule.name,
        **_place(rule.where),
        "action": rule.action.word,
        "shadow": rule.shadow,
        "when": {condition.field: condition.text for condition in rule.conditions},
    }


def _of_limit(limit: Limit) -> dict[str, Any]:
    """A limit for programs; the keys stay."""
    return {
        "kind": "limit",
        "name": limit.name,
        **_place(limit.where),
        "per": list(limit.per),
        "unit": limit.unit,
        "shadow": limit.shadow,
        "when": {condition.field: condition.text for condition in limit.conditions},
    }


def _place(where: str) -> dict[str, Any]:
    file, _, line = where.rpartition(":")
    return {"file": file, "line": int(line)}


def _as_dict(code: str, entry: Code) -> dict[str, str]:
    return {
        "code": code,
        "severity": entry.severity.value,
        "title": entry.title,
        "text": entry.text,
    }
