"""Whether somebody has argued that a change makes no difference."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Equivalent:
    """One line, and what it may become without making a difference.

    Attributes:
        path: of the module, below `gateway_guard`.
        line: the line without its indentation: an argument is about what stands there now.
        becomes: the changed lines that are meant; `…` stands for anything.
        why: what makes the changed code give the same answers.
    """

    path: str
    line: str
    becomes: tuple[str, ...]
    why: str

    def covers(self, path: str, line: str, changed: str) -> bool:
        """Whether a change of `line` to `changed` is such a one."""
        said = _spaced(changed)
        return (
            path == f"gateway_guard/{self.path}"
            and line.strip() == self.line
            and any(
                re.fullmatch(re.escape(_spaced(one)).replace("…", ".*"), said)
                for one in self.becomes
            )
        )


def _spaced(line: str) -> str:
    """With one blank between words and signs: cosmic-ray puts some where it likes."""
    return " ".join(re.findall(r"\w+|…|[^\w\s…]+", line))


def argued(path: str, before: str, after: str, table: Iterable[Equivalent]) -> str | None:
    """Why a module's text `after` does what `before` did; None where nobody says so."""
    lines = zip(before.splitlines(), after.splitlines(), strict=False)
    line, changed = next(((one, other) for one, other in lines if one != other), ("", ""))
    return next((one.why for one in table if one.covers(path, line, changed)), None)
