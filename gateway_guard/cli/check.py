"""`gateway-guard check POLICY…`: every mistake of every policy, or what it does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway_guard.cli.output import Format, FormatOption, print_json
from gateway_guard.errors import PolicyError
from gateway_guard.policy.cases import run_cases
from gateway_guard.policy.compile import check_policy, read_source
from gateway_guard.policy.describe import summary
from gateway_guard.policy.diagnostics import Diagnostic, Severity


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def check(
        policies: Annotated[
            list[str],
            typer.Argument(
                metavar="POLICY",
                help="Policies, their tests, or directories with *.yaml of both in them.",
            ),
        ],
        format: FormatOption = Format.TEXT,
    ) -> None:
        """Read policies; print every mistake with its place and a remedy.

        Exit 0 clean or warnings only, 1 a policy does not load, 3 a file cannot be read.
        """
        code = 0
        report: list[dict[str, Any]] = []
        for name in _files(policies):
            source, findings = read_source(name)
            policy = None
            does = None
            if source is not None and name.endswith(".test.yaml"):
                findings, does = _test_file(name)
            elif source is not None:
                policy, findings = check_policy(source, name)
                does = summary(policy) if policy is not None else None
            errors = sum(finding.severity is Severity.ERROR for finding in findings)
            warnings = len(findings) - errors
            unreadable = any(finding.code == "GG101" for finding in findings)
            code = max(code, 3 if unreadable else 1 if errors else 0)
            if format is Format.JSON:
                report.append(
                    {
                        "file": name,
                        "digest": policy.digest if policy is not None else None,
                        "summary": does,
                        "errors": errors,
                        "warnings": warnings,
                        "findings": [as_dict(finding) for finding in findings],
                    }
                )
                continue
            for finding in findings:
                typer.echo(f"{finding}\n")
            counts = _counts(errors, warnings)
            typer.echo(f"{name}: {does or counts}" + (f" ({counts})" if does and warnings else ""))
        if format is Format.JSON:
            print_json(report)
        raise typer.Exit(code)


def _files(names: list[str]) -> list[str]:
    """The files meant; a directory stands for every `*.yaml` in it and below."""
    files: list[str] = []
    for name in names:
        if Path(name).is_dir():
            below = sorted(map(str, Path(name).rglob("*.yaml")))
            if not below:
                raise typer.BadParameter(f"no *.yaml in {name}")
            files += below
        else:
            files.append(name)
    return list(dict.fromkeys(files))


def _test_file(name: str) -> tuple[Sequence[Diagnostic], str | None]:
    """Findings about a file of policy tests, and how many cases it has."""
    try:
        ran = run_cases(name)
    except PolicyError as error:
        return [d for d in error.diagnostics if isinstance(d, Diagnostic)], None
    return ran.warnings, f"{len(ran.cases)} cases of {ran.policy}"


def as_dict(finding: Diagnostic) -> dict[str, Any]:
    """A finding for programs; the keys stay."""
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "message": finding.message,
        "hint": finding.hint or None,
        "line": finding.line or None,
        "column": finding.column or None,
        "width": finding.width if finding.line else None,
    }


def _counts(errors: int, warnings: int) -> str:
    parts = [
        f"{count} {word}{'' if count == 1 else 's'}"
        for count, word in ((errors, "error"), (warnings, "warning"))
        if count
    ]
    return ", ".join(parts) or "clean"
