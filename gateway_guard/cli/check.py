"""`gateway-guard check POLICY…`: every mistake of every policy, or what it does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from gateway_guard.cli.below import below
from gateway_guard.cli.output import Format, FormatOption, print_json
from gateway_guard.errors import PolicyError
from gateway_guard.policy.cases import run_cases
from gateway_guard.policy.compile import check_policy, read_source
from gateway_guard.policy.describe import summary
from gateway_guard.policy.diagnostics import Diagnostic, Severity
from gateway_guard.policy.recognise import is_policy

#: Most files named that are left out, and bytes in which a policy is recognised; the longest one
#: that loads is shorter.
_NAMED: Final = 10
_ENOUGH: Final = 1 << 20


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def check(
        policies: Annotated[
            list[str],
            typer.Argument(
                metavar="POLICY",
                help="Policies, their tests, or directories: every policy and every *.test.yaml "
                "in them and below that is not hidden.",
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
    """The files meant; a directory stands for every policy and its tests in it and below."""
    files: list[str] = []
    for name in names:
        if not Path(name).is_dir():
            files.append(name)
            continue
        meant: list[str] = []
        others: list[str] = []
        for path in map(str, below(Path(name), ".yaml", ".yml")):
            (meant if _is_meant(path) else others).append(path)
        if others:
            more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
            typer.echo(
                f"left out, for they look like no policies: {', '.join(others[:_NAMED])}{more}",
                err=True,
            )
        if not meant:
            raise typer.BadParameter(
                f"no policy in {name}; name a file to have it checked whatever it looks like"
            )
        files += meant
    return list(dict.fromkeys(files))


def _is_meant(path: str) -> bool:
    if path.endswith(".test.yaml"):
        return True
    try:
        with Path(path).open("rb") as file:
            return is_policy(file.read(_ENOUGH))
    except OSError:
        # It is named, and why it cannot be read.
        return not Path(path).is_dir()


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
