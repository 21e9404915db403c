"""`gateway-guard test [PATH…]`: run the tests beside policies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway_guard.cli.below import below
from gateway_guard.cli.check import as_dict
from gateway_guard.cli.output import Format, FormatOption, print_json
from gateway_guard.errors import PolicyError
from gateway_guard.policy.cases import CaseFile, run_cases
from gateway_guard.policy.diagnostics import Diagnostic


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def test(
        paths: Annotated[
            list[Path] | None,
            typer.Argument(
                metavar="PATH",
                help="Test files, policies with tests beside them, or directories to search for "
                "*.test.yaml, but hidden ones; default: here.",
            ),
        ] = None,
        format: FormatOption = Format.TEXT,
    ) -> None:
        """Run policy tests (*.test.yaml) and print each case.

        Exit 0 all passed, 1 a case failed, 2 no test file, 3 a file does not load.
        """
        untested = [path for path in paths or () if _is_policy(path) and not beside(path).exists()]
        for path in untested:
            typer.echo(f"{path}: no tests beside it; write them into {beside(path)}", err=True)
        if untested:
            raise typer.Exit(2)
        files = find(paths or [Path()])
        if not files:
            searched = ", ".join(map(str, paths)) if paths else "this directory"
            typer.echo(
                f"no *.test.yaml in {searched} or below; tests of policy.yaml stand beside it, in "
                "policy.test.yaml",
                err=True,
            )
            raise typer.Exit(2)
        passed = failed = broken = 0
        report: list[dict[str, Any]] = []
        for file in files:
            try:
                ran = run_cases(file)
            except PolicyError as error:
                broken += 1
                findings = [d for d in error.diagnostics if isinstance(d, Diagnostic)]
                report.append({"file": str(file), "findings": [as_dict(d) for d in findings]})
                if format is Format.TEXT:
                    typer.echo(f"{error}\n")
                continue
            good = sum(case.passed for case in ran.cases)
            passed += good
            failed += len(ran.cases) - good
            report.append(_as_dict(ran))
            if format is Format.TEXT:
                _print(ran)
        if format is Format.JSON:
            print_json(report)
        else:
            unread = _unread(broken, len(files))
            typer.echo(f"{passed} passed, {failed} failed{unread}")
        raise typer.Exit(3 if broken else 1 if failed else 0)


def _unread(broken: int, files: int) -> str:
    if not broken:
        return ""
    if files == 1:
        return ", the file does not load"
    return f", {broken} of {files} files {'does' if broken == 1 else 'do'} not load"


def find(paths: list[Path]) -> list[Path]:
    """Test files among and below `paths`, sorted, each once."""
    files: dict[Path, None] = {}
    for path in paths:
        file = beside(path) if _is_policy(path) else path
        files.update(dict.fromkeys(below(path, ".test.yaml") if path.is_dir() else [file]))
    return list(files)


def beside(policy: Path) -> Path:
    """Where the tests of a policy belong: `standard.test.yaml` beside `standard.yaml`."""
    return policy.with_name(f"{policy.stem}.test.yaml")


def _is_policy(path: Path) -> bool:
    return path.suffix == ".yaml" and not path.name.endswith(".test.yaml") and path.is_file()


def _print(ran: CaseFile) -> None:
    typer.echo(ran.name)
    for warning in ran.warnings:
        typer.echo(f"{warning}\n")
    for case in ran.cases:
        typer.echo(f"  {'ok  ' if case.passed else 'FAIL'}  {case.it}")
        if case.passed:
            continue
        for line in case.wrong:
            typer.echo(f"        {line}")
        typer.echo(f"        at {case.where}")


def _as_dict(ran: CaseFile) -> dict[str, Any]:
    return {
        "file": ran.name,
        "policy": ran.policy,
        "findings": [as_dict(warning) for warning in ran.warnings],
        "cases": [
            {
                "it": case.it,
                "where": case.where,
                "passed": case.passed,
                "wrong": list(case.wrong),
                "got": case.got,
            }
            for case in ran.cases
        ],
    }
