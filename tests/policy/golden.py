"""Golden files: bad policies and exactly what is said of them.

`python -m tests.policy.golden` writes the expected texts anew; read what changed.
"""

from __future__ import annotations

from pathlib import Path

from gateway_guard.errors import PolicyError
from gateway_guard.policy.cases import run_cases
from gateway_guard.policy.compile import check_policy, read_source

HERE = Path(__file__).parent.parent / "golden" / "policy"


def inputs() -> list[Path]:
    """Every bad policy and test file, in order of name."""
    return sorted(HERE.glob("*.yaml"))


def said(path: Path) -> str:
    """The findings about a file, under its bare name, as `check` and `test` print them."""
    if path.name.endswith(".test.yaml"):
        try:
            ran = run_cases(path)
            text = "\n\n".join(map(str, ran.warnings))
        except PolicyError as error:
            text = str(error)
    else:
        source, findings = read_source(str(path))
        if source is not None:
            _, findings = check_policy(source, str(path))
        text = "\n\n".join(map(str, findings))
    return text.replace(f"{HERE}/", "") + "\n"


if __name__ == "__main__":
    for entry in inputs():
        entry.with_suffix(".txt").write_text(said(entry), encoding="utf-8")
