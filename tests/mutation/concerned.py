"""Which tests concern a module: its namesake, those that import it, all quick ones."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Final

#: In one process and without servers.
QUICK: Final = (
    "tests/core", "tests/property", "tests/contracts", "tests/stores", "tests/signals",
    "tests/policy", "tests/accounts", "tests/verification", "tests",
)  # fmt: skip
#: They measure time, start real Redis servers, or are about other things than what code does.
SLOW: Final = frozenset(
    f"test_{name}.py"
    for name in (
        "arrears", "canaries", "cluster", "connect", "delivery", "deploy", "docs", "evasion_cost",
        "faults",
        "guard_store", "layers", "layout", "leaves", "leaving", "outages", "packaging", "patience",
        "peers", "redis", "secrets_are_compared", "sentinel", "supply", "threat_model", "workers",
    )
)  # fmt: skip
#: Of the others, what needs a server or measures time or memory.
DESELECT: Final = " and ".join(
    f"not {word}"
    for word in (
        "redis", "valkey", "cluster", "takes_a_second", "in_no_time", "is_linear", "takes_no_time",
        "takes_at_most", "does_not_grow",
    )
)  # fmt: skip


def quick(root: Path) -> list[str]:
    """All files of quick tests."""
    return [
        str(file.relative_to(root))
        for folder in QUICK
        for file in sorted((root / folder).glob("test_*.py"))
        if file.name not in SLOW
    ]


def concerned(root: Path, path: str) -> tuple[list[str], list[str]]:
    """The quick tests named like the module at `path`, and the others that import it."""
    stem = Path(path).stem
    module = path.removesuffix(".py").replace("/", ".")
    near, further = [], []
    for file in quick(root):
        if Path(file).stem == f"test_{stem}":
            near.append(file)
        elif module in _imported(root, root / file):
            further.append(file)
    return near, further


def _imported(root: Path, file: Path) -> set[str]:
    """What a file imports, and the modules of tests that it uses."""
    found: set[str] = set()
    waiting = [file]
    while waiting:
        names = _named(waiting.pop()) - found
        found |= names
        helpers = (root / f"{name.replace('.', '/')}.py" for name in names if name[:6] == "tests.")
        waiting += [helper for helper in helpers if helper.is_file()]
    return found


@cache
def _named(file: Path) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return frozenset(names)
