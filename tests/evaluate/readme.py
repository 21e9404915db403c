"""The block of README.md that `make evaluate` writes anew, between two markers."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.evaluate.sets import ROOT, CannotWorkError

BEGIN: Final = "<!-- evaluate:begin -->"
END: Final = "<!-- evaluate:end -->"


def replaced(text: str, block: str) -> str:
    """`text` with `block` between its markers.

    Raises:
        CannotWorkError: the markers are not there, once each and in order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in after or END in before:
        raise CannotWorkError(f"README.md must hold {BEGIN} and {END} once each, in this order")
    return f"{before}{BEGIN}\n{block.strip()}\n{END}{after}"


def write(block: str, path: Path = ROOT / "README.md") -> None:
    """Put `block` between the markers of the file."""
    path.write_text(replaced(path.read_text("utf-8"), block), "utf-8")


def state() -> str:
    """Today's date and the commit the checkout is at, and whether files differ from it."""
    today = datetime.now(UTC).date().isoformat()
    commit = _git("rev-parse", "--short", "HEAD")
    if not commit:
        return f"Measured on {today}, outside a repository"
    changed = _git("status", "--porcelain", "--", "gateway_guard", "policies", "tests/evaluate")
    return f"Measured on {today} at commit `{commit}`" + (
        " with changes not yet committed" if changed else ""
    )


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=False)
    except OSError:
        return ""
    return done.stdout.decode().strip() if done.returncode == 0 else ""
