"""The blocks of README.md and of the studies' files written anew, each between two markers."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.evaluate.sets import ROOT, CannotWorkError

#: The results, the studies that leave groups out, and the one of worse data.
RESULTS: Final = "evaluate"
LEFT_OUT: Final = "leave-out"
WORSE: Final = "worse"
#: Where the studies stand: too long for README.md.
LEFT_OUT_FILE: Final = Path(__file__).with_name("leave-out.md")
WORSE_FILE: Final = Path(__file__).with_name("worse.md")


def markers(name: str) -> tuple[str, str]:
    """The lines between which the block of this name stands."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def replaced(text: str, block: str, name: str = RESULTS) -> str:
    """`text` with `block` between its markers.

    Raises:
        CannotWorkError: the markers are not there, once each and in order.
    """
    first, last = markers(name)
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not (begin and end) or first in rest or last in after or last in before:
        raise CannotWorkError(f"the file must hold {first} and {last} once each, in this order")
    return f"{before}{first}\n{block.strip()}\n{last}{after}"


def write(block: str, path: Path = ROOT / "README.md", *, name: str = RESULTS) -> None:
    """Put `block` between the markers of its name in the file."""
    path.write_text(replaced(path.read_text("utf-8"), block, name), "utf-8")


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
